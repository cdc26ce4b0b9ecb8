"""A device has a page write-protected in all address spaces, writes to it, and gives it back.

The generic write protection of April 2018, and make_device_exclusive(). tasks.page is the virtual page,
tasks.second the page that the device has. A device keeps a reference, and must be the only one besides page cache and
entries: whoever has pinned the page writes to it past the entries. Where a CPU's write meets the protection, see
engine.mm.protect_fault.
"""

from __future__ import annotations

from typing import Any

from engine.events import PG_DIRTY, PG_WRITEBACK, Kind
from engine.invariants import (
    LOST_UNDER_DEVICE,
    MAPPING_RESURRECTED,
    MERGED_WRITTEN,
    SHARED_COPY_WRITTEN,
    TWO_DEVICES,
)
from engine.mm.cache import drop_reference, still_ours, take_reference
from engine.mm.contents import count_write, write_contents
from engine.mm.filemap import begin_wait
from engine.mm.frames import call_on, ret
from engine.mm.page_table import (
    EXCLUSIVE,
    PROTECTION_PAGE,
    check_moved,
    flush_tlb,
    own_row,
    row_of,
    set_entry,
    vm_shared,
    write_fault,
)
from engine.mm.steps import (
    LOCK_PAGE,
    PROTECT,
    PROTECT_CHECK,
    PROTECT_END,
    PROTECT_SET,
    PROTECT_WALK,
    UNLOCK_PAGE,
    UNPROTECT_CLEAR,
    UNPROTECT_PUT,
    WAIT_PREPARE,
)
from engine.mm.swap.cache import make_dirty, swap_cached
from engine.mm.wait_list import make_ready
from engine.world.jit import inlined, jit
from engine.world.state import (
    ANON_PAGE,
    ASLEEP,
    FILE_PAGE,
    KSM_PAGE,
    NONE,
    NOW,
    PTE_DIRTY,
    PTE_EXCLUSIVE,
    PTE_PRESENT,
    PTE_WRITE,
    World,
)
from engine.world.trace import broken, record, record_unprotected
from engine.world.verbs import protect_clear, protect_holds, protect_set

PAGE_PROTECTED, PROTECT_REFUSED = int(Kind.page_protected), int(Kind.protect_refused)
COPY_DROPPED = int(Kind.copy_dropped)
PAGE_WRITTEN, PAGE_DIRTIED = int(Kind.page_written), int(Kind.page_dirtied)

NOT_MAPPED, LEFT, HELD, NOT_ANONYMOUS, PINNED, MERGED, CHANGED = range(7)
"""Reasons why a page is not protected, the index in engine.events.PROTECT_REFUSALS."""


@inlined
def found_page(w: World, task: int) -> Any:
    """Return the page that the device asks for: the one in the page cache, or what the program's entry maps."""
    virtual = w.tasks.page[task]
    if vm_shared(w, task):
        return virtual if w.pages.file[virtual] != NONE else NONE
    row = own_row(w, task, virtual)
    return w.ptes.page[row] if w.ptes.bits[row] & (PTE_PRESENT | PTE_EXCLUSIVE) else NONE


@inlined
def _shared_copy(w: World, task: int, page: int) -> bool:
    """Whether a device that wants to write must get a copy of its own: of a private file's page, or of one that other
    address spaces share. Devices that only read, into copies, may share it.
    """
    if page == NONE or vm_shared(w, task) or w.rules.keeps_copies:
        return False
    return w.rmap.kind[page] != ANON_PAGE or w.rmap.mapcount[page] > 1


@inlined
def _entry_changed(w: World, task: int, page: int) -> bool:
    """Whether the program's entry has ceased to map the page since it was found, or to map it writable where that
    counts.
    """
    if vm_shared(w, task):
        return False
    row = own_row(w, task, w.tasks.page[task])
    if w.ptes.page[row] != page or not w.ptes.bits[row] & PTE_PRESENT:
        return True
    if w.rules.exclusive or _shared_copy(w, task, page):
        return w.ptes.bits[row] & PTE_WRITE == 0
    return False


