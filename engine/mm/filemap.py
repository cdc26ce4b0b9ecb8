"""Lock a page, wait for a page bit, unlock (mm/filemap.c).

The wait has two generations. Before 5.9 a waiter queues itself, sets PG_waiters, tests the bit and sleeps; it retries
when woken, and requeues at the tail if another task was faster. From 5.9 on it sets PG_waiters and tries the bit under
the queue lock (publish); a waker marks the entry WOKEN, and may hand the lock over (DONE).

A task's row says what it waits for: tasks.page, tasks.bit, and its wait entry's flags (WQ_EXCLUSIVE: to set the bit).
"""

from __future__ import annotations

from engine.events import (
    PG_LOCKED,
    PG_WAITERS,
    PG_WRITEBACK,
    WQ_CUSTOM,
    WQ_DONE,
    WQ_EXCLUSIVE,
    WQ_WOKEN,
    Kind,
)
from engine.invariants import LOCK_STOLEN, REQUEUED_AT_TAIL, RETURNED_BIT_SET, STOLEN_OFTEN, WAIT_HOLDING_LOCK
from engine.mm.frames import call, ret
from engine.mm.lock_owner import disown_lock
from engine.mm.steps import (
    BLOCKED,
    SPIN,
    WAIT_ATTACH,
    WAIT_CHECK,
    WAIT_ENQUEUE,
    WAIT_FINISH,
    WAIT_PREPARE,
    WAIT_PUBLISH,
    WAIT_RETRY,
    WAIT_SLEEP,
    WAKE_BEGIN,
)
from engine.mm.wait_list import (
    line_length,
    link_tail,
    lock_list,
    queue_length,
    queue_shown,
    unlink,
    unlock_list,
)
from engine.world.jit import inlined, jit
from engine.world.state import ASLEEP, NONE, READY, World
from engine.world.trace import record, record_entry, witness
from engine.world.verbs import (
    wait_attach,
    wait_detach,
    wait_holds,
    wait_list,
)

PAGE_LOCKED, PAGE_UNLOCKED = int(Kind.page_locked), int(Kind.page_unlocked)
WAITER_QUEUED, WAITER_LEFT = int(Kind.waiter_queued), int(Kind.waiter_left)
WAITERS_FLAG_SET = int(Kind.waiters_flag_set)


STOLEN_OFTEN_AFTER = 5
"""page_lock_unfairness: losses of the lock above this number are what the hand-off of 5.9 prevents."""


@inlined
def _lost(w: World, task: int) -> None:
    """Note a stolen lock: a queued waiter was woken, or saw the bit clear, and another task took the lock first."""
    witness(w, LOCK_STOLEN)
    if not w.rules.publish:
        if w.tasks.unfairness[task] >= -STOLEN_OFTEN_AFTER:
            w.tasks.unfairness[task] -= 1
        if w.tasks.unfairness[task] < -STOLEN_OFTEN_AFTER:
            witness(w, STOLEN_OFTEN)


@inlined
def trylock_page(w: World, task: int, page: int) -> bool:
    """Test and set PG_locked in one atomic step; True if it was clear."""
    flags = w.pages.flags[page]
    if flags & (1 << PG_LOCKED):
        return False
    w.pages.flags[page] = flags | (1 << PG_LOCKED)
    w.pages.owner[page] = task  # the previous owner was cleared at unlock
    record(w, PAGE_LOCKED, task, page, flags | (1 << PG_LOCKED), queue_length(w, page))
    return True


@inlined
def begin_wait(w: World, task: int, bit: int, flags: int) -> None:
    """Make the task wait for a page bit. Next: wait_prepare."""
    w.tasks.bit[task] = bit
    w.entries.flags[task] = flags
    w.tasks.unfairness[task] = w.rules.handoff_after
    w.tasks.step[task] = WAIT_PREPARE


@inlined
def wait_for_writeback(w: World, task: int, then: int) -> None:
    """Wait for a writeback to end. Next: wait_prepare; after the wait, `then`."""
    begin_wait(w, task, PG_WRITEBACK, 0)
    call(w, task, WAIT_PREPARE, then)


@inlined
def _through(w: World, task: int, page: int) -> bool:
    """Return whether the wait is over: an exclusive waiter got the lock, any other sees its bit clear."""
    if w.entries.flags[task] & WQ_EXCLUSIVE:
        return trylock_page(w, task, page)
    return w.pages.flags[page] & (1 << w.tasks.bit[task]) == 0


