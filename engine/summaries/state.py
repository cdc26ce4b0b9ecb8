"""State: what a summary carries from batch to batch, and the leaf being filled; the columns of its arrays.

It does not grow with the number of events: a cache line per page, a few words per queue and per task.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from engine.events import BATCH
from engine.nodes import (
    COUNTERS,
    GAUGES,
    LEAF_CELL_BINS,
    LEAF_SERIES_BINS_A_CELL,
    Names,
    Words,
    heat_fold,
    heat_rows,
)
from engine.world.jit import inlined

PER_CELL_BIN = LEAF_SERIES_BINS_A_CELL
CELL_BINS = LEAF_CELL_BINS
SERIES_BINS = CELL_BINS * PER_CELL_BIN

# Columns of State.pages, one cache line per page.
MAPPING, FLAGS, WAITERS, MARKS, STAMP, CELL, EVENTS, WAITS = range(8)
# Columns of State.queues.
LENGTH, Q_STAMP, Q_CELL = range(3)
# Columns of the cells: page or queue, bin, and the values seen in it (pages have no LOW).
KEY, BIN, HIGH, LAST, LOW = range(5)
# Columns of State.bins: for each gauge its lowest and highest value and its area, then the counters. Values written
# together are adjacent: with one row per column, 20 places 2 KiB apart would compete for two sets of the cache.
B_LOW, B_HIGH, B_AREA, B_SUM = range(0, 4 * len(GAUGES), len(GAUGES))
G_WAITERS, G_LONGEST, G_IN_USE, G_SWAPPED = (
    GAUGES.index(name) for name in ("waiters", "queue_longest", "queues_in_use", "pages_swapped")
)
C_SWAPS_IN, C_SWAPS_OUT, C_WAKES, C_WALKED, C_MATCHED, C_WOKEN, C_STRANGERS, C_EVENTS = (
    B_SUM + COUNTERS.index(name)
    for name in ("swaps_in", "swaps_out", "wakes", "walked", "matched", "woken", "strangers", "events")
)
B_MORE = B_SUM + len(COUNTERS)
"""From here on, in runs with page tables, the same four parts for MAPPED_GAUGES and the counters that go with them."""
# Places in State.now; from CHANGED on, each name has one place per gauge.
TIME, NEXT_STAMP, LANE_CELLS, QUEUE_CELLS, CHANGED = range(5)
UNREPORTED, GAUGE = CHANGED + len(GAUGES), CHANGED + 2 * len(GAUGES)
"""CHANGED: changes in this batch. UNREPORTED: how many of those the event's words do not show. GAUGE: its value."""
FIGURES = (
    "events",
    "wakes",
    "walked",
    "matched",
    "woken",
    "other_bit",
    "longest_walk",
    "longest_queue",
    "waiters_max",
    "pages_swapped_max",
    "swaps_in",
    "swaps_out",
    "waits",
    "gave_up",
    "waits_ended",
    "wait_ns_sum",
    "wait_ns_max",
    "truncated",
    "lost",
    "lost_unknown",
    "broken",
    "broken_first",
    "broken_at",
    "strangers",
    "faults",
    "faults_refused",
    "flushes",
    "cpus_interrupted",
    "entries_cleaned",
    "copies",
    "protected",
    "protected_ended",
    "taken_back",
    "protected_ns_sum",
    "protect_refused",
    "blocked",
    "resumed",
    "blocked_ns_sum",
    "blocked_ns_max",
    "link_bytes",
    "local_bytes",
    "copies_made",
    "copies_dropped",
    "link_atomics",
    "local_atomics",
    "atomic_ns_sum",
    "merged",
    "unmerged",
    "ksm_scans",
    "ksm_shared",
    "ksm_sharing",
    "atomic_retries",
    "migrated",
)
"""Names of State.figures, in order; broken_first, broken_at: invariant and event number of the first violation."""
F_EVENTS, F_WAKES, F_WALKED, F_MATCHED, F_WOKEN, F_OTHER, F_LONGEST_WALK, F_LONGEST_QUEUE = range(8)
F_WAITERS_MAX, F_SWAPPED_MAX, F_SWAPS_IN, F_SWAPS_OUT, F_WAITS, F_GAVE_UP, F_ENDED, F_WAIT_NS = range(8, 16)
F_WAIT_MAX, F_TRUNCATED, F_LOST, F_LOST_UNKNOWN = range(16, 20)
F_BROKEN, F_BROKEN_FIRST, F_BROKEN_AT, F_STRANGERS = range(20, 24)
F_FAULTS, F_FAULTS_REFUSED, F_FLUSHES, F_CPUS, F_CLEANED, F_COPIES, F_PROTECTED, F_PROTECTED_ENDED = range(24, 32)
F_TAKEN_BACK, F_PROTECTED_NS, F_PROTECT_REFUSED, F_BLOCKED, F_RESUMED, F_BLOCKED_NS, F_BLOCKED_MAX = range(32, 39)
F_LINK_BYTES, F_LOCAL_BYTES, F_COPIES_MADE, F_COPIES_DROPPED, F_LINK_ATOMICS, F_LOCAL_ATOMICS, F_ATOMIC_NS = range(
    39, 46
)
F_MERGED, F_UNMERGED, F_KSM_SCANS, F_KSM_SHARED, F_KSM_SHARING, F_ATOMIC_RETRIES, F_MIGRATED = range(46, 53)
MAPPED_FIGURES = FIGURES[F_FAULTS:]
"""Figures of page tables, protection and devices; runs without them leave these out."""

