"""Sixteen nodes of the summary tree made one. Run by the worker as it plays: the cells, of which there are many, are
merged in compiled code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.nodes import COUNTERS, GAUGES, Cells, Ints, Node, Series, Words, node_bins
from engine.raster import bin_edges
from engine.summaries.order import CellSorter
from engine.world.jit import jit

KEYS_MAX = 4096
"""Queues and pages that a node above the second level keeps: those with most cells."""


@jit
def _add(out: Any, n: int, where: Any, child: Cells, starts: Any, stops: Any) -> int:
    """Add a child's cells to out's columns (key, bin, high, last, low) behind row n. Returns the new n.

    where[key] is one more than the row of the key's newest cell, 0 if it has none yet.
    """
    at = 0
    for k in range(len(child.keys)):
        key = child.keys[k]
        for _ in range(child.counts[k]):
            low, high = child.low[at], child.high[at]
            for bin in range(starts[child.bins[at]], stops[child.bins[at]] + 1):
                row = where[key] - 1
                if row < 0 or out[row, 1] != bin:
                    row = n
                    n += 1
                    where[key] = n
                    out[row, 0], out[row, 1] = key, bin
                    out[row, 2], out[row, 4] = high, low
                out[row, 2] = max(out[row, 2], high)
                out[row, 4] = min(out[row, 4], low)
                out[row, 3] = child.last[at]
            at += 1
    return n


@jit
def _add_heat(out: Any, heat: Any, starts: Any, stops: Any) -> None:
    """Raise the columns of out that a child's bins meet to what the child saw there."""
    bins = heat.shape[1]
    first = 0
    for column in range(starts[0], stops[bins - 1] + 1):
        while stops[first] < column:
            first += 1
        end = first
        while end < bins and starts[end] <= column:
            end += 1
        for row in range(heat.shape[0]):
            highest = out[row, column]
            for bin in range(first, end):
                highest = max(highest, heat[row, bin])
            out[row, column] = highest


@jit
def _add_series(out: Series, child: Series, cuts: Any, into: Any, starts: Any, stops: Any) -> None:
    """Add a child's series, whose bins lie between the cuts, to the columns between the edges `into`. What a bin holds
    is shared out by time among the columns that it meets, in whole numbers."""
    bins = len(starts)
    for which in range(child.low.shape[0]):
        for bin in range(bins):
            for column in range(starts[bin], stops[bin] + 1):
                out.low[which, column] = min(out.low[which, column], child.low[which, bin])
                out.high[which, column] = max(out.high[which, column], child.high[which, bin])
    for bin in range(bins):
        start, stop, given = starts[bin], stops[bin], 0.0
        for column in range(start, stop):
            share = (into[column + 1] - cuts[bin]) / (cuts[bin + 1] - cuts[bin])
            for which in range(child.area.shape[0]):
                amount = child.area[which, bin]
                out.area[which, column] += int(np.rint(amount * share)) - int(np.rint(amount * given))
            for which in range(child.sums.shape[0]):
                amount = child.sums[which, bin]
                out.sums[which, column] += int(np.rint(amount * share)) - int(np.rint(amount * given))
            given = share
        for which in range(child.area.shape[0]):
            amount = child.area[which, bin]
            out.area[which, stop] += amount - int(np.rint(amount * given))
        for which in range(child.sums.shape[0]):
            amount = child.sums[which, bin]
            out.sums[which, stop] += amount - int(np.rint(amount * given))


@jit
def _place(cuts: Any, into: Any, starts: Any, stops: Any) -> None:
    """Write the first and the last column of `into` that each bin between the cuts meets; the last holds its end."""
    column, last = 0, len(into) - 2
    for bin in range(len(starts)):
        while column < last and into[column + 1] <= cuts[bin]:
            column += 1
        starts[bin] = column
        end = max(cuts[bin + 1] - 1, cuts[bin]) if bin + 1 < len(starts) else cuts[bin + 1]
        stop = column
        while stop < last and into[stop + 1] <= end:
            stop += 1
        stops[bin] = stop


