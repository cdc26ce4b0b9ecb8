"""fork(): the entries of an address space are copied to an empty one (mm/memory.c: copy_page_range())."""

from __future__ import annotations

from typing import Any

from engine.events import PG_LOCKED
from engine.mm.exclusive import restored_bits
from engine.mm.frames import ret
from engine.mm.page_table import PROTECTION_PAGE, flush_tlb, map_page, own_row, row_of, set_entry, vm_shared
from engine.mm.protect import end_protection
from engine.mm.steps import OFF_CPU
from engine.world.jit import inlined, jit
from engine.world.state import (
    ANON_PAGE,
    NONE,
    PTE_EXCLUSIVE,
    PTE_MIGRATION,
    PTE_PRESENT,
    PTE_SWAP,
    PTE_WRITE,
    World,
)
from engine.world.verbs import protect_holds


@inlined
def _restore(w: World, task: int, row: int) -> None:
    """Restore a device-exclusive entry, as only trylock_page() allows; while the page is locked the caller tries again.

    mm/memory.c: try_restore_exclusive_pte().
    """
    page = w.ptes.page[row]
    if not w.pages.flags[page] & (1 << PG_LOCKED):
        if protect_holds(w, page):
            end_protection(w, task, page, 1)
        set_entry(w, task, row, restored_bits(w, page))


@inlined
def _taken(w: World, row: int) -> Any:
    """Whether a device has the entry's page write-protected, and fork() is among the paths that ask."""
    if not (w.rules.protects and w.rules.all_paths) or w.rules.exclusive or not w.ptes.bits[row] & PTE_PRESENT:
        return False
    return (
        not w.rules.keeps_copies and w.rmap.kind[w.ptes.page[row]] == ANON_PAGE and protect_holds(w, w.ptes.page[row])
    )


@inlined
def _take_back(w: World, task: int, page: int) -> None:
    """Take the page back from the device, which would go on writing to what parent and child then share; while the page
    is locked the caller tries again. fork() does not wait and does not fail, whatever the policy.
    """
    if not w.pages.flags[page] & (1 << PG_LOCKED):
        end_protection(w, task, page, 1)


@jit
def _empty(w: World, mm: int) -> bool:
    """Whether an address space has no entries: its area is then copied too."""
    entries = 0
    for virtual in range(w.rules.virtual_pages):
        entries += w.ptes.bits[row_of(w, mm, virtual)] != 0
    return entries == 0


@jit
def copy_page_range(w: World, task: int) -> int:
    """Copy the next entry, and take write access from both. Next: this step; after the last ret.

    mm/memory.c: copy_one_pte(); kernel/fork.c: dup_mm() flushes the parent once, at the end. Shared mappings of files
    are left to faults.
    """
    to, virtual = w.program.arg[w.tasks.at[task]], w.tasks.argument[task]
    if w.mms.shared[to] != w.mms.shared[w.tasks.mm[task]] and _empty(w, to):
        w.mms.shared[to] = w.mms.shared[w.tasks.mm[task]]
    while virtual < w.rules.virtual_pages and not vm_shared(w, task) and w.mms.shared[to] == 0:
        row, copy = own_row(w, task, virtual), row_of(w, to, virtual)
        if w.rules.exclusive and w.ptes.bits[row] & PTE_EXCLUSIVE and w.ptes.bits[copy] == 0:
            _restore(w, task, row)
            w.tasks.argument[task] = virtual
            return max(1, w.rules.atomic_ns) + OFF_CPU  # cond_resched(): the holder of the page lock may need this CPU
        if w.rules.migrates and w.ptes.bits[row] & PTE_MIGRATION and w.ptes.bits[copy] == 0:
            w.ptes.bits[row] = PTE_MIGRATION  # neither entry is to be writable afterwards
            w.ptes.page[copy] = w.ptes.page[row]
            set_entry(w, task, copy, PTE_MIGRATION)
            w.tasks.argument[task] = virtual + 1
            return max(1, w.rules.atomic_ns)
        if w.rules.swaps and w.ptes.bits[row] & PTE_SWAP and w.ptes.bits[copy] == 0:
            slot = w.swap_entries.slot[row]  # swap_duplicate()
            w.swap_slots.entries[slot] += 1
            w.swap_entries.slot[copy] = slot
            w.ptes.bits[copy] = PTE_SWAP
            w.tasks.argument[task] = virtual + 1
            return max(1, w.rules.atomic_ns)
        if _taken(w, row) and w.ptes.bits[copy] == 0:
            _take_back(w, task, w.ptes.page[row])
            w.tasks.argument[task] = virtual
            return max(1, w.rules.break_ns) + OFF_CPU
        if w.ptes.bits[row] & PTE_PRESENT and w.ptes.bits[copy] == 0:
            bits = w.ptes.bits[row] & ~PTE_WRITE
            if w.ptes.bits[row] & PTE_WRITE:
                set_entry(w, task, row, bits)
            map_page(w, task, copy, w.ptes.page[row], bits)
            w.tasks.argument[task] = virtual + 1
            return max(1, w.rules.atomic_ns)
        virtual += 1
    w.tasks.argument[task] = 0
    ret(w, task)
    return max(1, flush_tlb(w, task, w.tasks.mm[task], NONE, PROTECTION_PAGE))
