"""What pages and queues were before a chunk, and what events make of the pages: the plain fold, for chosen rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.windows.tree import Run
from engine.cast import Cast
from engine.events import NO_WAITERS_FLAG, PG_LOCKED, PG_WAITERS, WQ_DONE, Batch, Kind
from engine.fold import FLAGS_AFTER
from engine.nodes import MARK_SWAPPED, MARK_TRUNCATED, page_states
from engine.raster import stable_order

Words = NDArray[np.int64]
FLAGS_TOLD = np.isin(np.arange(256), list(FLAGS_AFTER))
"""By kind: whether b holds page->flags as they are afterwards."""


@dataclass
class Pages:
    """Some pages at one instant, arrays of shape (n,)."""

    mapping: Words
    flags: Words
    waiters: Words
    marks: Words

    def states(self) -> NDArray[np.uint8]:
        return page_states(self.mapping, self.flags, self.waiters, self.marks)


def pages_before(run: Run, cast: Cast, chunk: int, rows: Words) -> Pages:
    """Return the pages `rows` (rising) as they were before a chunk. Raises Damaged where that is not known."""
    word = cast.files[cast.cached_in].address if cast.cached_in >= 0 else 0
    zeros = [np.zeros(len(rows), np.int64) for _ in range(3)]
    pages = Pages(np.full(len(rows), word, np.int64), *zeros)
    for folded in run.before(chunk):
        at = np.searchsorted(folded.pages, rows)
        at[at == len(folded.pages)] = 0
        here = np.flatnonzero(folded.pages[at] == rows) if len(folded.pages) else at[:0]
        at = at[here]
        pages.mapping[here], pages.flags[here] = folded.mapping[at], folded.flags[at]
        pages.waiters[here], pages.marks[here] = folded.waiters[at], folded.marks[at]
    return pages


def lengths_before(run: Run, cast: Cast, chunk: int) -> Words:
    """Return the length of every queue before a chunk. Raises Damaged where that is not known."""
    lengths = np.zeros(max(cast.queues, 1), np.int64)
    for folded in run.before(chunk):
        lengths[folded.queues] = folded.lengths
    return lengths


def states_after(batch: Batch, which: NDArray[np.intp], row: Words, pages: Pages) -> NDArray[np.uint8]:
    """Return the state of its page after each of the events `which`, and leave `pages` as they are after the last.

    row: place of each event's page in `pages`.
    """
    order = stable_order(row)
    after = _folded(batch, which[order], row[order], pages)
    states = np.empty(len(row), np.uint8)
    states[order] = after.states()
    return states


def words_after(batch: Batch, which: NDArray[np.intp], page: Pages) -> tuple[Words, Words]:
    """Return page->mapping and page->flags after each of the events `which` of the one page."""
    after = _folded(batch, which, np.zeros(len(which), np.int64), page)
    return after.mapping, after.flags


def _folded(batch: Batch, which: NDArray[np.intp], row: Words, pages: Pages) -> Pages:
    """Return the page of each event as it is after it, and leave `pages` as after the last; `row` rises."""
    kind, a, b = batch.kind[which].astype(np.int64), batch.a[which], batch.b[which]
    rows = Rows(row)

    queued, woken = kind == Kind.waiter_queued, kind == Kind.waiter_woken
    change = queued.astype(np.int64) - (woken | (kind == Kind.waiter_left))
    total = np.cumsum(change)
    waiters = total - (total[rows.firsts] - change[rows.firsts])[rows.group] + pages.waiters[row]

    seen, freed, truncated = kind == Kind.page_seen, kind == Kind.page_freed, kind == Kind.page_truncated
    swapped, restored = kind == Kind.mapping_swapped, kind == Kind.mapping_restored
    inserted = kind == Kind.page_inserted
    takes_b = swapped | restored | truncated | (kind == Kind.page_removed)
    mapping = rows.lasting(
        np.where(takes_b, b, np.where(freed, 0, a)), takes_b | inserted | seen | freed, pages.mapping[row]
    )

    # page->flags: the newest whole word, and two bits that other events set and clear
    whole = FLAGS_TOLD[kind] | seen | freed
    base = np.where(seen, b, np.where(freed, 0, a))
    handed = woken & (b >> 40 & WQ_DONE != 0) & (b >> 32 & 0xFF == PG_LOCKED)
    flagged = queued & (b & NO_WAITERS_FLAG == 0)
    cleared = (kind == Kind.walk_ended) & (a >> 36 & 1 == 1)
    before = pages.flags[row]
    flags = rows.lasting(base, whole, before)
    locked = rows.lasting(np.where(handed, 1, base & 1), whole | handed, before & 1)
    waited = rows.lasting(
        np.where(flagged, 1, np.where(cleared, 0, base >> PG_WAITERS & 1)),
        whole | flagged | cleared,
        before >> PG_WAITERS & 1,
    )
    lock, wait = 1 << PG_LOCKED, 1 << PG_WAITERS
    flags = flags & ~(lock | wait) | locked * lock | waited * wait

    marks = pages.marks[row]
    stored = takes_b & ~swapped & ~restored | inserted
    over = stored & (mapping != rows.previous(mapping, pages.mapping[row]))  # a plain store: nothing is behind it
    is_swapped = rows.lasting(swapped * MARK_SWAPPED, swapped | restored | over, marks & MARK_SWAPPED)
    is_truncated = rows.lasting(truncated * MARK_TRUNCATED, truncated | inserted | seen | freed, marks & MARK_TRUNCATED)
    after = Pages(mapping, flags, waiters, is_swapped | is_truncated)
    own = row[rows.lasts]
    pages.mapping[own], pages.flags[own] = after.mapping[rows.lasts], after.flags[rows.lasts]
    pages.waiters[own], pages.marks[own] = after.waiters[rows.lasts], after.marks[rows.lasts]
    return after


class Rows:
    """Events sorted by row: where each row begins and ends."""

    def __init__(self, row: Words) -> None:
        self.firsts = np.flatnonzero(np.diff(row, prepend=-1))
        self.lasts = np.append(self.firsts[1:], len(row)) - 1 if len(row) else self.firsts
        self.group = np.repeat(np.arange(len(self.firsts)), self.lasts - self.firsts + 1)

    def previous(self, values: Words, before: Words) -> Words:
        """Return what each event finds: the value of the one before it in its row, `before` for the first."""
        found = np.roll(values, 1)
        found[self.firsts] = before[self.firsts]
        return found

    def lasting(self, values: Words, sets: NDArray[np.bool_], before: Words) -> Words:
        """Return what each event finds or sets: the newest value set in its row, `before` where there is none yet."""
        if not sets.any():
            return before
        newest = np.where(sets, np.arange(len(values)), -1)
        np.maximum.accumulate(newest, out=newest)
        result: Words = np.where(newest >= self.firsts[self.group], values[newest], before)
        return result
