"""The page lock as posted with the proposal (RFC, April 2018): the first waiter's structure is swapped into
page->mapping, later waiters queue behind it, and unlock_page() hands the lock to the first without clearing it.

Steps L1 to L9 and U1, U2 of the posted text, with its typos fixed. Its holes are kept as posted:

* unlock_page() reads page->mapping and then clears the bit; a waiter published in between, whose last try came before
  the bit was cleared, sleeps forever. Corrected: read the mapping again after clearing the bit; if a waiter has been
  published, retake the lock and hand it over. A last try after the clearing gets the lock; if it came before, so did
  the publication, and the second read sees it. The task that retakes the lock owns it, so the head cannot leave.
* each waiter keeps a copy of the mapping; truncation changes only the head's. Corrected: the head passes its copy on.
* a task that has read a word pointing to a head may get there after the head has left. Corrected: compare the word
  again under the head's lock; and with `free: grace` no head returns while a task is on its way to it.
"""

from __future__ import annotations

from engine.designs.wait.page_waiter.structures import (
    DANGLING,
    abandon,
    follow,
    let_go,
    own_list,
    retire,
    step_down,
    waiter_row,
    waiter_word,
)
from engine.events import PG_LOCKED, PG_WAITERS, WQ_DONE, WQ_WOKEN, Kind
from engine.invariants import LOCK_HANDED_OVER, LOCK_STOLEN, USE_AFTER_FREE
from engine.mm.filemap import meets_truncation, trylock_page
from engine.mm.frames import ret
from engine.mm.lock_owner import disown_lock, own_lock
from engine.mm.mapping import tagged
from engine.mm.steps import BLOCKED, WAKE_BEGIN, own_steps
from engine.mm.wait_list import link_tail, try_to_wake_up, unlink
from engine.world.jit import inlined, jit
from engine.world.state import ASLEEP, NONE, READY, World
from engine.world.trace import broken, record, record_entry, witness

(
    WAITER_TRY,
    WAITER_READ,
    WAITER_JOIN,
    WAITER_PUBLISH,
    WAITER_LAST_TRY,
    WAITER_SLEEP,
    WAITER_LEAVE,
    WAITER_GONE,
    UNLOCK_READ,
    UNLOCK_GRANT,
    RECORDED_GRANT,
    UNLOCK_CLEAR,
    UNLOCK_LOOK,
    UNLOCK_AGAIN,
) = own_steps("wait", "page_waiter")
PAGE_UNLOCKED, MAPPING_SWAPPED, MAPPING_RESTORED = (
    int(Kind.page_unlocked),
    int(Kind.mapping_swapped),
    int(Kind.mapping_restored),
)
UNFLAGGED = 1
"""In an event's words: PG_waiters is not set for these waiters."""
WAITER_QUEUED, WAITER_WOKEN, WAITER_LEFT = int(Kind.waiter_queued), int(Kind.waiter_woken), int(Kind.waiter_left)


@inlined
def _record_waiter(w: World, kind: int, task: int, page: int) -> None:
    list = own_list(w, page)
    record_entry(w, kind, task, page, list, w.lists.length[list], PG_LOCKED, w.entries.flags[task], UNFLAGGED)


@inlined
def _queue(w: World, task: int, page: int) -> None:
    link_tail(w, own_list(w, page), task)
    _record_waiter(w, WAITER_QUEUED, task, page)
    meets_truncation(w, page)


@inlined
def _through(w: World, task: int) -> None:
    """Retire the waiter of a task that owns the lock. Next: waiter_gone, then ret."""
    retire(w, task)
    w.tasks.step[task] = WAITER_GONE


@jit
def waiter_try(w: World, task: int) -> int:
    """L1, L2: make a waiter, take its lock, try the page lock. Next: waiter_gone, or waiter_read."""
    page = w.tasks.page[task]
    w.waits.page[task] = page
    w.waits.locked[task] = 1
    w.entries.page[task] = page
    w.entries.bit[task] = PG_LOCKED
    if trylock_page(w, task, page):
        _through(w, task)
    else:
        w.tasks.step[task] = WAITER_READ
    return w.rules.atomic_ns


