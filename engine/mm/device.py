"""A device reads a program's pages, over its link or from copies of its own, and makes atomic operations on them.

The link carries one page after another, and so does the host's memory, which all devices share; a request waits for
both, then takes one round trip. A device keeps a copy of a page only while the page is protected: a CPU's write takes
the page back, and drops the copies of all devices (engine.mm.protect). An atomic operation on a page that the device
has protected is made in its own memory; otherwise it is a PCIe atomic, which waits for its completion.
"""

from __future__ import annotations

from typing import Any

from engine.events import Kind
from engine.mm.cache import drop_reference
from engine.mm.contents import count_write
from engine.mm.frames import call, ret
from engine.mm.page_table import own_row, write_fault, written
from engine.mm.protect import found_page
from engine.mm.steps import ATOMIC, COMPARE_AND_SWAP, DEVICE_FETCH, EMULATED_ATOMIC, OFF_CPU, PREFETCHED, PROTECT
from engine.world.jit import inlined, jit
from engine.world.state import HOST_FREE, NONE, NOW, PTE_MIGRATION, PTE_WRITE, World
from engine.world.trace import record, record_transfer

DEVICE_READ, DEVICE_ATOMIC, COPY_MADE = int(Kind.device_read), int(Kind.device_atomic), int(Kind.copy_made)
ATOMIC_RETRIED = int(Kind.atomic_retried)
PAGE_BYTES, ATOMIC_BYTES, CAS_BYTES = 4096, 8, 16
ATTEMPT_BYTES = ATOMIC_BYTES + CAS_BYTES
"""What an attempt at an emulated operation carries: the word that is read, and the two operands of the CAS."""


@inlined
def _over_link(w: World, device: int) -> Any:
    """Carry a page over the link, behind what it and the host's memory are busy with; return ns until it is there."""
    now = w.clock[NOW] * 1_000
    begin = max(now, w.clock[HOST_FREE])
    w.clock[HOST_FREE] = begin + w.rules.host_page_ps
    w.devices.link_free[device] = max(begin, w.devices.link_free[device]) + w.devices.link_ps[device]
    return (w.devices.link_free[device] - now + 999) // 1_000 + w.devices.link_ns[device]


@inlined
def _fetch(w: World, task: int, page: int) -> Any:
    """Read a page over the link. Next: ret."""
    took = _carry(w, task, page)
    ret(w, task)
    return took + OFF_CPU


@inlined
def _carry(w: World, task: int, page: int) -> Any:
    """Carry a page over the link of the task's device; return ns until it is there."""
    device = w.tasks.device[task]
    took = max(1, _over_link(w, device))
    record_transfer(w, DEVICE_READ, task, page, PAGE_BYTES, 0, took)
    if w.rules.keeps_copies:
        w.copies.ready[device * w.rules.n_pages + page] = w.clock[NOW] + took
    return took


@inlined
def _keep(w: World, task: int, page: int) -> None:
    """Note that the task's device has a copy of the page, or will have when the link has carried it."""
    device = w.tasks.device[task]
    w.copies.held[device * w.rules.n_pages + page] = 1
    record(w, COPY_MADE, task, page, device, 0)


@inlined
def _keep_protected(w: World, task: int, page: int) -> bool:
    """After an attempt to protect the page: keep a copy if it is still protected; return whether it is.

    The reference that protect took is then that of the copies.
    """
    if w.protection.owner[page] != task:
        w.rmap.pinned[page] -= 1
        drop_reference(w, task, page)
        return False
    w.copies.held[w.rules.n_devices * w.rules.n_pages + page] = 1
    _keep(w, task, page)
    return True


