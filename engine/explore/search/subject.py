"""What the search needs to know of whatever it explores: a protocol table, or a world of the engine's own steps.

A move is a number: a table's step, or a task and its choice. States are words; two addresses of machine code tell what
can follow (native.py says how they are called).
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
    """What a search compiles for: how states lie in words, and the code that knows it."""

    layout: Layout
    native: Native
    reduction: Reduction | None


class Subject(Protocol):
    """Something to explore. moves: the most that can follow one state; process_of: (moves,) whose move each is;
    outcomes: variables (number, whether an array) whose values over all ends are told; promises: whether
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
        """Return what was asked, as JSON."""

    def spans(self) -> Spans:
        """Return for each variable the values that its field shall hold at first."""

    def start(self, *, symmetry: bool) -> Values:
        """Return the first state; symmetry: as it stands for all that differ by equal processes' names."""

    def shape(self, spans: Spans, *, bounded: bool, symmetry: bool, reduced: bool) -> Shape:
        """Return layout and code for these spans."""

    def look(self, shape: Shape) -> walks.Look | None:
        """Walk a little, for the values that occur; None: the spans are known to do. Raises UserError: no bounds."""

    def missed(self, number: int, values: Values) -> Iterator[tuple[int, int]]:
        """Yield (variable, value) of what move `number` would store in a state."""

    def bounded(self, variable: int) -> bool:
        """Whether the subject itself bounds a variable."""

    def named(self, variable: int) -> str:
        """Return a variable's name."""

    def schedule(self, moves: Sequence[int], *, symmetry: bool) -> list[Any]:
        """Return the moves of a path of stand-ins as the processes themselves make them."""

    def written(self, schedule: Sequence[Any]) -> str:
        """Return the word for a schedule."""

    def read(self, word: str) -> list[Any]:
        """Return the schedule of a word. Raises UserError where it names none."""


class TableSubject:
    """A protocol table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.name, self.why = table.asked.name, table.asked.why
        self.processes = tuple(process.name for process in table.processes)
        self.moves = len(table.steps)
        self.process_of = np.array([step.process for step in table.steps], np.int64)
        self.promises = table.eventually is not None
        asked = [table.variable(name) for name in table.asked.outcomes]
        self.outcomes = tuple((number, table.variables[number].array) for number in asked)

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
        """The groups of equal processes: those that the table names, else all that can be found."""
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
            stand_in, who = canonical(self.groups, values)
            after = move(self.table, stand_in, step)
            wanted = canonical(self.groups, after.after)[0], bool(after.broken)
            member = who.get(step.process, step.process)
            for mine in enabled(self.table, values):
                made = move(self.table, values, mine)
                if mine.process == member and (canonical(self.groups, made.after)[0], bool(made.broken)) == wanted:
                    own.append(mine)
                    values = made.after
                    break
        assert len(own) == len(steps), "a path of stand-ins that nobody can walk"
        return own

    def written(self, schedule: Sequence[Step]) -> str:
        return schedules.written(self.table, schedule)

    def read(self, word: str) -> list[Step]:
        return schedules.read(self.table, word)
