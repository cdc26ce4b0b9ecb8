"""Page table entries and what a change of one costs: the TLB flush, counted per address space (mm/rmap.c, mm/memory.c).

An entry is read and changed in one step, under its page table lock. A flush waits for all CPUs that run the address
space, so it belongs to the same step: afterwards no CPU writes through the old entry.
"""

from __future__ import annotations

from engine.events import NOTIFIER_EVENTS, PG_WRITEBACK, Kind
from engine.invariants import (
    MERGED_WRITTEN,
    MOVED_WRITTEN,
    PROTECTED_WRITTEN,
    SHARED_COPY_WRITTEN,
    TRUNCATED_WRITTEN,
    UNSTABLE_WRITE,
)
from engine.mm.cache import drop_reference
from engine.mm.contents import count_write, write_contents
from engine.mm.frames import call_on, ret
from engine.mm.steps import EXCLUSIVE_FAULT, MIGRATION_WAIT, MISSING, SWAP_FAULT, WP_PAGE
from engine.world.jit import inlined, jit
from engine.world.state import (
    ANON_PAGE,
    FILE_PAGE,
    KSM_PAGE,
    NO_DEVICE,
    NONE,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_MIGRATION,
    PTE_PRESENT,
    PTE_SWAP,
    PTE_WRITE,
    SHARED,
    World,
)
from engine.world.trace import broken, record, record_flush, record_pte, record_range

FAULT_TAKEN, FAULT_REFUSED = int(Kind.fault_taken), int(Kind.fault_refused)
PTE_SET, PTE_CLEARED = int(Kind.pte_set), int(Kind.pte_cleared)
CLEAR, PROTECTION_PAGE, EXCLUSIVE = (NOTIFIER_EVENTS.index(name) for name in ("CLEAR", "PROTECTION_PAGE", "EXCLUSIVE"))
NO_RANGE = -1
PAGE_WRITTEN = int(Kind.page_written)

BEYOND_SIZE, NOT_CACHED, NO_MEMORY, PROTECTED = range(4)
"""Reasons for which an access is refused, the index in engine.events.REFUSALS."""


@inlined
def row_of(w: World, mm: int, virtual: int) -> int:
    """Return the row of the entry for a virtual page."""
    return mm * w.rules.virtual_pages + virtual


@inlined
def own_row(w: World, task: int, virtual: int) -> int:
    """Return the row of the entry for a virtual page of the task's address space."""
    return w.tasks.mm[task] * w.rules.virtual_pages + virtual


@inlined
def vm_shared(w: World, task: int) -> bool:
    """Return whether the task's address space maps the file MAP_SHARED."""
    return w.rules.mapped == SHARED and w.mms.shared[w.tasks.mm[task]] != 0


@jit
def set_entry(w: World, task: int, row: int, bits: int) -> None:
    """Change the bits of a present entry."""
    w.ptes.bits[row] = bits
    record_pte(w, PTE_SET, task, w.ptes.page[row], row, bits, w.rmap.mapcount[w.ptes.page[row]])


@jit
def map_page(w: World, task: int, row: int, page: int, bits: int) -> None:
    """Fill an empty entry; the mapping holds a reference on the page."""
    w.ptes.page[row] = page
    w.rmap.mapcount[page] += 1
    w.pages.refcount[page] += 1
    set_entry(w, task, row, bits)


@jit
def unmap_entry(w: World, task: int, row: int) -> None:
    """Clear an entry and drop the reference that its mapping holds."""
    page, bits = w.ptes.page[row], w.ptes.bits[row]
    w.ptes.page[row] = NONE
    w.ptes.bits[row] = 0
    w.rmap.mapcount[page] -= 1
    record_pte(w, PTE_CLEARED, task, page, row, bits, w.rmap.mapcount[page])
    drop_reference(w, task, page)


@jit
def _forget_stale(w: World, mm: int, page: int) -> None:
    """After a flush: no TLB has the page's old entry, or with NONE any old entry of the address space."""
    for virtual in range(w.rules.virtual_pages):
        if page == NONE or w.rmap.virtual[page] == virtual:
            row = row_of(w, mm, virtual)
            w.swap_entries.stale[row] = NONE
            w.swap_entries.stale_dirty[row] = 0
            w.swap_entries.batch[row] = NONE


@inlined
def other_cpus(w: World, task: int, mm: int) -> int:
    """Return how many CPUs besides the task's own run an address space."""
    own = w.tasks.mm[task] == mm and w.tasks.device[task] == NO_DEVICE
    others = w.mms.tasks[mm] - own
    if w.rules.cpus:
        others = min(others, w.rules.cpus - own)
    return others


