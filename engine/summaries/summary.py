"""Summaries, keyframes and key figures of a run, folded from its events while it is played."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.cast import Cast
from engine.events import Batch
from engine.nodes import GAUGES, Changes, Folded, Node, Series, Words, leaf_bins_of, more_names
from engine.raster import bin_edges
from engine.summaries.order import CellSorter
from engine.summaries.state import (
    B_AREA,
    B_HIGH,
    B_LOW,
    B_MORE,
    B_SUM,
    CHANGED,
    EVENTS,
    F_WAIT_MAX,
    FIGURES,
    FLAGS,
    GAUGE,
    LANE_CELLS,
    LENGTH,
    MAPPED_FIGURES,
    MAPPING,
    NEXT_STAMP,
    QUEUE_CELLS,
    STAMP,
    TIME,
    UNREPORTED,
    WAIT_BITS,
    WAITERS,
    WAITS,
    make_state,
)
from engine.summaries.tally import FAULTS, fill_heat, observe, read_pages

HOT_PAGES = 256


class Summariser:
    """Folds a run's batches, in order, into one leaf each; returns keyframes and key figures at any point."""

    def __init__(self, cast: Cast) -> None:
        """Start before the first event, with the pages as the cast gives them."""
        n_pages, n_queues, n_tasks = cast.page_count, max(cast.queues, 1), len(cast.tasks)
        if cast.pfns is not None:
            n_pages = len(cast.pfns)
        self._start = np.array(cast.first_mappings(range(n_pages)), np.int64)
        self.more = more_names(cast)
        """Gauges and counters besides those of every run."""
        self._s = make_state(self._start, n_queues, n_tasks, self.more, cast.anonymous)
        self._sort_pages, self._sort_queues = CellSorter(n_pages), CellSorter(n_queues)

    def leaf(self, batch: Batch) -> tuple[Node, NDArray[np.uint8]]:
        """Fold the next batch; return its summary, and the stored number of the page's state after each event.

        The number is 0 for an event without a page. Raises AssertionError if the batch contradicts the cast.
        """
        s, n = self._s, len(batch)
        t0, t1 = int(s.now[TIME]), int(batch.time[-1])
        cell_bins, bins = leaf_bins_of(n, t1 - t0)
        s.edges[: bins + 1] = bin_edges(t0, t1, bins)
        s.now[LANE_CELLS:GAUGE] = 0
        s.heat[:, :cell_bins] = -1
        s.more_changed[:] = 0
        before, rows_before = self._gauges(), s.row_longest.copy()
        fault = observe(s, batch.time, batch.kind, batch.task, batch.page, batch.a, batch.b, bins)
        assert fault == 0, f"an event names {FAULTS[fault]}"
        fill_heat(s, rows_before, cell_bins)
        s.now[NEXT_STAMP] += cell_bins
        s.now[TIME] = t1
        parts = np.ascontiguousarray(s.bins[:bins].T)
        cuts = [parts[B_LOW:B_HIGH], parts[B_HIGH:B_AREA], parts[B_AREA:B_SUM], parts[B_SUM:B_MORE]]
        if n_more := len(self.more.gauges):
            ends = [B_MORE + part * n_more for part in range(4)]
            further = (parts[start:stop] for start, stop in zip(ends, [*ends[1:], len(parts)], strict=True))
            cuts = [np.concatenate(both) for both in zip(cuts, further, strict=True)]
        series = Series(before, self._gauges(), *cuts)
        lanes = self._sort_pages(s.lane_cells[: s.now[LANE_CELLS]], lows=False)
        queues = self._sort_queues(s.queue_cells[: s.now[QUEUE_CELLS]], lows=True)
        heat = s.heat[:, :cell_bins].copy()
        changes = {
            name: Changes(*s.changes[which, :, : s.now[CHANGED + which]].copy())
            for which, name in enumerate(GAUGES)
            if name == "queue_longest" or s.now[UNREPORTED + which]
        }
        for which, name in enumerate(self.more.gauges):
            changes[name] = Changes(*s.more_changes[which, :, : s.more_changed[which]].copy())
        leaf = Node(t0, t1, batch.first_seq, n, cell_bins, series, heat, queues, lanes, True, changes)
        return leaf, s.states[:n].copy()

    def _gauges(self) -> Words:
        return np.concatenate((self._s.now[GAUGE:], self._s.more))

    def touched(self, leaf: Node) -> Folded:
        """Return the current state of the pages and queues that the batch just folded touched."""
        return self._folded(leaf.lanes.keys, leaf.queues.keys)

    def keyframe(self) -> Folded:
        """Return all pages and queues that differ from their state at the start."""
        pages = self._s.pages
        changed = (pages[:, MAPPING] != self._start) | (pages[:, FLAGS] != 0) | (pages[:, WAITERS:STAMP] != 0).any(1)
        return self._folded(np.flatnonzero(changed), np.flatnonzero(self._s.queues[:, LENGTH]))

    def _folded(self, pages: Words, queues: Words) -> Folded:
        words = np.empty((4, len(pages)), np.int64)
        read_pages(self._s.pages, pages, words)
        mapping, flags, waiters, marks = words
        return Folded(pages, mapping, flags, waiters, marks, queues, self._s.queues[queues, LENGTH])

    def hot_pages(self) -> list[tuple[int, int, int]]:
        """Return (page, waits, events) of at most HOT_PAGES pages: those with the most waits, then the most events."""
        pages = self._s.pages
        weight = (pages[:, WAITS] << 32) + pages[:, EVENTS]
        k = min(HOT_PAGES, len(weight))
        best = np.argpartition(weight, len(weight) - k)[len(weight) - k :] if k else np.zeros(0, np.int64)
        best = best[np.lexsort((best, -weight[best]))]
        return [(int(p), int(pages[p, WAITS]), int(pages[p, EVENTS])) for p in best if pages[p, EVENTS]]

    def figures(self) -> dict[str, int | float]:
        """Return the key figures of all events so far; times in ns. Percentiles are within 1/128 of the exact value."""
        figures: dict[str, int | float] = dict(zip(FIGURES, map(int, self._s.figures), strict=True))
        ended, total = figures.pop("waits_ended"), figures.pop("wait_ns_sum")
        figures["wait_ns_mean"] = round(total / ended, 3) if ended else 0.0
        waits, longest = self._s.waits, int(self._s.figures[F_WAIT_MAX])
        figures["wait_ns_p50"], figures["wait_ns_p99"] = (percentile(waits, percent, longest) for percent in (50, 99))
        if not any(figures[name] for name in MAPPED_FIGURES):
            return {name: value for name, value in figures.items() if name not in MAPPED_FIGURES}
        resumed = figures["resumed"]
        figures["blocked_ns_mean"] = round(figures["blocked_ns_sum"] / resumed, 3) if resumed else 0.0
        blocked, longest = self._s.blocked, int(figures["blocked_ns_max"])
        for percent in (50, 99):
            figures[f"blocked_ns_p{percent}"] = percentile(blocked, percent, longest)
        return figures


def percentile(steps: Words, percent: int, longest: int) -> int:
    """Return the wait that `percent` of the waits in a histogram do not exceed: the middle of its step; 0 without any.

    longest: the longest of the waits, in ns.
    """
    count = int(steps.sum())
    if not count:
        return 0
    rank = -(-count * percent // 100)
    step = int(np.searchsorted(np.cumsum(steps), rank))
    shift = max(0, (step >> WAIT_BITS) - 1)
    low = step - (shift << WAIT_BITS) << shift
    return min(low + (1 << shift >> 1), longest)
