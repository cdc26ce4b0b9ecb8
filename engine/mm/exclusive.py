"""A CPU's access to a device-exclusive entry takes the page back (mm/memory.c: remove_device_exclusive_entry())."""

from __future__ import annotations

from engine.mm.cache import take_reference
from engine.mm.frames import call, ret
from engine.mm.page_table import own_row, set_entry
from engine.mm.protect_fault import meet
from engine.mm.steps import EXCLUSIVE_RESTORE, FAULT_PUT, LOCK_PAGE, PROTECTED_BREAK, UNLOCK_PAGE
from engine.world.jit import inlined, jit
from engine.world.state import PTE_EXCLUSIVE, PTE_PRESENT, PTE_WRITE, World
from engine.world.verbs import protect_holds


@jit
def exclusive_fault(w: World, task: int) -> int:
    """Take a reference on the page. Next: lock_page, which a driver holds while it sets up the device; then
    exclusive_restore.
    """
    page = w.tasks.page[task]
    if w.ptes.page[own_row(w, task, w.tasks.second[task])] != page:
        ret(w, task)
        return w.rules.atomic_ns
    take_reference(w, task, page)
    call(w, task, LOCK_PAGE, EXCLUSIVE_RESTORE)
    return w.rules.atomic_ns


@inlined
def restored_bits(w: World, page: int) -> int:
    """Return the bits of an entry that is a device's no longer: writable if nothing else maps the page."""
    return PTE_PRESENT | PTE_WRITE if w.rmap.mapcount[page] == 1 else PTE_PRESENT


@jit
def exclusive_restore(w: World, task: int) -> int:
    """With the page locked: the notifier tells the device, then the entry is restored. Next: break_begin and this step;
    unlock_page, then fault_put.

    mm/memory.c: restore_exclusive_pte().
    """
    page, row = w.tasks.page[task], own_row(w, task, w.tasks.second[task])
    if protect_holds(w, page):
        meet(w, task, page)
        call(w, task, PROTECTED_BREAK, EXCLUSIVE_RESTORE)
        return 0
    if w.ptes.page[row] == page and w.ptes.bits[row] & PTE_EXCLUSIVE:
        set_entry(w, task, row, restored_bits(w, page))
    call(w, task, UNLOCK_PAGE, FAULT_PUT)
    return w.rules.atomic_ns
