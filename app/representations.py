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
from app.figures import comparison, differences, tiles, verdict
from app.plain import comparison_text, run_text
from app.shown import Shown
from engine.errors import Damaged

if TYPE_CHECKING:
    from app.store import RunRow, Store

CSV_EVENTS_MAX = 100_000
"""Max. events in a CSV; its last line says if it is truncated."""
CSV_BATCH = 1_000


def represented(request: Request, store: Store, found: Sequence[Shown], suffix: str, path: str) -> Response:
    """Return one or two runs in another format; suffix: json, csv or txt; path: that of the page."""
    if suffix == "json":
        return JSONResponse(described(found))
    if suffix == "txt":
        return PlainTextResponse(in_plain_text(found, str(request.base_url).rstrip("/") + path))
    if len(found) == 2:
        return csv_answer(figures_csv(found), "-".join(run.row.id for run in found) + "-figures.csv")
    store.event_format(found[0].row.id)  # rejects a newer event format before the first line is sent
    return csv_answer(events_csv(store, found[0].row), f"{found[0].row.id}-events.csv")


def described(found: Sequence[Shown]) -> dict[str, Any]:
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
    rows = [row._asdict() for row in differences(found[0].figures, found[1].figures)]
    return {"runs": each, "differences": rows}


def in_plain_text(found: Sequence[Shown], link: str) -> str:
    """Return one or two runs as text for mail."""
    if len(found) == 1:
        run = found[0]
        return run_text(
            run.row.name, run.facts, verdict(run.figures, live=run.live), tiles(run.figures, run.row.design), link
        )
    a, b = found
    heads = [(letter, f"{run.row.name}; {run.design_words}; run {run.row.id}") for letter, run in (("A", a), ("B", b))]
    words = comparison(a.figures, b.figures, (a.design_words, b.design_words))
    return comparison_text(heads, words, differences(a.figures, b.figures), link)


def csv_line(values: Iterable[object]) -> str:
    """Return one line of CSV; text that a spreadsheet would evaluate as a formula is prefixed with an apostrophe."""
    out = io.StringIO()
    safe = [f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" else value for value in values]
    csv.writer(out, lineterminator="\n").writerow(safe)
    return out.getvalue()


def figures_csv(found: Sequence[Shown]) -> Iterator[str]:
    """Yield the key figures of two runs, one per line."""
    a, b = (run.figures for run in found)
    yield csv_line(["figure", "a", "b"])
    for name in a:
        yield csv_line([name, a[name], b.get(name)])


def events_csv(store: Store, row: RunRow) -> Iterator[str]:
    """Yield the first CSV_EVENTS_MAX events of a run; the last line says if there are more."""
    names = ("seq", "time_ns", "kind", "cpu", "task_name", "pfn", "a", "b", "says")
    yield csv_line(names)
    after = -1
    while after + 1 < CSV_EVENTS_MAX:
        try:
            batch = windows.events(store, row.id, after_seq=after, limit=CSV_BATCH)
        except Damaged as error:
            yield f"# stopped after event {after}: {error}\n"
            return
        if not batch:
            return
        yield "".join(csv_line([event[name] for name in names]) for event in batch)
        after = batch[-1]["seq"]
    if row.events > after + 1:
        yield f"# truncated: {after + 1} of {row.events} events; the event stream of the REST API has them all\n"


def csv_answer(lines: Iterator[str], name: str) -> Response:
    """Return lines as a download."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
