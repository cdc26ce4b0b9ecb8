"""Truncation of a whole file in its two passes (mm/truncate.c: truncate_setsize(), truncate_inode_pages_range()).

i_size is cleared first, then the page table entries. The first pass removes the pages it can lock without waiting; the
second waits for locks and for writeback (with the page locked), and restarts until it finds no page. Last, entries are
cleared again. `tasks.page` is the position in the range. A page whose check fails is left in the file, so the second
pass comes back to it until the check succeeds.
"""

from __future__ import annotations

from engine.events import PG_DIRTY, PG_WRITEBACK, Kind
from engine.invariants import PAGE_SURVIVES, STRANDED_PTE
from engine.mm.cache import drop_reference, remove_page, still_ours, take_reference
from engine.mm.filemap import trylock_page, wait_for_writeback
from engine.mm.frames import call, ret
from engine.mm.steps import (
    LOCK_PAGE,
    RANGE_CHECK,
    RANGE_CLEAN,
    RANGE_END,
    RANGE_NEXT,
    RANGE_PUT,
    RANGE_REMOVE,
    RANGE_TRYLOCK,
    RANGE_UNMAP,
    RANGE_WAIT,
    UNLOCK_PAGE,
)
from engine.world.jit import inlined, jit
from engine.world.state import ANON_PAGE, NONE, World
from engine.world.trace import broken, record

TRUNCATE_BEGAN, TRUNCATE_ENDED = int(Kind.truncate_began), int(Kind.truncate_ended)
PAGE_TRUNCATED, PAGE_CLEANED, PAGE_UNMAPPED = int(Kind.page_truncated), int(Kind.page_cleaned), int(Kind.page_unmapped)

IDLE, FIRST, SECOND, SECOND_FOUND, LAST_UNMAP = range(5)
"""tasks.argument. SECOND: the second pass has found no page since it last started; SECOND_FOUND: it has."""


@jit
def truncate_range(w: World, task: int) -> int:
    """Write i_size: from here on a fault finds nothing to map. Next: range_unmap.

    The range is the whole file: a page that is in it now must be out of it when truncation ends.
    """
    file = w.pages.home[w.tasks.page[task]]
    w.files.size[file] = 0
    for page in range(w.rules.n_pages):
        if w.pages.file[page] == file:
            w.pages.truncated_by[page] = task
    record(w, TRUNCATE_BEGAN, task, NONE, w.files.address[file], 0)
    w.tasks.file[task] = file
    w.tasks.page[task] = 0
    w.tasks.step[task] = RANGE_UNMAP
    return w.rules.atomic_ns


@inlined
def page_mapped(w: World, page: int) -> bool:
    """Return whether an entry maps this page of a file."""
    if w.rules.mapped:
        return w.rmap.mapcount[page] > 0 and w.rmap.kind[page] != ANON_PAGE
    return w.pages.mapped[page] != 0


@jit
def entries_left(w: World, file: int) -> bool:
    """Return whether an address space has an entry in this file's range."""
    for row in range(w.rules.mms * w.rules.virtual_pages):
        if w.ptes.page[row] != NONE and w.pages.home[row % w.rules.virtual_pages] == file:
            return True
    return False


@inlined
def _unmap(w: World, task: int, page: int) -> None:
    if w.pages.mapped[page]:
        w.pages.mapped[page] = 0
        record(w, PAGE_UNMAPPED, task, page, w.pages.mapping[page], w.pages.index[page])


@jit
def range_unmap(w: World, task: int) -> int:
    """Clear the next page table entry of the range. Next: range_unmap; after the last, range_next or range_end.

    mm/memory.c: unmap_mapping_range(). It searches by file, so it finds entries of truncated pages too. With address
    spaces: unmap_step first, which comes back when no entry is left.
    """
    if w.rules.mapped and entries_left(w, w.tasks.file[task]):
        w.tasks.step[task] = w.rules.unmap_step
        return 0
    for page in range(w.tasks.page[task], w.rules.n_pages):
        if w.pages.mapped[page] and w.pages.home[page] == w.tasks.file[task]:
            _unmap(w, task, page)
            w.tasks.page[task] = page
            return w.rules.atomic_ns
    w.tasks.page[task] = 0
    if w.tasks.argument[task] == LAST_UNMAP:
        w.tasks.step[task] = RANGE_END
    else:
        w.tasks.argument[task] = FIRST
        w.tasks.step[task] = RANGE_NEXT
    return 0


