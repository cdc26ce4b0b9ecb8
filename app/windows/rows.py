"""Events that fit a filter, and one page's own history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.nodes import CellsPart
from app.store import Store
from app.windows.cells import label
from app.windows.event_json import event_json, page_json
from app.windows.states import pages_before, words_after, words_before
from app.windows.tree import Piece, Run
from engine.errors import UserError
from engine.events import EVENTS, Batch

SCAN_MAX = 256
"""Chunks that one question reads in vain at most: a rare kind is found page by page."""
COUNT_MAX = 32
"""Chunks that are read to count what fits: about half a million events."""
LIMIT_MAX = 10_000
OF_QUEUES = {int(kind): event.words.reader("queue") for kind, event in EVENTS.items() if "queue" in event.words.fields}
"""Kind -> what reads the queue out of its two words."""


class Filter(NamedTuple):
    """Which events are asked for; None: all. Tasks and pages by row."""

    t0: int | None = None
    t1: int | None = None
    kinds: Sequence[int] | None = None
    tasks: Sequence[int] | None = None
    page: int | None = None
    queue: int | None = None


ALL = Filter()


class Found(list[dict[str, Any]]):
    """Events, and where the question goes on: next_after_seq is None where nothing can follow."""

    next_after_seq: int | None = None


def events(
    store: Store,
    run_id: str,
    after_seq: int | None = None,
    wanted: Filter = ALL,
    limit: int = 100,
) -> Found:
    """Return events in order, at most `limit`: those behind after_seq, in t0..t1 (t1 excluded), that fit the filter.

    At most SCAN_MAX chunks are read in vain; next_after_seq says where to go on. Raises Damaged for a chunk that is.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise UserError(f"the limit on events is at most {LIMIT_MAX}, not {limit}", field="limit")
    run = Run(store, run_id)
    found = Found()
    if not run.chunks:
        return found
    cast = run.cast()
    first_seq = 0 if after_seq is None else after_seq + 1
    start, stop = _chunks(run, first_seq, wanted.t0, wanted.t1)
    in_vain = 0
    for number in _touching(run, start, stop, wanted.page):
        if in_vain == SCAN_MAX:
            found.next_after_seq = int(run.index.first_seq[number]) - 1
            return found
        batch, before = run.batch(number), len(found)
        for at in _fitting(batch, first_seq, wanted).tolist():
            if len(found) == limit:
                found.next_after_seq = found[-1]["seq"]
                return found
            found.append(event_json(batch, at, cast))
        in_vain += len(found) == before
    return found


def count(store: Store, run_id: str, wanted: Filter) -> int | None:
    """Return how many events fit a filter; None where more than COUNT_MAX chunks would have to be read for it.

    Raises Damaged for a chunk that is.
    """
    run = Run(store, run_id)
    if not run.chunks:
        return 0
    start, stop = _chunks(run, 0, wanted.t0, wanted.t1)
    t0, t1 = wanted.t0 or 0, wanted.t1 if wanted.t1 is not None else int(run.index.t1[-1]) + 1
    all_fit = wanted[2:] == ALL[2:]
    total = read = 0
    for number in _touching(run, start, stop, wanted.page):
        if all_fit and t0 <= run.index.t0[number] and run.index.t1[number] < t1:
            total += int(run.index.events[number])
            continue
        if read == COUNT_MAX:
            return None
        read += 1
        total += len(_fitting(run.batch(number), 0, wanted))
    return total


def _chunks(run: Run, first_seq: int, t0: int | None, t1: int | None) -> tuple[int, int]:
    """Return the first chunk that may hold an event asked for, and one more than the last."""
    index = run.index
    start = int(np.searchsorted(index.first_seq + index.events, first_seq, "right"))
    if t0 is not None:
        start = max(start, int(np.searchsorted(index.t1, t0, "left")))
    stop = run.chunks if t1 is None else int(np.searchsorted(index.t0, t1, "left"))
    return start, stop


