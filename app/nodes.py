"""Nodes of the summary tree as bytes.

A node is stored as two blocks, because most questions need only one: its series, and its cells (heat map, queues and
lanes). Leaves have a third: what their events left of the pages and queues that they touched.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.packing import Planes, pack, unpack
from engine.errors import Damaged
from engine.nodes import COUNTERS, GAUGES, Cells, Folded, Node, Words
from engine.raster import bin_instants, running

VERSION = 1


def encode_series(node: Node, planes: Planes | None = None) -> bytes:
    """Return the node's times and series as bytes."""
    s = node.series
    head = np.array([node.t0, node.t1, node.first_seq, node.events, s.low.shape[1]], np.int64)
    flat = (s.low.ravel(), (s.high - s.low).ravel(), s.area.ravel(), s.sums.ravel())
    return pack(b"FSER", VERSION, (head, s.before, s.after, *flat, s.steps_at, s.steps_to), (7,), planes)


def encode_cells(node: Node, planes: Planes | None = None) -> bytes:
    """Return the node's heat map, queues and lanes as bytes."""
    head = np.array([node.t0, node.t1, node.bins, len(node.heat), node.complete], np.int64)
    q, p = node.queues, node.lanes
    queues = (q.keys, q.counts, q.bins, q.low, q.high, q.last)
    lanes = (p.keys, p.counts, p.bins, p.high << 4 | p.last)
    return pack(b"FCEL", VERSION, (head, node.heat.ravel(), *queues, *lanes), (2, 8), planes)


class Extremes(NamedTuple):
    """Least and highest value of each gauge in bins of time, shape (gauges, bins), and each bin's first and last
    instant."""

    first: Words
    last: Words
    low: Words
    high: Words

    def halved(self) -> Extremes:
        """Return those of bins of two each; there is an even number of them."""
        low, high = np.minimum(self.low[:, ::2], self.low[:, 1::2]), np.maximum(self.high[:, ::2], self.high[:, 1::2])
        return Extremes(self.first[::2], self.last[1::2], low, high)


class SeriesPart:
    """A stored node's series."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Raises Damaged for anything but encode_series()."""
        arrays = unpack(b"FSER", VERSION, data)
        if len(arrays) != 9 or len(arrays[0]) != 5:
            raise Damaged("a summary's series that cannot be read")
        self.t0, self.t1, self.first_seq, self.events, self.bins = (int(value) for value in arrays[0])
        try:
            low, more, area = (part.reshape(len(GAUGES), self.bins) for part in arrays[3:6])
            sums = arrays[6].reshape(len(COUNTERS), self.bins)
        except ValueError as error:
            raise Damaged("a summary's series that cannot be read") from error
        self.before, self.after = arrays[1], arrays[2]
        self.steps_at, self.steps_to = arrays[7], arrays[8]
        first, last = bin_instants(self.t0, self.t1, self.bins)
        self.cuts = np.append(first, self.t1)
        self.areas, self.counts = running(area), running(sums)
        """Running sums of the gauges' areas and of the counters, shapes (4, bins + 1) and (8, bins + 1)."""
        low = low.astype(np.int64)
        self._of_size = {self.bins: Extremes(first, last, low, low + more)}

    def extremes(self, column_ns: float) -> Extremes:
        """Return the gauges' extremes in the fewest bins, by halving, none longer than a column; in the finest where
        those are. All are kept."""
        n = self.bins
        while n % 2 == 0 and 2 * (self.t1 - self.t0) <= column_ns * n:
            if n // 2 not in self._of_size:
                self._of_size[n // 2] = self._of_size[n].halved()
            n //= 2
        return self._of_size[n]

    @property
    def nbytes(self) -> int:
        """All halves together take as much as the finest."""
        steady = (self.cuts, self.areas, self.counts, self.steps_at, self.steps_to)
        return sum(part.nbytes for part in (*steady, *self._of_size[self.bins], *self._of_size[self.bins]))


class CellsPart:
    """A stored node's heat map, queues and lanes. Arrays keep their stored, small types; keys are int64."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Raises Damaged for anything but encode_cells()."""
        arrays = unpack(b"FCEL", VERSION, data)
        if len(arrays) != 12 or len(arrays[0]) != 5:
            raise Damaged("a summary's cells that cannot be read")
        self.t0, self.t1, self.bins, rows, complete = (int(value) for value in arrays[0])
        self.complete = bool(complete)
        try:
            self.heat = arrays[1].reshape(rows, self.bins)
        except ValueError as error:
            raise Damaged("a summary's cells that cannot be read") from error
        self.queues = Cells(*arrays[2:8])
        states = arrays[11]
        none = np.zeros(0, np.int64)
        self.lanes = Cells(arrays[8], arrays[9], arrays[10], none, states >> 4, states & 15)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.heat, *self.queues, *self.lanes))


def encode_folded(folded: Folded, planes: Planes | None = None) -> bytes:
    """Return folded pages and queues (a keyframe, or a leaf's share of one) as bytes."""
    return pack(b"FFLD", VERSION, folded, (0, 5), planes)


def decode_folded(data: bytes | memoryview) -> Folded:
    """Return what encode_folded() was given; raises Damaged for anything else."""
    arrays = unpack(b"FFLD", VERSION, data)
    if len(arrays) != 7 or len({len(part) for part in arrays[:5]}) != 1 or len(arrays[5]) != len(arrays[6]):
        raise Damaged("a keyframe that cannot be read")
    return Folded(*(part.astype(np.int64) for part in arrays))
