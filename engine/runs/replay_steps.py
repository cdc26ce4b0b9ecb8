"""The steps that each recorded move runs. Compiled; engine.runs.replay prepares the moves and reads the outcome."""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.events import (
    PG_DIRTY,
    PG_ERROR,
    PG_LOCKED,
    PG_PRIVATE_2,
    PG_UPTODATE,
    PG_WAITERS,
    PG_WRITEBACK,
    WQ_CUSTOM,
    WQ_EXCLUSIVE,
    WQ_WOKEN,
    Kind,
)
from engine.mm.steps import NEXT_OP, WAIT_FINISH, WAIT_PREPARE, WAKE_BEGIN, WAKE_RESUME
from engine.mm.wait_list import queue_length
from engine.recordings.moves import Op
from engine.world.dispatch import step
from engine.world.jit import inlined, jit
from engine.world.state import CAPACITY, EVENTS, NONE, NOW, READY, SLACK, VISITS, WOKEN, World
from engine.world.trace import record
from engine.world.verbs import grants_recorded, kept_mapping, write_mapping

DONE, RUNNING, MOVE_AT = 12, 13, 14
"""Places in World.clock. DONE: all moves are played. RUNNING: 1 + row of the task that a full trace interrupted.
MOVE_AT: clock[VISITS] at the start of the pass."""

QUEUED, LEFT, WALK, WALK_ON = int(Op.queued), int(Op.left), int(Op.walk), int(Op.walk_on)
INSERT, REMOVE, UNLOCK, WRITEBACK_END = int(Op.insert), int(Op.remove), int(Op.unlock), int(Op.writeback_end)
TRUNCATE, DIRTY, MARK, LOST, NOT_QUEUED = (
    int(Op.truncate),
    int(Op.dirty),
    int(Op.mark),
    int(Op.lost),
    int(Op.not_queued),
)

PAGE_LOCKED, PAGE_UNLOCKED = int(Kind.page_locked), int(Kind.page_unlocked)
WRITEBACK_STARTED, WRITEBACK_ENDED = int(Kind.writeback_started), int(Kind.writeback_ended)
PAGE_DIRTIED, PAGE_CLEANED, PAGE_UPTODATE = int(Kind.page_dirtied), int(Kind.page_cleaned), int(Kind.page_uptodate)
PAGE_SEEN, PAGE_INSERTED, PAGE_FREED = int(Kind.page_seen), int(Kind.page_inserted), int(Kind.page_freed)
PAGE_REMOVED, PAGE_TRUNCATED = int(Kind.page_removed), int(Kind.page_truncated)
TRUNCATE_BEGAN, MARK_KIND, EVENTS_LOST = int(Kind.truncate_began), int(Kind.mark), int(Kind.events_lost)

UNNAMED = 31
"""Stands for every page bit that a kernel waits for and that has no name here."""
DATA = 1 << PG_UPTODATE | 1 << PG_ERROR
SHOWN = DATA | 1 << PG_LOCKED | 1 << PG_DIRTY | 1 << PG_WRITEBACK | 1 << PG_PRIVATE_2 | 1 << UNNAMED
"""Bits of page->flags taken from the recording's lines. PG_waiters is the model's own."""
PASSES = 2 * CAPACITY
"""Passes stored in Outcome.passes before replay_batch returns; one move may add as many as there are rows."""
UNKNOWN = -1
PAGE_SHIFT = 12


class Moves(NamedTuple):
    """The columns of a recording's moves as int64, shape (n,), and those of engine.runs.replay.Plan."""

    time: Any
    arg: Any
    index: Any
    flags: Any
    mapping: Any
    task: Any
    page: Any
    cpu: Any
    op: Any
    bit: Any
    wflags: Any
    depth: Any
    number: Any
    more: Any


class Outcome(NamedTuple):
    """Results of a replay besides its events.

    wakes: walked, matched, woken, other bit, stop, passes; shape (wakes, 6). passes: number of the wake, first place in
    the visits, entries; shape (n, 3). counts: passes, waits, waits that ended woken without a wake, waits that began
    before the task's previous one was seen to end. truncation: the latest truncation of each task: mapping, first page,
    last page. seen: 1 for a page that some line has shown.
    """

    wakes: Any
    passes: Any
    counts: Any
    truncation: Any
    seen: Any


