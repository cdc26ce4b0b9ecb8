"""map_pages(): the address spaces of a new World, and the entries they begin with."""

from __future__ import annotations

import numpy as np

from engine.devices import Profile
from engine.workloads import Group, Tasks
from engine.world.state import (
    ANON_PAGE,
    ANONYMOUS,
    FILE_PAGE,
    NONE,
    PTE_DIRTY,
    PTE_PRESENT,
    PTE_WRITE,
    SHARED,
    World,
)

PAGE_BYTES = 4096


def map_pages(w: World, workload: Tasks) -> None:
    """Map the workload's pages: a file read-only and clean in each address space, anonymous memory writable in its own.

    Address spaces that begin empty come after the others. Each has one area, which holds all its entries.
    """
    assert workload.memory is not None, "the workload maps pages"
    pages, rmap, n, mms = w.pages, w.rmap, workload.pages, workload.memory.mms
    w.ptes.page.array[:] = NONE
    pages.home.array[n:] = NONE  # spare pages become anonymous ones
    virtual = w.rules.virtual_pages
    if w.rules.mapped == ANONYMOUS:
        n = mms * virtual  # pages that do not divide among the address spaces stay free
        pages.file.array[:] = NONE
        pages.home.array[:] = NONE
        w.files.pages.array[:] = 0
        pages.mapping.array[:n] = w.rules.anon_word
        pages.mapping.array[n:] = 0
        pages.index.array[:n] = np.tile(np.arange(virtual), mms)
        pages.refcount.array[:] = 0
        pages.refcount.array[:n] = 1
        rmap.kind.array[:n], rmap.mapcount.array[:n] = ANON_PAGE, 1
        rmap.virtual.array[:n] = pages.index.array[:n]
        w.ptes.page.array[:n] = np.arange(n)
        w.ptes.bits.array[:n] = PTE_PRESENT | PTE_WRITE | PTE_DIRTY
    else:
        rmap.kind.array[:n], rmap.mapcount.array[:n] = FILE_PAGE, mms
        rmap.virtual.array[:n] = np.arange(n)
        pages.refcount.array[:n] += mms
        w.ptes.page.array[: mms * n] = np.tile(np.arange(n), mms)
        w.ptes.bits.array[: mms * n] = PTE_PRESENT
    if w.rules.mapped == SHARED:
        w.mms.shared.array[:] = 1
        w.mms.shared.array[workload.memory.private or []] = 0
    if w.rules.contents:
        w.contents.value.array[:n] = 1 + np.arange(n) % w.rules.contents
    for group in workload.groups:
        if not scans(group) and group.device is None:
            w.mms.tasks[group.mm] += group.tasks


def scans(group: Group) -> bool:
    """Return whether the group is ksmd, a kernel thread: it runs in no address space."""
    return "ksm_scan" in group.names


def add_device(w: World, row: int, profile: Profile) -> int:
    """Write the numbers of a device's profile into its row, and return the row."""
    d = w.devices
    d.link_ps[row], d.link_ns[row] = profile.link_page_ps(PAGE_BYTES), profile.link_ns.value
    d.local_ps[row], d.local_ns[row] = profile.local_page_ps(PAGE_BYTES), profile.local_ns.value
    return row
