"""The matrix "breaks under": which design breaks which invariant, and what each litmus test shows, per kernel.

ROWS are designs with their options, as the designs' cards list them; COLUMNS are the litmus tests. A cell is one
exploration; tests that ask different questions about the same scenario share it. The expected verdict of a cell is
kept with it if it is known: a verdict that differs is shown, not hidden.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.designs import DESIGNS
from engine.designs.card import Card
from engine.kernels import KERNELS as PROFILES
from engine.litmus import LITMUS, Litmus
from engine.program import group_of

KERNELS = tuple(PROFILES)
DEFAULT_KERNEL = "6.1"
PLAN = {"search": "bfs", "reduction": "all"}
COLUMNS = LITMUS
_NAMES = ("first", "second", "third", "fourth", "fifth")


class Row(NamedTuple):
    """A design with its options, as parts of a scenario."""

    key: str
    title: str
    axes: dict[str, Any]

    @property
    def card(self) -> Card:
        """The wait design's card."""
        return DESIGNS[self.axes["wait"]["design"]]

    @property
    def swaps(self) -> bool:
        """Whether a structure is swapped into page->mapping."""
        return self.card.tag_bits(self._options) != 0

    @property
    def hands_over(self) -> bool:
        """Whether waiters for the page lock use the design's own path, and are handed the lock there."""
        return self.card.lock_step is not None

    @property
    def shares(self) -> bool:
        """Whether waiters for different pages share a queue, including those for the page lock."""
        return self.card.shared_queues(self._options) > 0 and not self.hands_over

    def has(self, trait: str | None) -> bool:
        """Whether a question limited to a trait applies to this design; trait: `only` of a litmus test."""
        return trait is None or {"swaps": self.swaps, "shares": self.shares, "woken": not self.hands_over}[trait]

    @property
    def _options(self) -> Any:
        return self.card.options.model_validate(self.axes["wait"])


class Cell(NamedTuple):
    """One exploration and the question about it. subject: a scenario; question: an invariant or a witness; expected:
    Never, Sometimes, or None if it is unknown."""

    subject: dict[str, Any]
    plan: dict[str, Any]
    question: str
    expected: str | None


def _rows() -> dict[str, Row]:
    """Return the rows that the cards of the wait axis list."""
    return {
        key: Row(key, title, {"wait": {"design": name, **options}, "truncate": {"design": truncate}})
        for name, card in DESIGNS.items()
        for key, title, truncate, options in card.matrix
    }


ROWS: dict[str, Row] = _rows()


def cell(row: str, column: str, kernel: str) -> Cell | None:
    """Return the exploration of a cell, None if the question does not apply to the design. Raises KeyError."""
    test, design = COLUMNS[column], ROWS[row]
    if not design.has(test.only):
        return None
    groups = [group_of(name, text, mean_ns=1) for name, text in zip(_NAMES, test.programs, strict=False)]
    subject = {
        "format": "scenario/2",
        "name": f"{'; '.join(test.programs)} · {design.title} · {kernel}",
        "kernel": kernel,
        **design.axes,
        "workload": {"kind": "tasks", "pages": test.pages, "pinned": test.pinned, "groups": groups, "cached": True},
    }
    plan = PLAN | {"promises": test.asks == "starvation"}
    return Cell(subject, plan, test.asks, expected(test, design, kernel))


def expected(test: Litmus, row: Row, kernel: str) -> str | None:
    """Return the expected verdict of a cell, None if it is unknown."""
    rules = [rule for rule in test.expected if row.key in rule.rows or row.card.name in rule.designs]
    rules += [rule for rule in row.card.expected if test.name in rule.tests and _among(row.key, rule.rows)]
    verdict = next((rule.verdict for rule in rules if _among(kernel, rule.kernels)), "unknown")
    return None if verdict == "unknown" else verdict


def _among(name: str, names: tuple[str, ...]) -> bool:
    return not names or name in names
