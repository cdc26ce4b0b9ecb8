"""Find equal processes: those that can be swapped, with the variables they own, without changing the table.

A swap is found by matching the steps of two processes: where they name different cells (a variable, or an element of an
array), each process owns its cell, and the two cells are swapped too. The swap is valid only if it maps the whole table
onto itself: the steps of all processes, initial values, ranges, final and eventually; it must not move variables listed
in outcomes. A value that names a process differs from its counterpart, so such processes are not equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from engine.explore.tables.expressions import Tree, constant, parts, value_of
from engine.explore.tables.table import Cell, Group, Process, Step, Table, Values


class Unfit(NamedTuple):
    """A group in a table whose processes are not equal: its index, and the reason."""

    place: int
    why: str


class _Unequal(Exception):
    """Two processes cannot be swapped; the argument is the reason."""


def groups_of(table: Table) -> tuple[Group, ...]:
    """Return the groups of equal processes that can be found."""
    find = _Finder(table)
    groups: list[Group] = []
    taken: set[int] = set()
    cells: set[Cell] = set()
    for first in range(len(table.processes)):
        if first in taken:
            continue
        group = Group((first,), ((),))
        for other in range(first + 1, len(table.processes)):
            if other not in taken:
                try:
                    wider = find.group((*group.members, other))
                except _Unequal:
                    continue
                if not cells & {cell for own in wider.owned for cell in own}:
                    group = wider
        if len(group.members) > 1:
            groups.append(group)
            taken |= set(group.members)
            cells |= {cell for own in group.owned for cell in own}
    return tuple(groups)


def named_groups(table: Table, named: Sequence[Sequence[int]]) -> tuple[Group, ...] | Unfit:
    """Return the groups that a table names, or the first whose processes are not equal."""
    find, groups = _Finder(table), list[Group]()
    cells: set[Cell] = set()
    for place, members in enumerate(named):
        if len(members) < 2:
            continue
        try:
            group = find.group(tuple(members))
        except _Unequal as why:
            return Unfit(place, str(why))
        own = {cell for owned in group.owned for cell in owned}
        if cells & own:
            return Unfit(place, "a variable belongs to members of two groups")
        cells |= own
        groups.append(group)
    return tuple(groups)


class _Finder:
    """Finds the swaps of one table, each once."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.cells = [_cells(table, process) for process in table.processes]
        self.swaps: dict[tuple[int, int], dict[Cell, Cell] | _Unequal] = {}

    def swap(self, one: int, other: int) -> dict[Cell, Cell]:
        """Return the cells that are swapped with two processes. Raises _Unequal."""
        if (one, other) not in self.swaps:
            try:
                self.swaps[one, other] = _swap(self.table, one, other, self.cells)
            except _Unequal as why:
                self.swaps[one, other] = why
        known = self.swaps[one, other]
        if isinstance(known, _Unequal):
            raise known
        return known

    def group(self, members: tuple[int, ...]) -> Group:
        """Return the group of these processes. Raises _Unequal."""
        return _group(members, [self.swap(members[0], other) for other in members[1:]])


def _group(members: tuple[int, ...], swaps: list[dict[Cell, Cell]]) -> Group:
    own = set(swaps[0]) if len(swaps) > 1 else {one for one, other in swaps[0].items() if _first(swaps[0], one, other)}
    for swap in swaps[1:]:
        own &= set(swap)
    ordered = sorted(own)
    owned = [tuple(ordered), *(tuple(swap[cell] for cell in ordered) for swap in swaps)]
    every = [cell for cells in owned for cell in cells]
    if any(2 * len(ordered) != len(swap) for swap in swaps) or len(set(every)) < len(every):
        raise _Unequal("the variables that each process owns do not match")
    return Group(members, tuple(owned))


def _first(swap: dict[Cell, Cell], one: Cell, other: Cell) -> bool:
    """Whether, of two swapped cells, this one comes first in the steps of the first process."""
    order = list(swap)
    return order.index(one) < order.index(other)


# --- swaps ---------------------------------------------------------------------------------------------------------


