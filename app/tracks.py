"""TRACKS: what the run page draws over time, from top to bottom; the page's script draws each by its id."""

from __future__ import annotations

from typing import NamedTuple

from engine.page_state import PAGE_STATE_COLOURS, SEVERITY, PageState


class Track(NamedTuple):
    id: str
    title: str
    what: str
    """What to see, and in which unit."""
    per_interval: bool = False
    """The values are sums over an interval, whose length is told behind `what`."""
    raster: bool = False


TRACKS = (
    Track("queue", "Queue length", "tasks per queue, highest value in each interval"),
    Track("wakes", "Entries visited by wake-ups", "queue entries visited in each interval", per_interval=True),
    Track("waiters", "Tasks waiting", "tasks sleeping, all queues"),
    Track(
        "swaps",
        "Swaps of page->mapping",
        "top: pages with a swapped mapping; bottom: swaps (up) and restores (down) in each interval",
        per_interval=True,
    ),
    Track(
        "heat",
        "All queues over time",
        "one row per queue, colour: its max. length; click to select a queue",
        raster=True,
    ),
    Track(
        "lanes",
        "Pages over time",
        "one row per page, most severe state in each cell; click for the page history",
        raster=True,
    ),
)

STATE_WORDS = {
    PageState.free: "free",
    PageState.clean: "clean",
    PageState.dirty: "dirty",
    PageState.locked: "locked",
    PageState.waited_on: "waited on",
    PageState.swapped: "mapping swapped",
    PageState.writeback: "writeback",
    PageState.truncated: "truncated",
    PageState.protected: "write-protected",
    PageState.merged: "merged (KSM)",
    PageState.duplicated: "copied to devices",
    PageState.exclusive: "device-exclusive",
}


def states() -> list[dict[str, str | int]]:
    """Return each page state with its stored number, words and colour, mildest first."""
    return [
        {"name": state.name, "number": state, "words": STATE_WORDS[state], "colour": PAGE_STATE_COLOURS[state]}
        for state in SEVERITY
    ]
