"""try_to_unmap() with TTU_BATCH_FLUSH: entries become swap entries, and the TLBs are flushed later, for many at once.

Until then other CPUs may still use an entry that is gone. They write through it if it was dirty: a clean one makes the
CPU look at the entry again, to set its dirty bit. So the flush must come before such a page is written out, and before
any page is freed. Loads through a stale entry are not modelled.
"""

from __future__ import annotations

from engine.events import PG_DIRTY, Kind
from engine.invariants import WRITE_LOST
from engine.mm.cache import drop_reference
from engine.mm.frames import ret
from engine.mm.page_table import CLEAR, NO_RANGE, flush_tlb, other_cpus, row_of, written
from engine.mm.steps import RECLAIM_WRITE
from engine.mm.swap.cache import make_dirty
from engine.world.jit import inlined, jit
from engine.world.state import NONE, PTE_DIRTY, PTE_PRESENT, PTE_SWAP, World
from engine.world.trace import broken, record_pte, record_range

PTE_CLEARED = int(Kind.pte_cleared)


@jit
def unmap_to_swap(w: World, task: int) -> int:
    """Make the next entry of the page a swap entry. Next: this step; after the last pageout.

    mm/rmap.c: try_to_unmap_one(), should_defer_flush(): where no other CPU runs the address space, the own TLB is
    flushed at once.
    """
    page = w.tasks.page[task]
    slot = w.swap_pages.slot[page]
    for mm in range(w.rules.mms):
        row = row_of(w, mm, w.rmap.virtual[page])
        bits = w.ptes.bits[row]
        if w.ptes.page[row] == page and bits & PTE_PRESENT:
            cost = w.rules.atomic_ns
            record_range(w, task, page, mm, CLEAR, 1)
            if other_cpus(w, task, mm):
                w.swap_entries.stale[row] = page
                w.swap_entries.stale_dirty[row] = bits & PTE_DIRTY != 0
                w.swap_entries.batch[row] = task
            else:
                cost += flush_tlb(w, task, mm, page, NO_RANGE)
            if bits & PTE_DIRTY:
                make_dirty(w, task, page)
            w.ptes.page[row] = NONE
            w.ptes.bits[row] = PTE_SWAP
            w.swap_entries.slot[row] = slot
            w.swap_slots.entries[slot] += 1
            w.rmap.mapcount[page] -= 1
            record_pte(w, PTE_CLEARED, task, page, row, bits, w.rmap.mapcount[page])
            drop_reference(w, task, page)
            return max(1, cost)
    w.tasks.step[task] = RECLAIM_WRITE
    return 0


@inlined
def _pending(w: World, task: int, row: int, dirty: int) -> bool:
    """Whether the task has put off the flush of this entry; dirty: 1 to ask for entries that were dirty."""
    if w.swap_entries.stale[row] == NONE or w.swap_entries.batch[row] != task:
        return False
    return dirty == 0 or w.swap_entries.stale_dirty[row] != 0


@jit
def flush_batch(w: World, task: int, dirty: int) -> int:
    """Flush the next address space whose flush the task has put off; return the cost in ns, 0 if there is none.

    mm/rmap.c: try_to_unmap_flush(), try_to_unmap_flush_dirty(). One address space at a time, where the kernel
    interrupts the CPUs of all of them in one round.
    """
    for row in range(w.rules.mms * w.rules.virtual_pages):
        if _pending(w, task, row, dirty):
            return max(1, flush_tlb(w, task, row // w.rules.virtual_pages, NONE, NO_RANGE))
    return 0


@inlined
def stale_write(w: World, row: int) -> bool:
    """Whether a CPU of this address space would write through an entry that is gone."""
    return w.rules.swaps != 0 and w.swap_entries.stale[row] != NONE and w.swap_entries.stale_dirty[row] != 0


@inlined
def store_stale(w: World, task: int, row: int) -> int:
    """Write through an entry that is gone; nothing remembers it but PG_dirty. Next: ret."""
    page = w.swap_entries.stale[row]
    written(w, task, page)
    if not w.pages.flags[page] & (1 << PG_DIRTY):
        broken(w, task, page, WRITE_LOST)
    ret(w, task)
    return w.rules.atomic_ns
