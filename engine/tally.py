"""The compiled half of a summary: one pass over a batch that folds pages, queues and tasks, and fills one leaf.

What is carried from batch to batch never grows with the number of events: a cache line a page, a few words a queue and
a task. Longest queues (of all, and of each row of the heat map) are kept by counting queues of each length.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from engine.events import (
    BATCH,
    NO_WAITERS_FLAG,
    NONE,
    PG_DIRTY,
    PG_LOCKED,
    PG_WAITERS,
    PG_WRITEBACK,
    WQ_DONE,
    Kind,
    PageState,
)
from engine.jit import inlined, jit
from engine.nodes import (
    COUNTERS,
    GAUGES,
    HEAT_ROWS,
    LEAF_CELL_BINS,
    LEAF_SERIES_BINS_A_CELL,
    MARK_SWAPPED,
    MARK_TRUNCATED,
    Words,
    heat_fold,
    heat_rows,
)

PER_CELL_BIN = LEAF_SERIES_BINS_A_CELL
CELL_BINS = LEAF_CELL_BINS
SERIES_BINS = CELL_BINS * PER_CELL_BIN

# Columns of State.pages, one cache line a page.
MAPPING, FLAGS, WAITERS, MARKS, STAMP, CELL, EVENTS, WAITS = range(8)
# Columns of State.queues.
LENGTH, Q_STAMP, Q_CELL = range(3)
# Columns of the cells: what a cell belongs to, when, and what was seen (pages have no LOW).
KEY, BIN, HIGH, LAST, LOW = range(5)
# Columns of State.bins: for each gauge its least and highest value and its area, then the counters. What is written
# together lies together: as rows of their own, 20 places 2 KiB apart would fight for two sets of the cache.
B_LOW, B_HIGH, B_AREA, B_SUM = range(0, 16, 4)
# Places in State.now.
TIME, LONGEST, IN_USE, SWAPPED, WAITING, NEXT_STAMP, LANE_CELLS, QUEUE_CELLS, STEPS = range(9)
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
)
"""What State.figures counts, in its order; broken_first, broken_at: invariant and event number of the first of them."""
F_EVENTS, F_WAKES, F_WALKED, F_MATCHED, F_WOKEN, F_OTHER, F_LONGEST_WALK, F_LONGEST_QUEUE = range(8)
F_WAITERS_MAX, F_SWAPPED_MAX, F_SWAPS_IN, F_SWAPS_OUT, F_WAITS, F_GAVE_UP, F_ENDED, F_WAIT_NS = range(8, 16)
F_WAIT_MAX, F_TRUNCATED, F_LOST, F_LOST_UNKNOWN = range(16, 20)
F_BROKEN, F_BROKEN_FIRST, F_BROKEN_AT = range(20, 23)

WAIT_BITS = 6
"""The histogram of waits cuts each octave into 2^6 equal steps: a percentile is at most 1/128 off (half a step)."""
WAIT_STEPS = (64 - WAIT_BITS) << WAIT_BITS
ROW_LENGTHS = 64
"""Queues of a heat row are counted by length up to here; a longer one is searched for when it shrinks."""

K_QUEUED, K_WOKEN, K_LEFT, K_WALK_ENDED = (
    int(k) for k in (Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left, Kind.walk_ended)
)
K_SWAPPED, K_RESTORED = int(Kind.mapping_swapped), int(Kind.mapping_restored)
K_INSERTED, K_REMOVED, K_TRUNCATED = int(Kind.page_inserted), int(Kind.page_removed), int(Kind.page_truncated)
K_FREED, K_SEEN, K_LOST = int(Kind.page_freed), int(Kind.page_seen), int(Kind.events_lost)
K_BROKEN = int(Kind.invariant_broken)
FLAG_KINDS = np.zeros(256, np.bool_)
"""Kinds whose word a is page->flags after."""
for _kind in (
    Kind.page_locked, Kind.page_unlocked, Kind.writeback_started, Kind.writeback_ended, Kind.page_dirtied,
    Kind.page_cleaned, Kind.page_uptodate, Kind.waiters_flag_set, Kind.waiters_flag_cleared,
):  # fmt: skip
    FLAG_KINDS[_kind] = True
STATE_TRUNCATED, STATE_WRITEBACK, STATE_SWAPPED = (
    int(s) for s in (PageState.truncated, PageState.writeback, PageState.swapped)
)
STATE_WAITED_ON, STATE_LOCKED, STATE_DIRTY, STATE_CLEAN = (
    int(s) for s in (PageState.waited_on, PageState.locked, PageState.dirty, PageState.clean)
)
FAULTS = (
    "",
    "a page that the cast does not have",
    "a queue that the cast does not have",
    "a task that the cast does not have",
    "a queue longer than there are tasks",
)


class State(NamedTuple):
    """All that is carried from batch to batch, and the leaf under way."""

    now: Any  # int64 (9,)
    figures: Any  # int64 (20,)
    pages: Any  # int64 (pages, 8)
    queues: Any  # int64 (queues, 3)
    queued_at: Any  # int64 (tasks,): when the task queued, or -1
    of_length: Any  # int64: queues that have that length
    row_longest: Any  # int64 (rows,): longest queue of each row of the heat map
    row_lengths: Any  # int64 (rows, ROW_LENGTHS): queues of the row that have that length
    waits: Any  # int64 (WAIT_STEPS,): waits by log-linear step
    flag_kinds: Any  # bool (256,)
    bins: Any  # int64 (SERIES_BINS, 20)
    heat: Any  # int32 (rows, CELL_BINS): -1 where nothing happened
    heat_last: Any
    lane_cells: Any  # int32 (BATCH, 4)
    queue_cells: Any  # int32 (BATCH, 5)
    steps: Any  # int64 (2, BATCH)
    edges: Any  # int64 (SERIES_BINS + 1,)


def make_state(first_mappings: Words, queues: int, tasks: int) -> State:
    """Return the state before the first event; first_mappings has one word a page."""
    n_pages, rows = len(first_mappings), heat_rows(queues)

    def zeros(*shape: int) -> Words:
        return np.zeros(shape, np.int64)

    s = State(
        now=zeros(9),
        figures=zeros(len(FIGURES)),
        pages=zeros(n_pages, 8),
        queues=zeros(queues, 3),
        queued_at=np.full(tasks, -1, np.int64),
        of_length=zeros(tasks + 1),
        row_longest=zeros(rows),
        row_lengths=zeros(rows, ROW_LENGTHS),
        waits=zeros(WAIT_STEPS),
        flag_kinds=FLAG_KINDS,
        bins=zeros(SERIES_BINS, 3 * len(GAUGES) + len(COUNTERS)),
        heat=np.zeros((rows, CELL_BINS), np.int32),
        heat_last=np.zeros((rows, CELL_BINS), np.int32),
        lane_cells=np.zeros((BATCH, 4), np.int32),
        queue_cells=np.zeros((BATCH, 5), np.int32),
        steps=zeros(2, BATCH),
        edges=zeros(SERIES_BINS + 1),
    )
    s.pages[:, MAPPING] = first_mappings
    s.of_length[0] = queues
    s.row_lengths[:, 0] = np.bincount(np.arange(queues) // heat_fold(queues))
    s.now[NEXT_STAMP] = 1
    return s


@inlined
def wait_step(wait: int) -> int:
    """Below 2^6 a step is 1 ns; above, an octave has 2^6 steps."""
    shift = 0
    while wait >> shift >= 2 << WAIT_BITS:
        shift += 1
    return (shift << WAIT_BITS) + (wait >> shift)


STATES = np.array([i.bit_length() for i in range(128)], np.uint8)
"""The PageState by what applies, a bit each in order of severity: the worst shows. Looked up, because branches on what
pages happen to be are mostly guessed wrong."""


@inlined
def _page_state(s: State, page: int) -> int:
    flags, marks = s.pages[page, FLAGS], s.pages[page, MARKS]
    applies = 1 if s.pages[page, MAPPING] != 0 else 0
    applies |= (flags >> PG_DIRTY & 1) << STATE_DIRTY - 1 | (flags >> PG_LOCKED & 1) << STATE_LOCKED - 1
    applies |= (1 if s.pages[page, WAITERS] > 0 else 0) << STATE_WAITED_ON - 1
    applies |= (flags >> PG_WRITEBACK & 1) << STATE_WRITEBACK - 1
    applies |= (1 if marks & MARK_SWAPPED else 0) << STATE_SWAPPED - 1
    applies |= (1 if marks & MARK_TRUNCATED else 0) << STATE_TRUNCATED - 1
    return int(STATES[applies])


@inlined
def _gauge(s: State, which: int, bin: int, value: int, change: int, time: int) -> None:
    """Say that a gauge leaves `value` by `change` at `time`. The area is kept as if every value lasted to the bin's
    end: each change adds its own rest."""
    after = value + change
    s.bins[bin, B_AREA + which] += change * (s.edges[bin + 1] - time)
    if after > s.bins[bin, B_HIGH + which]:
        s.bins[bin, B_HIGH + which] = after
    if after < s.bins[bin, B_LOW + which]:
        s.bins[bin, B_LOW + which] = after


@inlined
def _open_bin(s: State, bin: int) -> None:
    """Begin a bin of the series with what holds now."""
    span = s.edges[bin + 1] - s.edges[bin]
    for which in range(4):
        value = s.now[WAITING]
        if which == 1:
            value = s.now[LONGEST]
        elif which == 2:
            value = s.now[IN_USE]
        elif which == 3:
            value = s.now[SWAPPED]
        s.bins[bin, B_LOW + which] = value
        s.bins[bin, B_HIGH + which] = value
        s.bins[bin, B_AREA + which] = value * span
    for which in range(8):
        s.bins[bin, B_SUM + which] = 0


@jit
def _row_longest(s: State, row: int, fold: int) -> int:
    """Return the longest queue of a heat row, by looking at all of them."""
    longest = 0
    for queue in range(row * fold, min((row + 1) * fold, len(s.queues))):
        longest = max(longest, s.queues[queue, LENGTH])
    return longest


@inlined
def _set_length(s: State, queue: int, length: int, bin: int, time: int, place: int) -> None:
    """A queue has another length: count it, and note cell, heat row and longest queue."""
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
    longest = s.now[LONGEST]
    after = max(longest, length)
    while after > 0 and s.of_length[after] == 0:
        after -= 1
    if after != longest:
        _gauge(s, 1, bin, longest, after - longest, time)
        s.now[LONGEST] = after
        s.figures[F_LONGEST_QUEUE] = max(s.figures[F_LONGEST_QUEUE], after)
        s.steps[0, s.now[STEPS]] = place
        s.steps[1, s.now[STEPS]] = after
        s.now[STEPS] += 1
    used = (1 if length > 0 else 0) - (1 if before > 0 else 0)
    if used != 0:
        _gauge(s, 2, bin, s.now[IN_USE], used, time)
        s.now[IN_USE] += used

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
def _touch(s: State, page: int, stamp: int, cell_bin: int) -> int:
    """Return the page's cell in this bin, made if there is none; stamp: the bin's own."""
    if s.pages[page, STAMP] != stamp:
        cell = s.now[LANE_CELLS]
        s.now[LANE_CELLS] += 1
        s.pages[page, STAMP] = stamp
        s.pages[page, CELL] = cell
        s.lane_cells[cell, KEY] = page
        s.lane_cells[cell, BIN] = cell_bin
        s.lane_cells[cell, HIGH] = _page_state(s, page)
    return int(s.pages[page, CELL])


@inlined
def _store_mapping(s: State, page: int, word: int) -> None:
    """Take over a word; a plain store over a word that was swapped in leaves nothing behind it."""
    if s.pages[page, MAPPING] != word:
        s.pages[page, MAPPING] = word
        s.pages[page, MARKS] &= ~MARK_SWAPPED


@inlined
def _change_page(s: State, kind: int, page: int, a: int, b: int) -> None:
    """Fold one event into its page."""
    if s.flag_kinds[kind]:
        s.pages[page, FLAGS] = a
    elif kind == K_QUEUED:
        s.pages[page, WAITERS] += 1
        s.pages[page, WAITS] += 1
        if b & NO_WAITERS_FLAG == 0:
            s.pages[page, FLAGS] |= 1 << PG_WAITERS
    elif kind in (K_WOKEN, K_LEFT):
        s.pages[page, WAITERS] -= 1
        if kind == K_WOKEN and b >> 40 & WQ_DONE and b >> 32 & 0xFF == PG_LOCKED:
            s.pages[page, FLAGS] |= 1 << PG_LOCKED
    elif kind == K_WALK_ENDED:
        if a >> 36 & 1:
            s.pages[page, FLAGS] &= ~(1 << PG_WAITERS)
    elif kind == K_SWAPPED:
        s.pages[page, MAPPING] = b
        s.pages[page, MARKS] |= MARK_SWAPPED
    elif kind == K_RESTORED:
        s.pages[page, MAPPING] = b
        s.pages[page, MARKS] &= ~MARK_SWAPPED
    elif kind == K_INSERTED:
        _store_mapping(s, page, a)
        s.pages[page, MARKS] &= ~MARK_TRUNCATED
    elif kind == K_REMOVED:
        _store_mapping(s, page, b)
    elif kind == K_TRUNCATED:
        _store_mapping(s, page, b)
        s.pages[page, MARKS] |= MARK_TRUNCATED
    elif kind == K_SEEN:
        s.pages[page, MAPPING] = a
        s.pages[page, FLAGS] = b
        s.pages[page, MARKS] &= ~MARK_TRUNCATED
    elif kind == K_FREED:
        s.pages[page, MAPPING] = 0
        s.pages[page, FLAGS] = 0
        s.pages[page, MARKS] &= ~MARK_TRUNCATED


@inlined
def _note_wait(s: State, kind: int, task: int, time: int, change: int, bin: int) -> None:
    """Count a task into or out of the waiters, and its wait when it ends."""
    _gauge(s, 0, bin, s.now[WAITING], change, time)
    s.now[WAITING] += change
    if change > 0:
        s.queued_at[task] = time
        s.figures[F_WAITS] += 1
        s.figures[F_WAITERS_MAX] = max(s.figures[F_WAITERS_MAX], s.now[WAITING])
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
    walked, matched, woken = b & 0x1FFFFF, b >> 21 & 0x1FFFFF, b >> 42 & 0x1FFFFF
    other = a >> 40 & 0xFFFFF
    s.bins[bin, B_SUM + 2] += 1
    s.bins[bin, B_SUM + 3] += walked
    s.bins[bin, B_SUM + 4] += matched
    s.bins[bin, B_SUM + 5] += woken
    s.bins[bin, B_SUM + 6] += walked - matched - other
    s.figures[F_WAKES] += 1
    s.figures[F_WALKED] += walked
    s.figures[F_MATCHED] += matched
    s.figures[F_WOKEN] += woken
    s.figures[F_OTHER] += other
    s.figures[F_LONGEST_WALK] = max(s.figures[F_LONGEST_WALK], walked)


@inlined
def _note_mapping(s: State, kind: int, time: int, bin: int) -> None:
    """Count a swap in or out, a truncation."""
    if kind == K_TRUNCATED:
        s.figures[F_TRUNCATED] += 1
        return
    change = 1 if kind == K_SWAPPED else -1
    _gauge(s, 3, bin, s.now[SWAPPED], change, time)
    s.now[SWAPPED] += change
    if change > 0:
        s.bins[bin, B_SUM] += 1
        s.figures[F_SWAPS_IN] += 1
        s.figures[F_SWAPPED_MAX] = max(s.figures[F_SWAPPED_MAX], s.now[SWAPPED])
    else:
        s.bins[bin, B_SUM + 1] += 1
        s.figures[F_SWAPS_OUT] += 1


@jit
def observe(s: State, times: Any, kinds: Any, tasks: Any, pages: Any, a_words: Any, b_words: Any, bins: int) -> int:
    """Fold a batch, whose edges stand in s.edges, into a fresh leaf of `bins` bins. Returns a place in FAULTS."""
    n_pages, n_queues, n_tasks, longest = len(s.pages), len(s.queues), len(s.queued_at), len(s.of_length) - 1
    bin, begun, cell_bin, stamp, end = 0, 0, 0, s.now[NEXT_STAMP], s.edges[1]
    _open_bin(s, 0)
    for i in range(len(times)):
        time, kind, a, b = times[i], kinds[i], a_words[i], b_words[i]
        if time >= end and bin + 1 < bins:
            s.bins[bin, B_SUM + 7] = i - begun
            begun = i
            while bin + 1 < bins and time >= s.edges[bin + 1]:
                bin += 1
                _open_bin(s, bin)
            cell_bin, end = bin // PER_CELL_BIN, s.edges[bin + 1]
            stamp = s.now[NEXT_STAMP] + cell_bin
        page = pages[i]
        if page != NONE:
            if page >= n_pages:
                return 1
            cell = _touch(s, page, stamp, cell_bin)
            swapped = K_INSERTED <= kind <= K_TRUNCATED and s.pages[page, MARKS] & MARK_SWAPPED != 0
            _change_page(s, kind, page, a, b)
            if swapped and s.pages[page, MARKS] & MARK_SWAPPED == 0:
                _gauge(s, 3, bin, s.now[SWAPPED], -1, time)
                s.now[SWAPPED] -= 1
            s.pages[page, EVENTS] += 1
            state = _page_state(s, page)
            s.lane_cells[cell, HIGH] = max(s.lane_cells[cell, HIGH], state)
            s.lane_cells[cell, LAST] = state
        if kind in (K_QUEUED, K_WOKEN, K_LEFT):
            length = b & 0xFFFFFFFF
            if a < 0 or a >= n_queues:
                return 2
            if tasks[i] >= n_tasks:
                return 3
            if length > longest:
                return 4
            _set_length(s, a, length, bin, time, i)
            _note_wait(s, kind, tasks[i], time, 1 if kind == K_QUEUED else -1, bin)
        elif kind == K_WALK_ENDED:
            _note_walk(s, a, b, bin)
        elif kind in (K_SWAPPED, K_RESTORED, K_TRUNCATED):
            _note_mapping(s, kind, time, bin)
        elif kind == K_LOST:
            if a < 0:
                s.figures[F_LOST_UNKNOWN] += 1
            else:
                s.figures[F_LOST] += a
        elif kind == K_BROKEN:
            if s.figures[F_BROKEN] == 0:
                s.figures[F_BROKEN_FIRST], s.figures[F_BROKEN_AT] = a, s.figures[F_EVENTS] + i
            s.figures[F_BROKEN] += 1
    s.bins[bin, B_SUM + 7] = len(times) - begun
    while bin + 1 < bins:
        bin += 1
        _open_bin(s, bin)
    s.figures[F_EVENTS] += len(times)
    return 0


@jit
def fill_heat(s: State, rows_before: Any, bins: int) -> None:
    """Where nothing happened in a row of the heat map, put what it had before."""
    for row in range(len(s.row_longest)):
        longest = rows_before[row]
        for bin in range(bins):
            if s.heat[row, bin] < 0:
                s.heat[row, bin] = longest
            else:
                longest = s.heat_last[row, bin]


@jit
def read_pages(pages: Any, rows: Any, out: Any) -> None:
    """Write mapping, flags, waiters and marks of these rows of State.pages, shape (4, rows)."""
    for i in range(len(rows)):
        for column in range(4):
            out[column, i] = pages[rows[i], column]