@jit
def waiter_read(w: World, task: int) -> int:
    """L3: read the mapping once. Next: waiter_join if a waiter is swapped in, else waiter_publish."""
    word = w.pages.mapping[w.tasks.page[task]]
    if tagged(w, word):
        follow(w, task, word)
        w.tasks.step[task] = WAITER_JOIN
    else:
        w.waits.base[task] = word
        w.tasks.step[task] = WAITER_PUBLISH
    return 0


@jit
def waiter_join(w: World, task: int) -> int:
    """L4: try the head's lock; with it, queue behind the head and copy its mapping. Next: waiter_sleep, or waiter_read.

    As posted, nothing checks that it is still the head: a waiter behind a head that has left is never woken.
    """
    page, word = w.tasks.page[task], w.tasks.seen[task]
    head = waiter_row(word)
    if word & DANGLING:
        broken(w, task, page, USE_AFTER_FREE)
    holds = w.pages.mapping[page] == word
    busy = w.waits.locked[head] != 0
    let_go(w, task)
    if busy or word & DANGLING or (w.rules.corrected and not holds):
        w.tasks.step[task] = WAITER_READ
        return max(1, w.rules.queue_lock_ns)
    w.waits.base[task] = w.waits.base[head]
    if holds:
        _queue(w, task, page)
    w.tasks.step[task] = WAITER_SLEEP
    return w.rules.queue_lock_ns


@jit
def waiter_publish(w: World, task: int) -> int:
    """L5: swap the waiter in, unless the mapping has changed. Next: waiter_last_try, or waiter_read."""
    page, base = w.tasks.page[task], w.waits.base[task]
    if w.pages.mapping[page] != base:
        w.tasks.step[task] = WAITER_READ
        return w.rules.atomic_ns
    w.pages.mapping[page] = waiter_word(w, task)
    record(w, MAPPING_SWAPPED, task, page, base, w.pages.mapping[page])
    _queue(w, task, page)
    w.tasks.step[task] = WAITER_LAST_TRY
    return w.rules.atomic_ns


@jit
def waiter_last_try(w: World, task: int) -> int:
    """L6: try the bit again: an unlock that read the mapping earlier may have cleared it. Next: waiter_sleep; with the
    lock, step down and then waiter_gone.

    If another waiter is the head by now (a plain store has overwritten this one), hand the lock to that one and sleep.
    """
    page, word = w.tasks.page[task], waiter_word(w, task)
    if not trylock_page(w, task, page):
        w.tasks.step[task] = WAITER_SLEEP
        return w.rules.atomic_ns
    now = w.pages.mapping[page]
    if now != word and tagged(w, now):
        disown_lock(w, task, page)
        _grant(w, task, page, waiter_row(now))
        w.tasks.step[task] = WAITER_SLEEP
        return w.rules.atomic_ns
    unlink(w, task)
    _record_waiter(w, WAITER_LEFT, task, page)
    step_down(w, task, page)
    _through(w, task)
    return w.rules.atomic_ns


@jit
def waiter_sleep(w: World, task: int) -> int:
    """L7: release the waiter's lock and sleep until the page lock is handed over. Next: waiter_leave."""
    w.waits.locked[task] = 0
    if w.entries.flags[task] & WQ_DONE:
        w.tasks.step[task] = WAITER_LEAVE
        return 0
    w.tasks.state[task] = ASLEEP
    return BLOCKED


@jit
def waiter_leave(w: World, task: int) -> int:
    """L8: make the next waiter the head, or restore the mapping. Next: waiter_gone."""
    step_down(w, task, w.tasks.page[task])
    _through(w, task)
    return w.rules.atomic_ns


@jit
def waiter_gone(w: World, task: int) -> int:
    """L9: return; with grace periods, only once no task is on its way to the waiter. Next: ret."""
    if w.waits.readers[task] and not w.rules.free_early:
        w.tasks.state[task] = ASLEEP
        return BLOCKED
    abandon(w, task)
    w.entries.flags[task] = 0
    w.tasks.state[task] = READY
    ret(w, task)
    return 0


