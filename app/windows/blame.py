"""Which tasks stand in a queue at an instant, for which pages: what a wake-up of one page has to pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from app.store import Store
from app.windows.cells import label
from app.windows.rows import SCAN_MAX
from app.windows.states import lengths_before
from app.windows.tree import Run
from engine.cast import Cast
from engine.errors import UserError
from engine.events import ENTRY, PAGE_BITS, Kind

_length = ENTRY.reader("length")
_CHANGES = (int(Kind.waiter_queued), int(Kind.waiter_woken), int(Kind.waiter_left))


def queue_at(store: Store, run_id: str, queue: int, time: int, until: int | None = None) -> dict[str, Any]:
    """Return the entries of a queue after all events up to `time` (ns), first in line first, and how many of them
    there were before what was read: those that have waited for more than SCAN_MAX chunks are not named.

    until: take the first instant from `time` to this one (excluded) at which the queue is longest, instead of `time`.
    Raises UserError for a queue that the run does not have, Damaged for a chunk that is.
    """
    run = Run(store, run_id)
    cast = run.cast()
    if not 0 <= queue < cast.queues:
        text = f"there is no queue {queue}: the run has queues 0 to {cast.queues - 1}"
        raise UserError(text, field="queue", status=404)
    if until is not None:
        time = _longest(run, queue, time, until)
    entries: dict[int, dict[str, Any]] = {}
    unnamed = 0
    last = int(np.searchsorted(run.index.t0, time, "right")) - 1
    if last >= 0:
        first = last
        while (unnamed := int(lengths_before(run, cast, first)[queue])) and last - first < SCAN_MAX:
            first -= 1
        for number in range(first, last + 1):
            unnamed -= _follow(run, number, queue, time, cast, entries)
    return {"queue": queue, "time_ns": time, "entries": list(entries.values()), "unnamed": max(unnamed, 0)}


def _longest(run: Run, queue: int, time: int, until: int) -> int:
    """Return the first instant of time..until at which the queue is longest, as far as SCAN_MAX chunks tell."""
    first = max(int(np.searchsorted(run.index.t0, time, "right")) - 1, 0)
    stop = min(int(np.searchsorted(run.index.t0, until, "left")), first + SCAN_MAX)
    length, longest = 0, time
    if first < run.chunks:
        length = int(lengths_before(run, run.cast(), first)[queue])
    for number in range(first, stop):
        what = run.what(number)
        here = np.flatnonzero(np.isin(what.kind, _CHANGES) & (what.a == queue) & (what.time < until))
        for at, after in zip(what.time[here].tolist(), _length(what.a[here], what.b[here]).tolist(), strict=True):
            if at <= time:
                length = after
            elif after > length:
                length, longest = after, at
    return longest


def _follow(run: Run, number: int, queue: int, time: int, cast: Cast, entries: dict[int, dict[str, Any]]) -> int:
    """Let entries come and go as a chunk's events say, by task; return how many left that are not in `entries`."""
    batch, strangers = run.batch(number), 0
    here = np.flatnonzero(np.isin(batch.kind, _CHANGES) & (batch.a == queue) & (batch.time <= time))
    for at in here.tolist():
        task, page = int(batch.task[at]), int(batch.page[at])
        if batch.kind[at] != Kind.waiter_queued:
            strangers += entries.pop(task, None) is None
            continue
        bit = ENTRY.unpack(int(batch.a[at]), int(batch.b[at])).bit
        entries[task] = {
            "task": task,
            "task_name": cast.tasks[task].name,
            "pid": cast.tasks[task].pid,
            "page": page,
            "pfn": f"0x{cast.pfn(page):x}",
            "label": label(cast, page),
            "bit": PAGE_BITS.get(bit, f"bit {bit}"),
            "since_ns": int(batch.time[at]),
        }
    return strangers
