"""page_waiter (Glisse, RFC of April 2018): the first lock waiter's structure, swapped into page->mapping.

Only exclusive waits for PG_locked use it (steps.py). All others use the shared queues, where PG_locked is never seen
clear while the lock is handed from waiter to waiter.
"""

from __future__ import annotations

from typing import Any

from engine.designs.wait.page_waiter.structures import abandon, own_list, retire, step_down, waiter_row
from engine.designs.wait.swapped import E1, E2
from engine.events import PG_LOCKED, Kind
from engine.mm.mapping import tagged
from engine.world.jit import inlined, jit
from engine.world.state import NONE, World
from engine.world.trace import record

SAVED_MAPPING_CLEARED = int(Kind.saved_mapping_cleared)


@inlined
def grants_recorded(w: World, page: int, bit: int) -> bool:
    """Return whether a recorded unlock hands the lock to a head."""
    return bit == PG_LOCKED and tagged(w, w.pages.mapping[page])


@inlined
def wait_list(w: World, task: int, page: int, bit: int) -> Any:
    """Return the shared queue; waiters for the lock never call this."""
    return w.pages.queue[page]


@jit
def wait_detach(w: World, task: int, list: int) -> None:
    """Step down for a lock waiter that gave up in a recording."""
    if list >= 1 << w.rules.bits:
        step_down(w, task, list - (1 << w.rules.bits))
        retire(w, task)
        abandon(w, task)


@inlined
def flag_stale(w: World, page: int, list: int, met: int) -> bool:
    return w.lists.head[list] == NONE or met == 0


@inlined
def queue_length(w: World, page: int) -> int:
    """Return the number of waiters for the lock."""
    return w.lists.length[own_list(w, page)]


@inlined
def read_mapping(w: World, page: int) -> int:
    """E1: return the head's copy. E2 and E3: as with a page_wait."""
    word = w.pages.mapping[page]
    if not tagged(w, word):
        return word
    if w.rules.encoding == E1:
        return w.waits.base[waiter_row(word)]
    return 0 if w.rules.encoding == E2 else word


@inlined
def kept_mapping(w: World, page: int) -> int:
    word = w.pages.mapping[page]
    return w.waits.base[waiter_row(word)] if tagged(w, word) else word


@jit
def write_mapping(w: World, task: int, page: int, word: int) -> None:
    """Write the mapping, or the head's copy while a waiter is swapped in."""
    now = w.pages.mapping[page]
    if tagged(w, now):
        row = waiter_row(now)
        record(w, SAVED_MAPPING_CLEARED, task, page, w.waits.base[row], word)
        w.waits.base[row] = word
    else:
        w.pages.mapping[page] = word


@jit
def leaks(w: World) -> bool:
    attached = False
    for row in range(w.rules.n_tasks):
        attached |= w.waits.page[row] != NONE
    return attached
