"""Windows: what a picture of a stretch of a run needs, for a cost that follows its pixels and not its events.

    tree       which nodes of the summary tree, and which chunks, tell a window finely enough
    series     gauges and counters        cells      heat map, lanes, one queue
    rows       events, a page's history   states     pages and queues at an instant
    totals     exact figures of a window  blame      which tasks stand in a queue

NumPy only: the server's process never loads the engine. Coarse columns are made of bins, whose extremes go to every
column that they meet, so no peak is lost; fine ones are made of the events themselves, and are exact (level -1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.store import RunRow, Store
from app.windows.blame import queue_at
from app.windows.cells import Gap, Heat, Lanes, Queue, Walk
from app.windows.columns import columns_of
from app.windows.rows import Filter, Found, count, events, history
from app.windows.series import Series
from app.windows.totals import totals, window_figures
from app.windows.tree import Run
from engine.cast import Cast
from engine.errors import Damaged, UserError
from engine.nodes import more_names

__all__ = ["Filter", "Found", "count", "events", "history", "queue_at", "window", "window_figures"]

PX_MAX = 5_000
CELLS_PX_MAX = 1_000
"""Columns of heat map and lanes at most: finer, a picture of 256 rows would weigh megabytes."""
PAGES_MAX = 256
TIME_MAX = 2**62
PARTS = ("series", "heat", "lanes", "totals")


def window(
    store: Store,
    run: RunRow,
    t0: int,
    t1: int,
    px: int = 1_000,
    parts: Sequence[str] = ("series",),
    queue: int | None = None,
    pages: str = "hot:48",
) -> dict[str, Any]:
    """Return the window t0..t1 (t1 excluded) of a run in px columns, as the API answers it.

    px becomes less where the window is shorter than px ns; heat map and lanes have at most CELLS_PX_MAX columns, as
    their shapes tell. pages: "hot:48", "file:0" or "list:1,2,3". Raises UserError for what cannot be shown.
    """
    _refuse_badly_asked(t0, t1, px, parts)
    reader = Run(store, run.id)
    columns = columns_of(t0, t1, px)
    answer: dict[str, Any] = {
        "run": run.id,
        "state": run.state,
        "t0": t0,
        "t1": t1,
        "px": columns.px,
        "level": -1,
        "events": _events_before(reader, t1) - _events_before(reader, t0),
        "x0": t0,
        "dx": columns.width,
    }
    gaps: set[Gap] = set()
    cast = reader.cast() if reader.chunks else Cast()
    if "series" in parts:
        series = Series(columns, more_names(cast))
        series.gather(reader)
        gaps |= set(series.gaps)
        answer["level"], answer["series"] = series.level, series.answer()
    coarse = columns_of(t0, t1, min(px, CELLS_PX_MAX))
    heat = Heat(cast, coarse) if "heat" in parts else None
    lanes = Lanes(cast, coarse, _pages_of(pages, run, cast)) if "lanes" in parts else None
    chosen = Queue(cast, coarse, _queue_of(queue, cast)) if "series" in parts and queue is not None else None
    takers = [taker for taker in (heat, lanes, chosen) if taker is not None]
    if takers:
        walk = Walk(reader, coarse, takers)
        walk.gather()
        gaps |= set(walk.gaps)
        answer["level"] = max(answer["level"], walk.level)
    if heat is not None:
        answer["heat"] = heat.answer()
    if lanes is not None:
        answer["lanes"] = lanes.answer()
    if chosen is not None:
        answer["series"]["queue"] = chosen.answer(columns)
    if "totals" in parts:
        answer["totals"] = totals(reader, cast, t0, t1)
        if queue is not None:
            answer["totals"]["queue"] = _of_queue(reader, cast, _queue_of(queue, cast), t0, t1)
    answer["gaps"] = [{"t0": start, "t1": stop, "why": why} for start, stop, why in sorted(gaps)]
    return answer


def _of_queue(run: Run, cast: Cast, number: int, t0: int, t1: int) -> dict[str, float | None]:
    """Return the exact least and highest length of a queue in a window."""
    column = columns_of(t0, t1, 1)
    queue = Queue(cast, column, number)
    Walk(run, column, [queue]).gather(exact=True)
    told = queue.answer(column)
    return {name: told[name][0] for name in ("min", "max")}


def _refuse_badly_asked(t0: int, t1: int, px: int, parts: Sequence[str]) -> None:
    if not 0 <= t0 < t1 <= TIME_MAX:
        text = f"t0 must be less than t1, both within 0 to {TIME_MAX} ns: not {t0} and {t1}"
        raise UserError(text, code="empty_window", field="t1")
    if not 1 <= px <= PX_MAX:
        raise UserError(f"px must be 1 to {PX_MAX}, not {px}", code="too_large", field="px")
    unknown = set(parts) - set(PARTS)
    if unknown:
        raise UserError(f"parts must be among {', '.join(PARTS)}, not {min(unknown)[:80]!r}", field="parts")


def _events_before(run: Run, time: int) -> int:
    """Return how many events there are before an instant."""
    number = int(np.searchsorted(run.index.t1, time, "left"))
    if number == run.chunks:
        return run.events
    first = int(run.index.first_seq[number])
    if time <= run.index.t0[number]:
        return first
    try:
        return first + int(np.searchsorted(run.times(number), time, "left"))
    except Damaged:
        return first


def _queue_of(queue: int, cast: Cast) -> int:
    if cast.queues and not 0 <= queue < cast.queues:
        raise UserError(f"there is no queue {queue}: the run has queues 0 to {cast.queues - 1}", field="queue")
    return queue


def _pages_of(requested: str, run: RunRow, cast: Cast) -> list[int]:
    """Return the rows of the pages that lanes are asked for; raises UserError for a word that names none."""
    found = re.fullmatch(r"hot:(\d{1,3})|file:(\d{1,9})|list:(\d{1,9}(?:,\d{1,9})*)", requested)
    if found is None:
        text = f"pages must have the form hot:48, file:0 or list:1,2,3, not {requested[:80]!r}"
        raise UserError(text, code="bad_pages", field="pages")
    hot, file, rows = found.groups()
    count = cast.page_count if cast.pfns is None else len(cast.pfns)
    if hot is not None:
        if int(hot) > PAGES_MAX:
            raise _too_many(int(hot))
        return [page for page, _, _ in json.loads(run.hot_json or "[]")[: int(hot)] if page < count]
    if file is not None:
        return [page for page in range(count) if cast.file_of(page) == int(file)][:PAGES_MAX]
    pages = list(dict.fromkeys(int(row) for row in rows.split(",")))
    if len(pages) > PAGES_MAX:
        raise _too_many(len(pages))
    beyond = [page for page in pages if page >= count]
    if beyond and count:
        raise UserError(f"there is no page row {beyond[0]}: the run has rows 0 to {count - 1}", field="pages")
    return pages if count else []


def _too_many(count: int) -> UserError:
    text = f"{count} pages are too many: at most {PAGES_MAX} can be shown"
    return UserError(text, code="too_many_pages", field="pages")
