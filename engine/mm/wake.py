"""Wake the waiters of a page bit (mm/filemap.c: wake_up_page_bit(), wake_page_function(); kernel/sched/wait.c).

A walk visits one entry per step, because the bit it tests may change between two entries. Kernels 4.14 to 6.6 leave a
bookmark after 65 entries and drop the queue lock.
"""

from __future__ import annotations

from engine.designs.wait import FOUND, NOBODY
from engine.events import PG_LOCKED, PG_WAITERS, WQ_CUSTOM, WQ_DONE, WQ_EXCLUSIVE, WQ_WOKEN, Kind
from engine.invariants import LOCK_HANDED_OVER, STALE_WAITERS_FLAG, WALK_MET_STRANGERS
from engine.mm.frames import ret
from engine.mm.lock_owner import own_lock
from engine.mm.steps import SPIN, WAKE_END, WAKE_ENTRY, WAKE_PAUSE, WAKE_RESUME
from engine.mm.wait_list import (
    line_length,
    link_before,
    lock_list,
    queue_shown,
    try_to_wake_up,
    unlink,
    unlock_list,
)
from engine.world.jit import inlined, jit
from engine.world.state import NONE, VISITS, World
from engine.world.trace import record, record_entry, record_walk, witness
from engine.world.verbs import (
    flag_stale,
    wait_detach,
    wait_holds,
    wait_list,
    wake_look,
)

WAITER_WOKEN, WALK_PAUSED = int(Kind.waiter_woken), int(Kind.walk_paused)
WAITERS_FLAG_CLEARED = int(Kind.waiters_flag_cleared)
WAITQUEUE_WALK_BREAK_CNT = 64  # include/linux/wait.h, 4.14 to 6.6
END, EXCLUSIVE, TAKEN = range(3)  # engine.events.STOPS


@jit
def wake_begin(w: World, task: int) -> int:
    """Find the queue, take its lock and point the cursor at the first entry. Next: wake_begin until that is done, then
    wake_entry; ret if there is no queue.
    """
    page = w.tasks.page[task]
    t = w.tasks
    look = wake_look(w, task, page)
    if look == NOBODY:
        # page_wait: the last waiter has left since the unlock, and nothing else clears the flag
        flags = w.pages.flags[page]
        if flags & (1 << PG_WAITERS):
            w.pages.flags[page] = flags & ~(1 << PG_WAITERS)
            record(w, WAITERS_FLAG_CLEARED, task, page, flags & ~(1 << PG_WAITERS), 0)
        ret(w, task)
    if look != FOUND:
        return 0
    list = wait_list(w, task, page, t.bit[task])
    if not lock_list(w, list, task):
        return SPIN
    if not wait_holds(w, task, page, list):
        unlock_list(w, list)
        return 0
    t.walk_list[task] = list
    t.cursor[task] = w.lists.head[list]
    t.walked[task] = 0
    t.in_pass[task] = 0
    t.matched[task] = 0
    t.woken[task] = 0
    t.other_bit[task] = 0
    t.stop[task] = END
    t.step[task] = WAKE_ENTRY
    return w.rules.queue_lock_ns


@inlined
def _wake(w: World, task: int, entry: int, page: int, list: int, flags: int) -> None:
    """Unlink the woken waiter's entry and record that."""
    unlink(w, entry)
    w.entries.flags[entry] = flags
    w.tasks.woken[task] += 1
    queue, length = queue_shown(w, page, list), line_length(w, list)
    record_entry(w, WAITER_WOKEN, entry, page, queue, length, w.entries.bit[entry], flags, 0)


@inlined
def _wake_page_function(w: World, task: int, entry: int, page: int, bit: int, list: int) -> int:
    """Decide on one entry; return -1: stop the walk here, 1: woken, 0: go on. mm/filemap.c: wake_page_function()."""
    if w.entries.page[entry] != page:
        witness(w, WALK_MET_STRANGERS)
        return 0
    if w.entries.bit[entry] != bit:
        w.tasks.other_bit[task] += 1
        return 0
    w.tasks.matched[task] += 1
    flags = w.entries.flags[entry]
    word = w.pages.flags[page]
    if not w.rules.publish:
        if word & (1 << bit):
            return -1
        if not try_to_wake_up(w, entry):
            return 0
        _wake(w, task, entry, page, list, flags)
        return 1
    if flags & WQ_EXCLUSIVE:
        if word & (1 << bit):
            return -1
        if flags & WQ_CUSTOM:
            w.pages.flags[page] = word | (1 << bit)
            if bit == PG_LOCKED:
                own_lock(w, task, entry, page)
            witness(w, LOCK_HANDED_OVER)
            flags |= WQ_DONE
    _wake(w, task, entry, page, list, flags | WQ_WOKEN)
    try_to_wake_up(w, entry)
    return 1 if flags & WQ_EXCLUSIVE else 0


