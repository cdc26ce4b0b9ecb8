"""What pages and queues were before a chunk, and the state of each event's page after it.

Chunks are stored with their states. Those of program 0.1.0 are not: they get them here, by the rule of the worker.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.windows.tree import Run
from engine.cast import Cast
from engine.events import NONE, Batch
from engine.nodes import Changes
from engine.page_state import MARK_SWAPPED, SEVERITIES, UNSEEN, page_after, severity_of

Words = NDArray[np.int64]
Severities = NDArray[np.uint8]


@dataclass
class Pages:
    """Some pages at one instant, arrays of shape (n,)."""

    mapping: Words
    flags: Words
    waiters: Words
    marks: Words
    seen: NDArray[np.bool_]
    """False for pages whose state is not known, because the recording has not named them yet."""

    def severities(self) -> Severities:
        """Return the severity of each page, a place in engine.page_state.SEVERITY."""
        found = severity_of(self.mapping, self.flags, self.waiters, self.marks)
        return np.where(self.seen, found, UNSEEN).astype(np.uint8)


class PageWords(NamedTuple):
    """One page at one instant."""

    mapping: int
    flags: int
    waiters: int
    marks: int


def pages_before(run: Run, cast: Cast, chunk: int, rows: Words) -> Pages:
    """Return the pages `rows` (rising) as they were before a chunk. Raises Damaged where that is not known."""
    flags, waiters, marks = (np.zeros(len(rows), np.int64) for _ in range(3))
    known = np.full(len(rows), not cast.recorded)
    mapping = np.array(cast.first_mappings(rows.tolist()), np.int64)
    pages = Pages(mapping, flags, waiters, marks, known)
    for folded in run.before(chunk):
        at = np.searchsorted(folded.pages, rows)
        at[at == len(folded.pages)] = 0
        here = np.flatnonzero(folded.pages[at] == rows) if len(folded.pages) else at[:0]
        at = at[here]
        pages.mapping[here], pages.flags[here] = folded.mapping[at], folded.flags[at]
        pages.waiters[here], pages.marks[here] = folded.waiters[at], folded.marks[at]
        pages.seen[here] = True
    return pages


def lengths_before(run: Run, cast: Cast, chunk: int) -> Words:
    """Return the length of every queue before a chunk. Raises Damaged where that is not known."""
    lengths = np.zeros(max(cast.queues, 1), np.int64)
    for folded in run.before(chunk):
        lengths[folded.queues] = folded.lengths
    return lengths


def severities_after(run: Run, cast: Cast, chunk: int) -> Severities:
    """Return the severity of its page's state after each event of a chunk, shape (events,). Raises Damaged."""
    found: Severities | None = run.kept("severities", chunk)
    if found is None:
        states = run.states(chunk)
        found = SEVERITIES[states] if states is not None else _derived(run, cast, chunk)[0]
        run.keep("severities", chunk, found, found.nbytes)
    return found


def swapped_changes(run: Run, cast: Cast, chunk: int) -> Changes:
    """Return how many more pages are swapped than before a chunk, after each event of it that swaps one in or ends a
    swap; worked out page by page. Raises Damaged.
    """
    return _derived(run, cast, chunk)[1]


def words_before(page: Pages) -> PageWords:
    """Return the one page in `page`."""
    return PageWords(*(int(column[0]) for column in (page.mapping, page.flags, page.waiters, page.marks)))


def words_after(batch: Batch, which: NDArray[np.intp], page: Pages) -> Iterator[PageWords]:
    """Yield the one page in `page` as it is after each of the events `which`, all of which are about it."""
    words = words_before(page)
    for kind, a, b in zip(*(column[which].tolist() for column in (batch.kind, batch.a, batch.b)), strict=True):
        words = PageWords(*page_after(kind, a, b, *words))
        yield words


def _derived(run: Run, cast: Cast, chunk: int) -> tuple[Severities, Changes]:
    """Return the severities after a chunk's events and the changes of pages_swapped, by folding the chunk."""
    found: tuple[Severities, Changes] | None = run.kept("derived", chunk)
    if found is not None:
        return found
    batch = run.batch(chunk)
    rows = np.unique(batch.page[batch.page != NONE]).astype(np.int64)
    start = pages_before(run, cast, chunk, rows)
    columns = (start.mapping, start.flags, start.waiters, start.marks)
    pages = dict(zip(rows.tolist(), zip(*(column.tolist() for column in columns), strict=True), strict=True))
    more = 0
    severities = np.zeros(len(batch), np.uint8)
    at, to = [], []
    events = zip(*(column.tolist() for column in (batch.page, batch.kind, batch.a, batch.b)), strict=True)
    for place, (page, kind, a, b) in enumerate(events):
        if page == NONE:
            continue
        before = pages[page]
        pages[page] = after = page_after(kind, a, b, *before)
        severities[place] = severity_of(*after)
        if change := (after[3] & MARK_SWAPPED) - (before[3] & MARK_SWAPPED):
            more += change
            at.append(place)
            to.append(more)
    found = severities, Changes(np.array(at, np.int64), np.array(to, np.int64))
    run.keep("derived", chunk, found, severities.nbytes + 16 * len(at))
    return found
