"""Made-up event logs that are valid, and what holds after each of their events, computed the plain way."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from engine.cast import Cast, FileName, TaskName
from engine.events import (
    BATCH,
    COLUMNS,
    NONE,
    PG_DIRTY,
    PG_LOCKED,
    PG_UPTODATE,
    PG_WAITERS,
    PG_WRITEBACK,
    WQ_DONE,
    WQ_EXCLUSIVE,
    Batch,
    Kind,
)
from engine.page_state import SEVERITY, PageState, PageWait

FILE = -0x77FF_8000_0000
STRUCTURE = -0x77FE_0000_0000 | 1
ANON = -0x77FD_0000_0000 | 1
KSM = -0x77FF_9000_0000 | 3


@dataclass
class Page:
    mapping: int = 0
    flags: int = 0
    waiters: list[int] = field(default_factory=list)
    stranded: list[int] = field(default_factory=list)
    """Waiters of a structure that a plain store threw out of page->mapping."""
    swapped: bool = False
    truncated: bool = False
    protected: bool = False
    duplicated: bool = False
    exclusive: bool = False
    merged: bool = False
    saved: int = 0

    def wait(self) -> PageWait:
        if self.swapped:
            return PageWait.swapped
        return PageWait.waited_on if self.waiters or self.stranded else PageWait.none

    def severity(self, *, cut: bool = False) -> int:
        """Where what is shown of the page stands in SEVERITY; cut: at the moment of its truncation."""
        return SEVERITY.index((PageState.truncated if cut else self.state(), self.wait()))

    def state(self) -> PageState:
        if self.flags >> PG_WRITEBACK & 1:
            return PageState.writeback
        if self.protected and self.exclusive:
            return PageState.exclusive
        if self.protected and self.duplicated:
            return PageState.duplicated
        if self.protected:
            return PageState.protected
        if self.flags >> PG_LOCKED & 1:
            return PageState.locked
        if self.merged:
            return PageState.merged
        if self.truncated:
            return PageState.gone
        if self.flags >> PG_DIRTY & 1:
            return PageState.dirty
        return PageState.clean if self.mapping else PageState.free


@dataclass
class After:
    """What holds after an event; queues are those whose last length told is not 0."""

    gauges: tuple[int, int, int, int]
    queues: dict[int, int]
    state: tuple[int, int] | None
    """Page and the severity of what is shown of it, where the event is about a page."""
    words: tuple[int, int] | None
    """That page's mapping and flags."""
    moment: int | None
    """The severity at the event itself."""


