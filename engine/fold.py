"""fold(): the state that a prefix of the log tells of. The log is complete, so this is the engine's own state.

Plain Python over plain dicts: for inspectors, tests and exports of small parts. The worker's summaries (engine.summary)
fold at full speed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.events import (
    NO_WAITERS_FLAG,
    NONE,
    PG_DIRTY,
    PG_LOCKED,
    PG_WAITERS,
    PG_WRITEBACK,
    WQ_DONE,
    Batch,
    Kind,
    PageState,
    entry,
)

FLAGS_AFTER = frozenset(
    {
        Kind.page_locked,
        Kind.page_unlocked,
        Kind.writeback_started,
        Kind.writeback_ended,
        Kind.page_dirtied,
        Kind.page_cleaned,
        Kind.page_uptodate,
        Kind.waiters_flag_set,
        Kind.waiters_flag_cleared,
    }
)
"""Events whose b holds page->flags as they are afterwards."""


@dataclass
class Page:
    """One page, folded."""

    flags: int = 0
    mapping: int = 0
    saved_mapping: int | None = None
    """The word kept behind a page_wait while one is swapped in."""
    refcount: int | None = None
    """None until an event tells it."""
    waiters: int = 0
    truncated: bool = False

    def store(self, word: int) -> None:
        """Take over the mapping word; a plain store over a word that was swapped in leaves nothing behind it."""
        if word != self.mapping:
            self.mapping, self.saved_mapping = word, None

    @property
    def state(self) -> PageState:
        """The worst of what the page is."""
        if self.truncated:
            return PageState.truncated
        if self.flags >> PG_WRITEBACK & 1:
            return PageState.writeback
        if self.saved_mapping is not None:
            return PageState.swapped
        if self.waiters:
            return PageState.waited_on
        if self.flags >> PG_LOCKED & 1:
            return PageState.locked
        if self.flags >> PG_DIRTY & 1:
            return PageState.dirty
        return PageState.clean if self.mapping else PageState.free


@dataclass
class Waiter:
    """One wait queue entry: whose it is, and what for."""

    task: int
    page: int
    bit: int


@dataclass
class Folded:
    """Pages, tasks and queues after some event, by row; rows that no event named are absent."""

    pages: dict[int, Page] = field(default_factory=dict)
    queues: dict[int, list[Waiter]] = field(default_factory=dict)
    """Queue number -> its waiters in order. Queues that nobody sits in are absent."""
    waiting: dict[int, int] = field(default_factory=dict)
    """Task -> the queue it sits in."""
    finished: set[int] = field(default_factory=set)
    pages_at_start: Page = field(default_factory=Page)
    """What a page is before any event names it."""

    def page(self, row: int) -> Page:
        """Return the page, made as it was at the start if no event has named it yet."""
        if row not in self.pages:
            self.pages[row] = Page(**vars(self.pages_at_start))
        return self.pages[row]

    def _leave(self, task: int, queue: int) -> None:
        line = self.queues[queue]
        line[:] = [waiter for waiter in line if waiter.task != task]
        if not line:
            del self.queues[queue]
        del self.waiting[task]

    def add(self, kind: int, task: int, row: int, a: int, b: int) -> None:
        """Fold one event. Raises KeyError if the log is not a log (a waiter leaves a queue it never joined)."""
        if kind == Kind.task_finished:
            self.finished.add(task)
        if row == NONE:
            return
        page = self.page(row)
        if kind in FLAGS_AFTER:
            page.flags = a
        elif kind == Kind.waiter_queued:
            self.queues.setdefault(a, []).append(Waiter(task, row, entry(b).bit))
            self.waiting[task] = a
            page.waiters += 1
            page.flags |= 0 if b & NO_WAITERS_FLAG else 1 << PG_WAITERS
        elif kind in (Kind.waiter_woken, Kind.waiter_left):
            self._leave(task, a)
            page.waiters -= 1
            if kind == Kind.waiter_woken and entry(b).flags & WQ_DONE:
                page.flags |= 1 << entry(b).bit
        elif kind == Kind.walk_ended:
            if a >> 36 & 1:
                page.flags &= ~(1 << PG_WAITERS)
        elif kind == Kind.mapping_swapped:
            page.mapping, page.saved_mapping = b, a
        elif kind == Kind.mapping_restored:
            page.mapping, page.saved_mapping = b, None
        elif kind == Kind.saved_mapping_cleared:
            page.saved_mapping = b
        elif kind == Kind.page_inserted:
            page.store(a)
            page.truncated = False
        elif kind in (Kind.page_removed, Kind.page_truncated):
            page.store(b)
            page.truncated = kind == Kind.page_truncated
        elif kind in (Kind.page_pinned, Kind.page_put):
            page.refcount = a
        elif kind == Kind.page_freed:
            page.mapping, page.flags, page.truncated = 0, 0, False
        elif kind == Kind.page_seen:
            page.mapping, page.flags, page.truncated = a, b, False


def fold(batch: Batch, state: Folded, stop: int | None = None) -> Folded:
    """Fold the batch's events (the first `stop` of them) into the state, and return it."""
    rows = zip(
        *(column[:stop].tolist() for column in (batch.kind, batch.task, batch.page, batch.a, batch.b)), strict=True
    )
    for row in rows:
        state.add(*row)
    return state
