"""Formats of stored scenarios and events, and the upgrades to the current format, so that old links keep working.

A change of the scenario language takes a new number and one function here that converts the previous format to the new
one; so does a change in the meaning of an event's words (engine.events.FORMAT). Lists and pages read stored scenarios
as data; only those run or explored again are checked against the current model (app.store.rows.scenario_to_play).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.events import FORMAT

SCENARIO = "scenario/2"
"""The current format of scenarios."""
EVENTS = FORMAT
"""The current format of events."""


_OPTIONS_OF_2: dict[str, dict[str, set[str]]] = {
    "wait": {
        "hashed": {"bits"},
        "page_wait": {"encoding", "wait_bits", "free", "writers"},
        "page_waiter": {"bits", "encoding", "free", "writers", "variant"},
    },
    "truncate": {"helper": set(), "raw_null": set(), "compare": set()},
}
"""Axis -> design -> its options when scenario/2 was introduced; designs may have others now."""


def _options_per_design(scenario: dict[str, Any]) -> dict[str, Any]:
    """Convert scenario/1 to scenario/2: each design has its own options; before, every design had all of them."""
    converted = dict(scenario)
    for axis, default in (("wait", "hashed"), ("truncate", "helper")):
        if isinstance(part := converted.get(axis), dict):
            kept = _OPTIONS_OF_2[axis].get(str(part.get("design", default)))
            if kept is not None:
                converted[axis] = {name: value for name, value in part.items() if name in kept | {"design"}}
    return converted


UPGRADERS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "scenario/1": ("scenario/2", _options_per_design),
}
"""Format -> the next format, and the function that converts to it."""


def upgraded_scenario(given: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario in the current format; one that names no format is assumed to be current."""
    while (step := UPGRADERS.get(str(given.get("format")))) is not None:
        following, upgrade = step
        given = {**upgrade(given), "format": following}
    return given


Columns = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]
"""kind, a and b of consecutive events, each of shape (n,)."""
EventUpgrader = Callable[[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]], Columns]

EVENT_UPGRADERS: dict[int, EventUpgrader] = {}
"""Format of events -> the function that converts their columns to the next format.

The number of events and their times must not change: stored summaries refer to them."""

E = TypeVar("E", bound=tuple[Any, ...])


def upgraded_events(events: E, stored: int) -> E:
    """Convert events stored in format `stored`, at most EVENTS, to the current format.

    events: an engine.events.Batch, or another NamedTuple with columns kind, a and b.
    """
    upgraded: Any = events
    for number in range(stored, EVENTS):
        kind, a, b = EVENT_UPGRADERS[number](upgraded.kind, upgraded.a, upgraded.b)
        upgraded = type(upgraded)(**(upgraded._asdict() | {"kind": kind, "a": a, "b": b}))
    return upgraded  # type: ignore[no-any-return]


def newer_events(stored: int, whose: str, version: str) -> str:
    """Return one line saying why events of format `stored` cannot be read; "" if they can."""
    if stored <= EVENTS:
        return ""
    return (
        f"the events of {whose} are of format {stored}, written by version {version}; this version reads formats up to "
        f"{EVENTS}: update folioscope"
    )
