"""Card: what the rest of the engine needs to know about a design, declared in the design's folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """A scenario's options for a design; subclasses add `design`, a Literal of its name, and their fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    design: Any = None


@dataclass(frozen=True)
class Sizes:
    """The sizes on which the row counts of a design's tables may depend."""

    tasks: int
    pages: int


@dataclass(frozen=True)
class Pointers:
    """A range of made-up addresses for structures of one kind, by which a word is decoded."""

    name: str
    base: int
    bytes: int
    """Distance from one structure to the next."""


@dataclass(frozen=True)
class Expected:
    """Expected verdict of litmus tests. An empty tuple of rows or kernels means all."""

    verdict: str
    """Never, Sometimes or unknown."""
    tests: tuple[str, ...] = ()
    """Names of litmus tests (engine.litmus)."""
    designs: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    """Keys of rows of the matrix."""
    kernels: tuple[str, ...] = ()


OWN_STEPS = ("lock_step", "unlock_step", "grant_step", "sleep_step")
"""Card fields, and rules, that hold a design's own steps: a step that reads the rule may go there."""


@dataclass(frozen=True)
class Card:
    """A design of one axis. Comparisons show the fields title to needs; the engine reads the rest."""

    name: str
    axis: str
    package: str
    """Dotted name of the folder: its module `verbs` implements the axis's verbs, `steps` holds its own steps."""
    title: str
    stands: str
    """Where the design stands in the debate, and who argued for it."""
    options: type[Options]
    structures: tuple[tuple[str, int], ...] = ()
    """Name and bytes on x86-64 of each structure that the design needs."""
    tag_bits: Callable[[Any], int] = lambda options: 0
    """Bits of page->mapping that it claims while the page has waiters, given its options."""
    needs: str = ""
    label: Callable[[Any], str] | None = None
    """Short name with the options that matter; if None, the design's name."""
    rules: Callable[[Any], Mapping[str, int]] = lambda options: {}
    """Rules (engine.world.state) that the options select."""
    steps: tuple[str, ...] = ()
    """Names of its own steps: NAME is the function `name` in its module `steps`."""
    lock_step: str | None = None
    """First step of a wait for the page lock, where the design has a path of its own."""
    unlock_step: str | None = None
    """First step of an unlock on that path."""
    grant_step: str | None = None
    """Step that replays a recorded wake-up in a design that hands the lock over."""
    sleep_step: str | None = None
    """Step at which a task sleeps for the lock on the design's own path."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """Tables that only its worlds hold: name -> class of columns (engine.world.state)."""
    rows: Callable[[Any, Sizes], Mapping[str, int]] = lambda options, sizes: {}
    """Row counts of the tables "lists", "waits" and its own, given its options."""
    queues: Callable[[Any, int], int] = lambda options, pages: 0
    """Number of queues that its events may name, given the number of pages."""
    shared_queues: Callable[[Any], int] = lambda options: 0
    """Number of queues shared by all pages; 0 if none."""
    protects: tuple[str, ...] = ()
    """Protect axis: what may be protected, as scenarios name it (Memory.maps)."""
    lines: tuple[int, int, int] = (0, 0, 0)
    """Protect axis: cache lines besides struct page and page table that protecting a page touches, giving it back, and
    finding out who has it."""
    actors: tuple[tuple[str, str], ...] = ()
    """Kernel threads that work for it: name and first step of each."""
    set_up: Callable[[Any, Any], None] | None = None
    """Called with the new World and the options, to fill its tables."""
    facts: Callable[[Any], Mapping[str, str | int]] | None = None
    """Render its tables in a World: name -> value, the same names in every state."""
    names_tasks: bool = False
    """Words of its structures name tasks, so states that differ by a renaming of equal tasks are distinct."""
    pointers: tuple[Pointers, ...] = ()
    matrix: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = ()
    """Its rows in the explorer's matrix: key, title, truncate design, options."""
    expected: tuple[Expected, ...] = ()
    """Expected litmus verdicts in its rows; the first match counts, after those of engine/litmus."""
