"""A fault on a swap entry: the page is found in the swap cache or read from its slot (mm/memory.c: do_swap_page()).

tasks.page is the page, tasks.second the virtual page, tasks.argument 1 for a write. A page that a device has protected
is mapped read-only: where the generic write protection asks at swap-in, the write fault that follows asks here.
"""

from __future__ import annotations

from engine.events import PG_WRITEBACK, Kind
from engine.mm.anon import alloc_anon_page
from engine.mm.cache import mapping_seen, store_mapping, take_reference
from engine.mm.filemap import trylock_page
from engine.mm.frames import call, ret
from engine.mm.page_table import NO_MEMORY, map_page, own_row, refuse
from engine.mm.steps import FAULT_PUT, LOCK_PAGE, OFF_CPU, SWAP_LOCK, SWAP_MAP, SWAP_READ, UNLOCK_PAGE
from engine.mm.swap.cache import (
    add_to_swap_cache,
    delete_from_swap_cache,
    forget_slot,
    make_dirty,
    swap_cached,
    swap_entries_of,
)
from engine.world.jit import inlined, jit
from engine.world.state import ANON_PAGE, NONE, PTE_DIRTY, PTE_PRESENT, PTE_SWAP, PTE_WRITE, World
from engine.world.trace import record
from engine.world.verbs import protect_holds

PAGE_ALLOCATED = int(Kind.page_allocated)
NULL = 0


@jit
def swap_fault(w: World, task: int) -> int:
    """Find the page in the swap cache, or allocate one for the slot. Next: lock_page, then swap_map; read_slot; ret if
    the entry has changed, or no page is free.

    mm/swap_state.c: lookup_swap_cache(), __read_swap_cache_async(): the new page is locked, and its mapping NULL.
    """
    virtual = w.tasks.second[task]
    row = own_row(w, task, virtual)
    if not w.ptes.bits[row] & PTE_SWAP:
        ret(w, task)
        return w.rules.atomic_ns
    slot = w.swap_entries.slot[row]
    page = w.swap_slots.page[slot]
    if page != NONE:
        take_reference(w, task, page)
        w.tasks.page[task] = page
        call(w, task, LOCK_PAGE, SWAP_MAP)
        return w.rules.atomic_ns
    new = alloc_anon_page(w, virtual)
    if new == NONE:
        return refuse(w, task, NONE, NO_MEMORY)
    w.pages.mapping[new] = NULL
    record(w, PAGE_ALLOCATED, task, new, NULL, virtual)
    trylock_page(w, task, new)
    add_to_swap_cache(w, task, new, slot)
    w.tasks.page[task] = new
    w.tasks.step[task] = SWAP_READ
    return w.rules.atomic_ns


@jit
def read_slot(w: World, task: int) -> int:
    """The swap device reads the page, which stays locked meanwhile. Next: unlock_page, then lock_read.

    mm/page_io.c: swap_readpage().
    """
    page = w.tasks.page[task]
    if w.rules.contents:
        w.contents.value[page] = w.swap_slots.value[w.swap_pages.slot[page]]
    call(w, task, UNLOCK_PAGE, SWAP_LOCK)
    return w.rules.swap_ns + OFF_CPU


@jit
def lock_read(w: World, task: int) -> int:
    """Next: lock_page, then swap_map."""
    call(w, task, LOCK_PAGE, SWAP_MAP)
    return 0


@inlined
def _only_user(w: World, page: int) -> bool:
    """Whether the entry that is to map the page is the only one: reuse_swap_page(). Pages shared at a fork and unshared
    since count too, which PageAnonExclusive() of 5.19 does not grant.
    """
    if w.rmap.kind[page] != ANON_PAGE or (w.rules.protects and protect_holds(w, page)):
        return False
    return w.rmap.mapcount[page] + swap_entries_of(w, page) == 1


@jit
def swap_map(w: World, task: int) -> int:
    """Map the locked page if it is still the slot's, for a write writable if nobody else uses it. Next: unlock_page,
    then fault_put.

    A page that a fork shares is mapped read-only, and the write faults once more.
    """
    page, row = w.tasks.page[task], own_row(w, task, w.tasks.second[task])
    slot = w.swap_entries.slot[row]
    if w.ptes.bits[row] & PTE_SWAP and swap_cached(w, page) and w.swap_pages.slot[page] == slot:
        bits = PTE_PRESENT
        if w.tasks.argument[task] and _only_user(w, page):
            bits = PTE_PRESENT | PTE_WRITE | PTE_DIRTY
        if w.rmap.mapcount[page] == 0 and mapping_seen(w, page) == NULL:
            store_mapping(w, task, page, w.rules.anon_word)
        w.swap_entries.slot[row] = NONE
        w.swap_slots.entries[slot] -= 1
        forget_slot(w, slot)
        map_page(w, task, row, page, bits)
        if bits & PTE_WRITE and not w.pages.flags[page] & (1 << PG_WRITEBACK):
            make_dirty(w, task, page)
            delete_from_swap_cache(w, task, page)
    call(w, task, UNLOCK_PAGE, FAULT_PUT)
    return w.rules.atomic_ns
