"""Formats of what is kept - scenarios, events - and the steps that bring an old one up to date. A link never dies.

A change of the scenario language is a new number, and one function here that turns the format before into the new one.
A change of what the words of events mean likewise (engine.events.FORMAT). Lists and pages read stored scenarios as
data; only what is played or explored again is checked against today's model (app.store.rows.scenario_to_play).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.events import FORMAT

SCENARIO = "scenario/2"
"""The format of scenarios that is written today."""
EVENTS = FORMAT
"""The format of events that is written today."""


_OPTIONS_OF_2: dict[str, dict[str, set[str]]] = {
    "wait": {
        "hashed": {"bits"},
        "page_wait": {"encoding", "wait_bits", "free", "writers"},
        "page_waiter": {"bits", "encoding", "free", "writers", "variant"},
    },
    "truncate": {"helper": set(), "raw_null": set(), "compare": set()},
}
"""Axis -> design -> its options in scenario/2: as they were then, whatever designs have today."""


def _options_per_design(given: dict[str, Any]) -> dict[str, Any]:
    """Convert scenario/1 to scenario/2: each design has options of its own; before, every design had all of them."""
    told = dict(given)
    for axis, default in (("wait", "hashed"), ("truncate", "helper")):
        if isinstance(part := told.get(axis), dict):
            kept = _OPTIONS_OF_2[axis].get(str(part.get("design", default)))
            if kept is not None:
                told[axis] = {name: value for name, value in part.items() if name in kept | {"design"}}
    return told


UPGRADERS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "scenario/1": ("scenario/2", _options_per_design),
}
"""Format -> the next one, and what leads there."""


def upgraded_scenario(given: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario in today's format; one that names no format is taken for today's."""
    while (step := UPGRADERS.get(str(given.get("format")))) is not None:
        following, upgrade = step
        given = {**upgrade(given), "format": following}
    return given


Columns = tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]
"""kind, a and b of consecutive events, each of shape (n,)."""
EventUpgrader = Callable[[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]], Columns]

EVENT_UPGRADERS: dict[int, EventUpgrader] = {}
"""Format of events -> what turns their columns into those of the next format.

The number of events and their times stay: the stored summaries speak of them."""

E = TypeVar("E", bound=tuple[Any, ...])


def upgraded_events(events: E, stored: int) -> E:
    """Return events that were stored in format `stored`, at most EVENTS, in today's.

    events: an engine.events.Batch, or another NamedTuple that has its columns kind, a and b.
    """
    found: Any = events
    for number in range(stored, EVENTS):
        kind, a, b = EVENT_UPGRADERS[number](found.kind, found.a, found.b)
        found = type(found)(**(found._asdict() | {"kind": kind, "a": a, "b": b}))
    return found  # type: ignore[no-any-return]


def newer_events(stored: int, whose: str, version: str) -> str:
    """Return in one line why events of format `stored` cannot be read; "" where they can."""
    if stored <= EVENTS:
        return ""
    return (
        f"the events of {whose} are of format {stored}, written by version {version}; this version reads formats up to "
        f"{EVENTS}: update folioscope"
    )
