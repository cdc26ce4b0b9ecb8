"""HTML: one function per page or partial, with a template of the same name. Handlers fetch and render; figures.py
computes, shown.py describes, representations.py renders other formats. Scripts load the charts' data from the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app import windows
from app.comparing import compared
from app.differences import comparison, differences
from app.figures import Figures, broken, split, tiles, verdict
from app.files import STATIC
from app.formats import counted, stretch
from app.refusals import Refusal
from app.rendering import PageRoute, fragment, new_key, render
from app.representations import represented
from app.shown import QUEUE_BITS, Shown, proposed, queues, same_workload, shown
from app.tracks import devices_of, states, tracks_of, waits
from engine.cast import Cast
from engine.designs import DESIGNS
from engine.errors import UserError
from engine.events import EVENTS, LANES
from engine.recordings.missing import missing
from engine.recordings.moves import Report

if TYPE_CHECKING:
    from app.store import RunRow, ShareRow, Store

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)

RUNS_A_PAGE = 50
RUN_ID = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
PAIR = Annotated[str, Path(pattern=r"^[0-9a-f]{12},[0-9a-f]{12}$")]
TOKEN = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{16,128}$")]
Suffix = Literal["json", "csv", "txt"]
T = Annotated[int | None, Query(ge=0, le=2**53)]
"""Beginning or end of a window, ns."""
OTHERS_LOOKED_AT, OTHERS_SHOWN = 100, 8
MODULES = sorted(
    path.stem for path in (STATIC / "js").glob("*.js") if path.stem not in {"docs", "explore", "runs", "upload"}
)
"""Scripts of the run page, preloaded so that the browser fetches them in parallel."""


def store_of(request: Request) -> Store:
    """Return the store of this server."""
    store: Store = request.app.state.store
    return store


def find_run(store: Store, run_id: str) -> RunRow:
    """Return a run. Raises Refusal 404."""
    row = store.run(run_id)
    if row is None:
        raise Refusal(404, "no_run", f"there is no run {run_id}")
    return row


# --- the list of runs ----------------------------------------------------------------------------------------------


@router.get("/")
def runs(
    request: Request,
    q: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    design: Annotated[str, Query(max_length=60)] = "",
    tag: Annotated[str, Query(max_length=60)] = "",
    _next: Annotated[str, Query(max_length=200)] = "",
    run: Annotated[list[str] | None, Query(max_length=20)] = None,
) -> Response:
    """List runs, newest first; run: those selected for a comparison."""
    filters = {"q": q, "state": state, "design": design, "tag": tag}
    given = {name: value or None for name, value in filters.items()}
    store = store_of(request)
    rows, following = store.runs(RUNS_A_PAGE, _next or None, **given)
    if re.fullmatch("[0-9a-f]{12}", q) and (named := store.run(q)):
        rows, following = [named], None
    picked = [run_id for run_id in run or [] if len(run_id) == 12]
    kept = [(name, value) for name, value in filters.items() if value] + [("run", run_id) for run_id in picked]
    context = {
        "here": "/",
        "runs": [shown(row) for row in rows],
        "asked": filters | {"after": _next},
        "filtered": any(filters.values()) or bool(_next),
        "filters": [
            ("state", "state", ("queued", "running", "done", "failed", "cancelled")),
            ("design", "design", tuple(DESIGNS)),
        ],
        "picked": picked,
        "shown_ids": {row.id for row in rows},
        "older": f"/?{urlencode([*kept, ('_next', following)])}" if following else "",
    }
    return render(request, "runs.html", context)


@router.get("/live")
def live(
    request: Request,
    run: Annotated[list[str] | None, Query(max_length=RUNS_A_PAGE)] = None,
    newest: Annotated[str, Query(max_length=12)] = "",
) -> Response:
    """Return the changing cells of the given runs, and whether runs newer than `newest` have started."""
    store = store_of(request)
    rows = [row for run_id in run or [] if (row := store.run(run_id)) is not None]
    first, _ = store.runs(1, None)
    newer = bool(newest and first and first[0].id != newest)
    return render(request, "partials/live.html", {"runs": [shown(row) for row in rows], "newer": newer})


# --- one run -------------------------------------------------------------------------------------------------------


@router.get("/r/{run_id}.{suffix}")
def run_twin(request: Request, run_id: RUN_ID, suffix: Suffix) -> Response:
    """Return a run as JSON, its events as CSV, or its figures as plain text for mail."""
    store = store_of(request)
    run = shown(find_run(store, run_id))
    return represented(request, store, [run], suffix, run.url)


@router.get("/r/{run_id}/figures")
def run_figures(request: Request, run_id: RUN_ID, t0: T = None, t1: T = None) -> Response:
    """Return the current key figures of a run, or those of its window t0..t1."""
    store = store_of(request)
    run = shown(find_run(store, run_id))
    return render(request, "partials/figures.html", figures_context(store, run, f"{run.url}/figures", t0, t1))


@router.get("/r/{run_id}")
def run(request: Request, run_id: RUN_ID) -> Response:
    """Return the page of a run."""
    store = store_of(request)
    run = shown(find_run(store, run_id))
    context = run_context(store, run, f"{run.url}/figures") | {
        "others": others_of(store, run),
        "other_designs": [(name, card.title) for name, card in DESIGNS.items()],
        "key": new_key(),
        "proposed": proposed(run),
        "queue_bits": QUEUE_BITS,
    }
    return render(request, "run.html", context)


def others_of(store: Store, run: Shown) -> list[Shown]:
    """Return recent runs of the same workload, to compare this one with."""
    rows, _ = store.runs(OTHERS_LOOKED_AT, None)
    found = (shown(row) for row in rows if row.id != run.row.id and row.workload_kind == run.row.workload_kind)
    return [other for other in found if same_workload([run, other])][:OTHERS_SHOWN]


def run_context(store: Store, run: Shown, figures_url: str, view: str = "") -> dict[str, Any]:
    """Return the context of run.html, for owners and for viewers of a share link."""
    context = stage_context(store, [run], view) | figures_context(store, run, figures_url)
    return context | recording_context(store, run) | {"run": run, "live": run.live}


def recording_context(store: Store, run: Shown) -> dict[str, Any]:
    """Return what run.html says of a run's workload and kernel, and what its recording lacks, in sentences."""
    row = store.recording(run.row.recording_id) if run.row.recording_id else None
    if row is None:
        return {"workload_words": run.workload_words, "kernel_words": run.row.kernel, "warnings": ()}
    given = run.scenario.get("kernel") is not None
    return {
        "workload_words": row.name,
        "kernel_words": run.row.kernel if given or not row.kernel else f"{row.kernel} (from the recording)",
        "warnings": missing(Report.model_validate_json(row.report_json)),
    }