def _swap(table: Table, one: int, other: int, cells: list[set[Cell]]) -> dict[Cell, Cell]:
    """Return the cells that are swapped with two processes. Raises _Unequal."""
    first, second = table.processes[one], table.processes[other]
    if (len(first.labels), first.start, len(first.steps)) != (len(second.labels), second.start, len(second.steps)):
        raise _Unequal("they differ in their number of labels or steps, or in their start")
    swap: dict[Cell, Cell] = {}
    for mine, yours in zip(first.steps, second.steps, strict=True):
        if (mine.at, mine.to, len(mine.effects)) != (yours.at, yours.to, len(yours.effects)):
            raise _Unequal(f"their steps at {mine.asked.at!r} differ in labels or number of effects")
    # Written cells show what each process owns; the operands that read them may come in another order.
    for written in (True, False):
        for mine, yours in zip(first.steps, second.steps, strict=True):
            for left, right in zip(_trees(mine), _trees(yours), strict=True):
                if ("to" in {left[0], right[0]}) == written and (written or not _same(table, left, right, swap)):
                    _lay(table, left, right, swap, mine.asked.at)
        for cell, image in list(swap.items()):
            _pair(table, image, cell, swap)
    swap = {cell: image for cell, image in swap.items() if cell != image}
    _check_swap(table, one, other, swap, cells)
    return swap


def _trees(step: Step) -> Iterator[Tree]:
    yield step.guard
    for effect in step.effects:
        yield ("num", 0) if effect.variable < 0 else _target(effect.variable, effect.element)
        yield effect.value


def _target(variable: int, element: Tree | None) -> Tree:
    """Return the target of an assignment as a tree of its own kind; the variable is a number."""
    return ("to", variable, element if element is not None else ("num", 0))


def _cell(table: Table, tree: Tree) -> Cell | None:
    """Return the cell that a tree names in every state, None if there is no such cell."""
    match tree:
        case ("var", name):
            return table.variable(name), 0
        case ("elem", name, index) if constant(index):
            return table.variable(name), value_of(index)
        case ("to", variable, index) if constant(index):
            return variable, value_of(index)
    return None


def _array(table: Table, tree: Tree) -> int:
    """Return the variable of an element with a computed index."""
    return int(tree[1]) if tree[0] == "to" else table.variable(tree[1])


def _lay(table: Table, left: Tree, right: Tree, swap: dict[Cell, Cell], where: str) -> None:
    """Record which cells of the first tree correspond to which of the second."""
    mine, yours = _cell(table, left), _cell(table, right)
    if mine and yours and (left[0] == "to") == (right[0] == "to"):
        _pair(table, mine, yours, swap)
        return
    if left[0] != right[0] or len(left) != len(right) or mine or yours:
        raise _Unequal(f"their steps at {where!r} do different things")
    if left[0] in {"elem", "to"}:
        one, other = _array(table, left), _array(table, right)
        size = len(table.variables[one].initial)
        if size != len(table.variables[other].initial):
            raise _Unequal(f"{table.variables[one].name} and {table.variables[other].name} differ in length")
        for i in range(size):
            _pair(table, (one, i), (other, i), swap)
        _lay(table, left[2], right[2], swap, where)
        return
    for mine_, yours_ in zip(left[1:], right[1:], strict=True):
        if isinstance(mine_, tuple) and isinstance(yours_, tuple):
            _lay(table, mine_, yours_, swap, where)
        elif mine_ != yours_:
            raise _Unequal(f"their steps at {where!r} differ: {mine_} and {yours_}")


def _pair(table: Table, one: Cell, other: Cell, swap: dict[Cell, Cell]) -> None:
    if swap.setdefault(one, other) != other:
        raise _Unequal(f"{_cell_name(table, one)} would have to be swapped with two variables")


def _cell_name(table: Table, cell: Cell) -> str:
    variable = table.variables[cell[0]]
    return f"{variable.name}[{cell[1]}]" if variable.array else variable.name


def _check_swap(table: Table, one: int, other: int, swap: dict[Cell, Cell], cells: list[set[Cell]]) -> None:
    """Raise _Unequal unless the table with both processes and these cells swapped is the table itself.

    cells: what each process may touch.
    """
    for cell, image in swap.items():
        here, there = table.variables[cell[0]], table.variables[image[0]]
        if (here.low, here.high) != (there.low, there.high) or here.initial[cell[1]] != there.initial[image[1]]:
            raise _Unequal(f"{_cell_name(table, cell)} and {_cell_name(table, image)} differ in initial value or range")
        if here.name in table.asked.outcomes:
            raise _Unequal(f"{_cell_name(table, cell)} is listed in outcomes")
    for number, process in enumerate(table.processes):
        if number not in {one, other} and cells[number].isdisjoint(swap):
            continue
        image_ = table.processes[{one: other, other: one}.get(number, number)]
        if _steps(table, process, swap) != _steps(table, image_, {}):
            raise _Unequal(f"{process.name!r} tells them apart")
    for tree, name in ((table.final, "final"), (table.eventually, "eventually")):
        if tree is not None and not _same(table, tree, tree, swap):
            raise _Unequal(f"{name} tells them apart")


