"""Nodes of the summary tree as bytes.

A node is stored as two blocks, because most questions need only one: its series, and its cells (heat map, queues and
lanes). Leaves have a third: what their events left of the pages and queues that they touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from app.packing import Planes, pack, unpack, version_of
from engine.errors import Damaged
from engine.nodes import (
    COUNTERS,
    DEVICE_COUNTERS,
    GAUGES,
    MAPPED_COUNTERS,
    MAPPED_GAUGES,
    Cells,
    Changes,
    Folded,
    Ints,
    Names,
    Node,
    Words,
)
from engine.page_state import NUMBERS, SEVERITIES
from engine.raster import bin_instants, running

NO_MORE = Names((), ())
NEVER = np.iinfo(np.int64).max
"""Least value of a gauge that is not known: any other is less."""

VERSION = 2
"""Of all blocks. Version 1, of program 0.1.0: gauges and counters without names, lanes with two states in a byte."""
_NAMED_1 = (
    ("waiters", "queue_longest", "queues_in_use", "pages_swapped"),
    ("swaps_in", "swaps_out", "wakes", "walked", "matched", "woken", "strangers", "events"),
    ("queue_longest",),
)
_SERIES, _CELLS, _FOLDED = b"FSER", b"FCEL", b"FFLD"


def encode_series(node: Node, planes: Planes | None = None, more: Names = NO_MORE) -> bytes:
    """Return the node's times and series as bytes, its gauges and counters by their names; more: those that it has
    besides the ones of every run.
    """
    s = node.series
    head = np.array([node.t0, node.t1, node.first_seq, node.events, s.low.shape[1]], np.int64)
    flat = (s.low.ravel(), (s.high - s.low).ravel(), s.area.ravel(), s.sums.ravel())
    names = _names(GAUGES + more.gauges, COUNTERS + more.counters, tuple(node.changes))
    arrays = [head, names, s.before, s.after, *flat]
    first = len(arrays)
    for changes in node.changes.values():
        arrays += changes
    return pack(_SERIES, VERSION, arrays, range(first, len(arrays), 2), planes)


@cache
def _names(*groups: tuple[str, ...]) -> Words:
    """Return groups of names as an array: their letters, a space behind each name but the last, a line a group."""
    return np.frombuffer("\n".join(" ".join(group) for group in groups).encode(), np.uint8).astype(np.int64)


def _named(letters: Ints) -> tuple[tuple[str, ...], ...]:
    """Return the groups of _names()."""
    return tuple(tuple(line.split()) for line in bytes(letters.astype(np.uint8)).decode().split("\n"))


def encode_cells(node: Node, planes: Planes | None = None) -> bytes:
    """Return the node's heat map, queues and lanes as bytes; pages' states by their stored numbers."""
    head = np.array([node.t0, node.t1, node.bins, len(node.heat), node.complete], np.int64)
    q, p = node.queues, node.lanes
    queues = (q.keys, q.counts, q.bins, q.low, q.high, q.last)
    lanes = (p.keys, p.counts, p.bins, NUMBERS[p.high], NUMBERS[p.last])
    return pack(_CELLS, VERSION, (head, node.heat.ravel(), *queues, *lanes), (2, 8), planes)


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
    """A stored node's series: the gauges and counters of today's tables, those that it lacks left empty, and then those
    of page tables that it was stored with (engine.nodes.more_names).
    """

    def __init__(self, data: bytes | memoryview) -> None:
        """Raises Damaged for anything but encode_series()."""
        version = version_of(_SERIES, VERSION, data)
        arrays = unpack(_SERIES, version, data)
        try:
            gauges, counters, changed = _NAMED_1 if version == 1 else _named(arrays.pop(1))
            head, before, after, low, more, area, sums = arrays[:7]
            self.t0, self.t1, self.first_seq, self.events, self.bins = (int(value) for value in head)
            low, more, area = (part.reshape(len(gauges), self.bins) for part in (low, more, area))
            sums = sums.reshape(len(counters), self.bins)
            pairs = zip(changed, arrays[7::2], arrays[8::2], strict=True)
            self.changes = {name: Changes(at, to) for name, at, to in pairs}
            self.gauges = (*GAUGES, *(name for name in gauges if name in MAPPED_GAUGES))
            further = (name for name in counters if name in MAPPED_COUNTERS or name.startswith(DEVICE_COUNTERS))
            self.counters = (*COUNTERS, *further)
            self.before, self.after = (_rows(part, gauges, self.gauges, 0) for part in (before, after))
        except (ValueError, IndexError) as error:
            raise Damaged("a summary's series that cannot be read") from error
        self.lacks = frozenset((*GAUGES, *COUNTERS)) - {*gauges, *counters}
        """Gauges and counters of today that it was stored without."""
        self.dated = version == 1
        """Stored by program 0.1.0: `changes` never tells pages_swapped."""
        first, last = bin_instants(self.t0, self.t1, self.bins)
        self.cuts = np.append(first, self.t1)
        self.areas = running(_rows(area, gauges, self.gauges, 0))
        self.counts = running(_rows(sums, counters, self.counters, 0))
        """Running sums of the gauges' areas and of the counters, shapes (gauges, bins + 1) and (counters, bins + 1)."""
        low = low.astype(np.int64)
        high = _rows(low + more, gauges, self.gauges, -1)
        self._of_size = {self.bins: Extremes(first, last, _rows(low, gauges, self.gauges, NEVER), high)}

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
        steady = [self.cuts, self.areas, self.counts, *(part for pair in self.changes.values() for part in pair)]
        return sum(part.nbytes for part in (*steady, *self._of_size[self.bins], *self._of_size[self.bins]))


