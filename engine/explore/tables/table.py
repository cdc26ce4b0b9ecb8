"""Protocol tables: a small concurrent protocol as data. checking.py reads one and resolves its names to numbers."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, Strict

from engine.explore.tables.expressions import Tree

FORMAT = "protocol-table/1"
PROCESSES_MAX, STEPS_MAX, CELLS_MAX, EFFECTS_MAX = 64, 2_048, 512, 64
END = "-"
"""The label at which a process has ended."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z_]\w{0,62}$")]
Label = Annotated[str, Field(min_length=1, max_length=64)]
Word = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StepSpec(_Spec):
    """One atomic step: the label it starts at, its guard, its effects, and the label it leads to."""

    at: Label
    guard: Text = "1"
    do: Annotated[list[Text], Field(max_length=EFFECTS_MAX)] = []
    to: Label


class ProcessSpec(_Spec):
    """A process: its name, where it starts, and its steps."""

    name: Label
    start: Label
    steps: Annotated[list[StepSpec], Field(min_length=1, max_length=STEPS_MAX)]


class TableSpec(_Spec):
    """A protocol table as written in JSON or TOML."""

    format: Literal["protocol-table/1"]
    name: Annotated[str, Field(min_length=1, max_length=120)]
    why: Annotated[str, Field(max_length=2_000)] = ""
    vars: dict[Name, Word | Annotated[list[Word], Field(min_length=1, max_length=CELLS_MAX)]] = {}
    procs: Annotated[list[ProcessSpec], Field(min_length=1, max_length=PROCESSES_MAX)]
    final: Text | None = None
    outcomes: Annotated[list[Name], Field(max_length=64)] = []
    ranges: dict[Name, Annotated[tuple[Word, Word], Strict(False)]] = {}
    """A list of two is accepted: neither JSON nor TOML has tuples."""
    symmetric: Annotated[list[list[Label]], Field(max_length=PROCESSES_MAX)] = []
    fair: Literal["weak"] | None = None
    eventually: Text | None = None


class Variable(NamedTuple):
    """An integer, or an array of fixed size; low and high: its declared range, if any."""

    name: str
    initial: tuple[int, ...]
    array: bool
    low: int | None
    high: int | None


class Effect(NamedTuple):
    """An assignment to an element of a variable, or (variable -1) an assertion."""

    variable: int
    element: Tree | None
    value: Tree
    text: str


class Step(NamedTuple):
    """One alternative of a process: its labels before and after, by number; effects from left to right."""

    number: int
    process: int
    at: int
    to: int
    guard: Tree
    effects: tuple[Effect, ...]
    asked: StepSpec


class Process(NamedTuple):
    """A process; labels in the order of the table, END last."""

    name: str
    labels: tuple[str, ...]
    start: int
    steps: tuple[Step, ...]

    @property
    def end(self) -> int:
        """The number of the label END."""
        return len(self.labels) - 1


Cell = tuple[int, int]
"""A variable's number, and an index: 0 for a scalar."""


class Group(NamedTuple):
    """Equal processes, by number, and the cells that each owns, in the same order."""

    members: tuple[int, ...]
    owned: tuple[tuple[Cell, ...], ...]


class Table(NamedTuple):
    """A checked table."""

    asked: TableSpec
    variables: tuple[Variable, ...]
    processes: tuple[Process, ...]
    final: Tree | None
    eventually: Tree | None
    symmetric: tuple[Group, ...]
    """Groups of equal processes that the table names."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, by number."""
        return tuple(step for process in self.processes for step in process.steps)

    def variable(self, name: str) -> int:
        """Return a variable's number."""
        return next(i for i, variable in enumerate(self.variables) if variable.name == name)


class Values(NamedTuple):
    """A state in plain numbers: the values of each variable, and each process's label."""

    variables: tuple[tuple[int, ...], ...]
    places: tuple[int, ...]
