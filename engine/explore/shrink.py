"""Shrink a failing case: leave out parts that the failure does not need, until nothing more can be left out.

shrink_scenario.py and shrink_table.py list the candidates: tasks first, then operations and steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

TRIES_MAX = 2_000
STATES_MAX = 20_000_000
"""States that all searches of one shrinking may find together. A limit on work, not time: the result is the
same on every machine."""

S = TypeVar("S")
F = TypeVar("F")
Told = dict[str, Any]
"""A scenario or a table as JSON data."""


class Budget:
    """What one shrinking may still spend. Searches of candidates deduct their states; stop ends it within a turn."""

    def __init__(
        self,
        tries: int = TRIES_MAX,
        states: int = STATES_MAX,
        *,
        ends_at: float = float("inf"),
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """ends_at: in time.monotonic(), if the user gave a time limit for all of it.

        stop: called between two turns of a search; True ends the shrinking with the reason "cancel".
        """
        self.tries, self.states, self._ends_at, self._stop = tries, states, ends_at, stop
        self._stopped = ""

    def stopped(self) -> bool:
        """Return whether time is up or the shrinking was cancelled; once true it stays true."""
        if not self._stopped:
            self._stopped = "cancel" if self._stop() else "time" if time.monotonic() > self._ends_at else ""
        return self._stopped != ""

    def ended_by(self) -> str:
        """Return which limit was reached: "cancel", "time", "states" or "tries"; "" if none."""
        if self.stopped():
            return self._stopped
        return "states" if self.states <= 0 else "tries" if self.tries <= 0 else ""


class Shrunk(NamedTuple, Generic[S, F]):
    """The smaller subject, a schedule of its failure, the parts left out, in order, the number of candidates
    tried, and what ended it: tries, states, time or cancel, or "" if nothing more can be left out."""

    subject: S
    schedule: F
    dropped: tuple[str, ...]
    tries: int
    stopped_by: str


def shrink(
    subject: S,
    schedule: F,
    candidates: Callable[[S], Iterable[tuple[str, S]]],
    finds: Callable[[S, F], F | None],
    *,
    budget: Budget | None = None,
) -> Shrunk[S, F]:
    """Return the subject without the parts it does not need to fail. Deterministic, unless cancelled or out of time.

    candidates: yields what to leave out, in words, and the subject without it; finds: takes such a subject and the
    current schedule of the failure, and returns a schedule of the same failure, or None.
    """
    tried, dropped, budget = 0, list[str](), budget or Budget()
    options = list(candidates(subject))
    at = in_vain = 0  # a full round without success ends the loop
    while in_vain < len(options):
        if ended := budget.ended_by():
            return Shrunk(subject, schedule, tuple(dropped), tried, ended)
        what, smaller = options[at % len(options)]
        tried, budget.tries = tried + 1, budget.tries - 1
        found = finds(smaller, schedule)
        if found is None:
            at, in_vain = at + 1, in_vain + 1
            continue
        subject, schedule = smaller, found
        dropped.append(what)
        options = list(candidates(subject))
        at, in_vain = min(at, len(options)), 0
    return Shrunk(subject, schedule, tuple(dropped), tried, "")
