"""Merge sixteen nodes of the summary tree into one. The worker does this while it plays a run; compiled code merges
the cells, which are many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.nodes import Cells, Ints, Node, Series, Words, node_bins
from engine.raster import bin_edges
from engine.summaries.order import CellSorter
from engine.world.jit import jit

KEYS_MAX = 4096
"""Queues and pages that a node above the second level keeps: those with the most cells."""


@jit
def _add(out: Any, n: int, newest: Any, child: Cells, starts: Any, stops: Any) -> int:
    """Append a child's cells to out (rows of key, bin, high, last, low) from row n on. Return the new n.

    newest[key] is 1 + the row of the key's newest cell, or 0 if it has none yet.
    """
    at = 0
    for k in range(len(child.keys)):
        key = child.keys[k]
        for _ in range(child.counts[k]):
            low, high = child.low[at], child.high[at]
            for bin in range(starts[child.bins[at]], stops[child.bins[at]] + 1):
                row = newest[key] - 1
                if row < 0 or out[row, 1] != bin:
                    row = n
                    n += 1
                    newest[key] = n
                    out[row, 0], out[row, 1] = key, bin
                    out[row, 2], out[row, 4] = high, low
                out[row, 2] = max(out[row, 2], high)
                out[row, 4] = min(out[row, 4], low)
                out[row, 3] = child.last[at]
            at += 1
    return n


@jit
def _add_heat(out: Any, heat: Any, starts: Any, stops: Any) -> None:
    """Raise each column of out to at least the value of every child bin that it overlaps."""
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
def _add_series(out: Series, child: Series, cuts: Any, edges: Any, starts: Any, stops: Any) -> None:
    """Add a child's series, with bins between `cuts`, to the columns between `edges`. Split each bin's area and sums
    by time among the columns it overlaps, in whole numbers."""
    bins = len(starts)
    for which in range(child.low.shape[0]):
        for bin in range(bins):
            for column in range(starts[bin], stops[bin] + 1):
                out.low[which, column] = min(out.low[which, column], child.low[which, bin])
                out.high[which, column] = max(out.high[which, column], child.high[which, bin])
    for bin in range(bins):
        start, stop, done = starts[bin], stops[bin], 0.0
        for column in range(start, stop):
            share = (edges[column + 1] - cuts[bin]) / (cuts[bin + 1] - cuts[bin])
            for which in range(child.area.shape[0]):
                amount = child.area[which, bin]
                out.area[which, column] += int(np.rint(amount * share)) - int(np.rint(amount * done))
            for which in range(child.sums.shape[0]):
                amount = child.sums[which, bin]
                out.sums[which, column] += int(np.rint(amount * share)) - int(np.rint(amount * done))
            done = share
        for which in range(child.area.shape[0]):
            amount = child.area[which, bin]
            out.area[which, stop] += amount - int(np.rint(amount * done))
        for which in range(child.sums.shape[0]):
            amount = child.sums[which, bin]
            out.sums[which, stop] += amount - int(np.rint(amount * done))


@jit
def _place(cuts: Any, edges: Any, starts: Any, stops: Any) -> None:
    """Write the first and the last column of `edges` that each bin of `cuts` overlaps; the last bin includes t1."""
    column, last = 0, len(edges) - 2
    for bin in range(len(starts)):
        while column < last and edges[column + 1] <= cuts[bin]:
            column += 1
        starts[bin] = column
        end = max(cuts[bin + 1] - 1, cuts[bin]) if bin + 1 < len(starts) else cuts[bin + 1]
        stop = column
        while stop < last and edges[stop + 1] <= end:
            stop += 1
        stops[bin] = stop


class Merger:
    """Merges consecutive nodes into one; keeps its scratch space."""

    def __init__(self, pages: int, queues: int) -> None:
        self._pages = np.zeros(pages, np.int32)
        self._queues = np.zeros(queues, np.int32)
        self._cells = np.empty((0, 5), np.int32)
        self._sort_pages, self._sort_queues = CellSorter(pages), CellSorter(queues)

    def merge(self, nodes: Sequence[Node], *, keep: int | None = None) -> Node:
        """Return the node above `nodes`; keep: max. number of queues and of pages in its cells, all if None."""
        t0, t1 = nodes[0].t0, nodes[-1].t1
        bins, series_bins = map(int, node_bins(t1 - t0))
        edges = bin_edges(t0, t1, bins)
        unknown = [node for node in nodes if not node.complete]
        placed = [_placed(node, node.bins, edges)[1:] for node in nodes]
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
        self, parts: Sequence[Cells], placed: Sequence[tuple[Any, Any]], newest: Ints, sort: CellSorter
    ) -> Cells:
        """Merge the cells of consecutive nodes into the columns in `placed`. newest must be all 0, and is left so."""
        lows = any(len(cells.low) for cells in parts)
        most = sum(
            len(cells.bins) * (int((stop - start).max()) + 1)
            for cells, (start, stop) in zip(parts, placed, strict=True)
        )
        if most > len(self._cells):
            self._cells = np.empty((2 * most, 5), np.int32)
        n = 0
        for cells, spots in zip(parts, placed, strict=True):
            n = _add(self._cells, n, newest, cells if lows else cells._replace(low=cells.high), *spots)
        merged = sort(self._cells[:n], lows=lows)
        newest[merged.keys] = 0
        return merged


def _merge_series(nodes: Sequence[Node], bins: int) -> Series:
    edges, gauges = bin_edges(nodes[0].t0, nodes[-1].t1, bins), len(nodes[0].series.low)
    merged = Series(
        nodes[0].series.before,
        nodes[-1].series.after,
        low=np.full((gauges, bins), np.iinfo(np.int64).max),
        high=np.full((gauges, bins), -1),
        area=np.zeros((gauges, bins), np.int64),
        sums=np.zeros((len(nodes[0].series.sums), bins), np.int64),
    )
    for node in nodes:
        cuts, starts, stops = _placed(node, node.series.low.shape[1], edges)
        _add_series(merged, node.series, cuts, edges, starts, stops)
    return merged


def _placed(node: Node, bins: int, edges: Words) -> tuple[Words, Words, Words]:
    """Return the edges of a node's bins, and the first and the last column of `edges` that each bin overlaps."""
    cuts, starts, stops = bin_edges(node.t0, node.t1, bins), np.empty(bins, np.int64), np.empty(bins, np.int64)
    _place(cuts, edges, starts, stops)
    return cuts, starts, stops


def _kept(cells: Cells, known: Sequence[Words], keep: int | None) -> Cells:
    """Return the cells of the keys to keep: those that every incomplete child has, at most `keep` of them."""
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
