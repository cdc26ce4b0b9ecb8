"""The compiled half of a summary: one pass over a batch that folds pages, queues and tasks, and fills one leaf.

The longest queue (of all, and of each heat map row) is tracked by counting queues of each length.
"""

from __future__ import annotations

from typing import Any

from engine.events import ENTRY, NONE, WALK, Kind
from engine.nodes import COUNTERS, GAUGES, HEAT_ROWS
from engine.page_state import MARK_SWAPPED, NUMBERS, page_after, severity_at, severity_of
from engine.summaries.state import (
    B_AREA,
    B_HIGH,
    B_LOW,
    B_SUM,
    BIN,
    C_EVENTS,
    C_MATCHED,
    C_STRANGERS,
    C_SWAPS_IN,
    C_SWAPS_OUT,
    C_WAKES,
    C_WALKED,
    C_WOKEN,
    CELL,
    CHANGED,
    EVENTS,
    F_BROKEN,
    F_BROKEN_AT,
    F_BROKEN_FIRST,
    F_ENDED,
    F_EVENTS,
    F_GAVE_UP,
    F_LONGEST_QUEUE,
    F_LONGEST_WALK,
    F_LOST,
    F_LOST_UNKNOWN,
    F_MATCHED,
    F_OTHER,
    F_STRANGERS,
    F_SWAPPED_MAX,
    F_SWAPS_IN,
    F_SWAPS_OUT,
    F_TRUNCATED,
    F_WAIT_MAX,
    F_WAIT_NS,
    F_WAITERS_MAX,
    F_WAITS,
    F_WAKES,
    F_WALKED,
    F_WOKEN,
    FLAGS,
    G_IN_USE,
    G_LONGEST,
    G_SWAPPED,
    G_WAITERS,
    GAUGE,
    HIGH,
    KEY,
    LANE_CELLS,
    LAST,
    LENGTH,
    LOW,
    MAPPING,
    MARKS,
    NEXT_STAMP,
    PER_CELL_BIN,
    Q_CELL,
    Q_STAMP,
    QUEUE_CELLS,
    ROW_LENGTHS,
    STAMP,
    UNREPORTED,
    WAITERS,
    WAITS,
    State,
    wait_step,
)
from engine.summaries.tables import K_FAULT, note_marks, note_tables, open_more
from engine.world.jit import inlined, jit
from engine.world.packers import reader

K_QUEUED, K_WOKEN, K_LEFT, K_WALK_ENDED = (
    int(k) for k in (Kind.waiter_queued, Kind.waiter_woken, Kind.waiter_left, Kind.walk_ended)
)
K_SWAPPED, K_RESTORED, K_TRUNCATED = int(Kind.mapping_swapped), int(Kind.mapping_restored), int(Kind.page_truncated)
K_LOST, K_BROKEN = int(Kind.events_lost), int(Kind.invariant_broken)
_page_after, _severity_of, _severity_at = inlined(page_after), inlined(severity_of), inlined(severity_at)
_queue, _length = reader(ENTRY, "queue"), reader(ENTRY, "length")
_walked, _matched, _woken = reader(WALK, "walked"), reader(WALK, "matched"), reader(WALK, "woken")
_strangers, _other_bit = reader(WALK, "strangers"), reader(WALK, "other_bit")
FAULTS = (
    "",
    "a page that the cast does not have",
    "a queue that the cast does not have",
    "a task that the cast does not have",
    "a queue longer than there are tasks",
)


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
    if len(s.more):
        open_more(s, bin, span)


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
    s.lane_cells[cell, HIGH] = max(s.lane_cells[cell, HIGH], _severity_at(kind, severity))
    s.lane_cells[cell, LAST] = severity
    if marks == before and kind != K_SWAPPED and kind != K_RESTORED:
        return
    if len(s.more):
        note_marks(s, page, before, marks, time, bin, place)
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
            note_tables(s, kind, page, a, b, time, bin, i)
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
