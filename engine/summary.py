"""Summaries, keyframes and key figures of a run, folded from its events as they are played.

One compiled pass over each batch keeps the state of pages, queues and tasks, and writes the leaf of the summary tree
(engine.nodes). The state is enough for any question the run's page asks of the whole run; it never grows with events.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.cast import Cast
from engine.events import (
    BATCH,
    NONE,
    PG_DIRTY,
    PG_LOCKED,
    PG_WAITERS,
    PG_WRITEBACK,
    WQ_DONE,
    Batch,
    Kind,
    PageState,
)
from engine.jit import inlined, jit
from engine.nodes import COUNTERS, GAUGES, HEAT_ROWS, Cells, Folded, Node, Series, Words, edges, heat_rows

SERIES_BINS = 256
CELL_BINS = 64
PER_CELL_BIN = SERIES_BINS // CELL_BINS
HOT_PAGES = 256

# Columns of State.pages, one cache line a page.
MAPPING, FLAGS, WAITERS, MARKS, STAMP, CELL, EVENTS, WAITS = range(8)
# Columns of State.queues.
LENGTH, Q_STAMP, Q_CELL = range(3)
# Rows of Cell arrays: what the cell belongs to, when, and what was seen.
KEY, BIN, LOW, HIGH, LAST = range(5)
# Places in State.now.
TIME, LONGEST, IN_USE, SWAPPED, WAITING, NEXT_STAMP, LANE_CELLS, QUEUE_CELLS, STEPS = range(9)
(
    F_EVENTS, F_WAKES, F_WALKED, F_MATCHED, F_WOKEN, F_OTHER, F_LONGEST_WALK, F_LONGEST_QUEUE, F_WAITERS_MAX,
    F_SWAPPED_MAX, F_SWAPS_IN, F_SWAPS_OUT, F_WAITS, F_GAVE_UP, F_WAIT_NS, F_WAIT_MAX, F_ENDED, F_TRUNCATED, F_LOST,
    F_LOST_UNKNOWN,
) = range(20)  # fmt: skip

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
SWAPPED_MARK, TRUNCATED_MARK = 1, 2
FAULTS = ("", "a page that the cast does not have", "a queue that the cast does not have", "a task that the cast does not have",
          "a queue longer than there are tasks")  # fmt: skip


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
    low: Any  # int64 (4, SERIES_BINS)
    high: Any
    area: Any
    sums: Any  # int64 (8, SERIES_BINS)
    heat: Any  # int64 (rows, CELL_BINS): -1 where nothing happened
    heat_last: Any
    lane_cells: Any  # int64 (5, BATCH)
    queue_cells: Any
    steps: Any  # int64 (2, BATCH)
    edges: Any  # int64 (SERIES_BINS + 1,)


def wait_step(wait_ns: int) -> int:
    """Return the step of the histogram that a wait falls into (scalars; compiled as _wait_step)."""
    return int(_wait_step(wait_ns))


@inlined
def _wait_step(wait: int) -> int:
    """Below 2^6 a step is 1 ns; above, an octave has 2^6 steps."""
    shift = 0
    while wait >> shift >= 2 << WAIT_BITS:
        shift += 1
    return (shift << WAIT_BITS) + (wait >> shift)


@inlined
def _page_state(s: State, page: int) -> int:
    flags, marks = s.pages[page, FLAGS], s.pages[page, MARKS]
    if marks & TRUNCATED_MARK:
        return STATE_TRUNCATED
    if flags >> PG_WRITEBACK & 1:
        return STATE_WRITEBACK
    if marks & SWAPPED_MARK:
        return STATE_SWAPPED
    if s.pages[page, WAITERS] > 0:
        return STATE_WAITED_ON
    if flags >> PG_LOCKED & 1:
        return STATE_LOCKED
    if flags >> PG_DIRTY & 1:
        return STATE_DIRTY
    if s.pages[page, MAPPING] != 0:
        return STATE_CLEAN
    return 0


@inlined
def _gauge(s: State, which: int, bin: int, value: int, change: int, time: int) -> None:
    """Say that a gauge leaves `value` by `change` at `time`. The area is kept as if every value lasted to the bin's
    end: each change adds its own rest."""
    after = value + change
    s.area[which, bin] += change * (s.edges[bin + 1] - time)
    if after > s.high[which, bin]:
        s.high[which, bin] = after
    if after < s.low[which, bin]:
        s.low[which, bin] = after


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
        s.low[which, bin] = value
        s.high[which, bin] = value
        s.area[which, bin] = value * span
    for which in range(8):
        s.sums[which, bin] = 0


@jit
def _row_longest(s: State, row: int, rows: int) -> int:
    """Return the longest queue of a heat row, by looking at all of them."""
    n = len(s.queues)
    longest = 0
    for queue in range((row * n + rows - 1) // rows, ((row + 1) * n + rows - 1) // rows):
        longest = max(longest, s.queues[queue, LENGTH])
    return longest


@jit
def _set_length(s: State, queue: int, length: int, bin: int, time: int, place: int) -> None:
    """A queue has another length: count it, and note cell, heat row and longest queue."""
    before = s.queues[queue, LENGTH]
    cell_bin = bin // PER_CELL_BIN
    if s.queues[queue, Q_STAMP] != s.now[NEXT_STAMP] + cell_bin:
        cell = s.now[QUEUE_CELLS]
        s.now[QUEUE_CELLS] += 1
        s.queues[queue, Q_STAMP] = s.now[NEXT_STAMP] + cell_bin
        s.queues[queue, Q_CELL] = cell
        s.queue_cells[KEY, cell] = queue
        s.queue_cells[BIN, cell] = cell_bin
        s.queue_cells[LOW, cell] = before
        s.queue_cells[HIGH, cell] = before
    cell = s.queues[queue, Q_CELL]
    s.queue_cells[LOW, cell] = min(s.queue_cells[LOW, cell], length)
    s.queue_cells[HIGH, cell] = max(s.queue_cells[HIGH, cell], length)
    s.queue_cells[LAST, cell] = length
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

    rows = len(s.row_longest)
    row = queue * rows // len(s.queues)
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
            longest = _row_longest(s, row, rows)
    s.row_longest[row] = longest
    s.heat[row, cell_bin] = max(s.heat[row, cell_bin], longest)
    s.heat_last[row, cell_bin] = longest


@inlined
def _touch(s: State, page: int, cell_bin: int) -> int:
    """Return the page's cell in this bin, made if there is none."""
    if s.pages[page, STAMP] != s.now[NEXT_STAMP] + cell_bin:
        cell = s.now[LANE_CELLS]
        s.now[LANE_CELLS] += 1
        s.pages[page, STAMP] = s.now[NEXT_STAMP] + cell_bin
        s.pages[page, CELL] = cell
        s.lane_cells[KEY, cell] = page
        s.lane_cells[BIN, cell] = cell_bin
        s.lane_cells[HIGH, cell] = _page_state(s, page)
    return int(s.pages[page, CELL])