class Merger:
    """Makes one node of consecutive ones; keeps the room to work in."""

    def __init__(self, pages: int, queues: int) -> None:
        self._pages = np.zeros(pages, np.int32)
        self._queues = np.zeros(queues, np.int32)
        self._cells = np.empty((0, 5), np.int32)
        self._sort_pages, self._sort_queues = CellSorter(pages), CellSorter(queues)

    def merge(self, nodes: Sequence[Node], *, keep: int | None = None) -> Node:
        """Return the node above `nodes`; keep: how many queues and pages its cells may name, all if None."""
        t0, t1 = nodes[0].t0, nodes[-1].t1
        bins, series_bins = map(int, node_bins(t1 - t0))
        into = bin_edges(t0, t1, bins)
        unknown = [node for node in nodes if not node.complete]
        placed = [_placed(node, node.bins, into)[1:] for node in nodes]
        queues = self._merge_cells([node.queues for node in nodes], placed, self._queues, self._sort_queues)
        lanes = self._merge_cells([node.lanes for node in nodes], placed, self._pages, self._sort_pages)
        kept_queues = _kept(queues, [node.queues.keys for node in unknown], keep)
        kept_lanes = _kept(lanes, [node.lanes.keys for node in unknown], keep)
        complete = not unknown and kept_queues is queues and kept_lanes is lanes
        heat = np.zeros((len(nodes[0].heat), bins), np.int32)
        for node, spots in zip(nodes, placed, strict=True):
            _add_heat(heat, node.heat, *spots)
        total = sum(node.events for node in nodes)
        series = _merge_series(nodes, series_bins)
        return Node(t0, t1, nodes[0].first_seq, total, bins, series, heat, kept_queues, kept_lanes, complete, {})

    def _merge_cells(
        self, parts: Sequence[Cells], placed: Sequence[tuple[Any, Any]], where: Ints, sort: CellSorter
    ) -> Cells:
        """Return the cells of consecutive nodes in the columns where they are placed; where is all 0, and left so."""
        lows = any(len(cells.low) for cells in parts)
        most = sum(
            len(cells.bins) * (int((stop - start).max()) + 1)
            for cells, (start, stop) in zip(parts, placed, strict=True)
        )
        if most > len(self._cells):
            self._cells = np.empty((2 * most, 5), np.int32)
        n = 0
        for cells, spots in zip(parts, placed, strict=True):
            n = _add(self._cells, n, where, cells if lows else cells._replace(low=cells.high), *spots)
        merged = sort(self._cells[:n], lows=lows)
        where[merged.keys] = 0
        return merged


def _merge_series(nodes: Sequence[Node], bins: int) -> Series:
    into = bin_edges(nodes[0].t0, nodes[-1].t1, bins)
    merged = Series(
        nodes[0].series.before,
        nodes[-1].series.after,
        low=np.full((len(GAUGES), bins), np.iinfo(np.int64).max),
        high=np.full((len(GAUGES), bins), -1),
        area=np.zeros((len(GAUGES), bins), np.int64),
        sums=np.zeros((len(COUNTERS), bins), np.int64),
    )
    for node in nodes:
        cuts, starts, stops = _placed(node, node.series.low.shape[1], into)
        _add_series(merged, node.series, cuts, into, starts, stops)
    return merged


def _placed(node: Node, bins: int, into: Words) -> tuple[Words, Words, Words]:
    """Return the edges of a node's bins, and the first and the last column of `into` that each of them meets."""
    cuts, starts, stops = bin_edges(node.t0, node.t1, bins), np.empty(bins, np.int64), np.empty(bins, np.int64)
    _place(cuts, into, starts, stops)
    return cuts, starts, stops


def _kept(cells: Cells, known: Sequence[Words], keep: int | None) -> Cells:
    """Return the cells of the keys that may stay: those that every incomplete child knew, at most `keep` of them."""
    stays = np.ones(len(cells.keys), np.bool_)
    for keys in known:
        stays &= np.isin(cells.keys, keys, assume_unique=True)
    if keep is not None and stays.sum() > keep:
        busiest = np.lexsort((cells.keys, -cells.counts * stays))[:keep]
        stays[:] = False
        stays[busiest] = True
    if stays.all():
        return cells
    mask = np.repeat(stays, cells.counts)
    low = cells.low[mask] if len(cells.low) else cells.low
    return Cells(cells.keys[stays], cells.counts[stays], cells.bins[mask], low, cells.high[mask], cells.last[mask])