def figures_context(
    store: Store, run: Shown, figures_url: str, t0: int | None = None, t1: int | None = None
) -> dict[str, Any]:
    """Return the context of partials/figures.html: of the window t0..t1 if it is given, else of the run."""
    figures: Figures = run.figures
    window = t0 is not None and t1 is not None and not run.row.newer_events
    if t0 is not None and t1 is not None and window:
        figures = windows.window_figures(store, run.row, t0, t1) if t0 < t1 else {}
    length = t1 - t0 if window and t0 is not None and t1 is not None else run.row.time_ns
    return {
        "figures_url": figures_url,
        "scope": f"window, {stretch(t0 or 0, t1 or 0)}" if window else "whole run" if not run.live else "run so far",
        "window": window,
        "verdict": verdict(
            figures, live=run.live, recorded=run.recorded, window=window, rate=run.read_rate(figures, length)
        ),
        "broken": broken(figures) is not None,
        "split": split(figures),
        "tiles": tiles(figures, run.row.design),
    }


def cast_of(store: Store, run_id: str) -> Cast | None:
    """Return the cast of a run, None before its worker has started."""
    try:
        return store.cast(run_id)
    except UserError:
        return None


def stage_context(store: Store, found: Sequence[Shown], view: str = "") -> dict[str, Any]:
    """Return the context of partials/stage.html and the script's setup for one run or two."""
    casts = [None if run.row.newer_events else cast_of(store, run.row.id) for run in found]
    counts = [cast.queues if cast else queues(run.scenario) for run, cast in zip(found, casts, strict=True)]
    setup = {
        "runs": [
            {
                "id": run.row.id,
                "label": letter,
                "design": run.design_words,
                "data": run.data,
                "state": run.row.state,
                "live": run.live,
                "time_ns": run.row.time_ns,
                "queues": count,
                "swaps": run.swaps,
                "quiet": not run.live and not run.figures.get("waits", 1),
                "devices": devices_of(run.scenario),
            }
            for letter, run, count in zip("AB", found, counts, strict=False)
        ],
        "kinds": {
            kind.name: {
                "lane": event.lane,
                "colour": event.colour,
                "fields": {name: field.label for name, field in event.words.fields.items()},
            }
            for kind, event in EVENTS.items()
        },
        "lanes": LANES,
        "states": states(run.scenario for run in found),
        "waits": waits(),
        "view": view,
    }
    return {
        "runs": found,
        "newer_events": [run.row.newer_events for run in found if run.row.newer_events],
        "setup": setup,
        "tracks": tracks_of(run.scenario for run in found),
        "modules": MODULES,
        "files": [file.name for file in casts[0].files[:32]] if casts[0] else [],
        "queues_most": max(0, max(counts) - 1),
    }


def status_line(row: RunRow) -> str:
    """Return the status line of a run as HTML, for the event stream."""
    return fragment("partials/status.html", {"run": shown(row)})


# --- two runs ------------------------------------------------------------------------------------------------------


@router.get("/compare")
def compare_chosen(run: Annotated[list[str] | None, Query(max_length=20)] = None) -> Response:
    """Redirect from two selected runs to their comparison."""
    chosen = list(dict.fromkeys(run or []))
    if len(chosen) != 2:
        raise Refusal(
            422, "two_runs", f"{counted(len(chosen), 'run')} selected: a comparison shows two", field="run", limit=2
        )
    return RedirectResponse(f"/c/{chosen[0]},{chosen[1]}", 303)