WAIT_BITS = 6
"""The histogram of waits cuts each octave into 2^6 equal steps: a percentile is at most 1/128 off (half a step)."""
WAIT_STEPS = (64 - WAIT_BITS) << WAIT_BITS
ROW_LENGTHS = 64
"""Heat rows count queues of each length below this; if the longest is longer and shrinks, the row is scanned."""


class State(NamedTuple):
    """All state carried from batch to batch, and the leaf being filled."""

    now: Any  # int64 (GAUGE + gauges,)
    figures: Any  # int64 (figures,)
    pages: Any  # int64 (pages, 8)
    queues: Any  # int64 (queues, 3)
    queued_at: Any  # int64 (tasks,): when the task queued, or -1
    of_length: Any  # int64: number of queues of each length
    row_longest: Any  # int64 (rows,): longest queue of each row of the heat map
    row_lengths: Any  # int64 (rows, ROW_LENGTHS): number of the row's queues of each length
    waits: Any  # int64 (WAIT_STEPS,): waits by log-linear step
    blocked: Any  # int64 (WAIT_STEPS,): likewise, of writers that met a protected page
    bins: Any  # int64 (SERIES_BINS, 3 * gauges + counters)
    heat: Any  # int32 (rows, CELL_BINS): -1 where nothing happened
    heat_last: Any
    lane_cells: Any  # int32 (BATCH, 4)
    queue_cells: Any  # int32 (BATCH, 5)
    changes: Any  # int64 (gauges, 2, BATCH): places of the events that changed a gauge, and its value after each
    states: Any  # uint8 (BATCH,): stored number of the page's state after each event, 0 for one without a page
    edges: Any  # int64 (SERIES_BINS + 1,)
    more: Any  # int64 (more gauges,): those of page tables, now; none in runs without them, nor in the arrays below
    more_changed: Any  # int64 (more gauges,): changes in this batch
    more_changes: Any  # int64 (more gauges, 2, BATCH): as `changes`
    mapcounts: Any  # int64 (pages,): entries that map each page


def make_state(first_mappings: Words, queues: int, tasks: int, more: Names, anonymous: int) -> State:
    """Return the state before the first event; first_mappings has one word per page.

    more: further gauges and counters of a run with page tables; anonymous: how many of the first pages are mapped once.
    """
    n_pages, rows, n_more = len(first_mappings), heat_rows(queues), len(more.gauges)

    def zeros(*shape: int) -> Words:
        return np.zeros(shape, np.int64)

    s = State(
        now=zeros(GAUGE + len(GAUGES)),
        figures=zeros(len(FIGURES)),
        pages=zeros(n_pages, 8),
        queues=zeros(queues, 3),
        queued_at=np.full(tasks, -1, np.int64),
        of_length=zeros(tasks + 1),
        row_longest=zeros(rows),
        row_lengths=zeros(rows, ROW_LENGTHS),
        waits=zeros(WAIT_STEPS),
        blocked=zeros(WAIT_STEPS),
        bins=zeros(SERIES_BINS, B_MORE + 3 * n_more + len(more.counters)),
        heat=np.zeros((rows, CELL_BINS), np.int32),
        heat_last=np.zeros((rows, CELL_BINS), np.int32),
        lane_cells=np.zeros((BATCH, 4), np.int32),
        queue_cells=np.zeros((BATCH, 5), np.int32),
        changes=zeros(len(GAUGES), 2, BATCH),
        states=np.zeros(BATCH, np.uint8),
        edges=zeros(SERIES_BINS + 1),
        more=zeros(n_more),
        more_changed=zeros(n_more),
        more_changes=zeros(n_more, 2, BATCH if n_more else 0),
        mapcounts=zeros(n_pages if n_more else 0),
    )
    s.mapcounts[:anonymous] = 1
    s.pages[:, MAPPING] = first_mappings
    s.of_length[0] = queues
    s.row_lengths[:, 0] = np.bincount(np.arange(queues) // heat_fold(queues))
    s.now[NEXT_STAMP] = 1
    return s


@inlined
def wait_step(wait: int) -> int:
    """Return the histogram step of a wait: below 2^6 a step is 1 ns; above, an octave has 2^6 steps."""
    shift = 0
    while wait >> shift >= 2 << WAIT_BITS:
        shift += 1
    return (shift << WAIT_BITS) + (wait >> shift)