@jit
def flush_tlb(w: World, task: int, mm: int, page: int, notifier: int) -> int:
    """Flush an address space's entry, or all its entries, from the TLBs of the CPUs that run it; return the cost in ns.
    notifier: the event of the MMU notifier range that begins before the change and ends after the flush; NO_RANGE if
    that range has ended before.

    arch/x86/mm/tlb.c: flush_tlb_mm_range(). The CPU of a task of this address space flushes its own TLB without an
    interrupt. CPUs are spread evenly over the sockets.
    """
    others = other_cpus(w, task, mm)
    if notifier != NO_RANGE:
        record_range(w, task, page, mm, notifier, w.rules.virtual_pages if page == NONE else 1)
    record_flush(w, task, page, mm, others)
    if w.rules.swaps:
        _forget_stale(w, mm, page)
    remote = others * (w.rules.sockets - 1) // w.rules.sockets
    return w.rules.flush_ns + others * w.rules.flush_cpu_ns + remote * w.rules.flush_socket_ns


@inlined
def fault(w: World, task: int, row: int, page: int, write: int) -> int:
    """Record a page fault and return what entering and leaving it costs: at least 1 ns, so that a retry takes time."""
    record_pte(w, FAULT_TAKEN, task, page, row, w.ptes.bits[row], write)
    return max(1, w.rules.fault_ns)


@inlined
def write_fault(w: World, task: int, row: int, then: int) -> int:
    """Fault on an entry of the task's virtual page that may not be written. Next: do_wp_page, exclusive_fault,
    migration_entry_wait, swap_fault or do_fault, then the step `then`, which makes the access again.
    """
    virtual, page, bits = w.tasks.page[task], w.ptes.page[row], w.ptes.bits[row]
    cost = fault(w, task, row, page, 1)
    if bits & PTE_PRESENT:
        call_on(w, task, WP_PAGE, then, page, virtual, 0)
    elif w.rules.exclusive and bits & PTE_EXCLUSIVE:
        call_on(w, task, EXCLUSIVE_FAULT, then, page, virtual, 0)
    elif w.rules.migrates and bits & PTE_MIGRATION:
        call_on(w, task, MIGRATION_WAIT, then, page, virtual, 0)
    elif w.rules.swaps and bits & PTE_SWAP:
        call_on(w, task, SWAP_FAULT, then, virtual, virtual, 1)
    else:
        call_on(w, task, MISSING, then, virtual, virtual, 0)
    return cost


@inlined
def refuse(w: World, task: int, page: int, reason: int) -> int:
    """End an access that cannot be made (SIGBUS). Next: ret, from the fault and from the operation."""
    record(w, FAULT_REFUSED, task, page, reason, 0)
    ret(w, task)
    ret(w, task)
    return max(1, w.rules.fault_ns)


@inlined
def written(w: World, task: int, page: int) -> None:
    """Record a CPU's write to a page, and check that nobody relies on its contents."""
    record(w, PAGE_WRITTEN, task, page, w.pages.mapping[page], w.pages.index[page])
    write_contents(w, task, page)
    count_write(w, page)
    if w.rmap.kind[page] == FILE_PAGE and w.pages.file[page] == NONE:
        broken(w, task, page, TRUNCATED_WRITTEN)
    if w.rules.protects and w.protection.owner[page] != NONE:
        broken(w, task, page, PROTECTED_WRITTEN)
    if w.rules.stable_pages and w.pages.flags[page] & (1 << PG_WRITEBACK):
        broken(w, task, page, UNSTABLE_WRITE)
    if w.rmap.kind[page] == ANON_PAGE and w.rmap.mapcount[page] > 1:
        broken(w, task, page, SHARED_COPY_WRITTEN)
    if w.rules.contents and w.rmap.kind[page] == KSM_PAGE:
        broken(w, task, page, MERGED_WRITTEN)
    check_moved(w, task, page)


@inlined
def check_moved(w: World, task: int, page: int) -> None:
    """Check that an anonymous page that is written has not been migrated."""
    if w.rules.migrates and w.rmap.kind[page] == ANON_PAGE and w.pages.mapping[page] == 0:
        broken(w, task, page, MOVED_WRITTEN)


@inlined
def store_through(w: World, task: int, row: int) -> None:
    """Write to the page that a writable entry maps; the CPU sets the entry's dirty bit."""
    w.ptes.bits[row] = w.ptes.bits[row] | PTE_DIRTY
    written(w, task, w.ptes.page[row])


@inlined
def same_entry(w: World, row: int, page: int) -> bool:
    """pte_same(): whether the entry still maps this page without write access, checked after the lock was dropped."""
    return w.ptes.page[row] == page and w.ptes.bits[row] & (PTE_PRESENT | PTE_WRITE) == PTE_PRESENT
