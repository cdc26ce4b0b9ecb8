"""Writeback: begin, end, and the waits for it (mm/page-writeback.c, mm/filemap.c)."""

from __future__ import annotations

from engine.events import PG_DIRTY, PG_WAITERS, PG_WRITEBACK, Kind
from engine.invariants import BUG_ON, USE_AFTER_FREE
from engine.mm.cache import drop_reference, follow_mapping, take_reference
from engine.mm.filemap import begin_wait, wait_for_writeback
from engine.mm.frames import call, ret
from engine.mm.steps import (
    WAIT_ON_WRITEBACK,
    WAKE_BEGIN,
    WRITEBACK_BEGIN,
    WRITEBACK_PUT,
    WRITEBACK_SET,
    WRITEBACK_WAKE,
)
from engine.mm.wait_list import queue_length
from engine.world.jit import inlined, jit
from engine.world.state import World
from engine.world.trace import broken, record

WRITEBACK_STARTED, WRITEBACK_ENDED = int(Kind.writeback_started), int(Kind.writeback_ended)
PAGE_DIRTIED, PAGE_CLEANED = int(Kind.page_dirtied), int(Kind.page_cleaned)


@jit
def set_page_dirty(w: World, task: int) -> int:
    """Set PG_dirty. Next: ret. mm/page-writeback.c: set_page_dirty()."""
    page = w.tasks.page[task]
    follow_mapping(w, task, page, True)
    flags = w.pages.flags[page]
    if not flags & (1 << PG_DIRTY):
        w.pages.flags[page] = flags | (1 << PG_DIRTY)
        record(w, PAGE_DIRTIED, task, page, flags | (1 << PG_DIRTY), 0)
    ret(w, task)
    return w.rules.atomic_ns


@jit
def set_page_writeback(w: World, task: int) -> int:
    """Start writeback of the locked page, waiting first for one under way. Next: ret; after a wait this step again, or
    before 5.11 writeback_set.

    mm/page-writeback.c: write_cache_pages(). Before 5.9 the wait itself ends only when it sees the bit clear; 5.9 and
    5.10 wait once, and may find the bit set again when woken; from 5.11 on the wait is repeated.
    """
    if w.pages.flags[w.tasks.page[task]] & (1 << PG_WRITEBACK):
        wait_for_writeback(w, task, WRITEBACK_BEGIN if w.rules.writeback_loops else WRITEBACK_SET)
        return 0
    return _start_writeback(w, task)


@jit
def writeback_set(w: World, task: int) -> int:
    """Start writeback after the single wait of kernels before 5.11. Next: ret."""
    return _start_writeback(w, task)


@inlined
def _start_writeback(w: World, task: int) -> int:
    """BUG if the page is under writeback; clear PG_dirty, set PG_writeback.

    mm/page-writeback.c: write_cache_pages(), clear_page_dirty_for_io(), set_page_writeback().
    """
    page = w.tasks.page[task]
    flags = w.pages.flags[page]
    if flags & (1 << PG_WRITEBACK):
        broken(w, task, page, BUG_ON)
    follow_mapping(w, task, page, True)
    if flags & (1 << PG_DIRTY):
        flags &= ~(1 << PG_DIRTY)
        record(w, PAGE_CLEANED, task, page, flags, 0)
    flags |= 1 << PG_WRITEBACK
    w.pages.flags[page] = flags
    record(w, WRITEBACK_STARTED, task, page, flags, 0)
    ret(w, task)
    return w.rules.atomic_ns


@jit
def end_page_writeback(w: World, task: int) -> int:
    """Clear PG_writeback, from 5.10 on with a reference held. Next: end_page_writeback_wake; ret if it was clear.

    mm/filemap.c: end_page_writeback(). Before 6.7 clearing the bit and reading PG_waiters are two steps; from then on
    one XOR does both (mm/page-writeback.c: __folio_end_writeback()). Next then: wake_begin or end_page_writeback_put.
    """
    page = w.tasks.page[task]
    flags = w.pages.flags[page]
    if not flags & (1 << PG_WRITEBACK):
        ret(w, task)
        return 0
    if w.rules.writeback_pins:
        take_reference(w, task, page)
    follow_mapping(w, task, page, True)
    flags &= ~(1 << PG_WRITEBACK)
    w.pages.flags[page] = flags
    record(w, WRITEBACK_ENDED, task, page, flags, queue_length(w, page))
    if w.rules.writeback_xor:
        _read_waiters(w, task, flags)
    else:
        w.tasks.step[task] = WRITEBACK_WAKE
    return w.rules.atomic_ns


@inlined
def _read_waiters(w: World, task: int, flags: int) -> None:
    """Test PG_waiters. Next: wake_begin if it is set, then or at once end_page_writeback_put."""
    if flags & (1 << PG_WAITERS):
        w.tasks.bit[task] = PG_WRITEBACK
        call(w, task, WAKE_BEGIN, WRITEBACK_PUT)
    else:
        w.tasks.step[task] = WRITEBACK_PUT


@jit
def end_page_writeback_wake(w: World, task: int) -> int:
    """Read PG_waiters and wake the waiters for PG_writeback. Next: wake_begin, then end_page_writeback_put.

    Before 5.10 no reference is held on the page: truncation may have freed it since the bit was cleared.
    """
    page = w.tasks.page[task]
    if w.pages.refcount[page] == 0:
        broken(w, task, page, USE_AFTER_FREE)
    _read_waiters(w, task, w.pages.flags[page])
    return 0


@jit
def end_page_writeback_put(w: World, task: int) -> int:
    """From 5.10 on: drop the reference. Next: ret."""
    if w.rules.writeback_pins:
        drop_reference(w, task, w.tasks.page[task])
    ret(w, task)
    return 0


@jit
def wait_on_page_writeback(w: World, task: int) -> int:
    """Wait for writeback to end: once before 5.11, from then on until the bit is seen clear. Next: ret.

    mm/page-writeback.c: wait_on_page_writeback().
    """
    if not w.pages.flags[w.tasks.page[task]] & (1 << PG_WRITEBACK):
        ret(w, task)
    elif w.rules.writeback_loops:
        wait_for_writeback(w, task, WAIT_ON_WRITEBACK)
    else:
        begin_wait(w, task, PG_WRITEBACK, 0)
    return 0
