"""HTML of the matrix of designs and questions; cells.py computes it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app import cells
from app.explorations import STEPS_SHOWN, play_schedule, stepper_of
from app.forms import to_run
from app.pages import store_of
from app.refusals import Refusal
from app.rendering import PageRoute, render
from engine.explore import cases
from engine.identity import engine_words

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)


KERNEL = Annotated[str, Query(max_length=20)]
NAME = Annotated[str, Query(max_length=60)]
FORM_KERNEL = Annotated[str, Form(max_length=20)]
FORM_NAME = Annotated[str, Form(max_length=60)]


@router.get("/matrix")
def breaks_under(request: Request, kernel: KERNEL = "", left: Annotated[int, Query(ge=0, le=10**6)] = 0) -> Response:
    """Return the matrix of designs and questions of a kernel profile; left: explorations not admitted to the queue."""
    return render(
        request, "matrix.html", matrix_context(request, cells.known_kernel(kernel), "/matrix") | {"left": left}
    )


def matrix_context(request: Request, kernel: str, address: str) -> dict[str, Any]:
    """Return the context of matrix.html; address: that of the page."""
    found = cells.shown(store_of(request), kernel)
    decided = [cell for cell in found.values() if cell.engine]
    return {
        "here": "/matrix",
        "address": address,
        "kernel": kernel,
        "kernels": list(cases.KERNELS),
        "tables": cases.tables(),
        "cells": found,
        "refusal": cases.refusal,
        "live": any(cell.state in ("queued", "running") for cell in found.values()),
        "missing": sum(not cell.decided for cell in found.values()),
        "shipped": sum(cell.shipped for cell in decided),
        "others": sorted({cell.engine for cell in decided if not cell.current}),
        "engine": engine_words(),
        "left": 0,
    }


@router.post("/matrix")
def explore_cells(
    request: Request,
    kernel: FORM_KERNEL,
    everything: Annotated[bool, Form()] = False,
) -> Response:
    """Queue the cells without a verdict by this engine; everything: all cells, to check their verdicts again."""
    name, store = cells.known_kernel(kernel), store_of(request)
    needed = cells.everything(store.settings, name) if everything else cells.missing(store, name)
    left = len(store.explore_all(needed))
    return RedirectResponse(f"/matrix?{urlencode({'kernel': name} | ({'left': left} if left else {}))}", 303)


@router.get("/matrix/cell")
def cell(request: Request, row: NAME, column: NAME, kernel: KERNEL = "") -> Response:
    """Return the page of a cell: its question, its verdict with bounds, and the schedule that shows it."""
    name, store = cells.known_kernel(kernel), store_of(request)
    one = cells.find(name, row, column, store.settings)
    found = cells.shown(store, name)[row, column]
    story, unplayed, busy = None, "", False
    if found.schedule is not None:
        try:
            told = stepper_of(request).story(one.subject, found.schedule, found.loop or "")
            story = told | {"steps": told["steps"][:STEPS_SHOWN], "left_out": told["steps"][STEPS_SHOWN:]}
        except Refusal as refusal:  # the stepper is busy, or the schedule is another engine's
            unplayed, busy = str(refusal.detail), refusal.status_code == 503
    test = cases.COLUMNS[column]
    context = {
        "here": "/matrix",
        "kernel": name,
        "row": cases.ROWS[row],
        "test": test,
        "programs": list(zip(cases.NAMES, test.programs, strict=False)),
        "cell": found,
        "same": [other for _, other in cells.of_exploration(name, one.exploration.asked_sha256) if other != column],
        "titles": {name: one.title for name, one in cases.COLUMNS.items()},
        "story": story,
        "unplayed": unplayed,
        "busy": busy,
        "engine": engine_words(),
    }
    return render(request, "cell.html", context)


@router.post("/matrix/cell")
def explore_cell(
    request: Request,
    kernel: FORM_KERNEL,
    row: FORM_NAME,
    column: FORM_NAME,
) -> Response:
    """Explore one cell here, and redirect to its exploration."""
    name, store = cells.known_kernel(kernel), store_of(request)
    one = cells.find(name, row, column, store.settings)
    live = store.explored([one.exploration.asked_sha256]).get(one.exploration.asked_sha256)
    found = live if live is not None and live.live else store.explore(one.exploration)[0]
    return RedirectResponse(f"/x/{found.id}", 303)


@router.post("/matrix/run")
def open_as_run(
    request: Request,
    kernel: FORM_KERNEL,
    row: FORM_NAME,
    column: FORM_NAME,
) -> Response:
    """Play the schedule of a cell as a run. The same schedule always gives the same run."""
    name, store = cells.known_kernel(kernel), store_of(request)
    one = cells.find(name, row, column, store.settings)
    schedule = cells.shown(store, name)[row, column].schedule
    if not schedule:
        raise Refusal(409, "no_schedule", "this cell has no schedule to play", field="column")
    return to_run(play_schedule(store, one.subject.data, schedule, key=f"cell-{one.exploration.asked_sha256[:32]}"))
