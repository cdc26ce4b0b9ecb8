"""Loads and stores of a program, and faults on entries that map nothing (mm/memory.c).

tasks.page of a load or store is the virtual page. Its fault works on the page found there: tasks.page is then the
page, tasks.second the virtual page. After the fault the access is made again.
"""

from __future__ import annotations

from engine.events import Kind
from engine.invariants import STRANDED_PTE
from engine.mm.anon import alloc_anon_page
from engine.mm.cache import still_ours, take_reference
from engine.mm.frames import call, call_on, ret
from engine.mm.page_table import (
    BEYOND_SIZE,
    NO_MEMORY,
    NOT_CACHED,
    fault,
    map_page,
    own_row,
    refuse,
    set_entry,
    store_through,
    write_fault,
)
from engine.mm.steps import (
    ANON_FAULT,
    EXCLUSIVE_FAULT,
    FAULT_PUT,
    LOAD,
    LOCK_PAGE,
    MIGRATION_WAIT,
    MISSING,
    MISSING_CHECK,
    MISSING_MAP,
    STORE,
    SWAP_FAULT,
    UNLOCK_PAGE,
)
from engine.mm.swap.unmap import stale_write, store_stale
from engine.world.jit import jit
from engine.world.state import (
    ANONYMOUS,
    NONE,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_MIGRATION,
    PTE_PRESENT,
    PTE_SWAP,
    PTE_WRITE,
    World,
)
from engine.world.trace import broken, record

PAGE_ALLOCATED = int(Kind.page_allocated)


@jit
def load(w: World, task: int) -> int:
    """Read through the page table. Next: ret, or do_fault and then this step again."""
    virtual = w.tasks.page[task]
    row = own_row(w, task, virtual)
    if w.ptes.bits[row] & PTE_PRESENT:
        ret(w, task)
        return w.rules.atomic_ns
    cost = fault(w, task, row, w.ptes.page[row], 0)
    if w.rules.exclusive and w.ptes.bits[row] & PTE_EXCLUSIVE:
        call_on(w, task, EXCLUSIVE_FAULT, LOAD, w.ptes.page[row], virtual, 0)
    elif w.rules.migrates and w.ptes.bits[row] & PTE_MIGRATION:
        call_on(w, task, MIGRATION_WAIT, LOAD, w.ptes.page[row], virtual, 0)
    elif w.rules.swaps and w.ptes.bits[row] & PTE_SWAP:
        call_on(w, task, SWAP_FAULT, LOAD, virtual, virtual, 0)
    else:
        call_on(w, task, MISSING, LOAD, virtual, virtual, 0)
    return cost


@jit
def store(w: World, task: int) -> int:
    """Write through the page table, or through a TLB entry that outlives its page table entry. Next: ret; or
    a fault, and then this step again.
    """
    row = own_row(w, task, w.tasks.page[task])
    if not w.ptes.bits[row] & PTE_WRITE:
        if stale_write(w, row):
            return store_stale(w, task, row)
        return write_fault(w, task, row, STORE)
    store_through(w, task, row)
    ret(w, task)
    return w.rules.atomic_ns


@jit
def do_fault(w: World, task: int) -> int:
    """Find the page that belongs here. Next: lock_page, then fault_check; do_anonymous_page; ret if it is refused.

    mm/memory.c: do_fault(). A page of the file that is not in the page cache is not read in: the access is refused.
    """
    page = w.tasks.page[task]
    if w.rules.mapped == ANONYMOUS:
        w.tasks.step[task] = ANON_FAULT
        return 0
    if w.pages.index[page] >= w.files.size[w.pages.home[page]]:
        return refuse(w, task, page, BEYOND_SIZE)
    if w.pages.file[page] == NONE:
        return refuse(w, task, page, NOT_CACHED)
    take_reference(w, task, page)
    call(w, task, LOCK_PAGE, MISSING_CHECK)
    return w.rules.atomic_ns


@jit
def fault_check(w: World, task: int) -> int:
    """Check the locked page as filemap_fault() does. Next: fault_finish; unlock_page and fault_put if it has left."""
    page = w.tasks.page[task]
    if still_ours(w, task, page) and w.pages.index[page] < w.files.size[w.pages.home[page]]:
        w.tasks.step[task] = MISSING_MAP
    else:
        call(w, task, UNLOCK_PAGE, FAULT_PUT)
    return 0


@jit
def fault_finish(w: World, task: int) -> int:
    """Install the entry, read-only, if it is still empty. Next: unlock_page, then fault_put.

    mm/memory.c: alloc_set_pte(). A store faults once more, on the read-only entry.
    """
    page = w.tasks.page[task]
    row = own_row(w, task, w.tasks.second[task])
    if w.ptes.page[row] == NONE:
        map_page(w, task, row, page, PTE_PRESENT)
        if w.pages.file[page] == NONE:
            broken(w, task, page, STRANDED_PTE)
    call(w, task, UNLOCK_PAGE, FAULT_PUT)
    return w.rules.atomic_ns


@jit
def do_anonymous_page(w: World, task: int) -> int:
    """Map a new page. Next: ret. mm/memory.c: do_anonymous_page().

    The zero page, which a read fault maps, is not modelled.
    """
    virtual = w.tasks.second[task]
    row = own_row(w, task, virtual)
    if w.ptes.bits[row] == 0:
        page = alloc_anon_page(w, virtual)
        if page == NONE:
            return refuse(w, task, NONE, NO_MEMORY)
        record(w, PAGE_ALLOCATED, task, page, w.rules.anon_word, virtual)
        w.ptes.page[row] = page
        w.rmap.mapcount[page] = 1
        set_entry(w, task, row, PTE_PRESENT | PTE_WRITE | PTE_DIRTY)
    ret(w, task)
    return w.rules.copy_ns
