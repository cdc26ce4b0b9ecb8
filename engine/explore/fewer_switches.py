"""Reorder a schedule to switch between processes less often, for its reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

S = TypeVar("S")

TRIES = 5_000


def fewer_switches(
    schedule: Sequence[S],
    plays: Callable[[list[S]], bool],
    who: Callable[[S], Any] = lambda one: one,
    tries: int = TRIES,
    stop: Callable[[], bool] = lambda: False,
) -> list[S]:
    """Return the steps in an order with fewer switches, if one is found; each process keeps its own order.

    plays: whether an order can be played and ends in the same error; called at most `tries` times. who: the process of
    a step. stop: called before each try; True returns the best order so far.
    Greedy: two runs of one process are joined; the steps between them move before, after, or partly each way.
    """
    best = list(schedule)
    for _ in range(len(best)):
        for order in _joined(best, who):
            if tries == 0 or stop():
                return best
            tries -= 1
            if plays(order):
                best = order
                break
        else:
            return best
    return best


def switches(schedule: Sequence[S], who: Callable[[S], Any] = lambda one: one) -> int:
    """Return the number of switches from one process to another."""
    return max(0, sum(1 for _ in groupby(schedule, who)) - 1)


def _joined(schedule: Sequence[S], who: Callable[[S], Any]) -> Iterator[list[S]]:
    """Yield the orders with fewer switches that join a run of steps of a process with its next run."""
    runs = [list(run) for _, run in groupby(schedule, who)]
    now = switches(schedule, who)
    for i, run in enumerate(runs):
        j = next((j for j in range(i + 1, len(runs)) if who(runs[j][0]) == who(run[0])), None)
        if j is None:
            continue
        before, between, after = runs[:i], runs[i + 1 : j], runs[j + 1 :]
        for split in range(len(between) + 1):  # steps between go before both, after both, or some each way
            order = [*before, *between[:split], run, runs[j], *between[split:], *after]
            flat = [step for part in order for step in part]
            if switches(flat, who) < now:
                yield flat
