"""page_wait swapped into page->mapping (Glisse, LSFMM 2018), completed here: attach, join, detach, wake.

    mapping: address_space            no waiters
    mapping: page_wait | tag          waiters; page_wait.base keeps the address_space
                                      page_wait.wq[bit]: one list per wait bit, all under page_wait.lock

The task that empties the last list restores the mapping, under page_wait.lock. A walker's bookmark counts as an entry,
because the walker returns to it. From reading a tagged word until it has the structure's lock a task is in an RCU
read-side section: with `free: grace` the structure goes back to the pool when all readers have left, with `early` at
once.
"""

from __future__ import annotations

from typing import Any

from engine.designs.wait import FOUND, LOOK_AGAIN, NOBODY
from engine.designs.wait.page_wait.words import PAGE_WAIT_BASE, PAGE_WAIT_BYTES, WAIT_BITS
from engine.designs.wait.swapped import E1, E2
from engine.events import PG_LOCKED, PG_WRITEBACK, Kind
from engine.invariants import MAPPING_RESURRECTED, USE_AFTER_FREE
from engine.mm.mapping import tagged
from engine.mm.wait_list import line_length
from engine.world.jit import inlined, jit
from engine.world.state import FREE_WAIT, NONE, World
from engine.world.trace import broken, record

MAPPING_SWAPPED, MAPPING_RESTORED = int(Kind.mapping_swapped), int(Kind.mapping_restored)
SAVED_MAPPING_CLEARED = int(Kind.saved_mapping_cleared)
DANGLING = 0x2
"""Set in tasks.seen, never in page->mapping: the structure was freed under the task."""


@inlined
def page_wait_word(w: World, row: int) -> int:
    """Return the value of page->mapping while page_wait `row` is swapped in."""
    return (PAGE_WAIT_BASE + PAGE_WAIT_BYTES * row) | w.rules.tag


@inlined
def page_wait_row(word: int) -> Any:
    """Return the row of the page_wait that a tagged word points to."""
    return (word - PAGE_WAIT_BASE) // PAGE_WAIT_BYTES


@inlined
def _slot(w: World, bit: int) -> int:
    """Return the index of a page bit in page_wait.wq."""
    if bit == PG_LOCKED or w.rules.wait_bits == 1:
        return 0
    return 1 if bit == PG_WRITEBACK else 2


@inlined
def _enter(w: World, task: int, word: int) -> None:
    """rcu_read_lock(): the task follows this word."""
    w.tasks.seen[task] = word
    w.waits.readers[page_wait_row(word)] += 1


@inlined
def _leave(w: World, task: int) -> None:
    """rcu_read_unlock(); the last reader of a freed structure ends its grace period."""
    word = w.tasks.seen[task]
    w.tasks.seen[task] = 0
    if word & DANGLING == 0:
        row = page_wait_row(word)
        w.waits.readers[row] -= 1
        if w.waits.readers[row] == 0 and w.waits.page[row] == NONE:
            _to_pool(w, row)


@inlined
def _to_pool(w: World, row: int) -> None:
    w.waits.base[row] = 0
    w.waits.free_next[row] = w.clock[FREE_WAIT]
    w.clock[FREE_WAIT] = row


@jit
def _free(w: World, row: int) -> None:
    """C4: return the structure to the pool, at once or after a grace period."""
    w.waits.page[row] = NONE
    if w.waits.readers[row] and not w.rules.free_early:
        return
    if w.waits.readers[row]:
        word = page_wait_word(w, row)
        for task in range(w.rules.n_tasks):
            if w.tasks.seen[task] == word:
                w.tasks.seen[task] = word | DANGLING
        w.waits.readers[row] = 0
    _to_pool(w, row)


