"""Present a run's key figures: the verdict, the tiles, the split of visited entries.

Pure functions of figures: of a whole run, which the worker sums from the engine's events, or of a window
(app.windows.window_figures), which has fewer of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.formats import counted, figure, percent, plural, quotient, size, span, whole
from engine.designs import DESIGNS
from engine.invariants import INVARIANTS

Figures = Mapping[str, float | None]


class Tile(NamedTuple):
    label: str
    value: str
    unit: str
    more: str


@dataclass(frozen=True)
class Part:
    """A share of the visited entries, in percent; at: its start on a bar of 100."""

    id: str
    words: str
    count: int
    at: float
    share: float


def swaps_mapping(design: str) -> bool:
    """Return whether a design replaces page->mapping while tasks wait."""
    card = DESIGNS.get(design)
    return card is not None and card.tag_bits(card.options()) != 0


def per_task(figures: Figures) -> float | None:
    """Return the entries visited per task woken, 1 where no visit was wasted; None if no task was woken.

    Not per wake-up: designs differ in how many wake-ups they need for the same tasks.
    """
    woken = figures.get("woken")
    return (figures.get("walked") or 0) / woken if woken else None


def wasted_share(figures: Figures) -> float | None:
    """Return the share of visited entries that waited for another page or bit; None if no entry was visited."""
    walked = figures.get("walked")
    return ((figures.get("strangers") or 0) + (figures.get("other_bit") or 0)) / walked if walked else None


def split(figures: Figures) -> list[Part]:
    """Return the entries visited by wake-ups as parts of a bar; [] if no entry was visited."""
    walked = int(figures.get("walked") or 0)
    if not walked:
        return []
    parts, at = [], 0.0
    for id_, words, name in (
        ("own", "waiting for this page and bit", "matched"),
        ("bit", "waiting for another bit of this page", "other_bit"),
        ("stranger", "waiting for other pages", "strangers"),
    ):
        count = int(figures.get(name) or 0)
        share = round(100 * count / walked, 4)
        parts.append(Part(id_, words, count, at, share))
        at = round(at + share, 4)
    return parts


def broken(figures: Figures) -> str | None:
    """Return a sentence on the first invariant that the run broke, with its event; None if it broke none."""
    count, first = int(figures.get("broken") or 0), int(figures.get("broken_first") or 0)
    if not count or not 0 <= first < len(INVARIANTS):
        return None
    more = f"; {counted(count - 1, 'more violation')} after it" if count > 1 else ""
    return f"Invariant broken at event {whole(figures.get('broken_at'))}: {INVARIANTS[first].says}{more}."


def protection(figures: Figures) -> str:
    """Return a sentence on pages that devices had protected; "" if none was."""
    value = figures.get
    if not value("protected"):
        return ""
    ended = value("protected_ended") or 0
    held = (value("protected_ns_sum") or 0) / ended if ended else None
    text = f"Devices protected a page {counted(value('protected'), 'time')}"
    text += f", for {span(held)} on average" if held is not None else ""
    if taken := value("taken_back"):
        text += f"; CPUs took it back {counted(taken, 'time')}"
    blocked = value("blocked") or 0
    if not blocked:
        return f"{text}. No access met a protected page."
    text += f". {counted(blocked, 'access', 'accesses')} met a protected page"
    if value("resumed"):
        text += f" and waited {span(value('blocked_ns_mean'))} on average (p99 {span(value('blocked_ns_p99'))})"
    refused = value("faults_refused") or 0
    return text + (f"; {whole(refused)} {plural(refused, 'was', 'were')} refused." if refused else ".")


def devices(figures: Figures) -> str:
    """Return a sentence on what devices read, and on their atomic operations; "" if there is none."""
    value, said = figures.get, list[str]()
    link, local = value("link_bytes") or 0, value("local_bytes") or 0
    if link or local:
        text = f"Devices read {size(link)} over their links"
        if local or value("copies_made"):
            text += f" and {size(local)} from copies of their own ({percent(local / (link + local))})"
            made = counted(value("copies_made"), "copy", "copies")
            text += f"; writes dropped {whole(value('copies_dropped'))} of {made}"
        said.append(text + ".")
    atomics = (value("link_atomics") or 0) + (value("local_atomics") or 0)
    if atomics:
        mean = (value("atomic_ns_sum") or 0) / atomics
        text = f"{counted(atomics, 'atomic operation')} took {span(mean)} on average"
        text += f"; {percent((value('local_atomics') or 0) / atomics)} in the device's own memory"
        retries = value("atomic_retries") or 0
        said.append(text + (f"; {counted(retries, 'attempt')} began again, the word had changed." if retries else "."))
    return " ".join(said)


def read_rate(figures: Figures, time_ns: int, links: Sequence[float]) -> str:
    """Return a sentence on how fast devices have read in this time, all together; "" if they have read nothing.

    links: what each device's link carries, in GB/s (bytes per ns).
    """
    read = (figures.get("link_bytes") or 0) + (figures.get("local_bytes") or 0)
    if not read or time_ns <= 0 or not links or min(links) <= 0:
        return ""
    rate, words = read / time_ns, counted(len(links), "device")
    if len(set(links)) > 1:
        return f"{words}: {figure(rate)} GB/s in all; their links carry {figure(sum(links))} GB/s."
    return f"{words}: {figure(rate)} GB/s in all, {quotient(rate / links[0])} times what one link carries."


def merging(figures: Figures) -> str:
    """Return a sentence on KSM; "" if it has not scanned."""
    value = figures.get
    if not value("ksm_scans") and not value("merged"):
        return ""
    text = f"KSM merged {counted(value('merged'), 'page')}; writes undid {counted(value('unmerged'), 'merge')}."
    shared, sharing = value("ksm_shared") or 0, value("ksm_sharing") or 0
    entries, pages = counted(shared + sharing, "entry", "entries"), counted(shared, "page")
    scans = counted(value("ksm_scans"), "full scan")
    return f"{text} After {scans}, {entries} shared {pages}: {size(4096 * sharing)} saved."


def faults(figures: Figures) -> str:
    """Return a sentence on page faults and TLB shoot-downs; "" without page tables."""
    value = figures.get
    if value("faults") is None:
        return ""
    text = f"{counted(value('faults'), 'page fault')}; {counted(value('flushes'), 'TLB shoot-down')} interrupted "
    text += f"{counted(value('cpus_interrupted'), 'CPU')}"
    if value("copies"):
        text += f"; {counted(value('copies'), 'page')} copied on write"
    if value("waits"):
        text += f"; {counted(value('waits'), 'wait')} for a page, {span(value('wait_ns_mean'))} on average"
    return text + "."


def verdict(
    figures: Figures, *, live: bool = False, recorded: bool = False, window: bool = False, rate: str = ""
) -> str:
    """Return the sentence above the key figures. live: the run has not ended; recorded: it replays a recording;
    window: the figures are those of a window; rate: what read_rate() says of them."""
    wakes, walked, broke = figures.get("wakes") or 0, figures.get("walked") or 0, broken(figures)
    if broke:
        return broke
    if said := f"{devices(figures)} {rate}".strip():
        return f"{said} {protection(figures)}".strip() if figures.get("blocked") else said
    if said := merging(figures):
        return f"{said} {protection(figures)}".strip()
    if said := protection(figures) or faults(figures):
        return said
    if recorded and not live and not figures.get("waits", 1):
        return _without_waits(wakes)
    if not wakes:
        return "No task was woken in this window." if window else f"No wake-ups {'yet' if live else 'in this run'}."
    woken, entries = figures.get("woken") or 0, counted(walked, "queue entry", "queue entries")
    if not woken:
        return f"{counted(wakes, 'wake-up')} visited {entries} and woke no task."
    tasks = counted(woken, "task")
    text = f"To wake {tasks} the kernel visited {entries} ({quotient(per_task(figures))} per task woken)"
    strangers, other = figures.get("strangers") or 0, figures.get("other_bit") or 0
    if not strangers and not other:
        return f"{text}: every entry visited was waiting for this page and bit."
    return (
        f"{text}. {percent(wasted_share(figures))} of the visits were wasted: {whole(strangers)} to waiters for other "
        f"pages, {whole(other)} to waiters for another bit of the same page."
    )


def _without_waits(wakes: float) -> str:
    """Return the sentence on a replayed recording in which no task ever waited."""
    found = f"The recording has {counted(wakes, 'wake-up')} but no waits" if wakes else "The recording has no waits"
    return f"{found}: all queues stay empty, and nothing can be said about visits to them. Page states are complete."


def tiles(figures: Figures, design: str) -> list[Tile]:
    """Return the key figures, most important first; without those that a window's figures lack, and without those of
    waits if no task waited in the run."""
    value = figures.get
    if "waits" in figures and not value("waits"):
        return [*_mapped_tiles(figures), *_other_tiles(figures, design)]
    visited = Tile("Entries visited per task woken", quotient(per_task(figures)), "", "1.00 is ideal")
    if "longest_walk" in figures:
        longest = counted(value("longest_walk"), "entry", "entries")
        visited = visited._replace(more=f"1.00 is ideal; longest walk: {longest}")
    wasted = f"{whole(value('strangers'))} to other pages, {whole(value('other_bit'))} to another bit"
    waits = f"{counted(value('waits'), 'wait')} in total" if "waits" in figures else "highest in this window"
    found = [
        visited,
        Tile("Wasted visits", percent(wasted_share(figures)), "", wasted),
        Tile("Longest queue", whole(value("longest_queue")), plural(value("longest_queue"), "task"), waits),
        Tile("Max. tasks waiting", whole(value("waiters_max")), "at once", _waiting(figures)),
    ]
    if "wait_ns_mean" in figures:
        more = f"p99 {span(value('wait_ns_p99'))}, max. {span(value('wait_ns_max'))}"
        found.append(Tile("Mean wait", span(value("wait_ns_mean")), "", more))
    return [*_mapped_tiles(figures), *found, *_other_tiles(figures, design)]


def _other_tiles(figures: Figures, design: str) -> list[Tile]:
    """Return the key figures of swaps, truncation and lost events, where there are any."""
    value, found = figures.get, list[Tile]()
    if swaps_mapping(design):
        more = f"{whole(value('swaps_out'))} restored; max. {counted(value('pages_swapped_max'), 'page')} at once"
        found.append(Tile("Mapping swaps", whole(value("swaps_in")), "", more))
    if value("truncated"):
        found.append(Tile("Pages truncated", whole(value("truncated")), "", "removed from their file"))
    if value("lost"):
        found.append(Tile("Events lost", whole(value("lost")), "", "missing in the recording"))
    return found


def _waiting(figures: Figures) -> str:
    """Return what else there is to say of the tasks waiting."""
    if "waiters_mean" in figures:
        return f"mean {figure(figures['waiters_mean'])}"
    return f"{whole(figures.get('gave_up'))} gave up"


def _mapped_tiles(figures: Figures) -> list[Tile]:
    """Return the key figures of page tables and protection; [] for runs without them."""
    value = figures.get
    if value("faults") is None:
        return []
    cleaned = counted(value("entries_cleaned"), "entry", "entries")
    interrupted = counted(value("cpus_interrupted"), "CPU")
    link, local = value("link_bytes") or 0, value("local_bytes") or 0
    made, dropped = whole(value("copies_made")), whole(value("copies_dropped"))
    atomics = (value("link_atomics") or 0) + (value("local_atomics") or 0)
    read = [
        Tile("Read over links", size(link), "", f"{size(local)} from copies; {made} copies made, {dropped} dropped"),
    ]
    done = [
        Tile("Atomic operations", whole(atomics), "", f"{whole(value('local_atomics'))} in the device's own memory"),
    ]
    shared = f"{whole(value('ksm_shared'))} pages shared after the last scan; {whole(value('unmerged'))} merges undone"
    merged = [Tile("Pages merged", whole(value("merged")), "", shared)]
    found = [
        *(merged if value("ksm_scans") or value("merged") else []),
        *(read if link or local else []),
        *(done if atomics else []),
        Tile("Page faults", whole(value("faults")), "", f"{whole(value('faults_refused'))} accesses refused"),
        Tile("TLB shoot-downs", whole(value("flushes")), "", f"{interrupted} interrupted; writeback cleaned {cleaned}"),
        Tile("Pages copied on write", whole(value("copies")), "", "4 KiB each"),
    ]
    if not value("protected") and not value("protect_refused"):
        return found
    taken = f"{whole(value('taken_back'))} taken back; {whole(value('protect_refused'))} attempts refused"
    p50, p99, longest = (span(value(f"blocked_ns_{name}")) for name in ("p50", "p99", "max"))
    waits = f"p50 {p50}, p99 {p99}, max. {longest}"
    return [
        Tile("Pages protected", whole(value("protected")), plural(value("protected"), "time"), taken),
        Tile("Accesses blocked", whole(value("blocked")), "", waits),
        *found,
    ]