def _rows(stored: Ints, names: Sequence[str], wanted: Sequence[str], without: int) -> Words:
    """Return the rows `wanted` of an array whose rows have these names; `without` fills a row that it lacks."""
    rows = np.full((len(wanted), *stored.shape[1:]), without, np.int64)
    for at, name in enumerate(wanted):
        if name in names:
            rows[at] = stored[names.index(name)]
    return rows


class CellsPart:
    """A stored node's heat map, queues and lanes. Arrays keep their stored, small types; keys are int64.

    The lanes hold severities (places in engine.page_state.SEVERITY), so the highest is the worst.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        """Raises Damaged for anything but encode_cells()."""
        version = version_of(_CELLS, VERSION, data)
        arrays = unpack(_CELLS, version, data)
        if len(arrays) != (12 if version == 1 else 13) or len(arrays[0]) != 5:
            raise Damaged("a summary's cells that cannot be read")
        self.t0, self.t1, self.bins, rows, complete = (int(value) for value in arrays[0])
        self.complete = bool(complete)
        try:
            self.heat = arrays[1].reshape(rows, self.bins)
        except ValueError as error:
            raise Damaged("a summary's cells that cannot be read") from error
        self.queues = Cells(*arrays[2:8])
        high, last = (arrays[11] >> 4, arrays[11] & 15) if version == 1 else arrays[11:]
        none = np.zeros(0, np.int64)
        keys, counts, bins = arrays[8:11]
        self.lanes = Cells(keys, counts, bins, none, SEVERITIES[high], SEVERITIES[last])

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.heat, *self.queues, *self.lanes))


def encode_folded(folded: Folded, planes: Planes | None = None) -> bytes:
    """Return folded pages and queues (a keyframe, or a leaf's share of one) as bytes."""
    return pack(_FOLDED, VERSION, folded, (0, 5), planes)


def decode_folded(data: bytes | memoryview) -> Folded:
    """Return what encode_folded() was given; raises Damaged for anything else."""
    arrays = unpack(_FOLDED, version_of(_FOLDED, VERSION, data), data)
    if len(arrays) != 7 or len({len(part) for part in arrays[:5]}) != 1 or len(arrays[5]) != len(arrays[6]):
        raise Damaged("a keyframe that cannot be read")
    return Folded(*(part.astype(np.int64) for part in arrays))
