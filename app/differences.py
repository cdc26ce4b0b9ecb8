"""Compare the key figures of two runs: the sentence above the table, and its rows.

A difference is called better or worse only where the design can have made it: not where the recording gives the figure,
not below the noise of a made-up workload, and not between runs of different workloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from app.figures import Figures, per_task, wasted_share
from app.formats import DASH, counted, figure, percent, quotient, signed, span


class Difference(NamedTuple):
    """One figure of two runs; words give the direction, because colour and sign alone do not."""

    label: str
    a: str
    b: str
    change: str
    ratio: str
    words: str
    same: bool = False
    """The figure tells the runs not apart: the page folds such rows into one line."""


@dataclass(frozen=True)
class Basis:
    """What two runs have in common, which decides what a difference can mean."""

    comparable: bool = True
    """Both play the same workload with the same seed."""
    recorded: bool = False
    """The workload is a recording: it fixes when each task waits and is woken."""
    free: bool = False
    """Visiting entries and taking queue locks costs no time in this scenario."""


EQUAL = Basis()
GIVEN = frozenset({"waits", "gave_up", "waiters_max", "waiters_mean", "truncated", "woken", "lost"})
"""Figures that a recording fixes, besides the times of waits."""
NOISE_TIME = 0.01
"""Relative change of a time, or of a quotient, below which two runs of a made-up workload are not told apart: a guess.
A count is told apart beyond twice the standard deviation of the difference of two Poisson counts."""

_ROWS = (
    # label, figure, kind, whether less is better; otherwise the words only say more or fewer
    ("entries visited per task woken", "per_task", "quotient", True),
    ("entries visited", "walked", "count", True),
    ("tasks woken", "woken", "count", False),
    ("entries of other pages (strangers)", "strangers", "count", True),
    ("entries waiting for another bit", "other_bit", "count", True),
    ("longest walk", "longest_walk", "count", True),
    ("longest queue", "longest_queue", "count", True),
    ("wake-ups", "wakes", "count", False),
    ("entries matched", "matched", "count", False),
    ("max. tasks waiting", "waiters_max", "count", True),
    ("mean of tasks waiting", "waiters_mean", "quotient", True),
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


def differences(a: Figures, b: Figures, basis: Basis = EQUAL) -> list[Difference]:
    """Compare the figures of run B with those of run A, the baseline; without figures that neither has."""
    mapped = tuple(row for row in _MAPPED_ROWS if row[1] in a or row[1] in b)
    rows = []
    for label, name, kind, less_is_better in (*mapped, *_ROWS):
        first, second = _value(a, name), _value(b, name)
        say = {"time": span, "quotient": quotient}.get(kind, figure)
        if first is None and second is None:
            continue
        if first is None or second is None:
            rows.append(Difference(label, say(first), say(second), DASH, DASH, "not in both runs"))
            continue
        change = second - first
        words, same = _words(name, kind, first, second, less_is_better, basis)
        ratio = signed(change, percent(abs(change) / first)) if first else (DASH if change else "±0")
        rows.append(Difference(label, say(first), say(second), signed(change, say(abs(change))), ratio, words, same))
    return rows


def _value(figures: Figures, name: str) -> float | None:
    return per_task(figures) if name == "per_task" else figures.get(name)


def _words(name: str, kind: str, first: float, second: float, less_is_better: bool, basis: Basis) -> tuple[str, bool]:
    """Return what a difference means, and whether it is none."""
    change = second - first
    if basis.recorded and (kind == "time" or name in GIVEN) and not change:
        return "given by the recording", True
    if not change:
        return "the same", True
    if not basis.comparable:
        return "not comparable", False
    if not basis.recorded and _noise(kind, first, second):
        return "no difference beyond noise", True
    if kind == "time" and basis.free:
        return "visits cost no time in this scenario", True
    word = ("longer" if change > 0 else "shorter") if kind == "time" else ("more" if change > 0 else "fewer")
    return (f"{word}: {'worse' if change > 0 else 'better'} in B" if less_is_better else f"{word} in B"), False


def _noise(kind: str, first: float, second: float) -> bool:
    """Return whether another seed could have made as large a difference."""
    change = abs(second - first)
    if kind == "count":
        return change <= 2 * sqrt(first + second)
    return change <= NOISE_TIME * max(abs(first), abs(second))


def comparison(a: Figures, b: Figures, designs: tuple[str, str], basis: Basis = EQUAL) -> str:
    """Return the sentence at the top of a comparison."""
    first, second = per_task(a), per_task(b)
    if first is None or second is None:
        return "Nothing to compare: at least one of the runs has woken no task."
    said = [
        f"{design} visited {counted(figures.get('walked'), 'queue entry', 'queue entries')} to wake "
        f"{counted(figures.get('woken'), 'task')} ({quotient(each)} per task woken)"
        for design, figures, each in zip(designs, (a, b), (first, second), strict=True)
    ]
    text = "; ".join(said)
    if not basis.comparable:
        return f"{text}."
    if _words("per_task", "quotient", first, second, True, basis)[1]:
        wasted = wasted_share(a) or 0
        return f"{text}: no difference{', no visit was wasted' if not wasted else ''}."
    change = percent(abs(second - first) / first)
    return f"{text}: {change} {'more' if second > first else 'fewer'} visits per task woken in B."