@inlined
def _change_page(s: State, kind: int, page: int, a: int, b: int) -> None:
    """Fold one event into its page."""
    if s.flag_kinds[kind]:
        s.pages[page, FLAGS] = a
    elif kind == K_QUEUED:
        s.pages[page, WAITERS] += 1
        s.pages[page, WAITS] += 1
        s.pages[page, FLAGS] |= 1 << PG_WAITERS
    elif kind == K_WOKEN or kind == K_LEFT:
        s.pages[page, WAITERS] -= 1
        if kind == K_WOKEN and b >> 40 & WQ_DONE and b >> 32 & 0xFF == PG_LOCKED:
            s.pages[page, FLAGS] |= 1 << PG_LOCKED
    elif kind == K_WALK_ENDED:
        if a >> 36 & 1:
            s.pages[page, FLAGS] &= ~(1 << PG_WAITERS)
    elif kind == K_SWAPPED:
        s.pages[page, MAPPING] = b
        s.pages[page, MARKS] |= SWAPPED_MARK
    elif kind == K_RESTORED:
        s.pages[page, MAPPING] = b
        s.pages[page, MARKS] &= ~SWAPPED_MARK
    elif kind == K_INSERTED:
        s.pages[page, MAPPING] = a
        s.pages[page, MARKS] &= ~TRUNCATED_MARK
    elif kind == K_REMOVED:
        s.pages[page, MAPPING] = b
    elif kind == K_TRUNCATED:
        s.pages[page, MAPPING] = b
        s.pages[page, MARKS] |= TRUNCATED_MARK
    elif kind == K_SEEN:
        s.pages[page, MAPPING] = a
        s.pages[page, FLAGS] = b
        s.pages[page, MARKS] &= ~TRUNCATED_MARK
    elif kind == K_FREED:
        s.pages[page, MAPPING] = 0
        s.pages[page, FLAGS] = 0
        s.pages[page, MARKS] &= ~TRUNCATED_MARK


