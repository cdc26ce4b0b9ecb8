"""The compiled half of a summary: one pass over a batch that folds pages, queues and tasks, and fills one leaf.

The state carried from batch to batch does not grow with the number of events: a cache line per page, a few words per
queue and per task. The longest queue (of all, and of each heat map row) is tracked by counting queues of each length.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from engine.events import BATCH, ENTRY, NONE, TRANSFER, UNPROTECTED, WALK, Kind
from engine.nodes import (
    COUNTERS,
    GAUGES,
    HEAT_ROWS,
    LEAF_CELL_BINS,
    LEAF_SERIES_BINS_A_CELL,
    Words,
    heat_fold,
    heat_rows,
)
from engine.page_state import MARK_SWAPPED, NUMBERS, page_after, severity_of
from engine.world.jit import inlined, jit
from engine.world.packers import reader

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
F_MERGED, F_UNMERGED, F_KSM_SCANS, F_KSM_SHARED, F_KSM_SHARING = range(46, 51)
MAPPED_FIGURES = FIGURES[F_FAULTS:]
"""Figures of page tables, protection and devices; runs without them leave these out."""

WAIT_BITS = 6
"""The histogram of waits cuts each octave into 2^6 equal steps: a percentile is at most 1/128 off (half a step)."""
WAIT_STEPS = (64 - WAIT_BITS) << WAIT_BITS
ROW_LENGTHS = 64
"""Heat rows count queues of each length below this; if the longest is longer and shrinks, the row is scanned."""

K_QUEUED, K_WOKEN, K_LEFT, K_WALK_ENDED = (
    int(k) for k in (Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left, Kind.walk_ended)
)
K_SWAPPED, K_RESTORED, K_TRUNCATED = int(Kind.mapping_swapped), int(Kind.mapping_restored), int(Kind.page_truncated)
K_LOST, K_BROKEN = int(Kind.events_lost), int(Kind.invariant_broken)
K_FAULT, K_REFUSED, K_FLUSHED, K_MKCLEANED, K_COPIED, K_PROTECTED, K_UNPROTECTED, K_PROTECT_REFUSED = (
    int(k)
    for k in (
        Kind.fault_taken,
        Kind.fault_refused,
        Kind.tlb_flushed,
        Kind.page_mkcleaned,
        Kind.page_copied,
        Kind.page_protected,
        Kind.page_unprotected,
        Kind.protect_refused,
    )
)
K_BLOCKED, K_RESUMED = int(Kind.fault_blocked), int(Kind.fault_resumed)
K_READ, K_MADE, K_DROPPED = int(Kind.device_read), int(Kind.copy_made), int(Kind.copy_dropped)
K_ATOMIC = int(Kind.device_atomic)
K_MERGED, K_UNMERGED, K_SCANNED = int(Kind.page_merged), int(Kind.page_unmerged), int(Kind.ksm_scanned)

_page_after, _severity_of = inlined(page_after), inlined(severity_of)
_queue, _length = reader(ENTRY, "queue"), reader(ENTRY, "length")
_walked, _matched, _woken = reader(WALK, "walked"), reader(WALK, "matched"), reader(WALK, "woken")
_strangers, _other_bit = reader(WALK, "strangers"), reader(WALK, "other_bit")
_bytes, _local = reader(TRANSFER, "bytes"), reader(TRANSFER, "local")
_taken_back, _held_ns = (reader(UNPROTECTED, name) for name in ("broken", "held_ns"))
FAULTS = (
    "",
    "a page that the cast does not have",
    "a queue that the cast does not have",
    "a task that the cast does not have",
    "a queue longer than there are tasks",
)


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


def make_state(first_mappings: Words, queues: int, tasks: int) -> State:
    """Return the state before the first event; first_mappings has one word per page."""
    n_pages, rows = len(first_mappings), heat_rows(queues)

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
        bins=zeros(SERIES_BINS, 3 * len(GAUGES) + len(COUNTERS)),
        heat=np.zeros((rows, CELL_BINS), np.int32),
        heat_last=np.zeros((rows, CELL_BINS), np.int32),
        lane_cells=np.zeros((BATCH, 4), np.int32),
        queue_cells=np.zeros((BATCH, 5), np.int32),
        changes=zeros(len(GAUGES), 2, BATCH),
        states=np.zeros(BATCH, np.uint8),
        edges=zeros(SERIES_BINS + 1),
    )
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


@inlined
def _gauge(s: State, which: int, bin: int, change: int, time: int, place: int) -> int:
    """Change a gauge at `time`, by the event at `place`; return its new value. The area counts every value as if it
    lasted to the bin's end; each change then adds its difference for the rest of the bin."""
    after = s.now[GAUGE + which] + change
    s.now[GAUGE + which] = after
    s.bins[bin, B_AREA + which] += change * (s.edges[bin + 1] - time)
    if after > s.bins[bin, B_HIGH + which]:
        s.bins[bin, B_HIGH + which] = after
    if after < s.bins[bin, B_LOW + which]:
        s.bins[bin, B_LOW + which] = after
    if which != G_WAITERS:  # derivable from the kinds of events alone
        n = s.now[CHANGED + which]
        s.changes[which, 0, n], s.changes[which, 1, n] = place, after
        s.now[CHANGED + which] = n + 1
    return int(after)