def pair_of(store: Store, pair: str) -> list[Shown]:
    """Return the two runs of a comparison, the baseline first."""
    return [shown(find_run(store, run_id)) for run_id in pair.split(",")]


@router.get("/c/{pair}.{suffix}")
def compare_twin(request: Request, pair: PAIR, suffix: Suffix) -> Response:
    """Return two runs' key figures as JSON, CSV, or plain text for mail."""
    store = store_of(request)
    return represented(request, store, pair_of(store, pair), suffix, f"/c/{pair}")


@router.get("/c/{pair}/figures")
def compare_figures(request: Request, pair: PAIR, t0: T = None, t1: T = None) -> Response:
    """Return the current table of both runs' key figures, or of those of the window t0..t1."""
    store = store_of(request)
    context = differences_context(store, pair_of(store, pair), f"/c/{pair}/figures", t0, t1)
    return render(request, "partials/differences.html", context)


@router.get("/c/{pair}")
def compare(request: Request, pair: PAIR) -> Response:
    """Return the page that compares two runs on a common time axis."""
    store = store_of(request)
    return render(request, "compare.html", compare_context(store, pair_of(store, pair), f"/c/{pair}/figures"))


def compare_context(
    store: Store, found: list[Shown], figures_url: str, view: str = "", url: str = ""
) -> dict[str, Any]:
    """Return the context of compare.html."""
    return (
        stage_context(store, found, view)
        | differences_context(store, found, figures_url)
        | {
            "live": any(run.live for run in found),
            "same_workload": same_workload(found),
            "recordings": [recording_context(store, run) for run in found],
            "url": url or f"/c/{','.join(run.row.id for run in found)}",
            "swapped_url": f"/c/{','.join(run.row.id for run in reversed(found))}",
        }
    )


FIRST_ROWS = 3
"""Differences shown at once; the others are folded, so that the charts are seen without scrolling."""


def differences_context(
    store: Store, found: list[Shown], figures_url: str, t0: int | None = None, t1: int | None = None
) -> dict[str, Any]:
    """Return the context of partials/differences.html; t0, t1: the window that it is about."""
    a, b = found
    both = compared(store, found, t0, t1)
    rows = differences(both.a, both.b, both.basis)
    telling, same = [row for row in rows if not row.same], [row for row in rows if row.same]
    return {
        "runs": found,
        "figures_url": figures_url,
        "window": t0 is not None and t1 is not None,
        "scope": both.note,
        "verdict": comparison(both.a, both.b, (f"A ({a.design_words})", f"B ({b.design_words})"), both.basis),
        "first": telling[:FIRST_ROWS],
        "further": telling[FIRST_ROWS:],
        "same": same,
    }


# --- shared views --------------------------------------------------------------------------------------------------


def share_of(store: Store, token: str) -> tuple[ShareRow, list[Shown]]:
    """Return a share and its runs. Raises the same Refusal 404 for wrong, revoked and expired tokens."""
    share = store.by_token(token)
    rows = [store.run(run_id) for run_id in json.loads(share.run_ids)] if share else []
    if share is None or not rows or None in rows:
        raise Refusal(404, "no_share", "this link is invalid, revoked or expired")
    mirror = f"/api/v1/shared/{token}/runs"
    return share, [shown(row, mirror, f"/s/{token}") for row in rows if row is not None]


def shared_twin(request: Request, token: str, suffix: str) -> Response:
    """Return shared runs in another format."""
    store = store_of(request)
    _, found = share_of(store, token)
    return private(represented(request, store, found, suffix, f"/s/{token}"))


@router.get("/s/{token}/figures")
def shared_figures(request: Request, token: TOKEN, t0: T = None, t1: T = None) -> Response:
    """Return the key figures of shared runs, or those of their window t0..t1."""
    store = store_of(request)
    _, found = share_of(store, token)
    url = f"/s/{token}/figures"
    if len(found) == 2:
        context, name = differences_context(store, found, url, t0, t1), "partials/differences.html"
    else:
        context, name = figures_context(store, found[0], url, t0, t1), "partials/figures.html"
    return private(render(request, name, context | {"shared": True}))


def shared_view(request: Request, token: str) -> Response:
    """Return the read-only page of shared runs."""
    store = store_of(request)
    share, found = share_of(store, token)
    url = f"/s/{token}/figures"
    if len(found) == 2:
        name, context = "compare.html", compare_context(store, found, url, share.view, f"/s/{token}")
    else:
        name, context = "run.html", run_context(store, found[0], url, share.view)
    return private(render(request, name, context | {"shared": True}))


def shared_headers() -> dict[str, str]:
    return {"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"}


def private(answer: Response) -> Response:
    """Make a response uncacheable, and keep its address out of the Referer header."""
    answer.headers.update(shared_headers())
    return answer
