"""get_user_pages(): a device or system call holds a page that a program maps, and writes to it past the page table."""

from __future__ import annotations

from engine.mm.cache import drop_reference, take_reference
from engine.mm.frames import ret
from engine.mm.page_table import own_row, write_fault, written
from engine.mm.steps import PIN
from engine.world.jit import jit
from engine.world.state import NONE, PTE_WRITE, World


@jit
def get_user_page(w: World, task: int) -> int:
    """Take a reference on the page behind a writable entry. Next: ret; after a write fault this step again.

    mm/gup.c: follow_page_pte(), faultin_page(), with FOLL_WRITE. tasks.second is the page afterwards.
    """
    row = own_row(w, task, w.tasks.page[task])
    page = w.ptes.page[row]
    if not w.ptes.bits[row] & PTE_WRITE:
        return write_fault(w, task, row, PIN)
    take_reference(w, task, page)
    w.rmap.pinned[page] += 1
    w.tasks.second[task] = page
    ret(w, task)
    return w.rules.atomic_ns


@jit
def dma(w: World, task: int) -> int:
    """Write to the pinned page, without its entry. Next: ret. Nothing to do if the pin was refused."""
    if w.tasks.second[task] != NONE:
        written(w, task, w.tasks.second[task])
    ret(w, task)
    return w.rules.atomic_ns


@jit
def put_user_page(w: World, task: int) -> int:
    """Drop the reference on the pinned page. Next: ret. mm/gup.c: put_user_page()."""
    page = w.tasks.second[task]
    if page != NONE:
        w.rmap.pinned[page] -= 1
        w.tasks.second[task] = NONE
        drop_reference(w, task, page)
    ret(w, task)
    return w.rules.atomic_ns
