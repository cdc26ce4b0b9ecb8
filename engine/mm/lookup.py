"""Locked lookup and its users, the buffered write and the fault (mm/filemap.c).

find_get_entry() never reads page->mapping: a reference proves only that the page was in the slot after it was taken.
The lookup checks again with the page locked, and restarts if the page has left:

    find_slot  find_get  find_again  lock_page  found_check ──> what the operation does ──> found_unlock  found_put
        ^                                            └─ truncated: unlock_page, found_stale ─┐
        └────────────────────────────────────────────────────────────────────────────────────┘

lookup_locked ends with the page locked; write and fault unlock and put it.
"""

from __future__ import annotations

from engine.events import PG_WRITEBACK, Kind
from engine.invariants import LOOKUP_SEEN_RETRIED, PROTECTED_WRITTEN, STRANDED_PTE, TRUNCATED_WRITTEN
from engine.mm.cache import drop_reference, give_up, still_ours, take_reference
from engine.mm.contents import count_write
from engine.mm.filemap import wait_for_writeback
from engine.mm.frames import call, ret
from engine.mm.steps import (
    FAULT,
    FAULT_MAP,
    FIND_AGAIN,
    FIND_GET,
    FIND_SLOT,
    FOUND_CHECK,
    FOUND_PUT,
    FOUND_STALE,
    FOUND_UNLOCK,
    LOCK_PAGE,
    LOOKUP_LOCKED,
    SET_DIRTY,
    UNLOCK_PAGE,
    WRITE,
    WRITE_COPY,
)
from engine.world.jit import inlined, jit
from engine.world.state import NONE, World
from engine.world.trace import broken, record, witness
from engine.world.verbs import read_mapping

PAGE_WRITTEN, PAGE_MAPPED = int(Kind.page_written), int(Kind.page_mapped)
LOOKUP_RETRIED = int(Kind.lookup_retried)


@inlined
def _begin(w: World, task: int) -> int:
    w.tasks.step[task] = FIND_SLOT
    return 0


@jit
def lookup_locked(w: World, task: int) -> int:
    """Find the page, lock it and check it. Next: find_slot. mm/filemap.c: pagecache_get_page() with FGP_LOCK."""
    return _begin(w, task)


@jit
def write_begin(w: World, task: int) -> int:
    """Find the page to write to. Next: find_slot. mm/filemap.c: grab_cache_page_write_begin()."""
    return _begin(w, task)


@jit
def filemap_fault(w: World, task: int) -> int:
    """Find the page to map. Next: find_slot. mm/filemap.c: filemap_fault()."""
    return _begin(w, task)


@inlined
def _operation(w: World, task: int) -> int:
    """Return the first step of the operation under way, which identifies it."""
    return w.program.step[w.tasks.at[task]]


@jit
def find_slot(w: World, task: int) -> int:
    """Read the slot. Next: find_get; if it is empty, ret or put_page. mm/filemap.c: find_get_entry()."""
    page = w.tasks.page[task]
    if w.pages.file[page] != NONE:
        w.tasks.step[task] = FIND_GET
        return 0
    record(w, LOOKUP_RETRIED, task, page, read_mapping(w, page), w.files.address[w.pages.home[page]])
    if _operation(w, task) == LOOKUP_LOCKED:
        give_up(w, task)
    else:
        ret(w, task)
    return 0


@jit
def find_get(w: World, task: int) -> int:
    """Take a reference unless the count is zero: then the page is being freed. Next: find_again or find_slot."""
    page = w.tasks.page[task]
    if w.pages.refcount[page] == 0:
        w.tasks.step[task] = FIND_SLOT
    else:
        take_reference(w, task, page)
        w.tasks.holds[task] += 1
        w.tasks.step[task] = FIND_AGAIN
    return w.rules.atomic_ns


@jit
def find_again(w: World, task: int) -> int:
    """Read the slot again: the page may have left before the reference was taken. Next: lock_page, then found_check."""
    page = w.tasks.page[task]
    if w.pages.file[page] == NONE:
        _put(w, task, page)
        w.tasks.step[task] = FIND_SLOT
    else:
        call(w, task, LOCK_PAGE, FOUND_CHECK)
    return 0


@inlined
def _put(w: World, task: int, page: int) -> None:
    w.tasks.holds[task] -= 1
    drop_reference(w, task, page)


@jit
def found_check(w: World, task: int) -> int:
    """Check that the locked page is still the requested one. Next: the operation, or unlock_page and found_stale.

    A fault checks i_size too: beyond it there is nothing to map (SIGBUS).
    """
    page = w.tasks.page[task]
    if not still_ours(w, task, page):
        witness(w, LOOKUP_SEEN_RETRIED)
        call(w, task, UNLOCK_PAGE, FOUND_STALE)
        return 0
    operation = _operation(w, task)
    if operation == WRITE and w.rules.protects:
        w.tasks.step[task] = w.rules.write_step
    elif operation == WRITE:
        w.tasks.step[task] = WRITE_COPY
    elif operation != FAULT:
        ret(w, task)
    elif w.pages.index[page] < w.files.size[w.pages.home[page]]:
        w.tasks.step[task] = FAULT_MAP
    else:
        w.tasks.step[task] = FOUND_UNLOCK
    return 0


@jit
def found_stale(w: World, task: int) -> int:
    """Put the truncated page and repeat the lookup; takes at least 1 ns even if all costs are 0. Next: find_slot."""
    _put(w, task, w.tasks.page[task])
    w.tasks.step[task] = FIND_SLOT
    return max(1, w.rules.atomic_ns)


@jit
def write_copy(w: World, task: int) -> int:
    """Copy the data into the page, after a wait for writeback if its device needs stable pages. Next: set_page_dirty,
    then found_unlock; after the wait this step again.

    mm/filemap.c: grab_cache_page_write_begin(), which calls wait_for_stable_page() with the page locked.
    """
    page = w.tasks.page[task]
    if w.rules.stable_pages and w.pages.flags[page] & (1 << PG_WRITEBACK):
        wait_for_writeback(w, task, WRITE_COPY)
        return 0
    count_write(w, page)
    record(w, PAGE_WRITTEN, task, page, w.pages.mapping[page], w.pages.index[page])
    if w.pages.file[page] == NONE:
        broken(w, task, page, TRUNCATED_WRITTEN)
    if w.rules.protects and w.protection.owner[page] != NONE:
        broken(w, task, page, PROTECTED_WRITTEN)
    call(w, task, SET_DIRTY, FOUND_UNLOCK)
    return 0


@jit
def fault_map(w: World, task: int) -> int:
    """Install the page table entry, with the page locked. Next: found_unlock. mm/memory.c: alloc_set_pte()."""
    page = w.tasks.page[task]
    w.pages.mapped[page] = 1
    record(w, PAGE_MAPPED, task, page, w.pages.mapping[page], w.pages.index[page])
    if w.pages.file[page] == NONE:
        broken(w, task, page, STRANDED_PTE)
    w.tasks.step[task] = FOUND_UNLOCK
    return w.rules.atomic_ns


@jit
def found_unlock(w: World, task: int) -> int:
    """Unlock the page. Next: unlock_page, then found_put."""
    call(w, task, UNLOCK_PAGE, FOUND_PUT)
    return 0


@jit
def found_put(w: World, task: int) -> int:
    """Drop the reference. Next: ret."""
    _put(w, task, w.tasks.page[task])
    ret(w, task)
    return w.rules.atomic_ns