@inlined
def _open_bin(s: State, bin: int) -> None:
    """Start a bin of the series with the current gauge values."""
    span = s.edges[bin + 1] - s.edges[bin]
    for which in range(len(GAUGES)):
        value = s.now[GAUGE + which]
        s.bins[bin, B_LOW + which] = value
        s.bins[bin, B_HIGH + which] = value
        s.bins[bin, B_AREA + which] = value * span
    for which in range(len(COUNTERS)):
        s.bins[bin, B_SUM + which] = 0


@jit
def _row_longest(s: State, row: int, fold: int) -> int:
    """Return the longest queue of a heat row, by scanning all its queues."""
    longest = 0
    for queue in range(row * fold, min((row + 1) * fold, len(s.queues))):
        longest = max(longest, s.queues[queue, LENGTH])
    return longest


@inlined
def _set_length(s: State, queue: int, length: int, turn: int, bin: int, time: int, place: int) -> None:
    """Record a queue's new length; update its cell, its heat row and the longest queue. turn: 1 or -1 if the event
    alone shows that the queue became non-empty or empty, else 0."""
    before = s.queues[queue, LENGTH]
    cell_bin = bin // PER_CELL_BIN
    if s.queues[queue, Q_STAMP] != s.now[NEXT_STAMP] + cell_bin:
        cell = s.now[QUEUE_CELLS]
        s.now[QUEUE_CELLS] += 1
        s.queues[queue, Q_STAMP] = s.now[NEXT_STAMP] + cell_bin
        s.queues[queue, Q_CELL] = cell
        s.queue_cells[cell, KEY] = queue
        s.queue_cells[cell, BIN] = cell_bin
        s.queue_cells[cell, LOW] = before
        s.queue_cells[cell, HIGH] = before
    cell = s.queues[queue, Q_CELL]
    s.queue_cells[cell, LOW] = min(s.queue_cells[cell, LOW], length)
    s.queue_cells[cell, HIGH] = max(s.queue_cells[cell, HIGH], length)
    s.queue_cells[cell, LAST] = length
    s.queues[queue, LENGTH] = length

    s.of_length[before] -= 1
    s.of_length[length] += 1
    longest = s.now[GAUGE + G_LONGEST]
    after = max(longest, length)
    while after > 0 and s.of_length[after] == 0:
        after -= 1
    if after != longest:
        _gauge(s, G_LONGEST, bin, after - longest, time, place)
        s.figures[F_LONGEST_QUEUE] = max(s.figures[F_LONGEST_QUEUE], after)
    used = (1 if length > 0 else 0) - (1 if before > 0 else 0)
    if used != 0:
        _gauge(s, G_IN_USE, bin, used, time, place)
    if used != turn:
        s.now[UNREPORTED + G_IN_USE] += 1

    fold = (len(s.queues) + HEAT_ROWS - 1) // HEAT_ROWS
    row = queue // fold
    longest = s.row_longest[row]
    if s.heat[row, cell_bin] < 0:
        s.heat[row, cell_bin] = longest
    if before < ROW_LENGTHS:
        s.row_lengths[row, before] -= 1
    if length < ROW_LENGTHS:
        s.row_lengths[row, length] += 1
    if length >= longest:
        longest = length
    elif before == longest:
        if before < ROW_LENGTHS:
            while longest > 0 and s.row_lengths[row, longest] == 0:
                longest -= 1
        else:
            longest = _row_longest(s, row, fold)
    s.row_longest[row] = longest
    s.heat[row, cell_bin] = max(s.heat[row, cell_bin], longest)
    s.heat_last[row, cell_bin] = longest


