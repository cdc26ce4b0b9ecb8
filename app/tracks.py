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
    Track("queue", "Queue length", "tasks in a queue, highest value of each interval"),
    Track("wakes", "What wake-ups walked over", "queue entries visited in each interval", per_interval=True),
    Track("waiters", "Tasks waiting", "tasks asleep in all queues together"),
    Track(
        "swaps",
        "Swaps of page->mapping",
        "above: pages swapped now; below: swapped in (up) and restored (down) in each interval",
        per_interval=True,
    ),
    Track(
        "heat",
        "All queues over time",
        "a row for each queue, colour: its longest length; click to choose one",
        raster=True,
    ),
    Track(
        "lanes",
        "Pages over time",
        "a row for each page, the worst state in each cell; click for its history",
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
}


def states() -> list[dict[str, str | int]]:
    """Return each page state with its stored number, words and colour, mildest first."""
    return [
        {"name": state.name, "number": state, "words": STATE_WORDS[state], "colour": PAGE_STATE_COLOURS[state]}
        for state in SEVERITY
    ]
