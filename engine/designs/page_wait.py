"""page_wait swapped into page->mapping (Glisse, LSFMM 2018), completed here: attach, join, detach, wake.

    mapping: address_space            nobody waits
    mapping: page_wait | 1            somebody waits; page_wait.base keeps the address_space
                                      page_wait.wq[bit]: a list a wait bit, all under page_wait.lock

Whoever empties the last list restores the mapping, under page_wait.lock. A walker's bookmark counts: it must find its
way back. The structure comes from a pool and goes back to it at once: grace periods are the explorer's subject.
"""

from __future__ import annotations

from typing import Any

from engine.events import PG_LOCKED, PG_WRITEBACK, Kind
from engine.jit import inlined, jit
from engine.mm.mapping import page_wait_row, page_wait_word, tagged
from engine.state import FREE_WAIT, NONE, WAIT_BITS, World
from engine.trace import record

MAPPING_SWAPPED, MAPPING_RESTORED = int(Kind.mapping_swapped), int(Kind.mapping_restored)
SAVED_MAPPING_CLEARED = int(Kind.saved_mapping_cleared)


@inlined
def _slot(bit: int) -> int:
    """Place of a page bit in page_wait.wq."""
    if bit == PG_LOCKED:
        return 0
    return 1 if bit == PG_WRITEBACK else 2


@jit
def _attach(w: World, task: int, page: int) -> None:
    """A1-A3: take a page_wait, keep the mapping in its base, swap it in (cmpxchg)."""
    row = w.clock[FREE_WAIT]
    w.clock[FREE_WAIT] = w.waits.free_next[row]
    before = w.pages.mapping[page]
    w.waits.base[row] = before
    w.waits.page[row] = page
    w.waits.length[row] = 0
    w.pages.mapping[page] = page_wait_word(row)
    record(w, MAPPING_SWAPPED, task, page, before, w.pages.mapping[page])


@inlined
def wait_attach(w: World, task: int) -> None:
    """Swap a page_wait in unless one is there already (then the task joins it)."""
    page = w.tasks.page[task]
    if not tagged(w.pages.mapping[page]):
        _attach(w, task, page)


@inlined
def wait_list(w: World, page: int, bit: int) -> Any:
    """B2: read the mapping again under the lock; NONE if the page_wait is gone meanwhile."""
    word = w.pages.mapping[page]
    if not tagged(word):
        return NONE
    return page_wait_row(word) * WAIT_BITS + _slot(bit)


@inlined
def wait_linked(w: World, page: int, by: int) -> None:
    w.waits.length[page_wait_row(w.pages.mapping[page])] += by


@inlined
def _empty(w: World, row: int) -> bool:
    """Nobody waits on any bit, and no walker left a bookmark here."""
    if w.waits.length[row] != 0:
        return False
    heads, first = w.lists.head, row * WAIT_BITS
    return heads[first] == NONE and heads[first + 1] == NONE and heads[first + 2] == NONE


@inlined
def wait_detach(w: World, task: int, page: int) -> None:
    """C2: all lists are empty: put the kept mapping back, if the word is still ours."""
    word = w.pages.mapping[page]
    if tagged(word):
        row = page_wait_row(word)
        if _empty(w, row):
            w.pages.mapping[page] = w.waits.base[row]
            w.waits.page[row] = NONE
            w.waits.free_next[row] = w.clock[FREE_WAIT]
            w.clock[FREE_WAIT] = row
            record(w, MAPPING_RESTORED, task, page, word, w.pages.mapping[page])


@inlined
def flag_stale(w: World, page: int, list: int, met: int) -> bool:
    """Nobody waits on any bit: the list walked may be empty while another bit's is not."""
    return w.waits.length[page_wait_row(w.pages.mapping[page])] == 0


@inlined
def queue_shown(w: World, page: int, list: int) -> int:
    return page


@inlined
def queue_length(w: World, page: int) -> int:
    word = w.pages.mapping[page]
    return w.waits.length[page_wait_row(word)] if tagged(word) else 0


@inlined
def read_mapping(w: World, page: int) -> int:
    """E1: the helper looks behind the tag."""
    word = w.pages.mapping[page]
    return w.waits.base[page_wait_row(word)] if tagged(word) else word


@jit
def write_mapping(w: World, task: int, page: int, word: int) -> None:
    """F1: while a page_wait is swapped in, the mapping kept behind it is what changes."""
    now = w.pages.mapping[page]
    if tagged(now):
        row = page_wait_row(now)
        record(w, SAVED_MAPPING_CLEARED, task, page, w.waits.base[row], word)
        w.waits.base[row] = word
    else:
        w.pages.mapping[page] = word