@jit
def wait_attach(w: World, task: int) -> bool:
    """A1 to A3, or B1: read the word; allocate a structure with it as base; swap that in unless the word has changed.

    A waiter that is still linked (before 5.9, one that lost the lock) stays with the structure that it is linked in.
    """
    page, made, linked = w.tasks.page[task], w.tasks.made[task], w.entries.list[task]
    word = w.pages.mapping[page]
    if linked != NONE:
        _enter(w, task, page_wait_word(w, linked // WAIT_BITS))
        return True
    if tagged(w, word):
        if made != NONE:  # another task swapped one in first
            w.tasks.made[task] = NONE
            _to_pool(w, made)
        _enter(w, task, word)
        return True
    if made == NONE:
        made = w.clock[FREE_WAIT]
        w.clock[FREE_WAIT] = w.waits.free_next[made]
        w.tasks.made[task] = made
    elif w.waits.base[made] == word:  # cmpxchg
        w.tasks.made[task] = NONE
        w.waits.page[made] = page
        w.pages.mapping[page] = page_wait_word(w, made)
        record(w, MAPPING_SWAPPED, task, page, word, w.pages.mapping[page])
        _enter(w, task, w.pages.mapping[page])
        return True
    w.waits.base[made] = word
    return False


@inlined
def wake_look(w: World, task: int, page: int) -> int:
    """D3: read the word; a separate step locks the structure that it points to."""
    if w.tasks.seen[task]:
        return FOUND
    word = w.pages.mapping[page]
    if not tagged(w, word):
        return NOBODY
    _enter(w, task, word)
    return LOOK_AGAIN


@inlined
def wait_list(w: World, task: int, page: int, bit: int) -> Any:
    """Return the list that the word leads to; reaching a freed structure is a use after free."""
    word = w.tasks.seen[task]
    if word & DANGLING:
        broken(w, task, page, USE_AFTER_FREE)
    return page_wait_row(word) * WAIT_BITS + _slot(w, bit)


@inlined
def wait_holds(w: World, task: int, page: int, list: int) -> bool:
    """B2: return whether the word is still the one that led here, under the lock; end the read-side section."""
    word, row = w.tasks.seen[task], list // WAIT_BITS
    _leave(w, task)
    if word & DANGLING or w.waits.page[row] != page:
        return False
    if w.pages.mapping[page] != word and w.entries.list[task] != list:
        wait_detach(w, task, list)
        return False
    return True


@inlined
def _empty(w: World, row: int) -> bool:
    """Return whether no list holds a waiter or a walker's bookmark."""
    heads, first = w.lists.head, row * WAIT_BITS
    return heads[first] == NONE and heads[first + 1] == NONE and heads[first + 2] == NONE


@inlined
def wait_detach(w: World, task: int, list: int) -> None:
    """C2 to C4: if all lists are empty, restore the mapping unless the word has changed (cmpxchg), and free."""
    row = list // WAIT_BITS
    page = w.waits.page[row]
    if page != NONE and _empty(w, row):
        word, base = page_wait_word(w, row), w.waits.base[row]
        if w.pages.mapping[page] == word:
            w.pages.mapping[page] = base
            record(w, MAPPING_RESTORED, task, page, word, base)
            if base != 0 and w.pages.file[page] == NONE and w.pages.home[page] != NONE:
                broken(w, task, page, MAPPING_RESURRECTED)
        _free(w, row)


@inlined
def flag_stale(w: World, page: int, list: int, met: int) -> bool:
    """Return whether no bit has waiters: the list walked may be empty while another bit's is not."""
    return line_length(w, list) == 0


@inlined
def queue_length(w: World, page: int) -> int:
    word = w.pages.mapping[page]
    return line_length(w, page_wait_row(word) * WAIT_BITS) if tagged(w, word) else 0


@inlined
def read_mapping(w: World, page: int) -> int:
    """E1: return the mapping behind the tag. E2: take the tag for the anonymous one. E3: return the word unchanged."""
    word = w.pages.mapping[page]
    if not tagged(w, word):
        return word
    if w.rules.encoding == E1:
        return w.waits.base[page_wait_row(word)]
    return 0 if w.rules.encoding == E2 else word


@inlined
def kept_mapping(w: World, page: int) -> int:
    word = w.pages.mapping[page]
    return w.waits.base[page_wait_row(word)] if tagged(w, word) else word


@jit
def write_mapping(w: World, task: int, page: int, word: int) -> None:
    """F1: write the mapping, or the copy kept in the page_wait while one is swapped in."""
    now = w.pages.mapping[page]
    if tagged(w, now):
        row = page_wait_row(now)
        record(w, SAVED_MAPPING_CLEARED, task, page, w.waits.base[row], word)
        w.waits.base[row] = word
    else:
        w.pages.mapping[page] = word


@jit
def leaks(w: World) -> bool:
    attached = False
    for row in range(w.rules.n_waits):
        attached |= w.waits.page[row] != NONE
    return attached


@jit
def settle(w: World) -> None:
    """Keep the pool in rising order after a structure is returned: which is allocated next makes no difference."""
    first = w.clock[FREE_WAIT]
    if first == NONE:
        return
    behind, next = first, w.waits.free_next[first]
    if next == NONE or first < next:
        return
    w.clock[FREE_WAIT] = next
    while next != NONE and next < first:
        behind, next = next, w.waits.free_next[next]
    w.waits.free_next[behind] = first
    w.waits.free_next[first] = next
