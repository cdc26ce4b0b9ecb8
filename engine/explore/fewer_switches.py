"""The same steps in an order with fewer switches from one process to another, for the reader of a schedule."""

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
    """Return the steps in an order that switches less often, if one is found; each process keeps its own order.

    plays: whether an order can be made and ends in the same error; asked at most `tries` times. who: a step's process.
    stop: asked before each; True ends it with the best order so far.
    Greedy: two runs of one process become one, by moving either past all that lies between, or one past a part of it.
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
    """Return how often another process goes on."""
    return max(0, sum(1 for _ in groupby(schedule, who)) - 1)


def _joined(schedule: Sequence[S], who: Callable[[S], Any]) -> Iterator[list[S]]:
    """Yield the orders with fewer switches that moving one run of steps of a process to its next run gives."""
    runs = [list(run) for _, run in groupby(schedule, who)]
    now = switches(schedule, who)
    for i, run in enumerate(runs):
        j = next((j for j in range(i + 1, len(runs)) if who(runs[j][0]) == who(run[0])), None)
        if j is None:
            continue
        before, between, after = runs[:i], runs[i + 1 : j], runs[j + 1 :]
        for split in range(len(between) + 1):  # what lies between goes before both, behind both, or some of it each way
            order = [*before, *between[:split], run, runs[j], *between[split:], *after]
            flat = [step for part in order for step in part]
            if switches(flat, who) < now:
                yield flat
