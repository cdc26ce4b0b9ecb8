"""Wait lists: link, unlink and their lock (kernel/sched/wait.c, include/linux/list.h)."""

from __future__ import annotations

from engine.world.jit import INTERPRETED, inlined, jit
from engine.world.state import ASLEEP, FINISHED, NONE, READY, WOKEN, World
from engine.world.verbs import page_queue_length


@inlined
def link_tail(w: World, list: int, entry: int) -> None:
    """Append the entry at the tail of the list; a bookmark does not count as a waiter."""
    if INTERPRETED:
        assert w.entries.list[entry] == NONE, "an entry is linked on two lists"
    last = w.lists.tail[list]
    w.entries.next[entry] = NONE
    w.entries.prev[entry] = last
    if last == NONE:
        w.lists.head[list] = entry
    else:
        w.entries.next[last] = entry
    w.lists.tail[list] = entry
    w.entries.list[entry] = list
    if entry < w.rules.n_tasks:
        w.lists.length[list] += 1


@inlined
def line_length(w: World, list: int) -> int:
    """Return how many tasks wait in the queue that the list is part of."""
    first = w.lists.lock_row[list]
    length = w.lists.length[first]
    for other in range(1, w.rules.queue_lists):
        length += w.lists.length[first + other]
    return length


@inlined
def queue_shown(w: World, page: int, list: int) -> int:
    """Return the number of the queue, as events show it."""
    return page if w.rules.queue_per_page else list


@inlined
def queue_length(w: World, page: int) -> int:
    """Return the length of the queue that holds the page's waiters, as events show it."""
    if w.rules.fixed_queues:
        return w.lists.length[w.pages.queue[page]]
    if w.rules.tag_shows_queue and w.pages.mapping[page] & w.rules.tag == 0:
        return 0
    length: int = page_queue_length(w, page)
    return length


@jit
def link_before(w: World, list: int, entry: int, next: int) -> None:
    """Put a bookmark just before the entry `next`."""
    before = w.entries.prev[next]
    w.entries.prev[entry] = before
    w.entries.next[entry] = next
    w.entries.prev[next] = entry
    if before == NONE:
        w.lists.head[list] = entry
    else:
        w.entries.next[before] = entry
    w.entries.list[entry] = list


@inlined
def unlink(w: World, entry: int) -> None:
    """Take the entry off its list."""
    list = w.entries.list[entry]
    if INTERPRETED:
        assert list != NONE, "an entry on no list is unlinked"
        assert entry >= w.rules.n_tasks or w.lists.length[list] > 0, "a list has entries but length 0"
    before, after = w.entries.prev[entry], w.entries.next[entry]
    if before == NONE:
        w.lists.head[list] = after
    else:
        w.entries.next[before] = after
    if after == NONE:
        w.lists.tail[list] = before
    else:
        w.entries.prev[after] = before
    w.entries.list[entry] = NONE
    if entry < w.rules.n_tasks:
        w.lists.length[list] -= 1


@inlined
def lock_list(w: World, list: int, task: int) -> bool:
    """Try to take the list's lock; return False if it is taken."""
    row = w.lists.lock_row[list]
    if w.tasks.spins_on[task] != row:
        give_up_lock(w, task)
    owner = w.lists.lock[row]
    if owner not in (NONE, task):
        w.tasks.spins_on[task] = row
        return False
    w.lists.lock[row] = task
    w.tasks.spins_on[task] = NONE
    return True


@inlined
def give_up_lock(w: World, task: int) -> None:
    """Stop spinning on a lock that the task no longer wants; if the task holds it by now, pass it on."""
    row = w.tasks.spins_on[task]
    if row != NONE:
        w.tasks.spins_on[task] = NONE
        if w.lists.lock[row] == task:
            _pass_lock(w, row)


@inlined
def unlock_list(w: World, list: int) -> None:
    """Release the list's lock."""
    _pass_lock(w, w.lists.lock_row[list])


@inlined
def _pass_lock(w: World, row: int) -> None:
    """Hand the lock to the first spinner, ready queue_lock_ns later; no task overtakes it (qspinlock is fair)."""
    if INTERPRETED:
        assert w.lists.lock[row] != NONE, "a queue lock is released that no task holds"
    first = w.lists.spin_head[row]
    w.lists.lock[row] = first
    if first != NONE:
        after = w.tasks.spin_next[first]
        w.lists.spin_head[row] = after
        if after == NONE:
            w.lists.spin_tail[row] = NONE
        make_ready(w, first, w.rules.queue_lock_ns)


@inlined
def make_ready(w: World, task: int, delay: int) -> None:
    """Make the task runnable, `delay` ns from now."""
    if INTERPRETED:
        assert w.tasks.state[task] != FINISHED, "a finished task is woken"
    at = w.clock[WOKEN]
    w.machine.woken[at] = task
    w.machine.woken_delay[at] = delay
    w.clock[WOKEN] += 1
    w.tasks.state[task] = READY


@inlined
def try_to_wake_up(w: World, task: int) -> bool:
    """Wake the task if it sleeps or is about to, else return False. kernel/sched/core.c: try_to_wake_up()."""
    if w.tasks.state[task] == ASLEEP:
        make_ready(w, task, w.rules.latency_ns)
    elif not w.tasks.state_set[task]:
        return False
    w.tasks.state_set[task] = 0
    return True
