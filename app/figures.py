"""Present a run's key figures: the verdict, the tiles, the split of visited entries, and the differences of two runs.

Pure functions of the stored figures, which the worker sums from the engine's events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.formats import DASH, counted, figure, percent, plural, signed, size, span, whole
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


class Difference(NamedTuple):
    """One figure of two runs; words give the direction, because colour and sign alone do not."""

    label: str
    unit: str
    a: str
    b: str
    change: str
    ratio: str
    words: str


def swaps_mapping(design: str) -> bool:
    """Return whether a design replaces page->mapping while tasks wait."""
    card = DESIGNS.get(design)
    return card is not None and card.tag_bits(card.options()) != 0


def per_wake(figures: Figures) -> float | None:
    """Return the mean number of entries visited per wake-up; None without wake-ups."""
    wakes = figures.get("wakes")
    return (figures.get("walked") or 0) / wakes if wakes else None


def strangers_share(figures: Figures) -> float | None:
    """Return the share of visited entries that waited for other pages; None if no entry was visited."""
    walked = figures.get("walked")
    return (figures.get("strangers") or 0) / walked if walked else None


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


def verdict(figures: Figures, *, live: bool = False) -> str:
    """Return the sentence at the top of a run's page; live: the run has not ended."""
    wakes, walked, broke = figures.get("wakes"), figures.get("walked"), broken(figures)
    if broke:
        return broke
    if said := devices(figures):
        return f"{said} {protection(figures)}".strip() if figures.get("blocked") else said
    if said := merging(figures):
        return f"{said} {protection(figures)}".strip()
    if said := protection(figures) or faults(figures):
        return said
    if not wakes:
        return "No wake-ups yet." if live else "No task was woken in this run."
    strangers, other = figures.get("strangers") or 0, figures.get("other_bit") or 0
    text = f"{counted(wakes, 'wake-up')} visited {counted(walked, 'queue entry', 'queue entries')}"
    text += f" ({figure(per_wake(figures))} per wake-up)"
    if not strangers and not other:
        return text + (", every one waiting for the page and bit being woken." if walked else ".")
    wasted = (strangers + other) / walked if walked else 0
    return (
        f"{text}. {percent(wasted)} of the visits were wasted: {whole(strangers)} to waiters for other pages, "
        f"{whole(other)} to waiters for another bit of the same page."
    )


def tiles(figures: Figures, design: str) -> list[Tile]:
    """Return the key figures, most important first."""
    value = figures.get
    queue, longest_walk = value("longest_queue"), counted(value("longest_walk"), "entry", "entries")
    strangers = counted(value("strangers"), "entry", "entries")
    waits = f"p99 {span(value('wait_ns_p99'))}, max. {span(value('wait_ns_max'))}"
    lost = f"{counted(value('lost'), 'event')} lost in the recording"
    if swaps_mapping(design):
        more = f"{whole(value('swaps_out'))} restored; max. {counted(value('pages_swapped_max'), 'page')} at once"
        swaps = Tile("Mapping swaps", whole(value("swaps_in")), "", more)
    else:
        swaps = Tile("Mapping swaps", "none", "", "the wait design never swaps page->mapping")
    return [
        *_mapped_tiles(figures),
        Tile("Entries visited per wake-up", figure(per_wake(figures)), "", f"longest walk: {longest_walk}"),
        Tile("Entries of other pages", percent(strangers_share(figures)), "", strangers),
        Tile("Longest queue", whole(queue), plural(queue, "task"), f"{counted(value('waits'), 'wait')} in total"),
        Tile("Max. tasks waiting", whole(value("waiters_max")), "at once", f"{whole(value('gave_up'))} gave up"),
        Tile("Mean wait", span(value("wait_ns_mean")), "", waits),
        swaps,
        Tile("Pages truncated", whole(value("truncated")), "", lost),
    ]


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


