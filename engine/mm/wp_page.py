"""Write fault on a read-only entry, in its four forms (mm/memory.c: do_wp_page()).

    anonymous      only user: written in place; else copied         anon_locked
    private, KSM   always copied                                    copy_begin, copy_install
    shared file    the file system is told, then written in place   mkwrite_check, mkwrite_stable, mkwrite_reuse

tasks.page is the page, tasks.second the virtual page, tasks.argument the copy. Whoever drops the page table lock checks
afterwards that the entry is still the same; if it is not, the access is made again.
"""

from __future__ import annotations

from typing import Any

from engine.events import PG_WRITEBACK, Kind
from engine.mm.anon import alloc_anon_page
from engine.mm.cache import drop_reference, still_ours, take_reference
from engine.mm.contents import copy_contents
from engine.mm.filemap import trylock_page, wait_for_writeback
from engine.mm.frames import call, ret
from engine.mm.page_table import CLEAR, NO_MEMORY, flush_tlb, own_row, refuse, same_entry, set_entry, vm_shared
from engine.mm.steps import (
    FAULT_PUT,
    LOCK_PAGE,
    MKWRITE_CHECK,
    MKWRITE_REUSE,
    MKWRITE_STABLE,
    PROTECTED_FAULT,
    SET_DIRTY,
    UNLOCK_PAGE,
    WP_ANON_LOCKED,
    WP_COPY,
    WP_COPY_INSTALL,
)
from engine.mm.swap.cache import free_swap_cache, swap_cached, swap_entries_of, try_to_free_swap
from engine.world.jit import inlined, jit
from engine.world.state import ANON_PAGE, KSM_PAGE, NONE, PTE_DIRTY, PTE_PRESENT, PTE_WRITE, World
from engine.world.trace import record, record_pte
from engine.world.verbs import protect_holds

PAGE_COPIED, PTE_CLEARED = int(Kind.page_copied), int(Kind.pte_cleared)
PAGE_UNMERGED = int(Kind.page_unmerged)


@inlined
def _only_user(w: World, page: int) -> bool:
    """Whether an anonymous page may be written in place: mapped once, and from 5.9 on with no other reference.

    A swap entry counts like one that maps the page. The swap cache's reference is dropped first from 6.1 on, unless the
    page is being written out; in 5.9 and 5.10 the page is copied.
    """
    if w.rules.count_decides and w.pages.refcount[page] != 1 + _left_first(w, page):
        return False
    return w.rmap.kind[page] == ANON_PAGE and w.rmap.mapcount[page] + swap_entries_of(w, page) == 1


@inlined
def _left_first(w: World, page: int) -> int:
    """Return 1 if the page leaves the swap cache before its references are counted."""
    if w.rules.frees_swap and not w.pages.flags[page] & (1 << PG_WRITEBACK):
        return swap_cached(w, page)
    return 0


@inlined
def _asks(w: World, page: int) -> Any:
    """Return whether the fault must ask the page's owner with the page locked: a device, or KSM as one of the users of
    page_attachment.
    """
    if w.rules.contents and w.rules.ksm_locks and w.rmap.kind[page] == KSM_PAGE:
        return True
    return w.rules.protects and protect_holds(w, page)


@jit
def do_wp_page(w: World, task: int) -> int:
    """Choose the form. Next: lock_page and mkwrite_check or anon_locked; unlock_page, then fault_put or copy_begin.

    An entry that has changed since the fault is left alone: ret. In the kernel the page table lock keeps an anonymous
    page from being freed until its lock is dropped; here a reference does.
    """
    page = w.tasks.page[task]
    row = own_row(w, task, w.tasks.second[task])
    if not same_entry(w, row, page):
        ret(w, task)
        return w.rules.atomic_ns
    anonymous, only_user = w.rmap.kind[page] == ANON_PAGE, _only_user(w, page)
    take_reference(w, task, page)
    if not anonymous and vm_shared(w, task):
        call(w, task, LOCK_PAGE, MKWRITE_CHECK)
    elif _asks(w, page):
        call(w, task, LOCK_PAGE, WP_ANON_LOCKED)
    elif not anonymous or (w.rules.count_decides and not only_user):
        w.tasks.step[task] = WP_COPY
    elif trylock_page(w, task, page):
        _decide(w, task, row, only_user)
    elif w.rules.count_decides:
        w.tasks.step[task] = WP_COPY
    else:
        call(w, task, LOCK_PAGE, WP_ANON_LOCKED)
    return w.rules.atomic_ns


@inlined
def _decide(w: World, task: int, row: int, only_user: bool) -> None:
    """With the page locked: make the entry writable if nobody else uses the page (wp_page_reuse()), else copy."""
    if w.rules.protects and protect_holds(w, w.tasks.page[task]):
        w.tasks.step[task] = PROTECTED_FAULT
    elif only_user:
        set_entry(w, task, row, PTE_PRESENT | PTE_WRITE | PTE_DIRTY)
        if w.rules.swaps:
            try_to_free_swap(w, task, w.tasks.page[task])
        call(w, task, UNLOCK_PAGE, FAULT_PUT)
    else:
        call(w, task, UNLOCK_PAGE, WP_COPY)