@jit
def wake_entry(w: World, task: int) -> int:
    """Visit one entry. Next: wake_entry; wake_pause after 65 entries; wake_end at the end of the list or of the walk.

    kernel/sched/wait.c: __wake_up_common() with nr_exclusive 1. Other walkers' bookmarks are skipped, not counted.
    """
    t = w.tasks
    entry = t.cursor[task]
    if entry == NONE:
        t.step[task] = WAKE_END
        return 0
    after = w.entries.next[entry]
    t.cursor[task] = after
    if entry >= w.rules.n_tasks:
        return 0
    t.walked[task] += 1
    t.in_pass[task] += 1
    if w.rules.visits:
        w.trace.visits[w.clock[VISITS]] = entry
        w.clock[VISITS] += 1
    list = t.walk_list[task]
    exclusive = w.entries.flags[entry] & WQ_EXCLUSIVE
    woken = t.woken[task]
    outcome = _wake_page_function(w, task, entry, t.page[task], t.bit[task], list)
    cost = w.rules.entry_ns
    if t.woken[task] != woken:
        cost += w.rules.wake_ns
    if outcome < 0:
        t.stop[task] = TAKEN
        t.step[task] = WAKE_END
    elif outcome > 0 and exclusive:
        t.stop[task] = EXCLUSIVE
        t.step[task] = WAKE_END
    elif w.rules.bookmark and t.in_pass[task] > WAITQUEUE_WALK_BREAK_CNT and after != NONE:
        t.step[task] = WAKE_PAUSE
    return cost


@jit
def wake_pause(w: World, task: int) -> int:
    """Leave a bookmark before the next entry and drop the queue lock. Next: wake_resume."""
    t = w.tasks
    list = t.walk_list[task]
    link_before(w, list, w.rules.n_tasks + task, t.cursor[task])
    record(w, WALK_PAUSED, task, t.page[task], queue_shown(w, t.page[task], list), t.in_pass[task])
    t.in_pass[task] = 0
    unlock_list(w, list)
    t.step[task] = WAKE_RESUME
    return w.rules.queue_lock_ns


@jit
def wake_resume(w: World, task: int) -> int:
    """Retake the queue lock and go on after the bookmark. Next: wake_entry."""
    t = w.tasks
    list = t.walk_list[task]
    if not lock_list(w, list, task):
        return SPIN
    bookmark = w.rules.n_tasks + task
    t.cursor[task] = w.entries.next[bookmark]
    unlink(w, bookmark)
    t.step[task] = WAKE_ENTRY
    return w.rules.queue_lock_ns


@inlined
def _waits_here(w: World, list: int, page: int) -> bool:
    """Return whether a waiter of the page is on the list."""
    entry = w.lists.head[list]
    while entry != NONE:
        if entry < w.rules.n_tasks and w.entries.page[entry] == page:
            return True
        entry = w.entries.next[entry]
    return False


@jit
def wake_end(w: World, task: int) -> int:
    """Clear PG_waiters if the design says it is stale; drop the queue lock. Next: ret.

    In a shared queue, the walk that wakes the last waiter of a page leaves the flag set if waiters of other pages
    remain: the next unlock walks in vain and clears it.
    """
    t = w.tasks
    list, page = t.walk_list[task], t.page[task]
    cleared = 0
    if flag_stale(w, page, list, t.matched[task] + t.other_bit[task]):
        w.pages.flags[page] &= ~(1 << PG_WAITERS)
        cleared = 1
    elif w.rules.watched and t.other_bit[task] == 0 and not _waits_here(w, list, page):
        witness(w, STALE_WAITERS_FLAG)
    queue, other = queue_shown(w, page, list), t.other_bit[task]
    walked, matched, woken = t.walked[task], t.matched[task], t.woken[task]
    record_walk(w, task, page, queue, t.stop[task], cleared, other, walked, matched, woken)
    wait_detach(w, task, list)
    unlock_list(w, list)
    ret(w, task)
    return 0