@jit
def protect(w: World, task: int) -> int:
    """Find the page and take a reference. Next: lock_page, then protect_check; ret if nothing is mapped.

    A page that others share copy-on-write gets a copy first, by a write fault, as get_user_pages() for writing does;
    exclusive entries always begin so (mm/rmap.c: make_device_exclusive()).
    """
    page = found_page(w, task)
    row = own_row(w, task, w.tasks.page[task])
    if (w.rules.exclusive or _shared_copy(w, task, page)) and not w.ptes.bits[row] & PTE_WRITE:
        return write_fault(w, task, row, PROTECT)
    if page == NONE:
        record(w, PROTECT_REFUSED, task, NONE, NOT_MAPPED, 0)
        ret(w, task)
        return w.rules.atomic_ns
    take_reference(w, task, page)
    w.rmap.pinned[page] += 1
    w.tasks.second[task] = page
    call_on(w, task, LOCK_PAGE, PROTECT_CHECK, page, NONE, 0)
    return w.rules.atomic_ns


@inlined
def _refuse(w: World, task: int, page: int, reason: int) -> None:
    """Give up with the page locked. Next: unlock_page, then unprotect_put."""
    record(w, PROTECT_REFUSED, task, page, reason, 0)
    call_on(w, task, UNLOCK_PAGE, UNPROTECT_PUT, page, NONE, 0)


@jit
def protect_check(w: World, task: int) -> int:
    """With the page locked: can it be protected? Next: protect_walk; after a wait for writeback this step again."""
    page = w.tasks.second[task]
    if w.rmap.kind[page] == FILE_PAGE and not still_ours(w, task, page):
        _refuse(w, task, page, LEFT)
    elif protect_holds(w, page):
        _refuse(w, task, page, HELD)
    elif w.rules.contents and w.rmap.kind[page] == KSM_PAGE:
        _refuse(w, task, page, MERGED)
    elif w.rmap.kind[page] == FILE_PAGE and not w.rules.protects_files:
        _refuse(w, task, page, NOT_ANONYMOUS)
    elif _entry_changed(w, task, page):
        _refuse(w, task, page, CHANGED)
    elif not _only_known(w, page):
        _refuse(w, task, page, PINNED)
    elif w.pages.flags[page] & (1 << PG_WRITEBACK):
        begin_wait(w, task, PG_WRITEBACK, 0)
        call_on(w, task, WAIT_PREPARE, PROTECT_CHECK, page, NONE, 0)
    else:
        w.tasks.step[task] = PROTECT_WALK
    return w.rules.atomic_ns


@inlined
def _protected_bits(w: World, bits: int) -> int:
    """Return the bits of an entry while its page is protected, given those before."""
    return PTE_EXCLUSIVE if w.rules.exclusive else bits & PTE_PRESENT


@jit
def protect_walk(w: World, task: int) -> int:
    """Change the next entry that maps the page, and flush it. Next: this step; after the last set_protection.

    A dirty entry makes a page of a file dirty. mm/rmap.c: page_mkclean_one(), page_make_device_exclusive_one().
    """
    page = w.tasks.second[task]
    for mm in range(w.rules.mms):
        row = row_of(w, mm, w.rmap.virtual[page])
        bits = w.ptes.bits[row]
        if w.rules.exclusive and w.ptes.page[row] == page and bits & (PTE_PRESENT | PTE_WRITE) == PTE_PRESENT:
            _refuse(w, task, page, CHANGED)  # fork() has shared it meanwhile
            return w.rules.atomic_ns
        if w.ptes.page[row] == page and bits != _protected_bits(w, bits):
            cost = flush_tlb(w, task, mm, page, EXCLUSIVE if w.rules.exclusive else PROTECTION_PAGE)
            flags = w.pages.flags[page]
            if bits & PTE_DIRTY and not flags & (1 << PG_DIRTY):
                w.pages.flags[page] = flags | (1 << PG_DIRTY)
                record(w, PAGE_DIRTIED, task, page, flags | (1 << PG_DIRTY), 0)
            set_entry(w, task, row, _protected_bits(w, bits))
            return max(1, cost)
    w.tasks.step[task] = PROTECT_SET
    return 0


@inlined
def _only_known(w: World, page: int) -> bool:
    """Return whether the page has no reference but the device's, its entries' and the page cache's.

    make_device_exclusive() does not ask.
    """
    if w.rules.exclusive:
        return True
    in_file = w.pages.file[page] != NONE
    expected = 1 + w.rmap.mapcount[page] + in_file + swap_cached(w, page)
    if w.rmap.kind[page] == FILE_PAGE:
        expected += w.rules.pins
    return w.pages.refcount[page] == expected


