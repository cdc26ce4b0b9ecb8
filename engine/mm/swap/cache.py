"""The swap cache and the slots of the swap area (mm/swap_state.c, mm/swapfile.c).

A slot is in use while an entry names it or a page is cached for it. The swap cache holds a reference on its pages.
"""

from __future__ import annotations

from typing import Any

from engine.events import PG_DIRTY, PG_LOCKED, PG_WRITEBACK, Kind
from engine.mm.cache import drop_reference, take_reference
from engine.world.jit import inlined, jit
from engine.world.state import NONE, World
from engine.world.trace import record

SWAP_CACHED, SWAP_UNCACHED = int(Kind.swap_cached), int(Kind.swap_uncached)
PAGE_DIRTIED = int(Kind.page_dirtied)


@inlined
def swap_cached(w: World, page: int) -> int:
    """Return 1 if the page is in the swap cache, which then has a reference on it."""
    if w.rules.swaps and w.swap_pages.slot[page] != NONE:
        return 1
    return 0


@inlined
def swap_entries_of(w: World, page: int) -> int:
    """Return how many entries name the slot of a page in the swap cache: page_swapcount()."""
    if w.rules.swaps and w.swap_pages.slot[page] != NONE:
        return w.swap_slots.entries[w.swap_pages.slot[page]]
    return 0


@jit
def free_slot(w: World) -> Any:
    """Return a slot that is not in use, or NONE: get_swap_page()."""
    for slot in range(w.rules.mms * w.rules.virtual_pages):
        if w.swap_slots.page[slot] == NONE and w.swap_slots.entries[slot] == 0:
            return slot
    return NONE


@inlined
def make_dirty(w: World, task: int, page: int) -> None:
    """Set PG_dirty."""
    flags = w.pages.flags[page]
    if not flags & (1 << PG_DIRTY):
        w.pages.flags[page] = flags | (1 << PG_DIRTY)
        record(w, PAGE_DIRTIED, task, page, flags | (1 << PG_DIRTY), 0)


@jit
def add_to_swap_cache(w: World, task: int, page: int, slot: int) -> None:
    """Cache a locked page for a slot."""
    w.swap_slots.page[slot] = page
    w.swap_pages.slot[page] = slot
    take_reference(w, task, page)
    record(w, SWAP_CACHED, task, page, slot, 0)


@jit
def delete_from_swap_cache(w: World, task: int, page: int) -> None:
    """Take a locked page out of the swap cache, and drop the cache's reference."""
    slot = w.swap_pages.slot[page]
    w.swap_pages.slot[page] = NONE
    w.swap_slots.page[slot] = NONE
    forget_slot(w, slot)
    record(w, SWAP_UNCACHED, task, page, slot, 0)
    drop_reference(w, task, page)


@inlined
def forget_slot(w: World, slot: int) -> None:
    """Forget what a slot contains once it is no longer in use: swap_entry_free()."""
    if w.swap_slots.page[slot] == NONE and w.swap_slots.entries[slot] == 0:
        w.swap_slots.value[slot] = 0


@jit
def try_to_free_swap(w: World, task: int, page: int) -> None:
    """Take a locked page out of the swap cache unless entries name its slot or it is being written out."""
    if swap_cached(w, page) and swap_entries_of(w, page) == 0 and not w.pages.flags[page] & (1 << PG_WRITEBACK):
        make_dirty(w, task, page)
        delete_from_swap_cache(w, task, page)


@jit
def free_swap_cache(w: World, task: int, page: int) -> None:
    """Likewise for a page that somebody stops using, as far as trylock_page() allows."""
    if not w.pages.flags[page] & (1 << PG_LOCKED):
        try_to_free_swap(w, task, page)


@jit
def move_swap_cache(w: World, task: int, page: int, new: int) -> None:
    """Let the slot of a page that migrates name the new page: migrate_page_move_mapping()."""
    slot = w.swap_pages.slot[page]
    w.swap_pages.slot[page] = NONE
    drop_reference(w, task, page)
    add_to_swap_cache(w, task, new, slot)


@jit
def slots_balance(w: World) -> Any:
    """Return whether each slot is named by as many entries as it counts, and pages and slots name each other."""
    rows = w.rules.mms * w.rules.virtual_pages
    for slot in range(rows):
        named = 0
        for row in range(rows):
            named += w.swap_entries.slot[row] == slot
        if named != w.swap_slots.entries[slot]:
            return False
        if w.swap_slots.page[slot] != NONE and w.swap_pages.slot[w.swap_slots.page[slot]] != slot:
            return False
    return True
