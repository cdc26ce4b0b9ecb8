"""Reclaim of anonymous pages (mm/vmscan.c: shrink_page_list()): to the swap cache, unmapped, written out, freed.

The pages are consecutive virtual pages of the task's address space, as MADV_PAGEOUT takes them. A page that is locked,
or that anybody else has a reference on, is kept: a device that has it protected, or a pin. The pages are freed
together, after the flushes that unmapping has put off. tasks.argument counts the pages looked at.
"""

from __future__ import annotations

from engine.events import PG_DIRTY, PG_WRITEBACK, Kind
from engine.mm.cache import drop_reference, take_reference
from engine.mm.filemap import trylock_page
from engine.mm.frames import call, call_on, ret
from engine.mm.page_table import own_row
from engine.mm.steps import (
    OFF_CPU,
    RECLAIM,
    RECLAIM_AGAIN,
    RECLAIM_DONE,
    RECLAIM_FLUSH,
    RECLAIM_FREE,
    RECLAIM_FREED,
    RECLAIM_IO,
    RECLAIM_KEEP,
    RECLAIM_PUT,
    RECLAIM_SWAP,
    RECLAIM_UNMAP,
    RECLAIM_WRITTEN,
    UNLOCK_PAGE,
    WRITEBACK_END,
)
from engine.mm.swap.cache import add_to_swap_cache, delete_from_swap_cache, free_slot, make_dirty, swap_cached
from engine.mm.swap.unmap import flush_batch
from engine.world.jit import jit
from engine.world.state import ANON_PAGE, NONE, PTE_PRESENT, World
from engine.world.trace import record

PAGE_CLEANED, WRITEBACK_STARTED = int(Kind.page_cleaned), int(Kind.writeback_started)


@jit
def reclaim(w: World, task: int) -> int:
    """Isolate and lock the next page, if that is possible without waiting. Next: add_to_swap, then this step; after the
    last page reclaim_flush.

    KSM pages are left alone: rmap_walk_ksm() is not modelled.
    """
    done = w.tasks.argument[task]
    virtual = w.tasks.page[task] + done
    if done >= w.program.arg[w.tasks.at[task]] or virtual >= w.rules.virtual_pages:
        w.tasks.argument[task] = 0
        w.tasks.step[task] = RECLAIM_FLUSH
        return 0
    w.tasks.argument[task] = done + 1
    row = own_row(w, task, virtual)
    page = w.ptes.page[row]
    if w.ptes.bits[row] & PTE_PRESENT and w.rmap.kind[page] == ANON_PAGE and trylock_page(w, task, page):
        take_reference(w, task, page)
        call_on(w, task, RECLAIM_SWAP, RECLAIM, page, NONE, 0)
    return w.rules.atomic_ns


@jit
def add_to_swap(w: World, task: int) -> int:
    """Give the page a slot, if it has none, and put it into the swap cache, dirty. Next: unmap_to_swap; keep if no slot
    is free.
    """
    page = w.tasks.page[task]
    if swap_cached(w, page) == 0:
        slot = free_slot(w)
        if slot == NONE:
            w.tasks.step[task] = RECLAIM_KEEP
            return w.rules.atomic_ns
        add_to_swap_cache(w, task, page, slot)
        make_dirty(w, task, page)
    w.tasks.step[task] = RECLAIM_UNMAP
    return w.rules.atomic_ns


@jit
def pageout(w: World, task: int) -> int:
    """Write a dirty page out: PG_dirty off, PG_writeback on. Next: this step while TLBs may hold dirty entries;
    unlock_page, then write_slot; remove_mapping for a clean page; keep if it is mapped or in use.

    is_page_cache_freeable(): no reference but the swap cache's and the caller's.
    """
    page = w.tasks.page[task]
    flags = w.pages.flags[page]
    if w.rmap.mapcount[page] or flags & (1 << PG_WRITEBACK):
        w.tasks.step[task] = RECLAIM_KEEP
        return 0
    if not flags & (1 << PG_DIRTY):
        w.tasks.step[task] = RECLAIM_FREE
        return 0
    cost = flush_batch(w, task, 1)
    if cost:
        return cost
    if w.pages.refcount[page] != 2:
        w.tasks.step[task] = RECLAIM_KEEP
        return w.rules.atomic_ns
    flags &= ~(1 << PG_DIRTY)
    record(w, PAGE_CLEANED, task, page, flags, 0)
    flags |= 1 << PG_WRITEBACK
    w.pages.flags[page] = flags
    record(w, WRITEBACK_STARTED, task, page, flags, 0)
    call(w, task, UNLOCK_PAGE, RECLAIM_IO)
    return w.rules.atomic_ns


@jit
def write_slot(w: World, task: int) -> int:
    """The swap device writes the page. Next: slot_written. mm/page_io.c: swap_writepage()."""
    page = w.tasks.page[task]
    if w.rules.contents:
        w.swap_slots.value[w.swap_pages.slot[page]] = w.contents.value[page]
    w.tasks.step[task] = RECLAIM_WRITTEN
    return w.rules.swap_ns + OFF_CPU


@jit
def slot_written(w: World, task: int) -> int:
    """Next: end_page_writeback, then lock_again."""
    call(w, task, WRITEBACK_END, RECLAIM_AGAIN)
    return 0


@jit
def lock_again(w: World, task: int) -> int:
    """Lock the page again unless somebody else has locked it meanwhile. Next: remove_mapping, or put."""
    w.tasks.step[task] = RECLAIM_FREE if trylock_page(w, task, w.tasks.page[task]) else RECLAIM_PUT
    return w.rules.atomic_ns


@jit
def remove_mapping(w: World, task: int) -> int:
    """Take a clean page that nobody uses out of the swap cache. Next: unlock_page, then freed; keep.

    mm/vmscan.c: __remove_mapping(), which freezes the count at 2.
    """
    page = w.tasks.page[task]
    in_use = w.rmap.mapcount[page] != 0 or w.pages.refcount[page] != 2
    if in_use or swap_cached(w, page) == 0 or w.pages.flags[page] & (1 << PG_DIRTY | 1 << PG_WRITEBACK):
        w.tasks.step[task] = RECLAIM_KEEP
    else:
        delete_from_swap_cache(w, task, page)
        w.swap_pages.freed_by[page] = task
        call(w, task, UNLOCK_PAGE, RECLAIM_FREED)
    return w.rules.atomic_ns


@jit
def freed(w: World, task: int) -> int:
    """Next: ret. The page waits for the flush with the caller's reference."""
    ret(w, task)
    return 0


@jit
def keep(w: World, task: int) -> int:
    """Next: unlock_page, then put."""
    call(w, task, UNLOCK_PAGE, RECLAIM_PUT)
    return 0


@jit
def put(w: World, task: int) -> int:
    """Drop the reference of a page that is kept. Next: ret."""
    drop_reference(w, task, w.tasks.page[task])
    ret(w, task)
    return w.rules.atomic_ns


@jit
def reclaim_flush(w: World, task: int) -> int:
    """Flush what unmapping has put off. Next: this step; reclaim_done."""
    cost = flush_batch(w, task, 0)
    if cost == 0:
        w.tasks.step[task] = RECLAIM_DONE
    return cost


@jit
def reclaim_done(w: World, task: int) -> int:
    """Free the next page. Next: this step; ret. mm/page_alloc.c: free_unref_page_list()."""
    for page in range(w.rules.n_pages):
        if w.swap_pages.freed_by[page] == task:
            w.swap_pages.freed_by[page] = NONE
            drop_reference(w, task, page)
            return max(1, w.rules.atomic_ns)
    ret(w, task)
    return 0
