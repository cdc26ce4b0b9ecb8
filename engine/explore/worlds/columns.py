"""The columns of a World that make up a state, with the range of values expected in each.

engine.schema marks them. Columns that no step reads are left out: times, counts for reports, random streams, lines of
spinners (in an exploration a task that finds a queue lock taken is not enabled), and columns that this world's steps
do not name. Two worlds that agree in the remaining columns behave alike from there on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.events import NONE
from engine.runs.schedule import at_end, choices, make_move
from engine.schema import element_types
from engine.world.linking import names_in, unlinked
from engine.world.state import BROKEN, FREE_WAIT, GROUPS, World

Span = tuple[int, int]
TASK_ROWS = frozenset({"tasks", "frames", "entries", "sleepers", "emulations"})
"""Tables with rows per task: row k * tasks + t is task t's. In `entries` only the first row of each task is part of a
state: further rows are bookmarks.
"""
TASK_REFERENCES = frozenset(
    f"{group}.{name}"
    for group, table in GROUPS.items()
    for name, given in table._field_defaults.items()
    if given.refers in ("tasks", "entries") and given.state
)
"""Columns whose values are rows of tasks, or of their wait entries."""
CLOCK = ((FREE_WAIT, "free_wait"), (BROKEN, "broken"))
"""Elements of the clock that are part of a state."""


class StateColumn(NamedTuple):
    """One column of a state: its table and name, the rows that can change, and the expected range of values.

    element: "I64" ..; U32 columns hold rows: NONE counts as -1.
    """

    group: str
    name: str
    element: str
    rows: tuple[int, ...]
    span: Span

    @property
    def title(self) -> str:
        """The name shown to readers: page->mapping is pages.mapping."""
        return f"{self.group}.{self.name}"


def state_columns(w: World) -> list[StateColumn]:
    """Return the columns of this world's states: those that are part of a state and named in its code."""
    names = names_of(w)
    found = []
    for group, table in GROUPS.items():
        rows = tuple(_rows(w, group)) if group in names else ()
        for name, given in table._field_defaults.items():
            if rows and given.state and name in names and (not given.by or given.by in names):
                high = _known(w, group, name) or given.high + (_size(w, given.per) if given.per else 0)
                found.append(StateColumn(group, name, element_types(table)[name], rows, (given.low, max(high, 0))))
    for place, name in CLOCK:
        if name != "free_wait" or w.rules.n_waits:
            span = (0, 1) if name == "broken" else (-1, w.rules.n_waits)
            found.append(StateColumn("clock", name, "I64", (place,), span))
    return found


def _known(w: World, group: str, name: str) -> int:
    """Return the greatest value that this world's code can store in a column, 0 if only its declaration says so.

    A search that meets a greater one changes its layout, which costs as much as the search of a small world.
    """
    if name == "step":
        return max(number for number, function in enumerate(w.step_functions) if function is not unlinked)
    return w.nesting if (group, name) == ("tasks", "depth") else 0


def names_of(w: World) -> frozenset[str]:
    """Return the names of tables and columns in the code that this world can reach."""
    functions = [make_move, choices, at_end, *w.step_functions, *w.verb_functions]
    return frozenset().union(*(names_in(function) for function in functions if function is not None))


def _size(w: World, table: str) -> int:
    return int(getattr(w, table)[0].array.size)


def _rows(w: World, group: str) -> Iterator[int]:
    """Yield the rows of a table that can differ between two states."""
    if group == "lists" and w.rules.bits:
        yield from sorted(set(w.pages.queue.array.tolist()))
        yield from range(1 << w.rules.bits, w.lists.head.array.size)
    elif group == "frames":
        yield from range(w.nesting * w.rules.n_tasks)
    elif group == "entries":  # a walk leaves a bookmark after 65 entries, more than a small world has
        yield from range(w.rules.n_tasks)
    else:
        yield from range(getattr(w, group)[0].array.size)


def read(w: World, column: StateColumn) -> tuple[int, ...]:
    """Return the column's values in the rows that can change."""
    if column.group == "clock":
        return (w.clock[column.rows[0]],)
    array = getattr(getattr(w, column.group), column.name).array
    values = (int(array[row]) for row in column.rows)
    return tuple(-1 if column.element == "U32" and value == NONE else value for value in values)


def write(w: World, column: StateColumn, values: tuple[int, ...]) -> None:
    """Store values into the rows that can change."""
    if column.group == "clock":
        w.clock[column.rows[0]] = values[0]
        return
    array = getattr(getattr(w, column.group), column.name).array
    for row, value in zip(column.rows, values, strict=True):
        array[row] = NONE if column.element == "U32" and value == -1 else value
