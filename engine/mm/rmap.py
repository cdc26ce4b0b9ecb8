"""Walks over all entries that map a page (mm/rmap.c, mm/memory.c), one entry per step.

A page is mapped at the same virtual page in every address space, so a walk asks each address space in turn. For a file
page that is the interval tree of i_mmap under i_mmap_rwsem, for an anonymous one the tree of its anon_vma.
"""

from __future__ import annotations

from engine.events import PG_DIRTY, PG_WRITEBACK, Kind
from engine.mm.filemap import wait_for_writeback
from engine.mm.frames import call
from engine.mm.page_table import CLEAR, PROTECTION_PAGE, flush_tlb, row_of, set_entry, unmap_entry
from engine.mm.protect_fault import meet
from engine.mm.steps import (
    MKCLEAN,
    MKCLEAN_END,
    PROTECTED_BREAK,
    RANGE_CLEAN,
    RANGE_UNMAP,
    UNMAP_PAGE,
    WRITEBACK_MAPPED,
    WRITEBACK_SET,
)
from engine.world.jit import jit
from engine.world.state import NONE, PTE_DIRTY, PTE_PRESENT, PTE_WRITE, World
from engine.world.trace import record
from engine.world.verbs import protect_holds

PAGE_MKCLEANED, PAGE_DIRTIED = int(Kind.page_mkcleaned), int(Kind.page_dirtied)


@jit
def writeback_mapped(w: World, task: int) -> int:
    """Start writeback of a locked, mapped page: wait for one under way. Next: page_mkclean; after a wait
    this step again.

    mm/page-writeback.c: write_cache_pages(), clear_page_dirty_for_io().
    """
    if w.pages.flags[w.tasks.page[task]] & (1 << PG_WRITEBACK):
        wait_for_writeback(w, task, WRITEBACK_MAPPED)
    else:
        w.tasks.step[task] = MKCLEAN
    return 0


@jit
def page_mkclean(w: World, task: int) -> int:
    """Write-protect the next entry that is writable or dirty, and flush it. Next: this step; at the end mkclean_end.

    mm/rmap.c: page_mkclean_one(). One flush per entry, none are gathered.
    """
    page = w.tasks.page[task]
    for mm in range(w.rules.mms):
        row = row_of(w, mm, w.rmap.virtual[page])
        if w.ptes.page[row] == page and w.ptes.bits[row] & (PTE_WRITE | PTE_DIRTY):
            cost = flush_tlb(w, task, mm, page, PROTECTION_PAGE)
            set_entry(w, task, row, PTE_PRESENT)
            w.rmap.cleaned[page] += 1
            return max(1, cost)
    w.tasks.step[task] = MKCLEAN_END
    return 0


@jit
def mkclean_end(w: World, task: int) -> int:
    """Entries that were dirty make the page dirty; then clear PG_dirty and set PG_writeback. Next: writeback_set.

    mm/page-writeback.c: clear_page_dirty_for_io().
    """
    page, flags = w.tasks.page[task], w.pages.flags[w.tasks.page[task]]
    record(w, PAGE_MKCLEANED, task, page, w.rmap.cleaned[page], w.rmap.mapcount[page])
    if w.rmap.cleaned[page] and not flags & (1 << PG_DIRTY):
        w.pages.flags[page] = flags | (1 << PG_DIRTY)
        record(w, PAGE_DIRTIED, task, page, flags | (1 << PG_DIRTY), 0)
    w.rmap.cleaned[page] = 0
    w.tasks.step[task] = WRITEBACK_SET
    return w.rules.atomic_ns


@jit
def unmap_mapping_range(w: World, task: int) -> int:
    """Clear the next entry of the truncated file, also of private copies, and flush each address space after its last
    one. Next: this step; after the last range_unmap.

    mm/memory.c: unmap_mapping_range(), zap_page_range_single().
    """
    file, virtual_pages = w.tasks.file[task], w.rules.virtual_pages
    for mm in range(w.rules.mms):
        found = NONE
        for virtual in range(virtual_pages):
            row = row_of(w, mm, virtual)
            if w.ptes.page[row] != NONE and w.pages.home[virtual] == file:
                if found != NONE:
                    unmap_entry(w, task, found)
                    return max(1, w.rules.atomic_ns)
                found = row
        if found != NONE:
            page = w.ptes.page[found]
            unmap_entry(w, task, found)
            return max(1, flush_tlb(w, task, mm, page, CLEAR))
    w.tasks.step[task] = RANGE_UNMAP
    return 0


@jit
def unmap_page(w: World, task: int) -> int:
    """Clear the next entry that maps this page, and flush it. Next: this step; after the last range_clean. A protected
    page is taken back first: break_begin, then this step.

    mm/truncate.c: truncate_cleanup_page(), for entries that faults have installed since.
    """
    page = w.tasks.page[task]
    if w.rules.all_paths and protect_holds(w, page):
        meet(w, task, page)
        call(w, task, PROTECTED_BREAK, UNMAP_PAGE)
        return 0
    for mm in range(w.rules.mms):
        row = row_of(w, mm, w.rmap.virtual[page])
        if w.ptes.page[row] == page:
            unmap_entry(w, task, row)
            return max(1, flush_tlb(w, task, mm, page, CLEAR))
    w.tasks.step[task] = RANGE_CLEAN
    return 0