@jit
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
        s.waits[_wait_step(wait)] += 1


@jit
def _note_walk(s: State, a: int, b: int, bin: int) -> None:
    walked, matched, woken = b & 0x1FFFFF, b >> 21 & 0x1FFFFF, b >> 42 & 0x1FFFFF
    other = a >> 40 & 0xFFFFF
    s.sums[2, bin] += 1
    s.sums[3, bin] += walked
    s.sums[4, bin] += matched
    s.sums[5, bin] += woken
    s.sums[6, bin] += walked - matched - other
    s.figures[F_WAKES] += 1
    s.figures[F_WALKED] += walked
    s.figures[F_MATCHED] += matched
    s.figures[F_WOKEN] += woken
    s.figures[F_OTHER] += other
    s.figures[F_LONGEST_WALK] = max(s.figures[F_LONGEST_WALK], walked)


@jit
def _note_mapping(s: State, kind: int, time: int, bin: int) -> None:
    """Count a swap in or out, a truncation."""
    if kind == K_TRUNCATED:
        s.figures[F_TRUNCATED] += 1
        return
    change = 1 if kind == K_SWAPPED else -1
    _gauge(s, 3, bin, s.now[SWAPPED], change, time)
    s.now[SWAPPED] += change
    if change > 0:
        s.sums[0, bin] += 1
        s.figures[F_SWAPS_IN] += 1
        s.figures[F_SWAPPED_MAX] = max(s.figures[F_SWAPPED_MAX], s.now[SWAPPED])
    else:
        s.sums[1, bin] += 1
        s.figures[F_SWAPS_OUT] += 1