@inlined
def lock_page(w: World, task: int) -> int:
    """Try to lock the page, else wait for the lock. Next: ret, or wait_prepare.

    include/linux/pagemap.h: lock_page(); mm/filemap.c: __lock_page().
    """
    if trylock_page(w, task, w.tasks.page[task]):
        ret(w, task)
    else:
        begin_wait(w, task, PG_LOCKED, WQ_EXCLUSIVE)
    return w.rules.atomic_ns


@jit
def wait_on_page_locked(w: World, task: int) -> int:
    """Wait until the page is unlocked, without taking the lock. Next: ret, or wait_prepare.

    include/linux/pagemap.h: wait_on_page_locked().
    """
    if w.pages.flags[w.tasks.page[task]] & (1 << PG_LOCKED):
        begin_wait(w, task, PG_LOCKED, 0)
    else:
        ret(w, task)
    return 0


@inlined
def unlock_page(w: World, task: int) -> int:
    """Clear PG_locked and read PG_waiters in one atomic step. Next: ret, or wake_begin.

    mm/filemap.c: unlock_page(); from 6.7 on one XOR of the flags byte, with the same outcome.
    """
    if w.rules.unlock_step != NONE:
        w.tasks.step[task] = w.rules.unlock_step
        return 0
    page = w.tasks.page[task]
    flags = w.pages.flags[page] & ~(1 << PG_LOCKED)
    w.pages.flags[page] = flags
    disown_lock(w, task, page)
    record(w, PAGE_UNLOCKED, task, page, flags, queue_length(w, page))
    if flags & (1 << PG_WAITERS):
        w.tasks.bit[task] = PG_LOCKED
        w.tasks.step[task] = WAKE_BEGIN
    else:
        ret(w, task)
    return w.rules.atomic_ns


@jit
def wait_prepare(w: World, task: int) -> int:
    """Set up the entry on the stack and start the search for its queue. Next: wait_on or wait_enqueue.

    mm/filemap.c: wait_on_page_bit_common(). From 5.9 on each failed attempt uses up one of page_lock_unfairness; when
    none is left, the waiter requests a hand-off of the lock.
    """
    if w.rules.lock_step != NONE and w.entries.flags[task] & WQ_EXCLUSIVE and w.tasks.bit[task] == PG_LOCKED:
        w.tasks.step[task] = w.rules.lock_step
        return 0
    flags = w.entries.flags[task] & WQ_EXCLUSIVE
    if w.rules.publish and flags:
        if w.tasks.unfairness[task] >= 0:  # stop counting below zero
            w.tasks.unfairness[task] -= 1
        if w.tasks.unfairness[task] < 0:
            flags |= WQ_CUSTOM
    w.entries.flags[task] = flags
    w.entries.page[task] = w.tasks.page[task]
    w.entries.bit[task] = w.tasks.bit[task]
    return wait_on(w, task)


@jit
def wait_on(w: World, task: int) -> int:
    """Take one step towards the entry's queue. Next: wait_on, or wait_enqueue once the queue is known.

    A design with no room now returns a delay, after which the step is retried.
    """
    got = wait_attach(w, task)
    w.tasks.step[task] = WAIT_ENQUEUE if got > 0 else WAIT_ATTACH
    return -got if got < 0 else 0


@inlined
def meets_truncation(w: World, page: int) -> None:
    """Note WAIT_HOLDING_LOCK: a locker queues while the owner of the page's lock waits for a writeback."""
    owner = w.pages.owner[page]
    if owner != NONE and w.entries.list[owner] != NONE and w.entries.bit[owner] == PG_WRITEBACK:
        witness(w, WAIT_HOLDING_LOCK)


@inlined
def _note_requeue(w: World, task: int, page: int, list: int) -> None:
    """Note a locker that requeues behind other waiters, or queues while the lock's owner waits for a writeback."""
    if w.entries.flags[task] & WQ_EXCLUSIVE:
        first = w.rules.handoff_after - 1 if w.rules.publish else 0
        if w.tasks.unfairness[task] < first and w.lists.head[list] != NONE:
            witness(w, REQUEUED_AT_TAIL)
        meets_truncation(w, page)


@inlined
def _append(w: World, task: int, page: int, list: int) -> None:
    """Link the entry at the tail and record that, under the queue lock."""
    _note_requeue(w, task, page, list)
    link_tail(w, list, task)
    w.pages.flags[page] |= 1 << PG_WAITERS
    queue, length = queue_shown(w, page, list), line_length(w, list)
    record_entry(w, WAITER_QUEUED, task, page, queue, length, w.tasks.bit[task], w.entries.flags[task], 0)