@inlined
def _change_page(s: State, kind: int, page: int, a: int, b: int, time: int, bin: int, stamp: int, place: int) -> None:
    """Fold an event into its page, and record the page's state in this bin; stamp: identifies the bin."""
    mapping, flags = s.pages[page, MAPPING], s.pages[page, FLAGS]
    waiters, before = s.pages[page, WAITERS], s.pages[page, MARKS]
    if s.pages[page, STAMP] != stamp:
        cell = s.now[LANE_CELLS]
        s.now[LANE_CELLS] += 1
        s.pages[page, STAMP] = stamp
        s.pages[page, CELL] = cell
        s.lane_cells[cell, KEY] = page
        s.lane_cells[cell, BIN] = bin // PER_CELL_BIN
        s.lane_cells[cell, HIGH] = _severity_of(mapping, flags, waiters, before)
    mapping, flags, waiters, marks = _page_after(kind, a, b, mapping, flags, waiters, before)
    s.pages[page, MAPPING], s.pages[page, FLAGS] = mapping, flags
    s.pages[page, WAITERS], s.pages[page, MARKS] = waiters, marks
    s.pages[page, EVENTS] += 1
    if kind == K_QUEUED:
        s.pages[page, WAITS] += 1
    severity = _severity_of(mapping, flags, waiters, marks)
    s.states[place] = NUMBERS[severity]
    cell = s.pages[page, CELL]
    s.lane_cells[cell, HIGH] = max(s.lane_cells[cell, HIGH], severity)
    s.lane_cells[cell, LAST] = severity
    if marks == before and kind != K_SWAPPED and kind != K_RESTORED:
        return
    swaps = (marks & MARK_SWAPPED) - (before & MARK_SWAPPED)
    if swaps != (1 if kind == K_SWAPPED else 0) - (1 if kind == K_RESTORED else 0):
        s.now[UNREPORTED + G_SWAPPED] += 1
    if swaps != 0:
        swapped = _gauge(s, G_SWAPPED, bin, swaps, time, place)
        s.figures[F_SWAPPED_MAX] = max(s.figures[F_SWAPPED_MAX], swapped)


@inlined
def _note_wait(s: State, kind: int, task: int, time: int, change: int, bin: int, place: int) -> None:
    """Add a task to the waiters or remove it; count its wait when it ends."""
    waiting = _gauge(s, G_WAITERS, bin, change, time, place)
    if change > 0:
        s.queued_at[task] = time
        s.figures[F_WAITS] += 1
        s.figures[F_WAITERS_MAX] = max(s.figures[F_WAITERS_MAX], waiting)
        return
    if kind == K_LEFT:
        s.figures[F_GAVE_UP] += 1
    if s.queued_at[task] >= 0:
        wait = time - s.queued_at[task]
        s.queued_at[task] = -1
        s.figures[F_ENDED] += 1
        s.figures[F_WAIT_NS] += wait
        s.figures[F_WAIT_MAX] = max(s.figures[F_WAIT_MAX], wait)
        s.waits[wait_step(wait)] += 1


@inlined
def _note_walk(s: State, a: int, b: int, bin: int) -> None:
    walked, matched, woken, strangers = _walked(a, b), _matched(a, b), _woken(a, b), _strangers(a, b)
    s.bins[bin, C_WAKES] += 1
    s.bins[bin, C_WALKED] += walked
    s.bins[bin, C_MATCHED] += matched
    s.bins[bin, C_WOKEN] += woken
    s.bins[bin, C_STRANGERS] += strangers
    s.figures[F_WAKES] += 1
    s.figures[F_WALKED] += walked
    s.figures[F_MATCHED] += matched
    s.figures[F_WOKEN] += woken
    s.figures[F_STRANGERS] += strangers
    s.figures[F_OTHER] += _other_bit(a, b)
    s.figures[F_LONGEST_WALK] = max(s.figures[F_LONGEST_WALK], walked)


@jit
def _note_tables(s: State, kind: int, a: int, b: int) -> None:
    """Count an event of page tables, protection or devices."""
    f = s.figures
    if kind == K_FAULT:
        f[F_FAULTS] += 1
    elif kind == K_REFUSED:
        f[F_FAULTS_REFUSED] += 1
    elif kind == K_FLUSHED:
        f[F_FLUSHES] += 1
        f[F_CPUS] += b
    elif kind == K_MKCLEANED:
        f[F_CLEANED] += a
    elif kind == K_COPIED:
        f[F_COPIES] += 1
    elif kind == K_PROTECTED:
        f[F_PROTECTED] += 1
    elif kind == K_UNPROTECTED:
        f[F_PROTECTED_ENDED] += 1
        f[F_TAKEN_BACK] += _taken_back(a, b)
        f[F_PROTECTED_NS] += _held_ns(a, b)
    elif kind == K_PROTECT_REFUSED:
        f[F_PROTECT_REFUSED] += 1
    elif kind == K_BLOCKED:
        f[F_BLOCKED] += 1
    elif kind == K_RESUMED:
        f[F_RESUMED] += 1
        f[F_BLOCKED_NS] += a
        f[F_BLOCKED_MAX] = max(f[F_BLOCKED_MAX], a)
        s.blocked[wait_step(a)] += 1
    elif kind == K_READ:
        f[F_LOCAL_BYTES if _local(a, b) else F_LINK_BYTES] += _bytes(a, b)
    elif kind == K_MADE:
        f[F_COPIES_MADE] += 1
    elif kind == K_DROPPED:
        f[F_COPIES_DROPPED] += 1
    elif kind == K_ATOMIC:
        f[F_LOCAL_ATOMICS if _local(a, b) else F_LINK_ATOMICS] += 1
        f[F_ATOMIC_NS] += b
    elif kind == K_MERGED:
        f[F_MERGED] += 1
    elif kind == K_UNMERGED:
        f[F_UNMERGED] += 1
    elif kind == K_SCANNED:
        f[F_KSM_SCANS] += 1
        f[F_KSM_SHARED] = a
        f[F_KSM_SHARING] = b