@jit
def range_next(w: World, task: int) -> int:
    """Look up the next page of the range. Next: range_trylock, or lock_page and then range_wait; after the last page
    range_next of another pass, or range_unmap when the second pass found no page.
    """
    file = w.tasks.file[task]
    for page in range(w.tasks.page[task], w.rules.n_pages):
        if w.pages.file[page] == file:
            w.tasks.page[task] = page
            take_reference(w, task, page)
            w.tasks.holds[task] += 1
            if w.tasks.argument[task] == FIRST:
                w.tasks.step[task] = RANGE_TRYLOCK
            else:
                w.tasks.argument[task] = SECOND_FOUND
                call(w, task, LOCK_PAGE, RANGE_WAIT)
            return w.rules.atomic_ns
    return _end_of_range(w, task)


@inlined
def _end_of_range(w: World, task: int) -> int:
    """Begin the second pass, restart it (at least 1 ns even if all costs are 0), or end it."""
    w.tasks.page[task] = 0
    again = w.tasks.argument[task] == SECOND_FOUND
    if w.tasks.argument[task] == SECOND:
        w.tasks.argument[task] = LAST_UNMAP
        w.tasks.step[task] = RANGE_UNMAP
    else:
        w.tasks.argument[task] = SECOND
        w.tasks.step[task] = RANGE_NEXT
    return max(1, w.rules.atomic_ns) if again else 0


@jit
def range_trylock(w: World, task: int) -> int:
    """First pass: try to lock the page. Next: range_check, or range_put."""
    w.tasks.step[task] = RANGE_CHECK if trylock_page(w, task, w.tasks.page[task]) else RANGE_PUT
    return w.rules.atomic_ns


@jit
def range_wait(w: World, task: int) -> int:
    """Second pass: wait for a writeback under way while holding the page lock. Next: range_check."""
    if w.pages.flags[w.tasks.page[task]] & (1 << PG_WRITEBACK):
        wait_for_writeback(w, task, RANGE_WAIT if w.rules.writeback_loops else RANGE_CHECK)
    else:
        w.tasks.step[task] = RANGE_CHECK
    return 0


@jit
def range_check(w: World, task: int) -> int:
    """Check that the locked page is still in the file; the first pass skips pages under writeback. Next: range_clean,
    or unlock_page and range_put.
    """
    page = w.tasks.page[task]
    busy = w.tasks.argument[task] == FIRST and w.pages.flags[page] & (1 << PG_WRITEBACK) != 0
    if busy or not still_ours(w, task, page) or w.pages.file[page] == NONE:
        call(w, task, UNLOCK_PAGE, RANGE_PUT)
    elif w.rules.mapped:
        w.tasks.step[task] = w.rules.unmap_page_step
    else:
        w.tasks.step[task] = RANGE_CLEAN
    return 0


@jit
def range_clean(w: World, task: int) -> int:
    """Clear page table entries that faults have installed since, and PG_dirty. Next: range_remove.

    mm/truncate.c: truncate_cleanup_page().
    """
    page = w.tasks.page[task]
    _unmap(w, task, page)
    flags = w.pages.flags[page]
    if flags & (1 << PG_DIRTY):
        w.pages.flags[page] = flags & ~(1 << PG_DIRTY)
        record(w, PAGE_CLEANED, task, page, flags & ~(1 << PG_DIRTY), 0)
    w.tasks.step[task] = RANGE_REMOVE
    return w.rules.atomic_ns


@jit
def range_remove(w: World, task: int) -> int:
    """Remove the page from the file, under page lock and tree lock. Next: unlock_page, then range_put."""
    page = w.tasks.page[task]
    w.pages.truncated_by[page] = NONE
    remove_page(w, task, page, PAGE_TRUNCATED)
    call(w, task, UNLOCK_PAGE, RANGE_PUT)
    return w.rules.atomic_ns


@jit
def range_put(w: World, task: int) -> int:
    """Drop the lookup's reference and go on with the next page. Next: range_next."""
    page = w.tasks.page[task]
    w.tasks.holds[task] -= 1
    drop_reference(w, task, page)
    w.tasks.step[task] = RANGE_NEXT
    if page + 1 < w.rules.n_pages:
        w.tasks.page[task] = page + 1
        return w.rules.atomic_ns
    return w.rules.atomic_ns + _end_of_range(w, task)


@jit
def range_end(w: World, task: int) -> int:
    """End truncation: check that its pages are out of the file, and that no entry maps a removed page. Next: ret."""
    for page in range(w.rules.n_pages):
        if w.pages.truncated_by[page] == task:
            w.pages.truncated_by[page] = NONE
            broken(w, task, page, PAGE_SURVIVES)
        stranded = w.pages.file[page] == NONE and w.pages.home[page] == w.tasks.file[task]
        if stranded and page_mapped(w, page):
            broken(w, task, page, STRANDED_PTE)
    file = w.tasks.file[task]
    w.tasks.file[task] = 0
    record(w, TRUNCATE_ENDED, task, NONE, w.files.address[file], w.files.pages[file])
    w.tasks.argument[task] = IDLE
    ret(w, task)
    return 0
