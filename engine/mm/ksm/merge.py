"""Merging a page: its entry is write-protected, its contents are compared, and the entry then maps the other page."""

from __future__ import annotations

from typing import Any

from engine.events import PG_DIRTY, Kind
from engine.invariants import MERGED_DIFFERING, MERGED_UNDER_DEVICE
from engine.mm.filemap import trylock_page
from engine.mm.frames import call, ret
from engine.mm.ksm.tree import node_of, set_node
from engine.mm.page_table import CLEAR, flush_tlb, map_page, set_entry, unmap_entry
from engine.mm.steps import KSM_COMPARE, KSM_MERGED, KSM_REPLACE, KSM_WRITE_PROTECT, UNLOCK_PAGE
from engine.mm.swap.cache import swap_cached, try_to_free_swap
from engine.world.jit import inlined, jit
from engine.world.state import ANON_PAGE, KSM_PAGE, NONE, PTE_DIRTY, PTE_PRESENT, PTE_WRITE, World
from engine.world.trace import broken, record, record_pte
from engine.world.verbs import protect_holds

PAGE_DIRTIED, PAGE_MERGED = int(Kind.page_dirtied), int(Kind.page_merged)


@inlined
def _may_merge(w: World, page: int) -> Any:
    """Return whether the page is anonymous, or a KSM page that never got a node, and as far as KSM can find out no
    device has it protected.

    KSM finds out if the protection is in page->mapping, or if the design makes all paths ask.
    """
    if w.rules.protects and (w.rules.attaches or w.rules.all_paths) and protect_holds(w, page):
        return False
    if w.rmap.kind[page] == KSM_PAGE:
        return node_of(w, page) == NONE
    return w.rmap.kind[page] == ANON_PAGE


@jit
def try_to_merge_one_page(w: World, task: int) -> int:
    """Try to lock the page of the entry in tasks.argument. Next: write_protect_page; ret if it is not to be merged.

    tasks.second is the KSM page, or NONE if tasks.page is to become one; ksmd.merged tells how it went.
    """
    page = w.tasks.page[task]
    w.ksmd.merged[0] = page == w.tasks.second[task]  # a KSM page that fork() has mapped once more
    if page != w.tasks.second[task] and _may_merge(w, page) and trylock_page(w, task, page):
        w.tasks.step[task] = KSM_WRITE_PROTECT
    else:
        ret(w, task)
    return w.rules.atomic_ns


@inlined
def _give_up(w: World, task: int) -> None:
    """Next: unlock_page, then merge_end."""
    call(w, task, UNLOCK_PAGE, KSM_MERGED)


@jit
def write_protect_page(w: World, task: int) -> int:
    """Make the entry read-only and clean, under the page table lock. Next: compare_pages; unlock_page, then merge_end.

    If it was writable or dirty, no reference may be left but those of the entries, of the swap cache and ksmd's own;
    otherwise the entry is put back. The references of an entry that was read-only and clean already are not counted.
    """
    page, row = w.tasks.page[task], w.tasks.argument[task]
    bits, cost = w.ptes.bits[row], w.rules.atomic_ns
    if w.ptes.page[row] != page or not bits & PTE_PRESENT:
        _give_up(w, task)
        return cost
    if bits & (PTE_WRITE | PTE_DIRTY):
        cost += flush_tlb(w, task, row // w.rules.virtual_pages, page, CLEAR)
        if w.rmap.mapcount[page] + 1 + swap_cached(w, page) != w.pages.refcount[page]:
            _give_up(w, task)
            return cost
        flags = w.pages.flags[page]
        if bits & PTE_DIRTY and not flags & (1 << PG_DIRTY):
            w.pages.flags[page] = flags | (1 << PG_DIRTY)
            record(w, PAGE_DIRTIED, task, page, flags | (1 << PG_DIRTY), 0)
        set_entry(w, task, row, PTE_PRESENT)
    w.tasks.step[task] = KSM_COMPARE
    return cost


@jit
def compare_pages(w: World, task: int) -> int:
    """pages_identical(). Next: replace_page; unlock_page, then merge_end. Without another page, the page itself becomes
    a KSM page, though not in the tree yet.
    """
    page, other = w.tasks.page[task], w.tasks.second[task]
    if w.rules.protects and w.protection.owner[page] != NONE:
        broken(w, task, page, MERGED_UNDER_DEVICE)
    if other == NONE:
        w.rmap.kind[page] = KSM_PAGE
        set_node(w, task, page, NONE)
        w.ksmd.merged[0] = 1
        _give_up(w, task)
        return w.rules.atomic_ns
    if w.contents.value[page] == w.contents.value[other]:
        w.tasks.step[task] = KSM_REPLACE
    else:
        _give_up(w, task)
    return w.rules.compare_ns


@jit
def replace_page(w: World, task: int) -> int:
    """Let the entry map the KSM page if it has not changed since it was write-protected. Next: unlock_page, then
    merge_end.
    """
    page, other, row = w.tasks.page[task], w.tasks.second[task], w.tasks.argument[task]
    cost = w.rules.atomic_ns
    if w.ptes.page[row] == page and w.ptes.bits[row] == PTE_PRESENT:
        if w.contents.value[page] != w.contents.value[other]:
            broken(w, task, page, MERGED_DIFFERING)
        cost += flush_tlb(w, task, row // w.rules.virtual_pages, page, CLEAR)
        unmap_entry(w, task, row)
        map_page(w, task, row, other, PTE_PRESENT)
        record_pte(w, PAGE_MERGED, task, other, row, PTE_PRESENT, w.rmap.mapcount[other])
        if w.rules.swaps and w.rmap.mapcount[page] == 0:
            try_to_free_swap(w, task, page)
        w.ksmd.merged[0] = 1
    _give_up(w, task)
    return cost


@jit
def merge_end(w: World, task: int) -> int:
    """Next: ret."""
    ret(w, task)
    return 0