@inlined
def _record_for(w: World, kind: int, task: int, page: int, a: int, b: int) -> None:
    """Like record(), for a task that is unknown (NONE) or not one of the engine's rows."""
    at = w.clock[EVENTS]
    record(w, kind, 0, page, a, b)
    w.trace.task[at] = task


@inlined
def _write_mapping(w: World, task: int, page: int, mapping: int) -> None:
    """Like write_mapping(), for a task that may be unknown (NONE)."""
    at = w.clock[EVENTS]
    write_mapping(w, 0, page, mapping)
    if w.clock[EVENTS] > at:
        w.trace.task[at] = task


@jit
def _observe(w: World, seen: Any, task: int, cpu: int, page: int, flags: int, mapping: int) -> None:
    """Apply what a line shows of a page, and record the change. task: the one that made it, NONE if not shown."""
    w.tasks.cpu[0] = cpu
    first = seen[page] == 0
    seen[page] = 1
    if mapping != UNKNOWN and (first or mapping != kept_mapping(w, page)):
        _write_mapping(w, task, page, mapping)
        if not first:
            _record_for(w, PAGE_SEEN, task, page, w.pages.mapping[page], w.pages.flags[page])
    before = w.pages.flags[page]
    after = before if flags == UNKNOWN else (before & ~SHOWN) | (flags & SHOWN)
    if first:
        w.pages.flags[page] = after
        w.pages.owner[page] = NONE
        _record_for(w, PAGE_SEEN, task, page, w.pages.mapping[page], after)
        return
    changed = before ^ after
    if changed == 0:
        return
    w.pages.flags[page] = after
    if not after & (1 << PG_LOCKED):
        w.pages.owner[page] = NONE  # the lines show it unlocked
    length = 0
    if changed & (1 << PG_WRITEBACK):
        kind = WRITEBACK_STARTED if after & (1 << PG_WRITEBACK) else WRITEBACK_ENDED
        length = 0 if after & (1 << PG_WRITEBACK) else queue_length(w, page)
    elif changed & (1 << PG_LOCKED):
        kind = PAGE_LOCKED if after & (1 << PG_LOCKED) else PAGE_UNLOCKED
        length = queue_length(w, page)
    elif changed & (1 << PG_DIRTY):
        kind = PAGE_DIRTIED if after & (1 << PG_DIRTY) else PAGE_CLEANED
    elif changed & DATA:
        kind = PAGE_UPTODATE
    else:
        _record_for(w, PAGE_SEEN, task, page, w.pages.mapping[page], after)
        return
    _record_for(w, kind, task, page, after, length)


@jit
def _run_actors(w: World) -> None:
    """Run the design's kernel threads until none is ready or the trace is full."""
    for row in range(w.rules.first_actor, w.rules.n_tasks):
        while w.tasks.state[row] == READY and w.clock[EVENTS] < CAPACITY - SLACK:
            step(w, row)


@jit
def _run(w: World, row: int) -> bool:
    """Run the row's steps until it sleeps, stops or pauses its walk. Return False if a full trace interrupted it."""
    while True:
        cost = step(w, row)
        _run_actors(w)
        at = w.tasks.step[row]
        if cost < 0 or at in (NEXT_OP, WAKE_RESUME):
            w.clock[WOKEN] = 0  # the recording itself names the tasks that are woken
            return True
        if w.clock[EVENTS] >= CAPACITY - SLACK:
            return False


@jit
def _start(w: World, row: int, first: int, page: int, bit: int, cpu: int) -> None:
    """Start the row on a path whose first step is `first`, on a page."""
    w.tasks.page[row] = page
    w.tasks.bit[row] = bit
    w.tasks.cpu[row] = cpu
    w.tasks.depth[row] = 0
    w.tasks.step[row] = first