@jit
def unlock_read(w: World, task: int) -> int:
    """U1: read the mapping once. Next: unlock_grant if a waiter is swapped in, else unlock_clear."""
    word = w.pages.mapping[w.tasks.page[task]]
    if tagged(w, word):
        follow(w, task, word)
        w.tasks.step[task] = UNLOCK_GRANT
    else:
        w.tasks.step[task] = UNLOCK_CLEAR
    return 0


@inlined
def _grant(w: World, task: int, page: int, head: int) -> None:
    """Hand the page's lock, which stays set, to the head, and wake it."""
    own_lock(w, task, head, page)
    witness(w, LOCK_HANDED_OVER)
    w.pages.flags[page] |= 1 << PG_LOCKED
    w.entries.flags[head] |= WQ_WOKEN | WQ_DONE
    if w.entries.list[head] != NONE:
        unlink(w, head)
        _record_waiter(w, WAITER_WOKEN, head, page)
    try_to_wake_up(w, head)


@jit
def unlock_grant(w: World, task: int) -> int:
    """U2, tagged: leave PG_locked set and hand the lock to the head. Next: ret."""
    page, word = w.tasks.page[task], w.tasks.seen[task]
    if word & DANGLING:
        broken(w, task, page, USE_AFTER_FREE)
    let_go(w, task)
    disown_lock(w, task, page)
    _grant(w, task, page, waiter_row(word))
    ret(w, task)
    return w.rules.atomic_ns + w.rules.wake_ns


@jit
def recorded_grant(w: World, task: int) -> int:
    """Replay a recorded wake-up: it shows that the lock was released, so hand the lock over. Next: ret.

    Do nothing if the head was granted the lock earlier, and the recording does not show that it has run since.
    """
    page, t = w.tasks.page[task], w.tasks
    head = waiter_row(w.pages.mapping[page])
    met = w.entries.list[head] != NONE
    if met:
        w.pages.owner[page] = NONE
        _grant(w, task, page, head)
    t.walked[task], t.matched[task], t.woken[task], t.other_bit[task] = met, met, met, 0
    ret(w, task)
    return 0


@jit
def unlock_clear(w: World, task: int) -> int:
    """U2, untagged: clear PG_locked. Next: wake_begin for the waiters in the shared queue, or ret; corrected,
    unlock_look before that.
    """
    page = w.tasks.page[task]
    flags = w.pages.flags[page] & ~(1 << PG_LOCKED)
    w.pages.flags[page] = flags
    disown_lock(w, task, page)
    record(w, PAGE_UNLOCKED, task, page, flags, w.lists.length[own_list(w, page)])
    if w.rules.corrected:
        w.tasks.step[task] = UNLOCK_LOOK
    else:
        _wake_shared(w, task, page)
    return w.rules.atomic_ns


@inlined
def _wake_shared(w: World, task: int, page: int) -> None:
    """Wake the shared queue if PG_waiters is set. Next: wake_begin, or ret."""
    if w.pages.flags[page] & (1 << PG_WAITERS):
        w.tasks.bit[task] = PG_LOCKED
        w.tasks.step[task] = WAKE_BEGIN
    else:
        ret(w, task)


@jit
def unlock_look(w: World, task: int) -> int:
    """Corrected: check for a waiter published since the mapping was read. Next: unlock_again, wake_begin or ret."""
    page = w.tasks.page[task]
    if tagged(w, w.pages.mapping[page]):
        w.tasks.step[task] = UNLOCK_AGAIN
    else:
        _wake_shared(w, task, page)
    return 0


@jit
def unlock_again(w: World, task: int) -> int:
    """Corrected: retake the lock to hand it over. Next: unlock_read; if another task has it, wake_begin or ret.

    A task that has the lock finds the waiter when it unlocks.
    """
    page = w.tasks.page[task]
    if trylock_page(w, task, page):
        w.tasks.step[task] = UNLOCK_READ
    else:
        if tagged(w, w.pages.mapping[page]) and w.pages.owner[page] != waiter_row(w.pages.mapping[page]):
            witness(w, LOCK_STOLEN)
        _wake_shared(w, task, page)
    return w.rules.atomic_ns
