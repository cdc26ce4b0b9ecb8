"""Card: all that the rest of the engine needs to know of a design, declared in the design's own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """What a scenario may choose about a design; subclasses add `design`, a Literal of its name, and their fields."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    design: Any = None


@dataclass(frozen=True)
class Sizes:
    """What the rows of a design's tables may depend on."""

    tasks: int
    pages: int


@dataclass(frozen=True)
class Pointers:
    """A range of made-up addresses: where structures of one kind lie, so that a word can be read back."""

    name: str
    base: int
    bytes: int
    """From one structure to the next."""


@dataclass(frozen=True)
class Expected:
    """What litmus tests are expected to show. An empty tuple of rows or kernels stands for all."""

    verdict: str
    """Never, Sometimes or unknown."""
    tests: tuple[str, ...] = ()
    """Names of litmus tests (engine.litmus)."""
    designs: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    """Keys of rows of the matrix."""
    kernels: tuple[str, ...] = ()


OWN_STEPS = ("lock_step", "unlock_step", "grant_step", "sleep_step")
"""Fields of a card, and rules, that hold a design's own steps: a step that reads the rule leads there."""


@dataclass(frozen=True)
class Card:
    """A design of one axis. A reader of a comparison sees title to needs; the engine reads the rest."""

    name: str
    axis: str
    package: str
    """Dotted name of the folder: its module `verbs` answers the axis's verbs, `steps` holds its own steps."""
    title: str
    stands: str
    """Where the design stands in the debate, and who argued for it."""
    options: type[Options]
    structures: tuple[tuple[str, int], ...] = ()
    """Name and bytes on x86-64 of each structure that the design needs."""
    tag_bits: Callable[[Any], int] = lambda options: 0
    """Bits of page->mapping that it claims while somebody waits, given its options."""
    needs: str = ""
    label: Callable[[Any], str] | None = None
    """Short name with the options that matter; the design's own name where there is none."""
    rules: Callable[[Any], Mapping[str, int]] = lambda options: {}
    """Rules (engine.world.state) that the options come to."""
    steps: tuple[str, ...] = ()
    """Names of its own steps: NAME stands for the function `name` in its module `steps`."""
    lock_step: str | None = None
    """First step of a wait for the page lock, where the design has a path of its own."""
    unlock_step: str | None = None
    """First step of unlocking likewise."""
    grant_step: str | None = None
    """Step that a recorded wake comes to where the design hands the lock over."""
    sleep_step: str | None = None
    """Step at which a task sleeps for the lock on the design's own path."""
    tables: Mapping[str, Any] = field(default_factory=dict)
    """Tables that only its worlds hold: name -> class of columns (engine.world.state)."""
    rows: Callable[[Any, Sizes], Mapping[str, int]] = lambda options, sizes: {}
    """Rows of the tables "lists", "waits" and its own, given its options."""
    queues: Callable[[Any, int], int] = lambda options, pages: 0
    """How many queues its events may number, for so many pages."""
    shared_queues: Callable[[Any], int] = lambda options: 0
    """How many queues all pages share; 0 if none."""
    actors: tuple[tuple[str, str], ...] = ()
    """Kernel threads that work for it: name and first step of each."""
    set_up: Callable[[Any, Any], None] | None = None
    """Called with the new World and the options, to fill its tables."""
    told: Callable[[Any], Mapping[str, str | int]] | None = None
    """What there is to see of its tables in a World: name -> value, the same names in every state."""
    names_tasks: bool = False
    """Words of its structures name tasks: states that differ by a renaming of equal tasks are then not one state."""
    pointers: tuple[Pointers, ...] = ()
    matrix: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = ()
    """Its rows in the matrix of the explorer: key, title, truncate design, options."""
    expected: tuple[Expected, ...] = ()
    """What litmus tests are expected to show in its rows, the first that fits. Those of engine/litmus come first."""