def _same(table: Table, left: Tree, right: Tree, swap: dict[Cell, Cell]) -> bool:
    """Whether two trees are equal once these cells are swapped in the first."""
    try:
        return _ordered(_renamed(table, left, swap)) == _ordered(_renamed(table, right, {}))
    except _Unequal:
        return False


def _steps(table: Table, process: Process, swap: dict[Cell, Cell]) -> Counter[Any]:
    return Counter(
        (step.at, step.to, *(_ordered(_renamed(table, tree, swap)) for tree in _trees(step))) for step in process.steps
    )


def _renamed(table: Table, tree: Tree, swap: dict[Cell, Cell]) -> Tree:
    """Return a tree with these cells swapped; a cell becomes ("cell" or "target", variable, index)."""
    cell = _cell(table, tree)
    if cell is not None:
        kind = "target" if tree[0] == "to" else "cell"
        return (kind, *swap.get(cell, cell))
    if tree[0] in {"elem", "to"}:
        array = _array(table, tree)
        cells = [(array, i) for i in range(len(table.variables[array].initial))]
        images = [swap.get(one, one) for one in cells]
        if images != [(images[0][0], i) for i in range(len(images))]:
            raise _Unequal(
                f"{table.variables[array].name} is accessed by a computed index and cannot be swapped in part"
            )
        return (tree[0], images[0][0], _renamed(table, tree[2], swap))
    return tuple(_renamed(table, part, swap) if isinstance(part, tuple) else part for part in tree)


def _cells(table: Table, process: Process) -> set[Cell]:
    """Return the cells that a process may touch."""
    found: set[Cell] = set()
    for step in process.steps:
        for tree in _trees(step):
            for part in parts(tree):
                if part[0] in {"var", "elem", "to"}:
                    if cell := _cell(table, part):
                        found.add(cell)
                    else:
                        array = _array(table, part)
                        found |= {(array, i) for i in range(len(table.variables[array].initial))}
    return found


_ANY_ORDER = {"&&", "||", "+", "*", "&", "|", "^"}


def _ordered(tree: Tree) -> Tree:
    """Return a tree with commutative operands sorted, if they always have a value."""
    tree = tuple(_ordered(part) if isinstance(part, tuple) else part for part in tree)
    if tree[0] != "bin" or tree[1] not in _ANY_ORDER | {"==", "!="} or not all(map(_certain, parts(tree))):
        return tree
    operands = _operands(tree, tree[1]) if tree[1] in _ANY_ORDER else list(tree[2:])
    return ("any", tree[1], *sorted(operands, key=repr))


def _operands(tree: Tree, operator: str) -> list[Tree]:
    if tree[0] == "any" and tree[1] == operator and operator in _ANY_ORDER:
        return list(tree[2:])
    if tree[:2] == ("bin", operator):
        return [one for part in tree[2:] for one in _operands(part, operator)]
    return [tree]


def _certain(tree: Tree) -> bool:
    """Whether this node of a tree always has a value."""
    if tree[0] == "bin" and tree[1] in {"/", "%", "<<", ">>"}:
        return bool(tree[3][0] == "num")
    return tree[0] not in {"elem", "to"}


# --- canonical states ----------------------------------------------------------------------------------------------


def canonical(groups: Sequence[Group], values: Values) -> tuple[Values, dict[int, int]]:
    """Return the canonical state of all that differ only by swaps of equal processes, and for each member whose label
    and values it took. Members are sorted by label, then by the values they own."""
    places, variables = list(values.places), [list(elements) for elements in values.variables]
    sources: dict[int, int] = {}
    for group in groups:
        keys = [
            (values.places[member], *(values.variables[variable][index] for variable, index in own))
            for member, own in zip(group.members, group.owned, strict=True)
        ]
        order = sorted(range(len(keys)), key=keys.__getitem__)
        for member, own, taken in zip(group.members, group.owned, order, strict=True):
            sources[member] = group.members[taken]
            places[member] = keys[taken][0]
            for (variable, index), value in zip(own, keys[taken][1:], strict=True):
                variables[variable][index] = value
    return values._replace(variables=tuple(map(tuple, variables)), places=tuple(places)), sources


def level(groups: Sequence[Group], spans: list[tuple[int, int]]) -> None:
    """Widen the spans of variables that are swapped, so that each can hold the values of the others."""
    before: list[tuple[int, int]] = []
    while before != spans:
        before = list(spans)
        for group in groups:
            for cells in zip(*group.owned, strict=True):
                wide = min(spans[cell[0]][0] for cell in cells), max(spans[cell[0]][1] for cell in cells)
                for cell in cells:
                    spans[cell[0]] = wide
