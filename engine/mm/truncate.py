"""Truncation's removal of one page (mm/truncate.c: the blocking pass)."""

from __future__ import annotations

from engine.events import PG_DIRTY, PG_WRITEBACK, Kind
from engine.mm.cache import remove_page, still_ours
from engine.mm.filemap import wait_for_writeback
from engine.mm.frames import call
from engine.mm.steps import LOCK_PAGE, TRUNCATE_CHECK, TRUNCATE_REMOVE, UNLOCK_PAGE
from engine.world.jit import jit
from engine.world.state import NONE, World
from engine.world.trace import record

PAGE_TRUNCATED = int(Kind.page_truncated)
PAGE_CLEANED = int(Kind.page_cleaned)


@jit
def truncate_page(w: World, task: int) -> int:
    """Lock the page, waiting as long as it takes. Next: lock_page, then truncate_check."""
    call(w, task, LOCK_PAGE, TRUNCATE_CHECK)
    return 0


@jit
def truncate_check(w: World, task: int) -> int:
    """Wait for a writeback under way, with the page locked. Next: truncate_remove.

    mm/truncate.c: truncate_inode_pages_range(), second pass.
    """
    page = w.tasks.page[task]
    if w.pages.flags[page] & (1 << PG_WRITEBACK):
        wait_for_writeback(w, task, TRUNCATE_CHECK if w.rules.writeback_loops else TRUNCATE_REMOVE)
    else:
        w.tasks.step[task] = TRUNCATE_REMOVE
    return 0


@jit
def truncate_remove(w: World, task: int) -> int:
    """Clear PG_dirty and remove the page, if it is still in its file. Next: unlock_page, then ret.

    mm/truncate.c: truncate_inode_page(), truncate_cleanup_page(). mapping becomes NULL here, under the page lock
    and the tree lock.
    """
    page = w.tasks.page[task]
    flags = w.pages.flags[page]
    if still_ours(w, task, page) and w.pages.file[page] != NONE:
        if flags & (1 << PG_DIRTY):
            w.pages.flags[page] = flags & ~(1 << PG_DIRTY)
            record(w, PAGE_CLEANED, task, page, flags & ~(1 << PG_DIRTY), 0)
        remove_page(w, task, page, PAGE_TRUNCATED)
    w.tasks.step[task] = UNLOCK_PAGE
    return w.rules.atomic_ns
