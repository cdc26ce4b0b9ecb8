"""Nodes of the summary tree as bytes.

A node is stored as two blocks, because most questions need only one: its series, and its cells (heat map, queues and
lanes). Leaves have a third: what their events left of the pages and queues that they touched.
"""

from __future__ import annotations

import numpy as np

from app.packing import pack, unpack
from engine.errors import Damaged
from engine.nodes import COUNTERS, GAUGES, Cells, Folded, Node, Words

VERSION = 1


def encode_series(node: Node) -> bytes:
    """Return the node's times and series as bytes."""
    s = node.series
    head = np.array([node.t0, node.t1, node.first_seq, node.events, s.low.shape[1]], np.int64)
    flat = (s.low.ravel(), (s.high - s.low).ravel(), s.area.ravel(), s.sums.ravel())
    return pack(b"FSER", VERSION, (head, s.before, s.after, *flat, s.steps_at, s.steps_to))


def encode_cells(node: Node) -> bytes:
    """Return the node's heat map, queues and lanes as bytes."""
    head = np.array([node.t0, node.t1, node.bins, len(node.heat), node.complete], np.int64)
    q, p = node.queues, node.lanes
    queues = (_rising(q.keys), q.counts, q.bins, q.low, q.high, q.last)
    lanes = (_rising(p.keys), p.counts, p.bins, p.high << 4 | p.last)
    return pack(b"FCEL", VERSION, (head, node.heat.ravel(), *queues, *lanes))


class SeriesPart:
    """A stored node's series. Arrays keep their stored, small types."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Raises Damaged for anything but encode_series()."""
        arrays = unpack(b"FSER", VERSION, data)
        if len(arrays) != 9 or len(arrays[0]) != 5:
            raise Damaged("a summary's series that cannot be read")
        self.t0, self.t1, self.first_seq, self.events, self.bins = (int(value) for value in arrays[0])
        try:
            low, more, self.area = (part.reshape(len(GAUGES), self.bins) for part in arrays[3:6])
            self.sums = arrays[6].reshape(len(COUNTERS), self.bins)
        except ValueError as error:
            raise Damaged("a summary's series that cannot be read") from error
        self.before, self.after = arrays[1], arrays[2]
        self.low = low.astype(np.int64)
        self.high = self.low + more
        self.steps_at, self.steps_to = arrays[7], arrays[8]

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.low, self.high, self.area, self.sums, self.steps_at, self.steps_to))


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
        self.queues = Cells(np.cumsum(arrays[2], dtype=np.int64), *arrays[3:8])
        states = arrays[11]
        none = np.zeros(0, np.int64)
        self.lanes = Cells(np.cumsum(arrays[8], dtype=np.int64), arrays[9], arrays[10], none, states >> 4, states & 15)

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.heat, *self.queues, *self.lanes))


def encode_folded(folded: Folded) -> bytes:
    """Return folded pages and queues (a keyframe, or a leaf's share of one) as bytes."""
    return pack(b"FFLD", VERSION, (_rising(folded.pages), *folded[1:5], _rising(folded.queues), folded.lengths))


def decode_folded(data: bytes | memoryview) -> Folded:
    """Return what encode_folded() was given; raises Damaged for anything else."""
    arrays = unpack(b"FFLD", VERSION, data)
    if len(arrays) != 7 or len({len(part) for part in arrays[:5]}) != 1 or len(arrays[5]) != len(arrays[6]):
        raise Damaged("a keyframe that cannot be read")
    pages, mapping, flags, waiters, marks, queues, lengths = (part.astype(np.int64) for part in arrays)
    return Folded(np.cumsum(pages), mapping, flags, waiters, marks, np.cumsum(queues), lengths)


def _rising(keys: Words) -> Words:
    return np.diff(keys, prepend=0)