_ROWS = (
    # label, figure, kind, whether less is better; otherwise the words only say more or fewer
    ("wake-ups", "wakes", "count", False),
    ("entries visited", "walked", "count", True),
    ("entries visited per wake-up", "per_wake", "count", True),
    ("longest walk", "longest_walk", "count", True),
    ("entries of other pages (strangers)", "strangers", "count", True),
    ("entries waiting for another bit", "other_bit", "count", True),
    ("entries matched", "matched", "count", False),
    ("tasks woken", "woken", "count", False),
    ("longest queue", "longest_queue", "count", True),
    ("max. tasks waiting", "waiters_max", "count", True),
    ("mean wait", "wait_ns_mean", "time", True),
    ("p99 wait", "wait_ns_p99", "time", True),
    ("max. wait", "wait_ns_max", "time", True),
    ("mapping swaps", "swaps_in", "count", False),
    ("max. pages swapped", "pages_swapped_max", "count", False),
    ("pages truncated", "truncated", "count", False),
    ("invariants broken", "broken", "count", True),
    ("events", "events", "count", False),
)
_MAPPED_ROWS = (
    ("pages protected", "protected", "count", False),
    ("pages taken back from devices", "taken_back", "count", True),
    ("accesses that met a protected page", "blocked", "count", True),
    ("mean time blocked", "blocked_ns_mean", "time", True),
    ("p99 time blocked", "blocked_ns_p99", "time", True),
    ("accesses refused", "faults_refused", "count", True),
    ("page faults", "faults", "count", True),
    ("TLB shoot-downs", "flushes", "count", True),
    ("CPUs interrupted by them", "cpus_interrupted", "count", True),
    ("pages copied on write", "copies", "count", True),
    ("pages migrated", "migrated", "count", False),
    ("pages merged by KSM", "merged", "count", False),
    ("merges undone by a write", "unmerged", "count", True),
    ("entries that share a KSM page", "ksm_sharing", "count", False),
    ("bytes read over links", "link_bytes", "count", True),
    ("bytes read from copies", "local_bytes", "count", False),
    ("copies dropped", "copies_dropped", "count", True),
    ("PCIe atomics", "link_atomics", "count", True),
    ("attempts at atomics that began again", "atomic_retries", "count", True),
    ("atomics in devices' own memory", "local_atomics", "count", False),
)
"""Shown if one of the runs has them."""


def differences(a: Figures, b: Figures) -> list[Difference]:
    """Compare the figures of run B with those of run A, the baseline."""
    rows = []
    mapped = tuple(row for row in _MAPPED_ROWS if row[1] in a or row[1] in b)
    for label, name, kind, less_is_better in (*mapped, *_ROWS):
        first, second = _value(a, name), _value(b, name)
        say = span if kind == "time" else figure
        if first is None or second is None:
            rows.append(Difference(label, "", say(first), say(second), DASH, DASH, "not in both runs"))
            continue
        change = second - first
        ratio = signed(change, percent(abs(change) / first)) if first else (DASH if change else "±0")
        words = _words(change, kind, less_is_better)
        rows.append(Difference(label, "", say(first), say(second), signed(change, say(abs(change))), ratio, words))
    return rows


def _value(figures: Figures, name: str) -> float | None:
    return per_wake(figures) if name == "per_wake" else figures.get(name)


def _words(change: float, kind: str, less_is_better: bool) -> str:
    if not change:
        return "the same"
    word = ("longer" if change > 0 else "shorter") if kind == "time" else ("more" if change > 0 else "fewer")
    return f"{word}: {'worse' if change > 0 else 'better'} in B" if less_is_better else f"{word} in B"


def comparison(a: Figures, b: Figures, designs: tuple[str, str]) -> str:
    """Return the sentence at the top of a comparison."""
    first, second = per_wake(a), per_wake(b)
    if first is None or second is None:
        return "No comparison yet: at least one of the runs has no wake-ups."
    text = f"A ({designs[0]}) visited {figure(first)} entries per wake-up, B ({designs[1]}) {figure(second)}"
    shares = strangers_share(a) or 0, strangers_share(b) or 0
    return text + f". Entries of other pages: {percent(shares[0])} in A, {percent(shares[1])} in B."