@jit
def _observe(s: State, times: Any, kinds: Any, tasks: Any, pages: Any, a_words: Any, b_words: Any, bins: int) -> int:
    """Fold a batch, whose edges stand in s.edges, into a fresh leaf of `bins` bins. Returns a place in FAULTS."""
    n_pages, n_queues, n_tasks, longest = len(s.pages), len(s.queues), len(s.queued_at), len(s.of_length) - 1
    bin = 0
    _open_bin(s, 0)
    for i in range(len(times)):
        time, kind, a, b = times[i], kinds[i], a_words[i], b_words[i]
        while bin + 1 < bins and time >= s.edges[bin + 1]:
            bin += 1
            _open_bin(s, bin)
        s.sums[7, bin] += 1
        page = pages[i]
        if page != NONE:
            if page >= n_pages:
                return 1
            cell = _touch(s, page, bin // PER_CELL_BIN)
            _change_page(s, kind, page, a, b)
            s.pages[page, EVENTS] += 1
            state = _page_state(s, page)
            s.lane_cells[HIGH, cell] = max(s.lane_cells[HIGH, cell], state)
            s.lane_cells[LAST, cell] = state
        if kind == K_QUEUED or kind == K_WOKEN or kind == K_LEFT:
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
        elif kind == K_SWAPPED or kind == K_RESTORED or kind == K_TRUNCATED:
            _note_mapping(s, kind, time, bin)
        elif kind == K_LOST:
            if a < 0:
                s.figures[F_LOST_UNKNOWN] += 1
            else:
                s.figures[F_LOST] += a
    while bin + 1 < bins:
        bin += 1
        _open_bin(s, bin)
    s.figures[F_EVENTS] += len(times)
    return 0


@jit
def _fill_heat(s: State, rows_before: Any, bins: int) -> None:
    """Where nothing happened in a row of the heat map, put what it had before."""
    for row in range(len(s.row_longest)):
        longest = rows_before[row]
        for bin in range(bins):
            if s.heat[row, bin] < 0:
                s.heat[row, bin] = longest
            else:
                longest = s.heat_last[row, bin]


class Summariser:
    """Takes a run's batches in order and gives a leaf for each; keyframes and key figures whenever asked."""

    def __init__(self, cast: Cast) -> None:
        """Begin before the first event: pages stand as the cast says."""
        n_pages, n_queues, n_tasks = cast.page_count, max(cast.queues, 1), len(cast.tasks)
        if cast.pfns is not None:
            n_pages = len(cast.pfns)
        rows = heat_rows(n_queues)
        self._start = _first_mappings(cast, n_pages)
        zeros = np.zeros
        self._s = State(
            now=zeros(9, np.int64),
            figures=zeros(20, np.int64),
            pages=zeros((n_pages, 8), np.int64),
            queues=zeros((n_queues, 3), np.int64),
            queued_at=np.full(n_tasks, -1, np.int64),
            of_length=zeros(n_tasks + 1, np.int64),
            row_longest=zeros(rows, np.int64),
            row_lengths=zeros((rows, ROW_LENGTHS), np.int64),
            waits=zeros(WAIT_STEPS, np.int64),
            flag_kinds=FLAG_KINDS,
            low=zeros((len(GAUGES), SERIES_BINS), np.int64),
            high=zeros((len(GAUGES), SERIES_BINS), np.int64),
            area=zeros((len(GAUGES), SERIES_BINS), np.int64),
            sums=zeros((len(COUNTERS), SERIES_BINS), np.int64),
            heat=zeros((rows, CELL_BINS), np.int64),
            heat_last=zeros((rows, CELL_BINS), np.int64),
            lane_cells=zeros((5, BATCH), np.int64),
            queue_cells=zeros((5, BATCH), np.int64),
            steps=zeros((2, BATCH), np.int64),
            edges=zeros(SERIES_BINS + 1, np.int64),
        )
        self._s.pages[:, MAPPING] = self._start
        self._s.of_length[0] = n_queues
        row_of = np.arange(n_queues) * rows // n_queues
        self._s.row_lengths[:, 0] = np.bincount(row_of, minlength=rows)
        self._s.now[NEXT_STAMP] = 1

    def leaf(self, batch: Batch) -> Node:
        """Fold the next batch and return its summary; raises AssertionError where it contradicts the cast."""
        s, n = self._s, len(batch)
        t0, t1 = int(s.now[TIME]), int(batch.time[-1])
        cell_bins = max(1, min(CELL_BINS, n // PER_CELL_BIN // 16, (t1 - t0) // PER_CELL_BIN))
        bins = cell_bins * PER_CELL_BIN
        s.edges[: bins + 1] = edges(t0, t1, bins)
        s.now[LANE_CELLS] = s.now[QUEUE_CELLS] = s.now[STEPS] = 0
        s.heat[:, :cell_bins] = -1
        before, rows_before = self._gauges(), s.row_longest.copy()
        fault = _observe(s, batch.time, batch.kind, batch.task, batch.page, batch.a, batch.b, bins)
        assert fault == 0, f"an event names {FAULTS[fault]}"
        _fill_heat(s, rows_before, cell_bins)
        s.now[NEXT_STAMP] += cell_bins
        s.now[TIME] = t1
        cut = (slice(None), slice(None, bins))
        steps = int(s.now[STEPS])
        series = Series(
            before, self._gauges(), *(part[cut].copy() for part in (s.low, s.high, s.area, s.sums)),
            s.steps[0, :steps].copy(), s.steps[1, :steps].copy(),
        )  # fmt: skip
        lanes = _sorted_cells(s.lane_cells[:, : s.now[LANE_CELLS]], lows=False)
        queues = _sorted_cells(s.queue_cells[:, : s.now[QUEUE_CELLS]], lows=True)
        heat = s.heat[:, :cell_bins].copy()
        return Node(t0, t1, batch.first_seq, n, cell_bins, series, heat, queues, lanes, True)

    def _gauges(self) -> Words:
        now = self._s.now
        return np.array([now[WAITING], now[LONGEST], now[IN_USE], now[SWAPPED]], np.int64)

    def touched(self, leaf: Node) -> Folded:
        """Return the pages and queues that the batch just folded touched, as they are now."""
        return self._folded(leaf.lanes.keys, leaf.queues.keys)

    def keyframe(self) -> Folded:
        """Return all pages and queues that are not as they were at the start."""
        pages = self._s.pages
        changed = (pages[:, MAPPING] != self._start) | (pages[:, FLAGS] != 0) | (pages[:, WAITERS:STAMP] != 0).any(1)
        return self._folded(np.flatnonzero(changed), np.flatnonzero(self._s.queues[:, LENGTH]))

    def _folded(self, pages: Words, queues: Words) -> Folded:
        rows = self._s.pages[pages]
        columns = (np.ascontiguousarray(rows[:, i]) for i in (MAPPING, FLAGS, WAITERS, MARKS))
        return Folded(pages, *columns, queues, self._s.queues[queues, LENGTH])

    def hot_pages(self) -> list[tuple[int, int, int]]:
        """Return (page, waits, events) of the pages with most waits, then most events: HOT_PAGES at most."""
        pages = self._s.pages
        weight = (pages[:, WAITS] << 32) + pages[:, EVENTS]
        k = min(HOT_PAGES, len(weight))
        best = np.argpartition(weight, len(weight) - k)[len(weight) - k :] if k else np.zeros(0, np.int64)
        best = best[np.lexsort((best, -weight[best]))]
        return [(int(p), int(pages[p, WAITS]), int(pages[p, EVENTS])) for p in best if pages[p, EVENTS]]

    def figures(self) -> dict[str, int | float]:
        """Return the key figures of all events so far; times in ns. Percentiles are within 1/128 of the true one."""
        f = [int(value) for value in self._s.figures]
        ended = f[F_ENDED]
        return {
            "events": f[F_EVENTS], "wakes": f[F_WAKES], "walked": f[F_WALKED], "matched": f[F_MATCHED],
            "woken": f[F_WOKEN], "strangers": f[F_WALKED] - f[F_MATCHED] - f[F_OTHER], "other_bit": f[F_OTHER],
            "longest_walk": f[F_LONGEST_WALK], "longest_queue": f[F_LONGEST_QUEUE], "waiters_max": f[F_WAITERS_MAX],
            "pages_swapped_max": f[F_SWAPPED_MAX], "swaps_in": f[F_SWAPS_IN], "swaps_out": f[F_SWAPS_OUT],
            "waits": f[F_WAITS], "gave_up": f[F_GAVE_UP],
            "wait_ns_mean": round(f[F_WAIT_NS] / ended, 3) if ended else 0.0,
            "wait_ns_p50": self._percentile(50), "wait_ns_p99": self._percentile(99), "wait_ns_max": f[F_WAIT_MAX],
            "truncated": f[F_TRUNCATED], "lost": f[F_LOST], "lost_unknown": f[F_LOST_UNKNOWN],
        }  # fmt: skip

    def _percentile(self, percent: int) -> int:
        """Return the wait that `percent` of the ended waits do not exceed: the middle of its step."""
        ended = int(self._s.figures[F_ENDED])
        if not ended:
            return 0
        rank = -(-ended * percent // 100)
        step = int(np.searchsorted(np.cumsum(self._s.waits), rank))
        shift = max(0, (step >> WAIT_BITS) - 1)
        low = step - (shift << WAIT_BITS) << shift
        return min(low + (1 << shift >> 1), int(self._s.figures[F_WAIT_MAX]))


def _first_mappings(cast: Cast, n_pages: int) -> Words:
    """Return page->mapping of every page before the first event."""
    addresses = np.array([file.address for file in cast.files] + [0], np.int64)
    files = np.full(n_pages, -1, np.int64)
    files[: len(cast.page_files)] = cast.page_files
    return addresses[files]


def _sorted_cells(cells: NDArray[np.int64], *, lows: bool) -> Cells:
    """Return cells, given in order of their bins, by key and then bin."""
    keys = cells[KEY]
    small = keys.astype(np.uint16) if not len(keys) or keys.max() < 1 << 16 else keys
    order = np.argsort(small, kind="stable")
    keys = keys[order]
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.diff(firsts, append=len(keys))
    low = cells[LOW][order] if lows else np.zeros(0, np.int64)
    return Cells(keys[firsts], counts, cells[BIN][order], low, cells[HIGH][order], cells[LAST][order])
