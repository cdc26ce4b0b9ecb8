"""The matrix "breaks under": which design breaks which invariant, and what each litmus test shows, per kernel.

ROWS are designs with their options, as the designs' cards list them; COLUMNS are the litmus tests. A cell is one
exploration; tests that ask different questions about the same scenario share it. The expected verdict of a cell is
kept with it if it is known: a verdict that differs is shown, not hidden.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError

from engine.designs import AXES, DESIGNS
from engine.designs.card import Card
from engine.kernels import KERNELS as PROFILES
from engine.litmus import LITMUS, Litmus
from engine.program import group_of
from engine.scenario import Scenario

KERNELS = tuple(PROFILES)
DEFAULT_KERNEL = "6.1"
PLAN = {"search": "bfs", "reduction": "all"}
COLUMNS = LITMUS
NAMES = ("first", "second", "third", "fourth", "fifth")
"""Names of the groups of a litmus test, in the order of its programs."""


class Row(NamedTuple):
    """A design with its options, as parts of a scenario."""

    key: str
    title: str
    axes: dict[str, Any]
    card: Card
    """The card that lists the row."""

    @property
    def swaps(self) -> bool:
        """Whether the wait design swaps a structure into page->mapping."""
        return self._wait.tag_bits(self._options) != 0

    @property
    def hands_over(self) -> bool:
        """Whether waiters for the page lock use the design's own path, and are handed the lock there."""
        return self._wait.lock_step is not None

    @property
    def shares(self) -> bool:
        """Whether waiters for different pages share a queue, including those for the page lock."""
        return self._wait.shared_queues(self._options) > 0 and not self.hands_over

    def has(self, test: Litmus) -> bool:
        """Whether a litmus test applies to this design: rows of the protect axis answer those that protect pages."""
        if test.wait is not None:
            return self.card.axis == "protect"
        if test.memory is not None or self.card.axis == "protect":
            return test.memory is not None and test.memory.maps in self.card.protects
        traits = {None: True, "swaps": self.swaps, "shares": self.shares, "woken": not self.hands_over}
        return traits[test.only]

    @property
    def _wait(self) -> Card:
        return DESIGNS[self.axes["wait"]["design"]]

    @property
    def _options(self) -> Any:
        return self._wait.options.model_validate(self.axes["wait"])


class Cell(NamedTuple):
    """One exploration and the question about it. subject: a scenario; question: an invariant or a witness; expected:
    Never, Sometimes, or None if it is unknown."""

    subject: dict[str, Any]
    plan: dict[str, Any]
    question: str
    expected: str | None


def _rows() -> dict[str, Row]:
    """Return the rows that the cards of the wait and protect axes list; the latter wait in the kernel's own queues."""
    rows = dict[str, Row]()
    for axis in ("wait", "protect"):
        for name, card in AXES[axis].items():
            for key, title, truncate, options in card.matrix:
                axes = {"truncate": {"design": truncate}, axis: {"design": name, **options}}
                rows[key] = Row(key, title, {"wait": {"design": "hashed", "bits": 1}} | axes, card)
    return rows


ROWS: dict[str, Row] = _rows()


class Table(NamedTuple):
    """Rows of one axis, and the columns that apply to any of them."""

    axis: str
    title: str
    rows: dict[str, Row]
    columns: dict[str, Litmus]


def tables() -> list[Table]:
    """Return the matrix: a table for each axis, and one of pairs."""
    found = []
    pairs = {name: test for name, test in COLUMNS.items() if test.wait is not None}
    for axis, title in (("wait", "Where waiters queue"), ("protect", "Write protection for devices")):
        rows = {key: row for key, row in ROWS.items() if row.card.axis == axis}
        columns = {name: test for name, test in COLUMNS.items() if any(row.has(test) for row in rows.values())}
        columns = {name: test for name, test in columns.items() if name not in pairs}
        found.append(Table(axis, title, rows, columns))
    found.append(Table("pairs", "Which designs of both axes can live together", found[-1].rows, pairs))
    return found


def cell(row: str, column: str, kernel: str) -> Cell | None:
    """Return the exploration of a cell, None if the question does not apply to the design, or the two designs of a pair
    cannot be together (refusal()). Raises KeyError.
    """
    test, design = COLUMNS[column], ROWS[row]
    if not design.has(test) or refusal(row, column):
        return None
    return _cell(row, column, kernel)


@cache
def refusal(row: str, column: str) -> str:
    """Return why the designs of a pair cannot be together, as the scenario's checks say it; "" if they can."""
    if COLUMNS[column].wait is None or not ROWS[row].has(COLUMNS[column]):
        return ""
    try:
        Scenario.model_validate(_cell(row, column, DEFAULT_KERNEL).subject)
    except ValidationError as refused:
        return refused.errors()[0]["msg"].removeprefix("Value error, ")
    return ""


def _cell(row: str, column: str, kernel: str) -> Cell:
    test, design = COLUMNS[column], ROWS[row]
    groups = [group_of(name, text, mean_ns=1) for name, text in zip(NAMES, test.programs, strict=False)]
    workload = {"kind": "tasks", "pages": test.pages, "pinned": test.pinned, "groups": groups, "cached": True}
    if test.memory is not None:
        workload["memory"] = test.memory.model_dump() | _maps(test, design)
        for group, mm in zip(groups, test.mms, strict=False):
            group["mm"] = mm
        for group, device in zip(groups, test.devices, strict=False):
            group |= {"device": device} if device else {}
    subject = {
        "format": "scenario/2",
        "name": f"{'; '.join(test.programs)} · {design.title}{_with(test)} · {kernel}",
        "kernel": kernel,
        **design.axes,
        **({} if test.wait is None else {"wait": test.wait}),
        "workload": workload,
    }
    plan = PLAN | {"promises": test.asks == "starvation"}
    return Cell(subject, plan, test.asks, expected(test, design, kernel))


def _maps(test: Litmus, design: Row) -> dict[str, str]:
    """Return what processes map: for a pair anonymous memory, if the protect design takes no other."""
    if test.wait is None or test.memory is None or test.memory.maps in design.card.protects:
        return {}
    return {"maps": design.card.protects[0]}


def _with(test: Litmus) -> str:
    return "" if test.wait is None else f", {test.title}"


def expected(test: Litmus, row: Row, kernel: str) -> str | None:
    """Return the expected verdict of a cell, None if it is unknown."""
    rules = [rule for rule in test.expected if row.key in rule.rows or row.card.name in rule.designs]
    rules += [rule for rule in row.card.expected if test.name in rule.tests and _among(row.key, rule.rows)]
    verdict = next((rule.verdict for rule in rules if _among(kernel, rule.kernels)), "unknown")
    return None if verdict == "unknown" else verdict


def _among(name: str, names: tuple[str, ...]) -> bool:
    return not names or name in names
