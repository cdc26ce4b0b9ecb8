"""Migration of an anonymous page to a new one (mm/migrate.c: __unmap_and_move()): entries become migration entries.

Whoever meets one waits for the page lock, which migration holds from first to last. A device keeps a reference on a
page that it has protected, and so does whoever has pinned one: the count is then too high, and the entries are
restored as they were. tasks.page is the old page, tasks.second the new one, tasks.argument 1 once it has moved.
"""

from __future__ import annotations

from engine.events import PG_DIRTY, Kind
from engine.invariants import SHARED_WAIT
from engine.mm.anon import alloc_anon_page
from engine.mm.cache import drop_reference, take_reference
from engine.mm.contents import copy_contents
from engine.mm.filemap import trylock_page
from engine.mm.frames import call, call_on, ret
from engine.mm.mapping import POINTER_BITS
from engine.mm.page_table import CLEAR, flush_tlb, map_page, own_row, row_of, set_entry
from engine.mm.steps import (
    LOCK_PAGE,
    MIGRATE_ANON_LOCK,
    MIGRATE_ANON_LOCKED,
    MIGRATE_ANON_MOVE,
    MIGRATE_ANON_OLD,
    MIGRATE_ANON_PUT,
    MIGRATE_ANON_RESTORE,
    MIGRATE_ANON_UNLOCK,
    MIGRATE_ANON_UNMAP,
    MIGRATED,
    MIGRATION_PUT,
    UNLOCK_PAGE,
    WAIT_ON_LOCKED,
)
from engine.mm.swap.cache import move_swap_cache, swap_cached
from engine.world.jit import inlined, jit
from engine.world.state import (
    ANON_PAGE,
    NONE,
    PTE_DIRTY,
    PTE_MIGRATION,
    PTE_PRESENT,
    PTE_WAS_WRITABLE,
    PTE_WRITE,
    World,
)
from engine.world.trace import broken, record
from engine.world.verbs import kept_mapping, write_mapping

PAGE_ALLOCATED, PAGE_MIGRATED = int(Kind.page_allocated), int(Kind.page_migrated)
PAGE_REMOVED, PAGE_DIRTIED = int(Kind.page_removed), int(Kind.page_dirtied)
NULL = 0


@jit
def migrate_anon(w: World, task: int) -> int:
    """Isolate the page that the task's entry maps, and allocate another. Next: migrate_anon_lock, then migrated; ret if
    the entry maps no anonymous page, or no page is free.
    """
    virtual = w.tasks.page[task]
    row = own_row(w, task, virtual)
    page = w.ptes.page[row]
    if not w.ptes.bits[row] & PTE_PRESENT or w.rmap.kind[page] != ANON_PAGE:
        ret(w, task)
        return w.rules.atomic_ns
    new = alloc_anon_page(w, virtual)
    if new == NONE:
        ret(w, task)
        return w.rules.atomic_ns
    w.pages.mapping[new] = NULL
    record(w, PAGE_ALLOCATED, task, new, NULL, virtual)
    take_reference(w, task, page)
    call_on(w, task, MIGRATE_ANON_LOCK, MIGRATED, page, new, 0)
    return w.rules.atomic_ns


@jit
def migrated(w: World, task: int) -> int:
    """Next: ret."""
    ret(w, task)
    return 0


@jit
def migrate_anon_lock(w: World, task: int) -> int:
    """Next: lock_page, then migrate_anon_locked."""
    call(w, task, LOCK_PAGE, MIGRATE_ANON_LOCKED)
    return 0


@jit
def migrate_anon_locked(w: World, task: int) -> int:
    """Lock the new page, which nobody knows yet. Next: try_to_unmap; remove_migration_ptes, without any, if KSM has
    merged the page meanwhile.
    """
    trylock_page(w, task, w.tasks.second[task])
    ours = w.rmap.kind[w.tasks.page[task]] == ANON_PAGE
    w.tasks.step[task] = MIGRATE_ANON_UNMAP if ours else MIGRATE_ANON_RESTORE
    return w.rules.atomic_ns


@jit
def try_to_unmap(w: World, task: int) -> int:
    """Make the next entry of the page a migration entry, and flush it. Next: this step; after the last move_page.

    mm/rmap.c: try_to_unmap_one() with TTU_MIGRATION.
    """
    page = w.tasks.page[task]
    for mm in range(w.rules.mms):
        row = row_of(w, mm, w.rmap.virtual[page])
        bits = w.ptes.bits[row]
        if w.ptes.page[row] == page and bits & PTE_PRESENT:
            cost, flags = flush_tlb(w, task, mm, page, CLEAR), w.pages.flags[page]
            if bits & PTE_DIRTY and not flags & (1 << PG_DIRTY):
                w.pages.flags[page] = flags | (1 << PG_DIRTY)
                record(w, PAGE_DIRTIED, task, page, flags | (1 << PG_DIRTY), 0)
            w.rmap.mapcount[page] -= 1
            set_entry(w, task, row, PTE_MIGRATION | (PTE_WAS_WRITABLE if bits & PTE_WRITE else 0))
            drop_reference(w, task, page)
            return max(1, cost)
    w.tasks.step[task] = MIGRATE_ANON_MOVE
    return 0


