"""A smaller case of the same failure: what can be left out while it stays is left out, until nothing more can be.

What might be left out is told by shrink_scenario.py and shrink_table.py: tasks first, then operations and steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

TRIES_MAX = 2_000
STATES_MAX = 20_000_000
"""States that the searches of one shrinking may find together. Work, not time: the answer is the
same on every machine."""

S = TypeVar("S")
F = TypeVar("F")
Told = dict[str, Any]
"""A scenario or a table as its JSON has it."""


class Budget:
    """What one shrinking may still do. Candidates deduct the states of their searches; stop ends it within a turn."""

    def __init__(
        self,
        tries: int = TRIES_MAX,
        states: int = STATES_MAX,
        *,
        ends_at: float = float("inf"),
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """ends_at: by time.monotonic(), where a user gave a limit of time for all.

        stop: called between two turns of a search; True ends the shrinking with the reason "cancel".
        """
        self.tries, self.states, self._ends_at, self._stop = tries, states, ends_at, stop
        self._stopped = ""

    def stopped(self) -> bool:
        """Return whether time is up, or somebody asked for the end; once true it stays true."""
        if not self._stopped:
            self._stopped = "cancel" if self._stop() else "time" if time.monotonic() > self._ends_at else ""
        return self._stopped != ""

    def ended_by(self) -> str:
        """Return "cancel", "time", "states" or "tries", "" while there is something left."""
        if self.stopped():
            return self._stopped
        return "states" if self.states <= 0 else "tries" if self.tries <= 0 else ""


class Shrunk(NamedTuple, Generic[S, F]):
    """The smaller subject, a schedule of its failure, what was left out in the order in which it was, how many
    candidates were tried, and what ended it: "" if nothing more can be left out, else tries, states, time or cancel."""

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
    """Return the subject without what it does not need to fail. Deterministic, unless it is cancelled.

    candidates: what to leave out, in words, and the subject without it; finds: is given one of these and the schedule
    of the failure so far, and returns one of the same failure, or None.
    """
    tried, dropped, budget = 0, list[str](), budget or Budget()
    options = list(candidates(subject))
    at = in_vain = 0  # once round without success, and nothing more can be left out
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
