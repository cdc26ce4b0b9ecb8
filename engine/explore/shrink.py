"""A smaller case of the same failure: what can be left out while it stays is left out, until nothing more can be.

What might be left out is told by shrink_scenario.py and shrink_table.py: tasks first, then operations and steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

TRIES_MAX, SECONDS_MAX = 2_000, 60.0

S = TypeVar("S")
F = TypeVar("F")
Told = dict[str, Any]
"""A scenario or a table as its JSON has it."""


class Shrunk(NamedTuple, Generic[S, F]):
    """The smaller subject, a schedule of its failure, what was left out in the order in which it was, how many
    candidates were tried, and what ended it: "" if nothing more can be left out, else tries or time."""

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
    tries: int = TRIES_MAX,
    seconds: float = SECONDS_MAX,
) -> Shrunk[S, F]:
    """Return the subject without what it does not need to fail. Deterministic, unless time ends it.

    candidates: what to leave out, in words, and the subject without it; finds: is given one of these and the schedule
    of the failure so far, and returns one of the same failure, or None.
    """
    ends, tried, dropped = time.monotonic() + seconds, 0, list[str]()
    options = list(candidates(subject))
    at = in_vain = 0  # once round without success, and nothing more can be left out
    while in_vain < len(options):
        if tried == tries or time.monotonic() > ends:
            return Shrunk(subject, schedule, tuple(dropped), tried, "tries" if tried == tries else "time")
        what, smaller = options[at % len(options)]
        tried += 1
        found = finds(smaller, schedule)
        if found is None:
            at, in_vain = at + 1, in_vain + 1
            continue
        subject, schedule = smaller, found
        dropped.append(what)
        options = list(candidates(subject))
        at, in_vain = min(at, len(options)), 0
    return Shrunk(subject, schedule, tuple(dropped), tried, "")