@jit
def move_page(w: World, task: int) -> int:
    """Move mapping, contents and PG_dirty to the new page if nothing maps the old one and nobody else has a reference.
    Next: remove_migration_ptes.

    mm/migrate.c: migrate_page_move_mapping(), migrate_page_copy(). The only references left are the caller's and
    the swap cache's.
    """
    page, new = w.tasks.page[task], w.tasks.second[task]
    w.tasks.step[task] = MIGRATE_ANON_RESTORE
    if w.rmap.mapcount[page] or w.pages.refcount[page] != 1 + swap_cached(w, page):
        return w.rules.atomic_ns
    before = w.pages.mapping[page]
    if w.rules.plain_writers:
        if before & POINTER_BITS and before != w.rules.anon_word:
            broken(w, task, new, SHARED_WAIT)
        w.pages.mapping[new] = before
    else:
        write_mapping(w, task, new, kept_mapping(w, page))
        write_mapping(w, task, page, NULL)
    copy_contents(w, page, new)
    if swap_cached(w, page):
        move_swap_cache(w, task, page, new)
    record(w, PAGE_MIGRATED, task, new, w.pages.mapping[new], page)
    record(w, PAGE_REMOVED, task, page, before, w.pages.mapping[page])
    if w.pages.flags[page] & (1 << PG_DIRTY):
        w.pages.flags[new] |= 1 << PG_DIRTY
        record(w, PAGE_DIRTIED, task, new, w.pages.flags[new], 0)
    w.tasks.argument[task] = 1
    return w.rules.copy_ns


@inlined
def _left_by(w: World, task: int) -> int:
    """Return the page that migration entries are to map again."""
    return w.tasks.second[task] if w.tasks.argument[task] else w.tasks.page[task]


@jit
def remove_migration_ptes(w: World, task: int) -> int:
    """Let the next migration entry map the page. Next: this step; after the last migrate_anon_unlock."""
    page = w.tasks.page[task]
    for mm in range(w.rules.mms):
        row = row_of(w, mm, w.rmap.virtual[page])
        bits = w.ptes.bits[row]
        if w.ptes.page[row] == page and bits & PTE_MIGRATION:
            map_page(w, task, row, _left_by(w, task), PTE_PRESENT | (PTE_WRITE if bits & PTE_WAS_WRITABLE else 0))
            return max(1, w.rules.atomic_ns)
    w.tasks.step[task] = MIGRATE_ANON_UNLOCK
    return 0


@jit
def migrate_anon_unlock(w: World, task: int) -> int:
    """Next: unlock_page of the new page, then migrate_anon_old."""
    call_on(w, task, UNLOCK_PAGE, MIGRATE_ANON_OLD, w.tasks.second[task], NONE, 0)
    return 0


@jit
def migrate_anon_old(w: World, task: int) -> int:
    """Next: unlock_page of the old page, then migrate_anon_put."""
    call(w, task, UNLOCK_PAGE, MIGRATE_ANON_PUT)
    return 0


@jit
def migrate_anon_put(w: World, task: int) -> int:
    """Drop the references on both pages: one of them is freed. Next: ret."""
    drop_reference(w, task, w.tasks.page[task])
    drop_reference(w, task, w.tasks.second[task])
    ret(w, task)
    return w.rules.atomic_ns


# --- those who meet a migration entry ---------------------------------------------------------------------------------


@jit
def migration_entry_wait(w: World, task: int) -> int:
    """Wait until the page is unlocked, then make the access again. Next: wait_on_page_locked, then migration_put.

    mm/migrate.c: with a reference, which makes migration fail, before put_and_wait_on_page_locked() of 5.0.
    """
    page = w.tasks.page[task]
    row = own_row(w, task, w.tasks.second[task])
    if w.ptes.page[row] != page or not w.ptes.bits[row] & PTE_MIGRATION:
        ret(w, task)
        return w.rules.atomic_ns
    if w.rules.migration_pins:
        take_reference(w, task, page)
    call(w, task, WAIT_ON_LOCKED, MIGRATION_PUT)
    return w.rules.atomic_ns


@jit
def migration_put(w: World, task: int) -> int:
    """Next: ret."""
    if w.rules.migration_pins:
        drop_reference(w, task, w.tasks.page[task])
    ret(w, task)
    return w.rules.atomic_ns