@jit
def _renew(w: World, task: int, page: int) -> None:
    """Reset a page that enters a file: it was freed and reallocated since it was last seen, so its flags are new."""
    flags, mapping = w.pages.flags[page], w.pages.mapping[page]
    if queue_length(w, page) and mapping != kept_mapping(w, page):
        # tasks still wait on its page_wait: reset the flags only
        w.pages.owner[page] = NONE
        w.pages.flags[page] = flags & (1 << PG_WAITERS)
        _record_for(w, PAGE_SEEN, task, page, mapping, w.pages.flags[page])
    elif flags or mapping:
        _record_for(w, PAGE_FREED, task, page, mapping, flags)
        w.pages.owner[page] = NONE
        w.pages.flags[page] = 0
        w.pages.mapping[page] = 0


@jit
def _begin(w: World, m: Moves, out: Outcome, i: int, n: int, strip: int) -> int:
    """Apply what move i shows; return the row whose steps it starts, or NONE."""
    task: int = m.task[i]
    op, page, bit, cpu = m.op[i], m.page[i], m.bit[i], m.cpu[i]
    flags, mapping = m.flags[i], m.mapping[i]
    if mapping != UNKNOWN:
        mapping &= ~strip
    w.tasks.cpu[0] = cpu
    if op in (MARK, LOST):
        _record_for(w, MARK_KIND if op == MARK else EVENTS_LOST, task, NONE, m.arg[i], 0)
        return NONE
    if op == TRUNCATE:
        out.truncation[task, 0] = mapping
        out.truncation[task, 1] = m.arg[i] >> PAGE_SHIFT
        out.truncation[task, 2] = m.index[i] >> PAGE_SHIFT if m.index[i] >= 0 else 1 << 52
        _record_for(w, TRUNCATE_BEGAN, task, NONE, mapping, m.arg[i] >> PAGE_SHIFT)
        return NONE
    if page == NONE:
        return NONE
    if op == QUEUED:
        if w.entries.list[task] != NONE:
            # the line that showed it leaving its last wait was lost
            out.counts[3] += 1
            _start(w, task, WAIT_FINISH, w.entries.page[task], w.entries.bit[task], cpu)
            _run(w, task)
        elif w.tasks.step[task] == w.rules.sleep_step:
            w.tasks.state[task] = READY
            _run(w, task)
        out.counts[1] += 1
        _observe(
            w, out.seen, NONE, cpu, page, (flags if flags != UNKNOWN else w.pages.flags[page]) | (1 << bit), mapping
        )
        _start(w, task, WAIT_PREPARE, page, bit, cpu)
        w.entries.flags[task] = m.wflags[i] & WQ_EXCLUSIVE
        w.tasks.unfairness[task] = 0 if m.wflags[i] & WQ_CUSTOM else 1 << 30
        return task
    if op == LEFT:
        waits = w.entries.list[task] != NONE
        if waits:
            if m.wflags[i] & WQ_WOKEN:
                out.counts[2] += 1
            _start(w, task, WAIT_FINISH, w.entries.page[task], w.entries.bit[task], cpu)
        w.tasks.state[task] = READY
        if waits or w.tasks.step[task] == w.rules.sleep_step:  # handed the lock: it must still make way for the next
            return task
        _observe(w, out.seen, NONE, cpu, page, flags, mapping)
        return NONE
    if op in (WALK, WALK_ON):
        row: int = n * m.depth[i] + task
        resuming = w.tasks.step[row] == WAKE_RESUME and op == WALK_ON
        if op == WALK_ON and out.wakes[m.number[i], 4] >= 0:
            return NONE  # this design finished the walk in fewer passes than the kernel
        shown = flags if flags != UNKNOWN else w.pages.flags[page]
        shown = shown | (1 << bit) if m.arg[i] else shown & ~(1 << bit)
        _observe(w, out.seen, task, cpu, page, shown, mapping)
        if not resuming:
            first = w.rules.grant_step if grants_recorded(w, page, bit) else WAKE_BEGIN
            _start(w, row, first, page, bit, cpu)
            w.tasks.walked[row] = 0
            w.tasks.matched[row] = 0
            w.tasks.woken[row] = 0
            w.tasks.other_bit[row] = 0
            w.tasks.stop[row] = 0
        w.tasks.cpu[row] = cpu
        return row
    if op == INSERT:
        out.seen[page] = 1
        _renew(w, task, page)
        w.pages.file[page] = m.arg[i]
        w.pages.index[page] = m.index[i]
        _write_mapping(w, task, page, w.files.address[m.arg[i]])
        order = max(flags, 0)
        _record_for(w, PAGE_INSERTED, task, page, w.pages.mapping[page], m.index[i] | (order << 48))
        return NONE
    if op == REMOVE:
        before = w.pages.mapping[page] if out.seen[page] else w.files.address[m.arg[i]]
        out.seen[page] = 1
        w.pages.file[page] = NONE
        _write_mapping(w, task, page, 0)
        index = m.index[i]
        cut = (
            out.truncation[task, 0] == w.files.address[m.arg[i]]
            and out.truncation[task, 0] != 0
            and out.truncation[task, 1] <= index <= out.truncation[task, 2]
        )
        _record_for(w, PAGE_TRUNCATED if cut else PAGE_REMOVED, task, page, before, w.pages.mapping[page])
        return NONE
    if op == DIRTY:
        _observe(w, out.seen, task, cpu, page, w.pages.flags[page] | (1 << PG_DIRTY), UNKNOWN)
        return NONE
    if op == NOT_QUEUED:
        return NONE
    _observe(w, out.seen, NONE, cpu, page, flags, mapping)
    if op == UNLOCK:
        _observe(w, out.seen, task, cpu, page, w.pages.flags[page] & ~(1 << PG_LOCKED), UNKNOWN)
    elif op == WRITEBACK_END:
        _observe(w, out.seen, task, cpu, page, w.pages.flags[page] & ~(1 << PG_WRITEBACK), UNKNOWN)
    return NONE


