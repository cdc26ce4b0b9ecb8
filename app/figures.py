"""A run's key figures as a reader meets them: the sentence on top, the tiles, what a wake-up walked over, and how two
runs differ. Pure functions of the stored figures (engine events, summed by the worker).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.formats import DASH, figure, percent, signed, span, whole
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
    """A share of the entries walked, in percent, with where it begins on a bar of 100."""

    id: str
    words: str
    count: int
    at: float
    share: float


class Difference(NamedTuple):
    """One figure of two runs; words say which way it went, because colour and sign alone do not."""

    label: str
    unit: str
    a: str
    b: str
    change: str
    ratio: str
    words: str


def swaps_mapping(design: str) -> bool:
    """Return whether a design puts its own word into page->mapping while somebody waits."""
    card = DESIGNS.get(design)
    return card is not None and card.tag_bits(card.options()) != 0


def per_wake(figures: Figures) -> float | None:
    """Return how many entries a wake-up walked over on average; None where nobody was woken."""
    wakes = figures.get("wakes")
    return (figures.get("walked") or 0) / wakes if wakes else None


def strangers_share(figures: Figures) -> float | None:
    """Return the share of entries walked that waited for other pages; None where nothing was walked."""
    walked = figures.get("walked")
    return (figures.get("strangers") or 0) / walked if walked else None


def split(figures: Figures) -> list[Part]:
    """Return what wake-ups walked over, as parts of a bar; [] where nothing was walked."""
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
    """Return which invariant the run broke first and in which event; None if it broke none."""
    count, first = int(figures.get("broken") or 0), int(figures.get("broken_first") or 0)
    if not count or not 0 <= first < len(INVARIANTS):
        return None
    more = f", and {whole(count - 1)} more after it" if count > 1 else ""
    return f"Broken in event {whole(figures.get('broken_at'))}: {INVARIANTS[first].says}{more}."


def verdict(figures: Figures) -> str:
    """Return the sentence that a reviewer reads first."""
    wakes, walked, broke = figures.get("wakes"), figures.get("walked"), broken(figures)
    if broke:
        return broke
    if not wakes:
        return "No task has been woken in this run so far."
    strangers, other = figures.get("strangers") or 0, figures.get("other_bit") or 0
    text = f"{whole(wakes)} wake-ups walked over {whole(walked)} queue entries, {figure(per_wake(figures))} each"
    if not strangers and not other:
        return text + "; every one of them waited for the page and the bit in question."
    wasted = (strangers + other) / walked if walked else 0
    return (
        text + f"; {percent(wasted)} were visited in vain: {whole(strangers)} waited for other pages, "
        f"{whole(other)} for another bit of the same page."
    )


def tiles(figures: Figures, design: str) -> list[Tile]:
    """Return the key figures in the order in which they matter."""
    value = figures.get
    strangers = f"{whole(value('strangers'))} entries of other pages"
    waits = f"p99 {span(value('wait_ns_p99'))}, longest {span(value('wait_ns_max'))}"
    lost = f"{whole(value('lost'))} events lost by the recording"
    if swaps_mapping(design):
        more = f"{whole(value('swaps_out'))} restored; at most {whole(value('pages_swapped_max'))} pages at once"
        swaps = Tile("Mapping swaps", whole(value("swaps_in")), "in", more)
    else:
        swaps = Tile("Mapping swaps", "none", "", "this design leaves page->mapping alone")
    return [
        Tile(
            "Entries walked per wake-up", figure(per_wake(figures)), "", f"longest walk {whole(value('longest_walk'))}"
        ),
        Tile("Strangers walked over", percent(strangers_share(figures)), "", strangers),
        Tile("Longest queue", whole(value("longest_queue")), "tasks", f"{whole(value('waits'))} waits in all"),
        Tile("Most tasks waiting", whole(value("waiters_max")), "at once", f"{whole(value('gave_up'))} gave up"),
        Tile("Wait, mean", span(value("wait_ns_mean")), "", waits),
        swaps,
        Tile("Pages truncated", whole(value("truncated")), "", lost),
    ]


_ROWS = (
    # label, figure, kind, and whether less is better: elsewhere the words only say more or fewer
    ("wake-ups", "wakes", "count", False),
    ("entries walked", "walked", "count", True),
    ("entries walked per wake-up", "per_wake", "count", True),
    ("longest walk", "longest_walk", "count", True),
    ("entries of other pages (strangers)", "strangers", "count", True),
    ("entries waiting for another bit", "other_bit", "count", True),
    ("entries matched", "matched", "count", False),
    ("tasks woken", "woken", "count", False),
    ("longest queue", "longest_queue", "count", True),
    ("most tasks waiting", "waiters_max", "count", True),
    ("mean wait", "wait_ns_mean", "time", True),
    ("wait, p99", "wait_ns_p99", "time", True),
    ("longest wait", "wait_ns_max", "time", True),
    ("mappings swapped in", "swaps_in", "count", False),
    ("most pages swapped", "pages_swapped_max", "count", False),
    ("pages truncated", "truncated", "count", False),
    ("invariants broken", "broken", "count", True),
    ("events", "events", "count", False),
)


def differences(a: Figures, b: Figures) -> list[Difference]:
    """Return the figures of run B against those of run A, the baseline."""
    rows = []
    for label, name, kind, less_is_better in _ROWS:
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
    """Return the sentence that says first how two runs differ."""
    first, second = per_wake(a), per_wake(b)
    if first is None or second is None:
        return "One of the two runs has woken nobody so far."
    text = f"A ({designs[0]}) walked {figure(first)} entries a wake-up, B ({designs[1]}) {figure(second)}"
    shares = strangers_share(a) or 0, strangers_share(b) or 0
    return text + f"; strangers were {percent(shares[0])} of them in A and {percent(shares[1])} in B."
