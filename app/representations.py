"""Other formats of the pages: JSON, CSV and plain text, at the page's address with a suffix."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from app import windows
from app.comparing import compared
from app.differences import comparison, differences
from app.figures import tiles, verdict
from app.plain import comparison_text, run_text
from app.shown import Shown
from engine.errors import Damaged

if TYPE_CHECKING:
    from app.store import RunRow, Store

CSV_EVENTS_MAX = 100_000
"""Max. events in a CSV; its last line says if it is truncated."""
CSV_BATCH = 1_000
WALK_COLUMNS = ("queue", "walked", "matched", "woken", "other_bit", "strangers", "stop")
"""Fields of walks of a queue, as columns of their own in a CSV of events; queue: of waits too."""


def represented(request: Request, store: Store, found: Sequence[Shown], suffix: str, path: str) -> Response:
    """Return one or two runs in another format; suffix: json, csv or txt; path: that of the page."""
    if suffix == "json":
        return JSONResponse(described(store, found))
    if suffix == "txt":
        return PlainTextResponse(in_plain_text(store, found, str(request.base_url).rstrip("/") + path))
    if len(found) == 2:
        return csv_answer(figures_csv(store, found), "-".join(run.row.id for run in found) + "-figures.csv")
    store.event_format(found[0].row.id)  # rejects a newer event format before the first line is sent
    return csv_answer(events_csv(store, found[0].row), f"{found[0].row.id}-events.csv")


def described(store: Store, found: Sequence[Shown]) -> dict[str, Any]:
    """Return one run, or two with their differences, as data."""
    each = [
        {
            "id": run.row.id,
            "name": run.row.name,
            "design": run.row.design,
            "kernel": run.row.kernel,
            "seed": run.row.seed,
            "state": run.row.state,
            "events": run.row.events,
            "time_ns": run.row.time_ns,
            "seal": run.row.seal,
            "engine_version": run.row.engine_version,
            "tags": list(run.tags),
            "figures": dict(run.figures),
            "scenario": json.loads(run.row.scenario_json),
        }
        for run in found
    ]
    if len(each) == 1:
        return each[0]
    both = compared(store, found)
    rows = [row._asdict() for row in differences(both.a, both.b, both.basis)]
    return {"runs": each, "differences": rows, "note": both.note}


def in_plain_text(store: Store, found: Sequence[Shown], link: str) -> str:
    """Return one or two runs as text for mail."""
    if len(found) == 1:
        run = found[0]
        words = verdict(
            run.figures, live=run.live, recorded=run.recorded, rate=run.read_rate(run.figures, run.row.time_ns)
        )
        return run_text(run.row.name, run.facts, words, tiles(run.figures, run.row.design), link)
    a, b = found
    heads = [(letter, f"{run.row.name}; {run.design_words}; run {run.row.id}") for letter, run in (("A", a), ("B", b))]
    both = compared(store, found)
    words = comparison(both.a, both.b, (f"A ({a.design_words})", f"B ({b.design_words})"), both.basis)
    return comparison_text(heads, f"{words} Figures: {both.note}.", differences(both.a, both.b, both.basis), link)


def csv_line(values: Iterable[object]) -> str:
    """Return one line of CSV; text that a spreadsheet would evaluate as a formula is prefixed with an apostrophe."""
    out = io.StringIO()
    safe = [f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" else value for value in values]
    csv.writer(out, lineterminator="\n").writerow(safe)
    return out.getvalue()


def figures_csv(store: Store, found: Sequence[Shown]) -> Iterator[str]:
    """Yield the key figures of two runs, one per line; a comment at the end says which time they cover."""
    both = compared(store, found)
    yield csv_line(["figure", "a", "b"])
    for name in both.a:
        yield csv_line([name, both.a[name], both.b.get(name)])
    yield f"# figures: {both.note}\n"


def events_csv(store: Store, row: RunRow) -> Iterator[str]:
    """Yield the first CSV_EVENTS_MAX events of a run; the last line says if there are more."""
    names = ("seq", "time_ns", "kind", "cpu", "task_name", "pfn", "a", "b", "says")
    yield csv_line([*names, *WALK_COLUMNS])
    after = -1
    while after + 1 < CSV_EVENTS_MAX:
        try:
            batch = windows.events(store, row.id, after_seq=after, limit=CSV_BATCH)
        except Damaged as error:
            yield f"# stopped after event {after}: {error}\n"
            return
        if not batch:
            return
        yield "".join(
            csv_line([*(event[name] for name in names), *(event["fields"].get(name) for name in WALK_COLUMNS)])
            for event in batch
        )
        after = batch[-1]["seq"]
    if row.events > after + 1:
        yield f"# truncated: {after + 1} of {row.events} events; the event stream of the REST API has them all\n"


def csv_answer(lines: Iterator[str], name: str) -> Response:
    """Return lines as a download."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