@jit
def set_protection(w: World, task: int) -> int:
    """Check the reference count, and mark the page protected in the same step. Next: unlock_page, then protect_end.

    mm/ksm.c: write_protect_page() refuses a page that somebody else has a reference on. As page_ref_freeze() does, the
    check keeps others from taking one; between two steps a fault could take one and write later.
    """
    page = w.tasks.second[task]
    if not w.rules.exclusive and _entry_changed(w, task, page):
        _refuse(w, task, page, CHANGED)
        return w.rules.atomic_ns
    if not _only_known(w, page):
        _refuse(w, task, page, PINNED)
        return w.rules.atomic_ns
    if w.protection.owner[page] != NONE:
        broken(w, task, page, TWO_DEVICES)
    protect_set(w, task, page)
    w.protection.owner[page] = task
    w.protection.since[page] = w.clock[NOW]
    record(w, PAGE_PROTECTED, task, page, w.pages.mapping[page], w.rmap.mapcount[page])
    call_on(w, task, UNLOCK_PAGE, PROTECT_END, page, NONE, 0)
    return w.rules.atomic_ns + w.rules.protect_ns


@jit
def protect_end(w: World, task: int) -> int:
    """The device has the page. Next: ret."""
    ret(w, task)
    return 0


@jit
def device_write(w: World, task: int) -> int:
    """The device writes to the page, if it was not taken back meanwhile. Next: ret."""
    page = w.tasks.second[task]
    if page != NONE and w.protection.owner[page] == task:
        record(w, PAGE_WRITTEN, task, page, w.pages.mapping[page], w.pages.index[page])
        write_contents(w, task, page)
        check_moved(w, task, page)
        count_write(w, page)
        if swap_cached(w, page):
            make_dirty(w, task, page)
        if w.rmap.kind[page] == ANON_PAGE and w.rmap.mapcount[page] > 1:
            broken(w, task, page, SHARED_COPY_WRITTEN)
        if w.rules.contents and w.rmap.kind[page] == KSM_PAGE:
            broken(w, task, page, MERGED_WRITTEN)
        if w.rmap.kind[page] == FILE_PAGE and w.pages.file[page] == NONE:
            broken(w, task, page, LOST_UNDER_DEVICE)
    ret(w, task)
    return w.rules.atomic_ns


@jit
def unprotect(w: World, task: int) -> int:
    """Give the page back. Next: lock_page, then unprotect_clear; ret if it was never protected."""
    page = w.tasks.second[task]
    if page == NONE:
        ret(w, task)
    else:
        call_on(w, task, LOCK_PAGE, UNPROTECT_CLEAR, page, NONE, 0)
    return w.rules.atomic_ns


@jit
def _drop_copies(w: World, task: int, page: int) -> None:
    """Drop the devices' copies of a page, and the reference that they share."""
    w.copies.held[w.rules.n_devices * w.rules.n_pages + page] = 0
    for device in range(w.rules.n_devices):
        row = device * w.rules.n_pages + page
        if w.copies.held[row]:
            w.copies.held[row] = 0
            record(w, COPY_DROPPED, task, page, device, 0)
    w.rmap.pinned[page] -= 1
    drop_reference(w, task, page)


@jit
def end_protection(w: World, task: int, page: int, taken: int) -> None:
    """With the page locked: mark it not protected, and wake the writers that wait for it; taken: 1 if it is broken."""
    protect_clear(w, task, page)
    w.protection.owner[page] = NONE
    if w.rules.keeps_copies and w.copies.held[w.rules.n_devices * w.rules.n_pages + page]:
        _drop_copies(w, task, page)
    record_unprotected(w, task, page, taken, w.clock[NOW] - w.protection.since[page])
    if w.rmap.kind[page] == FILE_PAGE and w.pages.file[page] == NONE and w.pages.mapping[page]:
        broken(w, task, page, MAPPING_RESURRECTED)
    for other in range(w.rules.n_tasks):
        if w.sleepers.page[other] == page and w.tasks.state[other] == ASLEEP:
            make_ready(w, other, w.rules.latency_ns)


@jit
def unprotect_clear(w: World, task: int) -> int:
    """With the page locked: end the protection unless it was broken. Next: unlock_page, then unprotect_put."""
    page = w.tasks.second[task]
    cost = w.rules.atomic_ns
    if w.protection.owner[page] == task:
        end_protection(w, task, page, 0)
        cost += w.rules.unprotect_ns
    call_on(w, task, UNLOCK_PAGE, UNPROTECT_PUT, page, NONE, 0)
    return cost


@jit
def unprotect_put(w: World, task: int) -> int:
    """Drop the device's reference. Next: ret."""
    page = w.tasks.second[task]
    w.tasks.second[task] = NONE
    w.rmap.pinned[page] -= 1
    drop_reference(w, task, page)
    ret(w, task)
    return w.rules.atomic_ns
