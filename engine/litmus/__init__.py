"""LITMUS: the litmus tests, a TOML file each: small programs, a question, and the expected verdicts.

    name = "W-1"                            the column of the matrix
    title = "W-1 writeback wake race"
    source = "litmus"
    asks = "bug_on"                         an invariant, "any" of them, or a witness; a list makes one column each, of
                                            that name
    programs = ["3*lock ... unlock"]        groups of tasks, as engine.program.group_of reads them
    only = "swaps"                          designs for which the question makes sense: swaps, shares or woken

    [waits."page_wait E3"]                  with options of the wait axis in it: a column of that name for each, which
                                            rows of the protect axis answer; name and title are left out
    [workload]                              pages, pinned; for tests of write protection, which only rows of the protect
                                            axis answer: memory, mms (address space of each program), devices (profile
                                            of each program, "" for CPUs)
    [[expected]]                            the first that matches row (or its design) and kernel counts
    verdict = "Sometimes"
    designs = ["hashed"]                    of the wait axis
    rows = ["page_wait-early"]              of the matrix
    kernels = ["5.9", "5.10"]               all if absent

The verdict of a design that no file names is unknown, unless its card has one (engine.designs.card.Expected).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.designs.card import Expected
from engine.invariants import INVARIANTS, WITNESSES
from engine.kernels import KERNELS
from engine.toml_file import read_toml
from engine.workloads import Memory

FOLDER = Path(__file__).parent
ANY = "any"
QUESTIONS = {one.name: one.says for one in INVARIANTS} | dict(WITNESSES) | {ANY: "any invariant is broken"}
"""Name of an invariant or a witness -> the question in words."""

Names = Annotated[list[str], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Workload(_Part):
    pages: Annotated[int, Field(ge=1)] = 1
    pinned: bool = True
    memory: Memory | None = None
    mms: list[int] = []
    devices: list[str] = []


class _Rule(_Part):
    verdict: Literal["Never", "Sometimes", "unknown"]
    designs: Names = []
    rows: Names = []
    kernels: list[str] = list(KERNELS)

    @model_validator(mode="after")
    def _known(self) -> Self:
        if not self.designs and not self.rows:
            raise ValueError("names neither designs nor rows")
        if unknown := set(self.kernels) - set(KERNELS):
            raise ValueError(f"no kernel profile {min(unknown)!r}; the profiles are {', '.join(KERNELS)}")
        return self


class _File(_Part):
    name: str | None = None
    title: str | None = None
    source: str
    asks: str | Names
    programs: Names
    only: Literal["swaps", "shares", "woken"] | None = None
    workload: _Workload = _Workload()
    waits: dict[str, dict[str, Any]] = {}
    expected: list[_Rule] = []

    @model_validator(mode="after")
    def _named(self) -> Self:
        if unknown := {self.asks} - set(QUESTIONS) if isinstance(self.asks, str) else set(self.asks) - set(QUESTIONS):
            raise ValueError(f"asks {min(unknown)!r}, which is neither an invariant nor a witness")
        if isinstance(self.asks, str) and not self.waits and not (self.name and self.title):
            raise ValueError("needs a name and a title")
        return self


class Litmus(NamedTuple):
    """A litmus test. asks: an invariant or a witness; only: designs for which it makes sense, None for all."""

    name: str
    title: str
    source: str
    asks: str
    programs: tuple[str, ...]
    only: str | None
    pages: int
    pinned: bool
    memory: Memory | None
    mms: tuple[int, ...]
    devices: tuple[str, ...]
    expected: tuple[Expected, ...]
    wait: dict[str, Any] | None = None
    """Options of the wait axis: the test asks how a protect design lives with this wait design."""

    @property
    def question(self) -> str:
        """The question in words."""
        return QUESTIONS[self.asks]

    @property
    def error(self) -> bool:
        """Whether it asks for an error (an invariant); a witness is allowed behaviour."""
        return self.asks == ANY or any(one.name == self.asks for one in INVARIANTS)


def read_litmus(path: Path) -> Iterator[Litmus]:
    """Yield the litmus tests of a TOML file. Raises ValueError, in one line that names the file and what is wrong."""
    given = read_toml(path, _File)
    rules = tuple(
        Expected(one.verdict, designs=tuple(one.designs), rows=tuple(one.rows), kernels=tuple(one.kernels))
        for one in given.expected
    )
    every: list[tuple[str, str | None, str | None, dict[str, Any] | None]]
    every = [(asks, given.name, given.title, None) for asks in _listed(given.asks)]
    if given.waits:
        (asks,) = _listed(given.asks)
        every = [(asks, f"with {name}", f"with {name}", wait) for name, wait in given.waits.items()]
    for asks, name, title, wait in every:
        yield Litmus(
            name or asks,
            title or asks.replace("_", " "),
            given.source,
            asks,
            tuple(given.programs),
            given.only,
            given.workload.pages,
            given.workload.pinned,
            given.workload.memory,
            tuple(given.workload.mms),
            tuple(given.workload.devices),
            rules,
            wait,
        )


def _listed(asks: str | list[str]) -> list[str]:
    return [asks] if isinstance(asks, str) else asks


def _place(name: str) -> int:
    """Return a column's sort key: tests that decide the debate first, the invariants of one mixed scenario last."""
    return next((at for at, kind in enumerate(("T-", "GW-", "W-", "L-", "P-", "K-", "A-")) if name.startswith(kind)), 9)


_FOUND = [one for path in sorted(FOLDER.glob("*.toml"), key=lambda path: path.stem) for one in read_litmus(path)]
LITMUS: MappingProxyType[str, Litmus] = MappingProxyType(
    {one.name: one for one in sorted(_FOUND, key=lambda one: _place(one.name))}
)
"""Name -> litmus test, in the order of the matrix's columns."""