@jit
def device_read(w: World, task: int) -> Any:
    """Read a page: from a copy, over the link, or over the link into a new copy. Next: ret; protect, then device_fetch.

    A page of which another device has a copy is protected already. Where nothing is mapped nothing is read.
    """
    page, device = found_page(w, task), w.tasks.device[task]
    if w.rules.migrates and w.ptes.bits[own_row(w, task, w.tasks.page[task])] & PTE_MIGRATION:
        return max(1, w.devices.link_ns[device]) + OFF_CPU  # it tries again
    if page == NONE:
        ret(w, task)
        return max(1, w.devices.link_ns[device]) + OFF_CPU
    if w.rules.keeps_copies == 0:
        return _fetch(w, task, page)
    if w.copies.held[device * w.rules.n_pages + page]:
        away = max(0, w.copies.ready[device * w.rules.n_pages + page] - w.clock[NOW])
        took = max(1, away + w.devices.local_ns[device] + w.devices.local_ps[device] // 1_000)
        record_transfer(w, DEVICE_READ, task, page, PAGE_BYTES, 1, took)
        ret(w, task)
        return took + OFF_CPU
    if w.copies.held[w.rules.n_devices * w.rules.n_pages + page]:
        _keep(w, task, page)
        return _fetch(w, task, page)
    call(w, task, PROTECT, DEVICE_FETCH)
    return 0


@jit
def device_fetch(w: World, task: int) -> Any:
    """After an attempt to protect the page: keep a copy if it is still protected; read it over the link. Next: ret."""
    page = w.tasks.second[task]
    w.tasks.second[task] = NONE
    if page == NONE:
        page = found_page(w, task)
        if page == NONE:
            ret(w, task)
            return OFF_CPU + 1
        return _fetch(w, task, page)
    _keep_protected(w, task, page)
    return _fetch(w, task, page)


@jit
def prefetch(w: World, task: int) -> Any:
    """Have a copy made, and do not wait for it. Next: ret; protect, then prefetched. Without copies, or if the device
    has one, there is nothing to do.
    """
    page, device = found_page(w, task), w.tasks.device[task]
    if page == NONE or w.rules.keeps_copies == 0 or w.copies.held[device * w.rules.n_pages + page]:
        ret(w, task)
        return w.rules.atomic_ns + OFF_CPU
    if w.copies.held[w.rules.n_devices * w.rules.n_pages + page]:
        _keep(w, task, page)
        _carry(w, task, page)
        ret(w, task)
        return w.rules.atomic_ns + OFF_CPU
    call(w, task, PROTECT, PREFETCHED)
    return 0


@jit
def prefetched(w: World, task: int) -> Any:
    """Next: ret. A page that could not be protected is not carried."""
    page = w.tasks.second[task]
    w.tasks.second[task] = NONE
    if page != NONE and _keep_protected(w, task, page):
        _carry(w, task, page)
    ret(w, task)
    return w.rules.atomic_ns + OFF_CPU


@jit
def atomic(w: World, task: int) -> Any:
    """FetchAdd, Swap or CAS of as many bytes as the program says: in the device's own memory if it has the page
    protected, else over the link. Next: ret.

    A PCIe atomic is non-posted: its completion comes one round trip later.
    """
    device, page = w.tasks.device[task], w.tasks.second[task]
    size = w.program.arg[w.tasks.at[task]]
    if page != NONE and w.protection.owner[page] == task:
        took = max(1, w.devices.local_ns[device])
        record_transfer(w, DEVICE_ATOMIC, task, page, size, 1, took)
        count_write(w, page)
    else:
        row = own_row(w, task, w.tasks.page[task])
        if not w.ptes.bits[row] & PTE_WRITE:
            return write_fault(w, task, row, ATOMIC)
        took = max(1, w.devices.link_ns[device])
        record_transfer(w, DEVICE_ATOMIC, task, w.ptes.page[row], size, 0, took)
        written(w, task, w.ptes.page[row])
    ret(w, task)
    return took + OFF_CPU


@jit
def emulated_atomic(w: World, task: int) -> Any:
    """An operation that PCIe does not have: read the word, as FetchAdd of 0, and compute. Next: compare_and_swap. On a
    page that the device has protected it is made there: ret. On an entry that is not writable: a write fault first.
    """
    device, page = w.tasks.device[task], w.tasks.second[task]
    if page != NONE and w.protection.owner[page] == task:
        took = max(1, w.devices.local_ns[device])
        record_transfer(w, DEVICE_ATOMIC, task, page, ATOMIC_BYTES, 1, took)
        count_write(w, page)
        ret(w, task)
        return took + OFF_CPU
    row, took = own_row(w, task, w.tasks.page[task]), max(1, w.devices.link_ns[device])
    if not w.ptes.bits[row] & PTE_WRITE:
        w.emulations.since[task] = -1
        return write_fault(w, task, row, EMULATED_ATOMIC)
    if w.emulations.since[task] < 0:
        w.emulations.since[task] = w.clock[NOW]
    w.emulations.page[task] = w.ptes.page[row]
    w.tasks.step[task] = COMPARE_AND_SWAP
    return took + OFF_CPU


@jit
def compare_and_swap(w: World, task: int) -> Any:
    """Write the new value if the word is still the one that was read, and wait for the completion. Next: ret;
    emulated_atomic again if a CPU or another device has changed the word meanwhile, or taken write access.
    """
    took, row = max(1, w.devices.link_ns[w.tasks.device[task]]), own_row(w, task, w.tasks.page[task])
    page = w.ptes.page[row]
    if not w.ptes.bits[row] & PTE_WRITE or w.emulations.page[task] != page:
        record_transfer(w, ATOMIC_RETRIED, task, page, ATTEMPT_BYTES, 0, took)
        w.emulations.page[task] = NONE
        w.tasks.step[task] = EMULATED_ATOMIC
        return took + OFF_CPU
    since = w.clock[NOW] - w.emulations.since[task] + took
    record_transfer(w, DEVICE_ATOMIC, task, page, ATTEMPT_BYTES, 0, since)
    written(w, task, page)
    w.emulations.since[task] = -1
    w.emulations.page[task] = NONE
    ret(w, task)
    return took + OFF_CPU
