"""TRACKS: what the run page draws over time, from top to bottom; the page's script draws each by its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.devices import DEVICES
from engine.page_state import HIDING, PAGE_STATE_COLOURS, STATES, PageState, PageWait


class Track(NamedTuple):
    id: str
    title: str
    what: str
    """What to see, and in which unit."""
    per_interval: bool = False
    """The values are sums over an interval, whose length is told behind `what`."""
    raster: bool = False
    needs: str = ""
    """Only for runs that have this: a name of _traits()."""


TRACKS = (
    Track(
        "links",
        "Carried over each device's link",
        "GB/s, mean of each interval; dotted: what the link can carry",
        needs="devices",
    ),
    Track("local", "Served by each device's own memory", "GB/s, mean of each interval", needs="copies"),
    Track("atomics", "Atomic operations in flight", "all devices, mean of each interval", needs="atomics"),
    Track(
        "protect",
        "Pages protected",
        "pages that a device has write-protected, and copies of pages in devices",
        needs="protects",
    ),
    Track("blocked", "Accesses blocked", "accesses that wait for a protected page, at once", needs="protects"),
    Track(
        "ksm", "Pages that KSM shares", "KSM pages, and entries that share one besides the first of each", needs="ksm"
    ),
    Track(
        "faults",
        "Page faults and TLB shoot-downs",
        "top: page faults; bottom: shoot-downs (up) and CPUs that they interrupt (down), in each interval",
        per_interval=True,
        needs="mapped",
    ),
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
        "one row per page: above its state, below whether tasks wait; the most severe moment of each cell",
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
    PageState.gone: "gone (truncated before)",
    PageState.unseen: "not seen yet",
}
WAIT_WORDS = {PageWait.waited_on: "tasks waiting", PageWait.swapped: "mapping swapped"}
MAPPED_ONLY = (PageState.merged, PageState.protected, PageState.duplicated, PageState.exclusive)


def tracks_of(scenarios: Iterable[Mapping[str, Any]]) -> list[Track]:
    """Return the tracks of one run or two, from their scenarios as stored."""
    traits = {trait for scenario in scenarios for trait in _traits(scenario)} | {""}
    return [track for track in TRACKS if track.needs in traits]


def _groups(scenario: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the groups of a stored scenario, in which another version may have left anything."""
    match scenario.get("workload"):
        case {"groups": [*groups]}:
            return [group for group in groups if isinstance(group, Mapping)]
    return []


def _operations(scenario: Mapping[str, Any]) -> set[str]:
    found = set[str]()
    for group in _groups(scenario):
        match group.get("program"):
            case [*program]:
                found |= {str(op.get("op")) for op in program if isinstance(op, Mapping)}
    return found


def _traits(scenario: Mapping[str, Any]) -> Iterable[str]:
    """Yield what a scenario has that some tracks need."""
    match scenario.get("workload"):
        case {"memory": Mapping() as memory}:
            operations = _operations(scenario)
        case _:
            return
    protect = scenario.get("protect")
    for trait, there in (
        ("mapped", True),
        ("protects", isinstance(protect, Mapping) and protect.get("design", "none") != "none"),
        ("devices", bool({"device_read", "prefetch", "atomic", "emulated_atomic"} & operations)),
        ("copies", bool(memory.get("copies"))),
        ("atomics", bool({"atomic", "emulated_atomic"} & operations)),
        ("ksm", "ksm_scan" in operations),
    ):
        if there:
            yield trait


def devices_of(scenario: Mapping[str, Any]) -> list[dict[str, str | float]]:
    """Return the name of each device of a scenario, and what its link carries in GB/s (bytes per ns); 0 if unknown."""
    named = [(str(group.get("name")), group["device"]) for group in _groups(scenario) if group.get("device")]
    known = [(name, DEVICES.get(profile) if isinstance(profile, str) else None) for name, profile in named]
    return [
        {"name": name, "link": profile.link_mb_s.value / 1_000 if profile is not None else 0.0}
        for name, profile in known
    ]


def states(scenarios: Iterable[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Return each page state with its number, words and colour, mildest first. usual: whether the legend of runs of
    these scenarios names it: states of page tables only for runs that have them, and none that old runs alone have."""
    mapped = any("mapped" in _traits(scenario) for scenario in scenarios)
    return [
        {
            "name": state.name,
            "number": state,
            "words": STATE_WORDS[state],
            "colour": PAGE_STATE_COLOURS[state],
            "usual": state in STATES and (mapped or state not in MAPPED_ONLY),
        }
        for state in dict.fromkeys((*STATES, *HIDING))
    ]


def waits() -> list[dict[str, Any]]:
    """Return what the second band of a lane shows, with its number, words and colour."""
    return [
        {"number": wait, "words": words, "colour": PAGE_STATE_COLOURS[PageState[wait.name]]}
        for wait, words in WAIT_WORDS.items()
    ]