class Log:
    """A random log of `count` events over few pages, so that everything meets everything; every kind is in it.

    The words are put together by hand here, from the layouts of version 0.1.0: stored events keep them for ever.
    """

    def __init__(
        self,
        seed: int,
        count: int,
        *,
        pages: int = 12,
        tasks: int = 20,
        queues: int | None = 8,
        gap: int = 50,
        truth: bool = True,
    ) -> None:
        """queues None: a queue a page, with swaps, as page_wait has it; gap: the longest pause in ns; truth: whether
        to note what holds after each event."""
        self._truth = truth
        self._random = random.Random(seed)
        self.cast = Cast(
            tasks=[TaskName(name=f"t-{i}", pid=100 + i) for i in range(tasks)],
            first_pfn=0x1000,
            page_count=pages,
            files=[FileName(name="file", address=FILE)],
            page_files=[0] * (pages // 2),
            cached_in=0 if seed % 2 else -1,
            queues=pages if queues is None else queues,
            marks=["here"],
        )
        self._swaps = queues is None
        self._pages = [Page(FILE if seed % 2 else 0) for _ in range(pages)]
        self._queues: dict[int, int] = {}
        self._waiting: dict[int, int] = {}
        self._gap = gap
        self._time = 0
        self.rows: list[tuple[int, int, int, int, int, int, int]] = []
        self.after: list[After] = []
        while len(self.rows) < count:
            if self._random.random() < 0.7:
                self._time += self._random.randrange(gap + 1)
            self._step()
        del self.rows[count - 1 :], self.after[count - 1 :]
        self.rows.append((self.rows[-1][0] if self.rows else 0, int(Kind.task_finished), 0, 0, NONE, 0, 0))
        if self.after:
            self.after.append(After(self.after[-1].gauges, self.after[-1].queues, None, None, None))

    def batch(self) -> Batch:
        columns = zip(*self.rows, strict=True)
        return Batch(0, *(np.array(c, dtype) for c, (_, dtype) in zip(columns, COLUMNS, strict=True)))

    def batches(self, size: int = BATCH) -> list[Batch]:
        whole = self.batch()
        return [whole.cut(i, min(i + size, len(whole))) for i in range(0, len(whole), size)]

    def _queue_of(self, page: int) -> int:
        return page if self._swaps else page * 7 % self.cast.queues

    def _say(self, kind: Kind, task: int, page: int, a: int, b: int) -> None:
        self.rows.append((self._time, int(kind), task % 4, task, page, a, b))
        if not self._truth:
            return
        lengths = [n for n in self._queues.values() if n]
        waiters = sum(len(p.waiters) + len(p.stranded) for p in self._pages)
        swapped = sum(p.swapped for p in self._pages)
        gauges = (waiters, max(lengths, default=0), len(lengths), swapped)
        here = None if page == NONE else self._pages[page]
        self.after.append(
            After(
                gauges,
                {q: n for q, n in self._queues.items() if n},
                None if here is None else (page, here.severity()),
                None if here is None else (here.mapping, here.flags),
                None if here is None else here.severity(cut=kind is Kind.page_truncated),
            )
        )

    def _step(self) -> None:
        number = self._random.randrange(len(self._pages))
        page, task = self._pages[number], self._random.randrange(len(self.cast.tasks))
        choices = (
            self._lock, self._wait, self._wait, self._wake, self._wake, self._leave, self._cache, self._writeback,
            self._dirty, self._other, self._other, self._protect, self._allocate,
        )  # fmt: skip
        self._random.choice(choices)(number, page, task)

    def _lock(self, number: int, page: Page, task: int) -> None:
        page.flags ^= 1 << PG_LOCKED
        locked = page.flags >> PG_LOCKED & 1
        length = self._queues.get(self._queue_of(number), 0)
        self._say(Kind.page_locked if locked else Kind.page_unlocked, task, number, page.flags, length)

    def _wait(self, number: int, page: Page, task: int) -> None:
        if task in self._waiting:
            return
        queue = self._queue_of(number)
        if self._swaps and not page.swapped:
            page.saved, before = page.mapping, page.mapping
            page.mapping, page.swapped = STRUCTURE + 64 * number, True
            self._say(Kind.mapping_swapped, task, number, before, page.mapping)
        page.waiters.append(task)
        unflagged = self._random.random() < 0.2
        if not unflagged:
            page.flags |= 1 << PG_WAITERS
        self._waiting[task] = number
        self._queues[queue] = len(page.waiters) if self._swaps else self._queues.get(queue, 0) + 1
        words = self._queues[queue] | WQ_EXCLUSIVE << 40 | unflagged << 48
        self._say(Kind.waiter_queued, task, number, queue, words)

    def _take(self, page: Page, number: int, task: int, kind: Kind, flags: int) -> None:
        queue = self._queue_of(number)
        line = page.waiters if task in page.waiters else page.stranded
        line.remove(task)
        del self._waiting[task]
        self._queues[queue] = len(line) if self._swaps else self._queues[queue] - 1
        bit = self._random.choice((PG_LOCKED, PG_WRITEBACK))
        if kind is Kind.waiter_woken and flags & WQ_DONE:
            page.flags |= 1 << bit
        self._say(kind, task, number, queue, self._queues[queue] | bit << 32 | flags << 40)

    def _restore(self, number: int, page: Page, task: int) -> None:
        if page.swapped and not page.waiters:
            before, page.mapping, page.swapped = page.mapping, page.saved, False
            self._say(Kind.mapping_restored, task, number, before, page.mapping)

    def _wake(self, number: int, page: Page, task: int) -> None:
        line = page.waiters + page.stranded
        if not line:
            return
        strangers = self._random.randrange(5)
        woken = line[0]
        flags = WQ_EXCLUSIVE | (WQ_DONE if self._random.random() < 0.3 else 0)
        if strangers == 4:
            self._say(Kind.walk_paused, task, number, self._queue_of(number), 3)
        self._take(page, number, woken, Kind.waiter_woken, flags)
        cleared = len(line) == 1
        if cleared:
            page.flags &= ~(1 << PG_WAITERS)
        other = self._random.randrange(2)
        a = self._queue_of(number) | self._random.randrange(3) << 32 | cleared << 36 | other << 40
        self._say(Kind.walk_ended, task, number, a, strangers + other + 1 | 1 << 21 | 1 << 42)
        self._restore(number, page, woken)

    def _leave(self, number: int, page: Page, task: int) -> None:
        line = page.waiters + page.stranded
        if line:
            gone = self._random.choice(line)
            self._take(page, number, gone, Kind.waiter_left, WQ_EXCLUSIVE)
            self._restore(number, page, gone)

    def _cache(self, number: int, page: Page, task: int) -> None:
        if page.swapped and self._random.random() < 0.8:
            if page.saved and self._random.random() < 0.3:  # truncated behind the structure
                before, page.saved = page.saved, 0
                self._say(Kind.saved_mapping_cleared, task, number, before, 0)
                page.truncated = True
                self._say(Kind.page_truncated, task, number, page.mapping, page.mapping)
            return
        before = page.mapping
        if not before and self._random.random() < 0.7:
            self._store(page, FILE)
            page.truncated = False
            self._say(Kind.page_inserted, task, number, FILE, number)
            return
        which = self._random.choice((Kind.page_removed, Kind.page_truncated, Kind.page_freed, Kind.page_seen))
        flags = page.flags
        self._store(page, FILE if which is Kind.page_seen else 0)
        if which in (Kind.page_removed, Kind.page_truncated):
            page.truncated = page.truncated or which is Kind.page_truncated
            self._say(which, task, number, before, 0)
            return
        page.truncated = False
        if which is Kind.page_freed:
            page.flags, page.merged = 0, False
            self._say(which, task, number, before, flags)
        else:
            page.flags = 1 << PG_DIRTY
            self._say(which, NONE, number, page.mapping, page.flags)

    def _store(self, page: Page, word: int) -> None:
        """A writer that looks at nothing: what was swapped in is gone, and its waiters are stranded."""
        if page.swapped:
            page.stranded += page.waiters
            page.waiters, page.swapped = [], False
        page.mapping = word

    def _writeback(self, number: int, page: Page, task: int) -> None:
        page.flags ^= 1 << PG_WRITEBACK
        started = page.flags >> PG_WRITEBACK & 1
        self._say(Kind.writeback_started if started else Kind.writeback_ended, task, number, page.flags, 0)

    def _dirty(self, number: int, page: Page, task: int) -> None:
        page.flags ^= 1 << PG_DIRTY
        dirty = page.flags >> PG_DIRTY & 1
        self._say(Kind.page_dirtied if dirty else Kind.page_cleaned, task, number, page.flags, 0)

    def _protect(self, number: int, page: Page, task: int) -> None:
        page.protected = not page.protected
        broken, held = self._random.randrange(2), self._random.randrange(1 << 40)
        if page.protected:
            self._say(Kind.page_protected, task, number, page.mapping, 3)
        else:
            page.duplicated = page.exclusive = False
            self._say(Kind.page_unprotected, task, number, page.mapping, broken | held << 1)

    def _allocate(self, number: int, page: Page, task: int) -> None:
        if not page.mapping and not page.swapped:
            page.mapping, page.truncated = ANON, False
            kinds = (Kind.page_allocated, Kind.page_copied, Kind.page_migrated)
            self._say(self._random.choice(kinds), task, number, ANON, 1)

    def _other(self, number: int, page: Page, task: int) -> None:
        rest: tuple[tuple[Kind, int, int, int], ...] = (
            (Kind.page_pinned, number, 2, 0),
            (Kind.page_put, number, 1, 0),
            (Kind.lookup_retried, number, page.mapping, FILE),
            (Kind.page_written, number, page.mapping, number),
            (Kind.page_mapped, number, page.mapping, number),
            (Kind.page_unmapped, number, page.mapping, number),
            (Kind.truncate_began, NONE, FILE, 0),
            (Kind.truncate_ended, NONE, FILE, 5),
            (Kind.events_lost, NONE, self._random.choice((-1, 7)), 0),
            (Kind.mark, NONE, 0, 0),
            (Kind.invariant_broken, number, 3, 0),
            (Kind.table_resized, NONE, 64, 128),
            (Kind.fault_taken, number, 1 | number << 16 | 1 << 48, 1),
            (Kind.fault_refused, number, 3, 0),
            (Kind.pte_set, number, 1 | number << 16 | 3 << 48, 2),
            (Kind.pte_set, number, 1 | number << 16 | 8 << 48, 2),
            (Kind.pte_cleared, number, 1 | number << 16 | 3 << 48, 1),
            (Kind.tlb_flushed, number, 1, 5),
            (Kind.notifier_range, number, 1 | 3 << 16, 1),
            (Kind.page_mkcleaned, number, 1, 2),
            (Kind.protect_refused, number, 4, 0),
            (Kind.fault_blocked, number, 2, 0),
            (Kind.fault_resumed, number, 900, 0),
            (Kind.device_read, number, 1 | 4096 << 16 | 1 << 48, 300),
            (Kind.swap_cached, number, 3, 0),
            (Kind.swap_uncached, number, 3, 0),
            (Kind.copy_made, number, 1, 0),
            (Kind.copy_dropped, number, 1, 0),
            (Kind.device_atomic, number, 1 | 8 << 16, 800),
            (Kind.atomic_retried, number, 1 | 24 << 16, 300),
            (Kind.ksm_page_set, number, 0, 0),
            (Kind.page_merged, number, 1 | number << 16 | 1 << 48, 3),
            (Kind.page_unmerged, number, 1 | number << 16 | 7 << 48, 2),
            (Kind.ksm_scanned, NONE, 3, 9),
        )
        flags = (Kind.page_uptodate, Kind.waiters_flag_set, Kind.waiters_flag_cleared)
        kind, at, a, b = self._random.choice((*rest, *((kind, number, 0, 0) for kind in flags)))
        if kind in flags:
            bit = 1 << (PG_UPTODATE if kind is Kind.page_uptodate else PG_WAITERS)
            page.flags = page.flags & ~bit if kind is Kind.waiters_flag_cleared else page.flags | bit
            a = page.flags
        page.duplicated |= kind is Kind.copy_made
        page.exclusive |= kind is Kind.pte_set and a >> 51 & 1 == 1
        if kind is Kind.ksm_page_set:
            page.merged, a = True, page.mapping
            b = page.mapping if page.swapped else KSM
            page.mapping = b
        self._say(kind, task, at, a, b)


def state_at_start(cast: Cast) -> int:
    """Return the severity of what is shown of every page before the first event."""
    return SEVERITY.index((PageState.clean if cast.cached_in >= 0 else PageState.free, PageWait.none))
