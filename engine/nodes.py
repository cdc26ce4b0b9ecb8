"""Contents of a summary of consecutive events: series in bins of time, and which queues and pages were touched when.

A node covers the time from the last event before it (`t0`; 0 for the first) to its own last event (`t1`), so that there
are no gaps between nodes. Bins divide that time as engine.raster.bin_edges does; the last one includes t1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.cast import Cast

GAUGES = ("waiters", "queue_longest", "queues_in_use", "pages_swapped")
"""Values over time: tasks in all queues, length of the longest queue, queues not empty, pages swapped now.

Summaries are stored with these names and those of the counters; one that has more or fewer can still be opened.
"""
COUNTERS = ("swaps_in", "swaps_out", "wakes", "walked", "matched", "woken", "strangers", "events")
"""Amounts that occur at an instant."""
MAPPED_GAUGES = ("pages_protected", "copies_held", "accesses_blocked", "ksm_pages", "ksm_sharing")
"""In runs with page tables: pages that a device has protected, copies of pages in devices, accesses that wait for a
protected page, KSM pages, entries that share one besides the first of each."""
MAPPED_COUNTERS = ("faults", "flushes", "cpus_interrupted", "pages_copied", "atomics", "atomic_ns")
DEVICE_COUNTERS = ("link_bytes", "local_bytes")
"""Of each device, with its row: link_bytes_0, local_bytes_0, link_bytes_1 .."""


class Names(NamedTuple):
    """Gauges and counters of a run."""

    gauges: tuple[str, ...]
    counters: tuple[str, ...]


def more_names(cast: Cast) -> Names:
    """Return the gauges and counters that a run has besides GAUGES and COUNTERS: none without page tables."""
    if not cast.mapped:
        return Names((), ())
    devices = (f"{name}_{row}" for row in range(cast.devices) for name in DEVICE_COUNTERS)
    return Names(MAPPED_GAUGES, (*MAPPED_COUNTERS, *devices))


LEAF_CELL_BINS = 64
LEAF_SERIES_BINS_A_CELL = 8
LEAF_EVENTS_A_CELL = 128
"""A leaf with fewer events has fewer bins: a bin of its series holds about 16 on average."""
NODE_CELL_BINS, NODE_SERIES_BINS = 64, 2048
FAN = 16
"""Children of a node."""
HEAT_ROWS = 256
"""Max. rows of the heat map; queue q is in row q // heat_fold(queues)."""

Words = NDArray[np.int64]
Ints = NDArray[Any]


def heat_fold(queues: int) -> int:
    """Return how many queues share a row of the heat map."""
    return max(1, -(-queues // HEAT_ROWS))


def heat_rows(queues: int) -> int:
    """Return how many rows the heat map has for this number of queues."""
    return -(-max(queues, 1) // heat_fold(queues))


def leaf_bins(events: Ints | int, span_ns: Ints | int) -> tuple[Ints, Ints]:
    """Return how many bins the cells and the series of leaves have: fewer for a leaf with few events or little time."""
    most = np.minimum(np.asarray(events) // LEAF_EVENTS_A_CELL, np.asarray(span_ns) // LEAF_SERIES_BINS_A_CELL)
    cells = np.clip(most, 1, LEAF_CELL_BINS)
    return cells, cells * LEAF_SERIES_BINS_A_CELL


def leaf_bins_of(events: int, span_ns: int) -> tuple[int, int]:
    """Return leaf_bins() of one leaf, as plain ints."""
    cells = max(1, min(LEAF_CELL_BINS, events // LEAF_EVENTS_A_CELL, span_ns // LEAF_SERIES_BINS_A_CELL))
    return cells, cells * LEAF_SERIES_BINS_A_CELL


def node_bins(span_ns: Ints | int) -> tuple[Ints, Ints]:
    """Return how many bins the cells and the series of nodes above the leaves have: none is shorter than 1 ns."""
    return np.clip(span_ns, 1, NODE_CELL_BINS), np.clip(span_ns, 1, NODE_SERIES_BINS)


class Series(NamedTuple):
    """Gauges and counters in bins of time."""

    before: Words
    """Gauges at the node's start, shape (gauges,), in the order of GAUGES."""
    after: Words
    """Gauges after its last event, shape (gauges,)."""
    low: Words
    """Minimum of each gauge in each bin, shape (gauges, bins)."""
    high: Words
    area: Words
    """Each gauge's integral over each bin, in ns."""
    sums: Words
    """Each counter's sum, shape (counters, bins)."""


class Changes(NamedTuple):
    """A gauge over one chunk, event by event."""

    at: Words
    """Positions in the chunk of the events that changed it, ascending."""
    to: Words
    """Its value after each of them."""


class Cells(NamedTuple):
    """Bins in which something happened to a key (a queue: its length; a page: the severity of its state, an index into
    engine.page_state.SEVERITY); sorted by key, then bin.

    The value at the beginning of the bin counts too. A key without a cell in a bin kept its last value.
    """

    keys: Ints
    """Distinct keys, ascending, shape (k,)."""
    counts: Ints
    """Cells of each key, shape (k,)."""
    bins: Ints
    """Shape (cells,)."""
    low: Ints
    """Queues only; no values for pages."""
    high: Ints
    last: Ints


class Node(NamedTuple):
    """One summary. Its cells and heat map have `bins` bins of time, its series 8 to 32 times as many."""

    t0: int
    t1: int
    first_seq: int
    events: int
    bins: int
    series: Series
    heat: NDArray[np.int32]
    """Longest queue of each row in each bin, shape (rows, bins)."""
    queues: Cells
    lanes: Cells
    complete: bool
    """Whether queues and lanes hold every key touched; nodes high in the tree keep only the busiest keys."""
    changes: Mapping[str, Changes]
    """Leaves only: gauges that cannot be derived from the words of the chunk's events alone."""


class Folded(NamedTuple):
    """Pages at an instant: all that differ from the start of the run (a keyframe), or those just touched."""

    pages: Words
    """Rows, ascending, shape (n,)."""
    mapping: Words
    flags: Words
    waiters: Words
    marks: Words
    """Bits: MARK_SWAPPED, MARK_TRUNCATED of engine.page_state."""
    queues: Words
    """Queues, ascending: in a keyframe those that are not empty, shape (m,)."""
    lengths: Words
