"""The footprint of a step: the elements of variables that it reads and writes, in one state or in any."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from engine.explore.layout import start_of
from engine.explore.tables.expressions import Fault, Tree, constant, evaluate, names
from engine.explore.tables.playing import move, reader
from engine.explore.tables.table import Step, Table, Values


class Footprint(NamedTuple):
    """What a step may read and write, as sets of (variable, element)."""

    reads: frozenset[tuple[int, int]]
    writes: frozenset[tuple[int, int]]

    def depends(self, other: Footprint) -> bool:
        """Whether one writes what the other reads or writes."""
        return bool(self.writes & (other.reads | other.writes) or other.writes & self.reads)


def footprint(table: Table, step: Step, values: Values | None = None) -> Footprint:
    """Return what a step may touch, guard included, even if part of it is not evaluated.

    In the state `values`, an index is evaluated at that point of the step. Without a state, a computed index counts as
    the whole array, and so does one that has no value or is out of range.
    """
    now = values

    def elements(variable: int, index: Tree | None) -> Iterator[tuple[int, int]]:
        size = len(table.variables[variable].initial)
        if index is not None and (now is not None or constant(index)):
            with contextlib.suppress(Fault):
                place = evaluate(index, reader(table, now or start_of(table)))
                if 0 <= place < size:
                    yield variable, place
                    return
        yield from ((variable, element) for element in range(size))

    def named(tree: Tree) -> Iterator[tuple[int, int]]:
        for _, name, *index in names(tree):
            yield from elements(table.variable(name), index[0] if index else None)

    reads = set(named(step.guard))
    writes: set[tuple[int, int]] = set()
    for effect in step.effects:
        reads |= set(named(effect.value))
        if effect.element is not None:
            reads |= set(named(effect.element))
        if effect.variable >= 0:
            writes |= set(elements(effect.variable, effect.element))
        if now is not None:
            now = move(table, now, step._replace(effects=(effect,))).after
    return Footprint(frozenset(reads), frozenset(writes))
