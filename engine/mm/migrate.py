"""Migration of one page of a file to another page (mm/migrate.c): lock both, copy page->mapping, change the slot.

A waiter that holds a reference makes migration fail, because the reference count is too high. In `pinned` worlds the
references that the scenario's tasks share belong to no single task, so a waiter there holds none, as in
put_and_wait_on_page_locked() and, later, on migration entries.
"""

from __future__ import annotations

from engine.events import PG_DIRTY, PG_WRITEBACK, Kind
from engine.invariants import SHARED_WAIT
from engine.mm.cache import drop_reference, mapping_seen, store_mapping, take_reference
from engine.mm.filemap import trylock_page, wait_for_writeback
from engine.mm.frames import call, ret
from engine.mm.mapping import PAGE_MAPPING_KSM, POINTER_BITS
from engine.mm.steps import (
    FOUND_PUT,
    LOCK_PAGE,
    MIGRATE_MOVE,
    MIGRATE_NEW,
    MIGRATE_PUT,
    MIGRATE_WAIT,
    UNLOCK_PAGE,
)
from engine.world.jit import inlined, jit
from engine.world.state import NONE, World
from engine.world.trace import broken, record
from engine.world.verbs import kept_mapping, write_mapping

PAGE_INSERTED, PAGE_REMOVED = int(Kind.page_inserted), int(Kind.page_removed)
PAGE_MIGRATED = int(Kind.page_migrated)
PAGE_MAPPED, PAGE_UNMAPPED = int(Kind.page_mapped), int(Kind.page_unmapped)
PAGE_DIRTIED, PAGE_CLEANED = int(Kind.page_dirtied), int(Kind.page_cleaned)
NULL = 0


@inlined
def _movable(w: World, page: int) -> bool:
    """__PageMovable(): whether the page is a driver's, by page->mapping."""
    return w.rules.movable_word != 0 and mapping_seen(w, page) == w.rules.movable_word


@jit
def migrate_page(w: World, task: int) -> int:
    """Isolate the page: take a reference if it is in its file, or a driver's. Next: lock_page, then migrate_wait.

    mm/migrate.c: unmap_and_move(), __unmap_and_move().
    """
    page = w.tasks.page[task]
    if w.pages.file[page] == NONE and not _movable(w, page):
        ret(w, task)
        return 0
    take_reference(w, task, page)
    w.tasks.holds[task] += 1
    w.tasks.second[task] = w.program.arg[w.tasks.at[task]]
    call(w, task, LOCK_PAGE, MIGRATE_WAIT)
    return w.rules.atomic_ns


@jit
def migrate_wait(w: World, task: int) -> int:
    """Wait for a writeback under way, with the page locked. Next: migrate_new."""
    if w.pages.flags[w.tasks.page[task]] & (1 << PG_WRITEBACK):
        wait_for_writeback(w, task, MIGRATE_WAIT if w.rules.writeback_loops else MIGRATE_NEW)
    else:
        w.tasks.step[task] = MIGRATE_NEW
    return 0


@inlined
def _unlock(w: World, task: int) -> None:
    """Unlock the task's page and forget its second page. Next: unlock_page, found_put."""
    w.tasks.second[task] = NONE
    call(w, task, UNLOCK_PAGE, FOUND_PUT)


@jit
def migrate_new(w: World, task: int) -> int:
    """Lock the new page and take a reference. Next: migrate_move; unlock_page and found_put if it is in use."""
    new = w.tasks.second[task]
    if w.pages.file[new] == NONE and not _movable(w, new) and trylock_page(w, task, new):
        take_reference(w, task, new)
        w.tasks.holds[task] += 1
        w.tasks.step[task] = MIGRATE_MOVE
    else:
        _unlock(w, task)
    return w.rules.atomic_ns


@jit
def migrate_move(w: World, task: int) -> int:
    """Move mapping, index, slot, page table entry and PG_dirty to the new page, unless another task has a reference.
    Next: unlock_page, then migrate_put.

    mm/migrate.c: migrate_page_move_mapping(), migrate_page_copy(), under the tree lock with the count frozen.
    """
    page, new = w.tasks.page[task], w.tasks.second[task]
    if _movable(w, page):
        _move_drivers(w, task, page, new)
    elif w.pages.file[page] != NONE and w.pages.refcount[page] == 2 + w.rules.pins:
        _move(w, task, page, new)
    call(w, task, UNLOCK_PAGE, MIGRATE_PUT)
    return w.rules.atomic_ns


@inlined
def _move(w: World, task: int, page: int, new: int) -> None:
    p, before = w.pages, w.pages.mapping[page]
    # the old page gets the index of the new one, where a lookup finds the slot empty
    p.index[page], p.index[new] = p.index[new], p.index[page]
    p.file[new], p.file[page] = p.file[page], NONE
    p.truncated_by[new], p.truncated_by[page] = p.truncated_by[page], NONE
    take_reference(w, task, new)
    if w.rules.plain_writers:
        if before & POINTER_BITS:
            broken(w, task, new, SHARED_WAIT)
        p.mapping[new] = before
        if before & PAGE_MAPPING_KSM == 0:  # move_to_new_page(): only a word without a tag is cleared
            p.mapping[page] = NULL
    else:
        write_mapping(w, task, new, kept_mapping(w, page))
        write_mapping(w, task, page, NULL)
    record(w, PAGE_INSERTED, task, new, p.mapping[new], p.index[new])
    record(w, PAGE_REMOVED, task, page, before, p.mapping[page])
    drop_reference(w, task, page)
    if p.mapped[page]:
        p.mapped[page], p.mapped[new] = 0, 1
        record(w, PAGE_UNMAPPED, task, page, p.mapping[page], p.index[page])
        record(w, PAGE_MAPPED, task, new, p.mapping[new], p.index[new])
    if p.flags[page] & (1 << PG_DIRTY):
        p.flags[page] &= ~(1 << PG_DIRTY)
        p.flags[new] |= 1 << PG_DIRTY
        record(w, PAGE_CLEANED, task, page, p.flags[page], 0)
        record(w, PAGE_DIRTIED, task, new, p.flags[new], 0)


@inlined
def _move_drivers(w: World, task: int, page: int, new: int) -> None:
    """Let the new page be the driver's: its migratepage(), which counts no references, __SetPageMovable() and
    __ClearPageMovable(), which leaves the tag.
    """
    before = w.pages.mapping[page]
    store_mapping(w, task, new, w.rules.movable_word)
    store_mapping(w, task, page, w.rules.movable_left)
    take_reference(w, task, new)
    record(w, PAGE_MIGRATED, task, new, w.pages.mapping[new], page)
    record(w, PAGE_REMOVED, task, page, before, w.pages.mapping[page])
    drop_reference(w, task, page)


@jit
def migrate_put(w: World, task: int) -> int:
    """Put the old page; from here on the task works on the new one. Next: unlock_page, then found_put."""
    w.tasks.holds[task] -= 1
    drop_reference(w, task, w.tasks.page[task])
    w.tasks.page[task] = w.tasks.second[task]
    _unlock(w, task)
    return w.rules.atomic_ns