@jit
def wait_enqueue(w: World, task: int) -> int:
    """Queue the entry, under the queue lock. Next: wait_check; from 5.9 on wait_publish, with the lock held.

    Before 5.9: append the entry at the tail and set PG_waiters, unless it is still linked; drop the lock. From here on
    a wake-up counts, though the task still runs (set_current_state). From 5.9 on: set PG_waiters only. If the queue is
    no longer the page's, next is wait_prepare.
    """
    page = w.tasks.page[task]
    list = wait_list(w, task, page, w.tasks.bit[task])
    if not lock_list(w, list, task):
        return SPIN
    if not wait_holds(w, task, page, list):
        unlock_list(w, list)
        w.tasks.step[task] = WAIT_PREPARE
        return 0
    if w.rules.publish:
        flags = w.pages.flags[page]
        if not flags & (1 << PG_WAITERS):
            w.pages.flags[page] = flags | (1 << PG_WAITERS)
            record(w, WAITERS_FLAG_SET, task, page, flags | (1 << PG_WAITERS), 0)
        w.tasks.walk_list[task] = list
        w.tasks.step[task] = WAIT_PUBLISH
    else:
        if w.entries.list[task] == NONE:
            _append(w, task, page, list)
        w.tasks.state_set[task] = 1
        unlock_list(w, list)
        w.tasks.step[task] = WAIT_CHECK
    return w.rules.queue_lock_ns


@jit
def wait_publish(w: World, task: int) -> int:
    """From 5.9 on, under the queue lock: try the bit again, else append at the tail. Next: wait_finish or wait_sleep.

    mm/filemap.c: wait_on_page_bit_common(), trylock_page_bit_common().
    """
    page, list = w.tasks.page[task], w.tasks.walk_list[task]
    if _through(w, task, page):
        w.entries.flags[task] |= WQ_WOKEN | WQ_DONE
        wait_detach(w, task, list)
        w.tasks.step[task] = WAIT_FINISH
    else:
        _append(w, task, page, list)
        w.tasks.step[task] = WAIT_SLEEP
    unlock_list(w, list)
    return w.rules.atomic_ns


@jit
def wait_check(w: World, task: int) -> int:
    """Before 5.9: sleep if the bit is still set, unless woken already. Next: wait_retry, when woken or at once."""
    w.tasks.step[task] = WAIT_RETRY
    if w.tasks.state_set[task] and w.pages.flags[w.tasks.page[task]] & (1 << w.tasks.bit[task]):
        w.tasks.state[task] = ASLEEP
        return BLOCKED
    return 0


@jit
def wait_retry(w: World, task: int) -> int:
    """Before 5.9: try the bit again. Next: wait_finish, or wait_prepare, to requeue unless still linked."""
    page = w.tasks.page[task]
    if _through(w, task, page):
        w.tasks.step[task] = WAIT_FINISH
    else:
        if w.entries.flags[task] & WQ_EXCLUSIVE:
            _lost(w, task)
        w.tasks.step[task] = WAIT_PREPARE
    return w.rules.atomic_ns


@jit
def wait_sleep(w: World, task: int) -> int:
    """From 5.9 on: sleep until the entry is marked WOKEN. Next: wait_finish; wait_prepare if another took the lock."""
    flags = w.entries.flags[task]
    if not flags & WQ_WOKEN:
        w.tasks.state[task] = ASLEEP
        return BLOCKED
    page, bit = w.tasks.page[task], w.tasks.bit[task]
    if flags & WQ_DONE or not flags & WQ_EXCLUSIVE or trylock_page(w, task, page):
        w.tasks.step[task] = WAIT_FINISH
        looks_again = w.rules.writeback_loops and bit == PG_WRITEBACK
        if not flags & (WQ_DONE | WQ_EXCLUSIVE) and w.pages.flags[page] & (1 << bit) and not looks_again:
            witness(w, RETURNED_BIT_SET)
    else:
        _lost(w, task)
        w.tasks.step[task] = WAIT_PREPARE
    return w.rules.atomic_ns


@jit
def wait_finish(w: World, task: int) -> int:
    """Unlink the entry if it is still queued (lock taken without a wake-up, or a signal). Next: ret.

    kernel/sched/wait.c: finish_wait().
    """
    w.tasks.state_set[task] = 0  # so that no waker unlinks the entry while the task spins below
    list = w.entries.list[task]
    if list != NONE:
        if not lock_list(w, list, task):
            return SPIN
        page = w.entries.page[task]
        unlink(w, task)
        queue, length = queue_shown(w, page, list), line_length(w, list)
        record_entry(w, WAITER_LEFT, task, page, queue, length, w.entries.bit[task], w.entries.flags[task], 0)
        wait_detach(w, task, list)
        unlock_list(w, list)
    w.tasks.state[task] = READY
    w.tasks.unfairness[task] = 0
    ret(w, task)
    return 0