@inlined
def _end_pass(w: World, m: Moves, out: Outcome, i: int, row: int, begin: int) -> bool:
    """Record what a pass walked. Return True if the walk must resume at once: the recording has no later pass of it."""
    number = m.number[i]
    at = out.counts[0]
    out.passes[at, 0] = number
    out.passes[at, 1] = begin
    out.passes[at, 2] = w.clock[VISITS] - begin
    out.counts[0] = at + 1
    t = w.tasks
    out.wakes[number, 0] = t.walked[row]
    out.wakes[number, 1] = t.matched[row]
    out.wakes[number, 2] = t.woken[row]
    out.wakes[number, 3] = t.other_bit[row]
    if t.step[row] == WAKE_RESUME:
        last: bool = m.more[i] == 0
        return last
    out.wakes[number, 4] = t.stop[row]
    return False


@jit
def replay_batch(w: World, m: Moves, out: Outcome, i: int, n: int, strip: int, until: int) -> int:
    """Play moves from number i on until the trace is full, the moves end, or time passes `until`.

    n: number of recorded tasks. strip: low bits to clear in recorded mapping words, because the design claims them
    (page_wait keeps the anonymous and KSM tags in page_mapping.flags). Returns the number of the next move; sets
    clock[DONE] when the moves end or `until` has passed.
    """
    while i < len(m.time) and m.time[i] <= until:
        if w.clock[RUNNING] == 0:
            # room for one more move: events, entries walked, passes
            if (
                w.clock[EVENTS] >= CAPACITY - SLACK
                or w.clock[VISITS] + w.rules.n_tasks > w.rules.visits
                or out.counts[0] >= PASSES
            ):
                return i
            w.clock[NOW] = m.time[i]
            row = _begin(w, m, out, i, n, strip)
            w.clock[MOVE_AT] = w.clock[VISITS]
        else:
            row = w.clock[RUNNING] - 1
            w.clock[RUNNING] = 0
        while row != NONE:
            if not _run(w, row):
                w.clock[RUNNING] = row + 1
                return i
            if m.op[i] != WALK and m.op[i] != WALK_ON:
                if m.op[i] == LEFT:
                    _observe(
                        w,
                        out.seen,
                        NONE,
                        m.cpu[i],
                        m.page[i],
                        m.flags[i],
                        m.mapping[i] & ~strip if m.mapping[i] != UNKNOWN else UNKNOWN,
                    )
                break
            resume: bool = _end_pass(w, m, out, i, row, w.clock[MOVE_AT])
            w.clock[MOVE_AT] = w.clock[VISITS]
            if not resume:
                break
        i += 1
    w.clock[DONE] = 1
    return i