@jit
def anon_locked(w: World, task: int) -> int:
    """After waiting for the page lock: look again. Next: unlock_page, then fault_put or copy_begin; protected_fault.

    Pages that are not protected come here before 5.9 only.

    mm/memory.c: do_wp_page(); mm/swapfile.c: reuse_swap_page().
    """
    page = w.tasks.page[task]
    row = own_row(w, task, w.tasks.second[task])
    if same_entry(w, row, page):
        _decide(w, task, row, _only_user(w, page))
    else:
        call(w, task, UNLOCK_PAGE, FAULT_PUT)
    return w.rules.atomic_ns


@jit
def copy_begin(w: World, task: int) -> int:
    """With a reference on the old page: allocate a new one and copy. Next: copy_install; ret if no page is free.

    mm/memory.c: wp_page_copy().
    """
    page, virtual = w.tasks.page[task], w.tasks.second[task]
    if not same_entry(w, own_row(w, task, virtual), page):
        w.tasks.step[task] = FAULT_PUT
        return w.rules.atomic_ns
    copy = alloc_anon_page(w, virtual)
    if copy == NONE:
        drop_reference(w, task, page)
        return refuse(w, task, page, NO_MEMORY)
    record(w, PAGE_COPIED, task, copy, w.rules.anon_word, page)
    copy_contents(w, page, copy)
    w.tasks.argument[task] = copy
    w.tasks.step[task] = WP_COPY_INSTALL
    return w.rules.copy_ns


@jit
def install_copy(w: World, task: int, row: int, page: int, copy: int) -> int:
    """Replace an entry of the page by one that maps the copy, if it is still the same; return the cost in ns.

    mm/memory.c: wp_page_copy(): ptep_clear_flush_notify() before set_pte_at_notify().
    """
    if not same_entry(w, row, page):
        drop_reference(w, task, copy)
        return w.rules.atomic_ns
    w.rmap.mapcount[page] -= 1
    record_pte(w, PTE_CLEARED, task, page, row, w.ptes.bits[row], w.rmap.mapcount[page])
    cost = flush_tlb(w, task, row // w.rules.virtual_pages, page, CLEAR)
    w.ptes.page[row] = copy
    w.rmap.mapcount[copy] = 1
    set_entry(w, task, row, PTE_PRESENT | PTE_WRITE | PTE_DIRTY)
    if w.rules.contents and w.rmap.kind[page] == KSM_PAGE:
        record_pte(w, PAGE_UNMERGED, task, page, row, w.ptes.bits[row], w.rmap.mapcount[page])
    if w.rules.swaps:
        free_swap_cache(w, task, page)
    drop_reference(w, task, page)
    return w.rules.atomic_ns + cost


@jit
def copy_install(w: World, task: int) -> int:
    """Replace the entry by one that maps the copy. Next: fault_put."""
    row = own_row(w, task, w.tasks.second[task])
    cost = install_copy(w, task, row, w.tasks.page[task], w.tasks.argument[task])
    w.tasks.argument[task] = 0
    w.tasks.step[task] = FAULT_PUT
    return cost


@jit
def mkwrite_check(w: World, task: int) -> int:
    """Shared file page, locked: check that it is still in the file, and set it dirty. Next: set_page_dirty and
    mkwrite_stable; protected_fault; unlock_page and fault_put if it has left.

    mm/filemap.c: filemap_page_mkwrite().
    """
    page = w.tasks.page[task]
    if still_ours(w, task, page) and w.pages.index[page] < w.files.size[w.pages.home[page]]:
        if w.rules.protects and protect_holds(w, page):
            w.tasks.step[task] = PROTECTED_FAULT
        else:
            call(w, task, SET_DIRTY, MKWRITE_STABLE)
    else:
        call(w, task, UNLOCK_PAGE, FAULT_PUT)
    return 0


@jit
def mkwrite_stable(w: World, task: int) -> int:
    """If the device needs stable pages, wait for a writeback under way. Next: mkwrite_reuse.

    mm/page-writeback.c: wait_for_stable_page().
    """
    if w.rules.stable_pages and w.pages.flags[w.tasks.page[task]] & (1 << PG_WRITEBACK):
        wait_for_writeback(w, task, MKWRITE_STABLE if w.rules.writeback_loops else MKWRITE_REUSE)
    else:
        w.tasks.step[task] = MKWRITE_REUSE
    return 0


@jit
def mkwrite_reuse(w: World, task: int) -> int:
    """Make the entry writable if it is still the same, with the page locked. Next: unlock_page, then fault_put.

    mm/memory.c: finish_mkwrite_fault().
    """
    row = own_row(w, task, w.tasks.second[task])
    if same_entry(w, row, w.tasks.page[task]):
        set_entry(w, task, row, PTE_PRESENT | PTE_WRITE | PTE_DIRTY)
    call(w, task, UNLOCK_PAGE, FAULT_PUT)
    return w.rules.atomic_ns


@jit
def fault_put(w: World, task: int) -> int:
    """Drop the fault's reference on the page. Next: ret."""
    drop_reference(w, task, w.tasks.page[task])
    ret(w, task)
    return w.rules.atomic_ns