@jit
def observe(s: State, times: Any, kinds: Any, tasks: Any, pages: Any, a_words: Any, b_words: Any, bins: int) -> int:
    """Fold a batch into a fresh leaf of `bins` bins with the edges in s.edges. Return an index into FAULTS."""
    n_pages, n_queues, n_tasks, longest = len(s.pages), len(s.queues), len(s.queued_at), len(s.of_length) - 1
    bin, begun, stamp, end = 0, 0, s.now[NEXT_STAMP], s.edges[1]
    _open_bin(s, 0)
    for i in range(len(times)):
        time, kind, a, b = times[i], kinds[i], a_words[i], b_words[i]
        if time >= end and bin + 1 < bins:
            s.bins[bin, C_EVENTS] = i - begun
            begun = i
            while bin + 1 < bins and time >= s.edges[bin + 1]:
                bin += 1
                _open_bin(s, bin)
            end = s.edges[bin + 1]
            stamp = s.now[NEXT_STAMP] + bin // PER_CELL_BIN
        page = pages[i]
        s.states[i] = 0
        if page != NONE:
            if page >= n_pages:
                return 1
            _change_page(s, kind, page, a, b, time, bin, stamp, i)
        if kind in (K_QUEUED, K_WOKEN, K_LEFT):
            queue, length = _queue(a, b), _length(a, b)
            if queue < 0 or queue >= n_queues:
                return 2
            if tasks[i] >= n_tasks:
                return 3
            if length > longest:
                return 4
            change = 1 if kind == K_QUEUED else -1
            turn = change if length == (1 if kind == K_QUEUED else 0) else 0
            _set_length(s, queue, length, turn, bin, time, i)
            _note_wait(s, kind, tasks[i], time, change, bin, i)
        elif kind == K_WALK_ENDED:
            _note_walk(s, a, b, bin)
        elif kind == K_SWAPPED:
            s.bins[bin, C_SWAPS_IN] += 1
            s.figures[F_SWAPS_IN] += 1
        elif kind == K_RESTORED:
            s.bins[bin, C_SWAPS_OUT] += 1
            s.figures[F_SWAPS_OUT] += 1
        elif kind == K_TRUNCATED:
            s.figures[F_TRUNCATED] += 1
        elif kind == K_LOST:
            if a < 0:
                s.figures[F_LOST_UNKNOWN] += 1
            else:
                s.figures[F_LOST] += a
        elif kind == K_BROKEN:
            if s.figures[F_BROKEN] == 0:
                s.figures[F_BROKEN_FIRST], s.figures[F_BROKEN_AT] = a, s.figures[F_EVENTS] + i
            s.figures[F_BROKEN] += 1
        elif kind >= K_FAULT:
            _note_tables(s, kind, a, b)
    s.bins[bin, C_EVENTS] = len(times) - begun
    while bin + 1 < bins:
        bin += 1
        _open_bin(s, bin)
    s.figures[F_EVENTS] += len(times)
    return 0


@jit
def fill_heat(s: State, rows_before: Any, bins: int) -> None:
    """Fill bins of the heat map in which nothing happened with the row's previous value."""
    for row in range(len(s.row_longest)):
        longest = rows_before[row]
        for bin in range(bins):
            if s.heat[row, bin] < 0:
                s.heat[row, bin] = longest
            else:
                longest = s.heat_last[row, bin]


@jit
def read_pages(pages: Any, rows: Any, out: Any) -> None:
    """Write the mapping, flags, waiters and marks of these rows of State.pages to out, shape (4, rows)."""
    for i in range(len(rows)):
        for column in range(4):
            out[column, i] = pages[rows[i], column]