def _touching(run: Run, start: int, stop: int, page: int | None) -> Iterator[int]:
    """Yield the chunks start..stop-1, in order; with a page, only those that the summaries say touch it."""
    if page is None or start >= stop:
        yield from range(start, stop)
        return
    t0, t1 = int(run.index.t0[start]), int(run.index.t1[stop - 1])
    for top in run.forest(t0, t1 + 1):
        for number in _touching_below(run, top, page):
            if start <= number < stop:
                yield number


def _touching_below(run: Run, top: Piece, page: int) -> Iterator[int]:
    part = run.cells(top.level, top.number, top.number)[top.number]
    if isinstance(part, CellsPart):
        at = int(np.searchsorted(part.lanes.keys, page))
        touched = at < len(part.lanes.keys) and int(part.lanes.keys[at]) == page
        if not touched and part.complete:
            return
    if top.level == 0:
        yield top.number
        return
    for child in top.children(run.index):
        yield from _touching_below(run, child, page)


def _fitting(batch: Batch, first_seq: int, wanted: Filter) -> NDArray[np.intp]:
    """Return the places of the events of a chunk that fit."""
    t0, t1, kinds, tasks, page, queue = wanted
    first = max(0, first_seq - batch.first_seq)
    if t0 is not None:
        first = max(first, int(np.searchsorted(batch.time, t0, "left")))
    stop = len(batch) if t1 is None else int(np.searchsorted(batch.time, t1, "left"))
    fits = np.ones(max(stop - first, 0), np.bool_)
    if kinds is not None:
        fits &= np.isin(batch.kind[first:stop], np.array(list(kinds), np.uint8))
    if tasks is not None:
        fits &= np.isin(batch.task[first:stop], np.array(list(tasks), np.uint32))
    if page is not None:
        fits &= batch.page[first:stop] == page
    if queue is not None:
        in_queue = np.zeros(len(fits), np.bool_)
        for kind, read in OF_QUEUES.items():
            mine = batch.kind[first:stop] == kind
            in_queue[mine] = read(batch.a[first:stop][mine], batch.b[first:stop][mine]) == queue
        fits &= in_queue
    return np.flatnonzero(fits) + first


def history(store: Store, run_id: str, page: int, t0: int, t1: int, limit: int = 200) -> dict[str, Any]:
    """Return what happened to a page in t0..t1 (t1 excluded), with the page before and after each event.

    Raises UserError for a page that the run does not have, Damaged for a chunk that is.
    """
    run = Run(store, run_id)
    cast = run.cast()
    pages = cast.page_count if cast.pfns is None else len(cast.pfns)
    if not 0 <= page < pages:
        raise UserError(
            f"there is no page row {page}: the run has rows 0 to {pages - 1}", code="no_page", field="page", status=404
        )
    if not 1 <= limit <= LIMIT_MAX:
        raise UserError(f"the limit on events is at most {LIMIT_MAX}, not {limit}", field="limit")
    found: list[dict[str, Any]] = []
    start, stop = _chunks(run, 0, t0, t1) if run.chunks else (0, 0)
    for scanned, number in enumerate(_touching(run, start, stop, page)):
        if len(found) >= limit or scanned == SCAN_MAX:
            break
        batch = run.batch(number)
        which = np.flatnonzero(batch.page == page)
        page_then = pages_before(run, cast, number, np.array([page], np.int64))
        before, history = words_before(page_then), words_after(batch, which, page_then)
        seen = bool(page_then.seen[0])
        inside = set(_fitting(batch, 0, Filter(t0, t1, page=page)).tolist())
        for at, after in zip(which.tolist(), history, strict=True):
            if at in inside and len(found) < limit:
                both = {"before": page_json(before, cast, seen=seen), "after": page_json(after, cast)}
                found.append(event_json(batch, at, cast) | both)
            before, seen = after, True
    return {"page": page, "pfn": f"0x{cast.pfn(page):x}", "label": label(cast, page), "events": found}
