"""How waiters find their page's queue in an rhashtable, and how the last one removes it.

    wait     look the page up (RCU); if it is not there, take an element from the pool and insert it
             (rhashtable_lookup_get_insert_fast: the first insertion wins, the other waiter uses it)
    wake     look the page up; if it is not there, it has no waiters
    last     under the queue lock, when the queue is empty: remove the element, free it after a grace period

While a resize is scheduled or under way, a table with as many elements as buckets accepts no more: insertion fails
(-EBUSY), and the waiter retries a moment later.
"""

from __future__ import annotations

from typing import Any

from engine.designs.wait import FOUND, LOOK_AGAIN, NOBODY
from engine.designs.wait.rhashtable.structures import find, link, schedule_resize, to_pool, unlink_element
from engine.world.jit import inlined, jit
from engine.world.state import NONE, World


@inlined
def _enter(w: World, task: int, element: int) -> None:
    """rcu_read_lock(): the task is about to take this element's queue lock."""
    w.tasks.seen[task] = element + 1
    w.elements.readers[element] += 1


@inlined
def _leave(w: World, task: int, element: int) -> None:
    """rcu_read_unlock(); the last reader of a removed element ends its grace period."""
    w.tasks.seen[task] = 0
    w.elements.readers[element] -= 1
    if w.elements.readers[element] == 0 and not w.elements.linked[element]:
        to_pool(w, element)


@jit
def wait_attach(w: World, task: int) -> int:
    page, made, linked = w.tasks.page[task], w.tasks.made[task], w.entries.list[task]
    element = find(w, page) if linked == NONE else linked
    if element != NONE:
        if made != NONE:  # another task inserted one first
            w.tasks.made[task] = NONE
            to_pool(w, made)
        _enter(w, task, element)
        return 1
    r = w.resizing
    if made == NONE:  # kmalloc(GFP_ATOMIC)
        w.tasks.made[task] = r.free[0]
        r.free[0] = w.elements.free_next[w.tasks.made[task]]
        return 0
    if (r.future[0] or r.wanted[0]) and r.elements[0] >= max(r.size[0], r.future[0]):
        return -max(1, w.rules.atomic_ns)
    w.tasks.made[task] = NONE
    w.elements.page[made] = page
    w.elements.linked[made] = 1
    link(w, made)
    r.elements[0] += 1
    schedule_resize(w)
    _enter(w, task, made)
    return 1


@inlined
def wake_look(w: World, task: int, page: int) -> int:
    if w.tasks.seen[task]:
        return FOUND
    element = find(w, page)
    if element == NONE:
        return NOBODY
    _enter(w, task, element)
    return LOOK_AGAIN


@inlined
def wait_list(w: World, task: int, page: int, bit: int) -> Any:
    return w.tasks.seen[task] - 1


@jit
def wait_holds(w: World, task: int, page: int, list: int) -> bool:
    """Return whether the locked element is still the page's queue: it may have been removed meanwhile."""
    holds: bool = w.elements.linked[list] != 0 and w.elements.page[list] == page
    _leave(w, task, list)
    return holds


@jit
def wait_detach(w: World, task: int, list: int) -> None:
    """Remove the element if its queue is empty; it goes back to the pool when no task is on its way to it."""
    if w.elements.linked[list] and w.lists.head[list] == NONE:
        unlink_element(w, list)
        w.elements.linked[list] = 0
        w.elements.page[list] = NONE
        w.resizing.elements[0] -= 1
        if w.elements.readers[list] == 0:
            to_pool(w, list)
        schedule_resize(w)


@inlined
def flag_stale(w: World, page: int, list: int, met: int) -> bool:
    return w.lists.head[list] == NONE


@inlined
def queue_length(w: World, page: int) -> int:
    element = find(w, page)
    return w.lists.length[element] if element != NONE else 0


@inlined
def read_mapping(w: World, page: int) -> int:
    return w.pages.mapping[page]


@inlined
def kept_mapping(w: World, page: int) -> int:
    return w.pages.mapping[page]


@inlined
def write_mapping(w: World, task: int, page: int, word: int) -> None:
    w.pages.mapping[page] = word


@inlined
def leaks(w: World) -> bool:
    left: bool = w.resizing.elements[0] != 0
    return left


@jit
def settle(w: World) -> None:
    """Keep the pool in rising order: which element is allocated next makes no difference."""
    first = w.resizing.free[0]
    if first == NONE:
        return
    behind, next = first, w.elements.free_next[first]
    if next == NONE or first < next:
        return
    w.resizing.free[0] = next
    while next != NONE and next < first:
        behind, next = next, w.elements.free_next[next]
    w.elements.free_next[behind] = first
    w.elements.free_next[first] = next
