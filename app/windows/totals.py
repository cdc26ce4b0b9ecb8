"""Exact figures of a window: what the legends say, whatever the width of the picture in pixels.

Summaries that lie within the window give their own totals and extremes; only the chunks at its two ends are read event
by event. So the cost follows the height of the tree, and no bin that sticks out of the window adds anything to it.
"""

from __future__ import annotations

from typing import Any

from app.store import RunRow, Store
from app.windows.columns import columns_of
from app.windows.series import Series
from app.windows.tree import Run
from engine.cast import Cast
from engine.nodes import more_names

Totals = dict[str, dict[str, float | None]]


def totals(run: Run, cast: Cast, t0: int, t1: int) -> Totals:
    """Return min, max and mean of each gauge (of the time that the run has reached) and the sum of each counter over
    t0..t1 (ns, t1 excluded); None where nothing is known. queue_mean: the mean length of queues that are not empty."""
    series = Series(columns_of(t0, t1, 1), more_names(cast))
    series.gather(run, exact=True)
    return {name: {part: values[0] for part, values in parts.items()} for name, parts in series.answer().items()}


def window_figures(store: Store, row: RunRow, t0: int, t1: int) -> dict[str, float | None]:
    """Return the key figures of a window by the names of those of a run: the ones that a stretch of it can have."""
    run = Run(store, row.id)
    told: dict[str, Any] = totals(run, run.cast() if run.chunks else Cast(), t0, t1)
    sums = {name: told[name]["sum"] or 0 for name in ("wakes", "walked", "matched", "woken", "strangers")}
    return sums | {
        "other_bit": sums["walked"] - sums["matched"] - sums["strangers"],
        "longest_queue": told["queue_longest"]["max"] or 0,
        "waiters_max": told["waiters"]["max"] or 0,
        "waiters_mean": told["waiters"]["mean"],
        "swaps_in": told["swaps_in"]["sum"] or 0,
        "swaps_out": told["swaps_out"]["sum"] or 0,
        "pages_swapped_max": told["pages_swapped"]["max"] or 0,
        "events": told["events"]["sum"] or 0,
    }
