"""The search's interface to what it explores: a protocol table, or a world of the engine's own steps.

A move is a number: a table's step, or a task and its choice. States are words; machine code at two addresses computes
and judges successors (native.py describes the calls).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.explore import schedules
from engine.explore.layout import Layout, Spans, layout_of, start_of
from engine.explore.search import walks
from engine.explore.search.footprints import reduction_of
from engine.explore.search.native import Native, compiled
from engine.explore.search.search import Reduction
from engine.explore.symmetry import canonical, groups_of, level
from engine.explore.tables.playing import enabled, move
from engine.explore.tables.table import Group, Step, Table, Values


class Shape(NamedTuple):
    """The layout of states in words, the code compiled for it, and the data for partial-order reduction."""

    layout: Layout
    native: Native
    reduction: Reduction | None


class Subject(Protocol):
    """Something to explore. moves: max. number of moves from one state; process_of: (moves,) the process of each move;
    outcomes: variables (number, whether an array) whose values in all end states are reported; promises: whether
    every fair path must make `eventually` true."""

    name: str
    why: str
    processes: tuple[str, ...]
    moves: int
    process_of: NDArray[np.int64]
    outcomes: tuple[tuple[int, bool], ...]
    promises: bool

    @property
    def symmetric(self) -> tuple[tuple[int, ...], ...]:
        """The groups of equal processes, by number."""

    def asked_json(self) -> str:
        """Return the table or scenario as JSON."""

    def spans(self) -> Spans:
        """Return, for each variable, the range that its field must hold at first."""

    def start(self, *, symmetry: bool) -> Values:
        """Return the first state; symmetry: the representative of all states equal up to renaming equal processes."""

    def shape(self, spans: Spans, *, bounded: bool, symmetry: bool, reduced: bool) -> Shape:
        """Return the layout and code for these spans."""

    def look(self, shape: Shape) -> walks.Look | None:
        """Take random walks to see which values occur; None if the spans suffice. Raises UserError if unbounded."""

    def missed(self, number: int, values: Values) -> Iterator[tuple[int, int]]:
        """Yield each (variable, value) that move `number` would store in a state."""

    def bounded(self, variable: int) -> bool:
        """Whether the subject itself bounds a variable."""

    def named(self, variable: int) -> str:
        """Return a variable's name."""

    def schedule(self, moves: Sequence[int], *, symmetry: bool) -> list[Any]:
        """Return the schedule of a path; symmetry: the path is of representatives, and renaming is undone."""

    def written(self, schedule: Sequence[Any]) -> str:
        """Return a schedule as a word."""

    def read(self, word: str) -> list[Any]:
        """Return the schedule that a word encodes. Raises UserError if it encodes none."""


class TableSubject:
    """A protocol table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.name, self.why = table.asked.name, table.asked.why
        self.processes = tuple(process.name for process in table.processes)
        self.moves = len(table.steps)
        self.process_of = np.array([step.process for step in table.steps], np.int64)
        self.promises = table.eventually is not None
        numbers = [table.variable(name) for name in table.asked.outcomes]
        self.outcomes = tuple((number, table.variables[number].array) for number in numbers)

    def asked_json(self) -> str:
        return self.table.asked.model_dump_json()

    def spans(self) -> Spans:
        return walks.guessed(self.table)

    def start(self, *, symmetry: bool) -> Values:
        values = start_of(self.table)
        return canonical(self.groups, values)[0] if symmetry else values

    @property
    def symmetric(self) -> tuple[tuple[int, ...], ...]:
        """The groups of equal processes, by number."""
        return tuple(group.members for group in self.groups)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The groups of equal processes: those that the table names, else all that can be detected."""
        return self.table.symmetric if self.table.asked.symmetric else groups_of(self.table)

    def shape(self, spans: Spans, *, bounded: bool, symmetry: bool, reduced: bool) -> Shape:
        groups = self.groups if symmetry else ()
        level(groups, spans)
        layout = layout_of(self.table, spans, bounded=bounded)
        native = compiled(self.table, layout, groups)
        return Shape(layout, native, reduction_of(self.table, layout) if reduced else None)

    def look(self, shape: Shape) -> walks.Look | None:
        seen = walks.look(self.table, shape.layout, shape.native)
        if seen.misfit < 0:
            walks.refuse_unbounded(self.table, seen)
        return seen

    def missed(self, number: int, values: Values) -> Iterator[tuple[int, int]]:
        for variable, _, _, value in move(self.table, values, self.table.steps[number]).changed:
            yield variable, value

    def bounded(self, variable: int) -> bool:
        return self.table.variables[variable].low is not None

    def named(self, variable: int) -> str:
        return f"vars.{self.table.variables[variable].name}"

    def schedule(self, moves: Sequence[int], *, symmetry: bool) -> list[Step]:
        steps = [self.table.steps[number] for number in moves]
        if not symmetry:
            return steps
        own, values = list[Step](), start_of(self.table)
        for step in steps:
            representative, member_of = canonical(self.groups, values)
            after = move(self.table, representative, step)
            wanted = canonical(self.groups, after.after)[0], bool(after.broken)
            member = member_of.get(step.process, step.process)
            for mine in enabled(self.table, values):
                made = move(self.table, values, mine)
                if mine.process == member and (canonical(self.groups, made.after)[0], bool(made.broken)) == wanted:
                    own.append(mine)
                    values = made.after
                    break
        assert len(own) == len(steps), "a path of representatives without a schedule"
        return own

    def written(self, schedule: Sequence[Step]) -> str:
        return schedules.written(self.table, schedule)

    def read(self, word: str) -> list[Step]:
        return schedules.read(self.table, word)
