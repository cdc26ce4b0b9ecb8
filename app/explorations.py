"""HTML of explorations: list, form, result, and stepping by hand. verdicts.py provides the text."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app import verdicts
from app.api.deps import CountedCancel
from app.api.exploration_models import Exploration
from app.cells import of_exploration
from app.forms import to_run
from app.pages import store_of
from app.plans import RequestedLimits, RequestedPlan, exploration_of
from app.problems import problem_of, refusal_of
from app.refusals import Refusal
from app.rendering import PageRoute, new_key, render
from app.stepping import Stepper
from app.subjects import TEXT_MAX, Subject, read_subject, read_text, shipped_tables, small_presets
from app.wording import refusal_of_model
from engine.errors import UserError
from engine.explore import cases
from engine.scenario import Scenario
from engine.scenarios import shipped_text

if TYPE_CHECKING:
    from app.store import ExplorationRow, Store

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)

ROWS_A_PAGE = 50
STEPS_SHOWN = 400
"""Max. steps of a story on the page; its text has all of them."""
PHASES = {"answer": "all states found; computing the answer", "shrink": "shrinking the finding"}
"""Phase of an exploration's progress -> description."""
MIB = 1 << 20
EXPLORATION_ID = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
WORD = Annotated[str, Path(max_length=1_900, pattern=r"^[a-z0-9./]*$")]
Form_ = Literal["json", "txt", "pml", "shiviz", "dot"]
SAVED_AS = (
    ("txt", "Text for mail, 72 columns"),
    ("json", "Question and answer as JSON"),
    ("pml", "Promela, for SPIN"),
    ("itf.json", "Schedule as ITF"),
    ("shiviz", "Schedule for ShiViz"),
    ("dot", "Schedule as DOT"),
)


def find(request: Request, exploration_id: str) -> ExplorationRow:
    """Return an exploration. Raises Refusal 404."""
    row = store_of(request).exploration(exploration_id)
    if row is None:
        raise Refusal(404, "no_exploration", f"there is no exploration {exploration_id}")
    return row


def stepper_of(request: Request) -> Stepper:
    """Return the stepper of this server."""
    stepper: Stepper = request.app.state.stepper
    return stepper


def subject_of(row: ExplorationRow) -> Subject:
    """Return the subject of an exploration, to explore it again. Raises Refusal if it is no longer valid."""
    try:
        return read_subject(json.loads(row.subject_json))
    except (Refusal, UserError) as error:
        why = error.detail if isinstance(error, Refusal) else error
        text = f"the subject of exploration {row.id}, stored by version {row.engine_version}, is no longer valid: {why}"
        raise Refusal(409, "outdated_subject", text) from None


def answer_of(row: ExplorationRow) -> dict[str, Any] | None:
    """Return the answer of an exploration, None before it has one."""
    return json.loads(row.answer_json) if row.answer_json else None


# --- the list --------------------------------------------------------------------------------------------------------


@router.get("/x")
def explorations(
    request: Request,
    q: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    _next: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """List explorations, newest first."""
    rows, following = store_of(request).explorations(ROWS_A_PAGE, _next or None, state=state or None, q=q or None)
    kept = {name: value for name, value in {"q": q, "state": state}.items() if value}
    context = {
        "here": "/x",
        "rows": [(row, answer_of(row)) for row in rows],
        "bounds_words": verdicts.bounds_words,
        "asked": {"q": q, "state": state},
        "filtered": bool(q or state or _next),
        "live": any(row.live for row in rows),
        "url": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        "older": f"/x?{urlencode({**kept, '_next': following})}" if following else "",
    }
    return render(request, "explorations.html", context)


# --- the form --------------------------------------------------------------------------------------------------------


@router.get("/x/new")
def new(
    request: Request,
    table: Annotated[str, Query(max_length=60)] = "",
    preset: Annotated[str, Query(max_length=60)] = "",
    of: Annotated[str, Query(pattern=r"^([0-9a-f]{12})?$")] = "",
) -> Response:
    """Show the form: a text box for a protocol table or a small scenario, and the settings of the search."""
    if table and table not in shipped_tables():
        raise Refusal(404, "no_table", f"unknown table; known tables: {', '.join(shipped_tables())}")
    if preset and preset not in small_presets():
        raise Refusal(404, "no_preset", f"unknown small preset; known presets: {', '.join(small_presets())}")
    if of:
        text = json.dumps(json.loads(find(request, of).subject_json), indent=2, ensure_ascii=False)
    elif preset:
        text = shipped_text(preset)
    else:
        text = shipped_tables()[table or "lost_increment"]
    return _form(request, {"subject": text})


@router.post("/x/new")
async def start(request: Request) -> Response:
    """Start an exploration of the model in the text box; errors are shown above the box."""
    async with request.form(max_files=1, max_fields=20, max_part_size=TEXT_MAX * 4) as form:
        given = {name: value for name, value in form.items() if isinstance(value, str)}
        file = form.get("file")
        if file is not None and not isinstance(file, str) and file.size:
            data = await file.read(TEXT_MAX + 1)
            given["subject"] = data.decode("utf-8", "replace")
    return await run_in_threadpool(_start, request, given)


def _start(request: Request, given: dict[str, str]) -> Response:
    try:
        subject = read_text(given.get("subject", ""), "subject")
        stepper_of(request).refuse_unbounded(subject)
        plan, limits = _plan(given), _limits(given)
        requested = exploration_of(subject, plan, limits, request.app.state.settings)
        key = given.get("key", "")
        sha256 = hashlib.sha256(json.dumps(requested).encode()).hexdigest()
        row, _ = store_of(request).explore(requested, key=f"form-{key}" if key else None, body_sha256=sha256)
    except (HTTPException, UserError) as error:
        refusal = refusal_of(error) if isinstance(error, UserError) else error
        return _form(request, given, refusal)
    return RedirectResponse(f"/x/{row.id}", 303)


def _plan(given: dict[str, str]) -> RequestedPlan:
    """Return the search settings of a form; empty fields have their defaults. Raises Refusal."""
    values: dict[str, Any] = {name: given[name] for name in ("search", "reduction") if given.get(name)}
    values |= {n: _whole(n, given[n]) for n in ("preemptions", "walks", "longest", "depth", "seed") if given.get(n)}
    values |= {"compact": True} if given.get("compact") else {}
    try:
        return RequestedPlan.model_validate(values)
    except ValidationError as error:
        raise refusal_of_model(error, RequestedPlan) from None


def _limits(given: dict[str, str]) -> RequestedLimits:
    values = {name: _whole(name, given[name]) for name in ("states", "megabytes", "seconds") if given.get(name)}
    if "megabytes" in values:
        values["memory_bytes"] = values.pop("megabytes") * MIB
    try:
        return RequestedLimits.model_validate(values)
    except ValidationError as error:
        raise refusal_of_model(error, RequestedLimits) from None


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.strip().isdigit() and len(text) <= 15):
        raise Refusal(422, "wrong_type", f"{name} must be an integer in decimal digits", field=name)
    return int(text)


def _form(request: Request, given: dict[str, str], refusal: HTTPException | None = None) -> Response:
    problem = problem_of(refusal) if refusal else None
    settings = request.app.state.settings
    plan = {name: field.default for name, field in RequestedPlan.model_fields.items()}
    most = {
        "states": settings.explore_states_max,
        "megabytes": settings.explore_bytes_max // MIB,
        "seconds": settings.explore_seconds_max,
    }
    context = {
        "here": "/x",
        "given": plan | most | {"preemptions": ""} | given,
        "most": most,
        "problem": problem,
        "tables": list(shipped_tables()),
        "presets": {name: scenario.name for name, scenario in small_presets().items()},
        "searches": verdicts.SEARCHES,
        "reductions": verdicts.REDUCTIONS,
        "key": new_key(),
    }
    return render(request, "explore.html", context, problem.status if problem else 200)


# --- one exploration -------------------------------------------------------------------------------------------------


@router.get("/x/{exploration_id}.itf.json")
def itf_twin(request: Request, exploration_id: EXPLORATION_ID) -> Response:
    """Return the schedule of the finding as an ITF trace."""
    return in_form(request, find(request, exploration_id), "itf.json", f"/x/{exploration_id}")


@router.get("/x/{exploration_id}.{form}")
def represented(request: Request, exploration_id: EXPLORATION_ID, form: Form_) -> Response:
    """Return an exploration in another format."""
    return in_form(request, find(request, exploration_id), form, f"/x/{exploration_id}")


def in_form(request: Request, row: ExplorationRow, form: str, address: str) -> Response:
    """Return an exploration in the format of a suffix; address: that of its page."""
    answer = answer_of(row)
    if form == "json":
        return JSONResponse(Exploration.of(row).model_dump())
    if form == "pml":
        return _saved(stepper_of(request).export(subject_of(row), "pml", ""), row, form)
    link = f"{str(request.base_url).rstrip('/')}{address}"
    if answer is None or answer["schedule"] is None:
        if form != "txt":
            raise Refusal(404, "no_schedule", "this exploration found no schedule", field="form")
        return PlainTextResponse(verdicts.as_text(row, answer, link))
    text = stepper_of(request).export(subject_of(row), form, answer["schedule"])
    if form == "txt":
        return PlainTextResponse(f"{verdicts.as_text(row, answer, link)}\n{text}")
    return _saved(text, row, form)


def _saved(text: str, row: ExplorationRow, form: str) -> Response:
    """Return a text as a download."""
    headers = {"Content-Disposition": f'attachment; filename="{row.id}.{form}"'}
    media_type = "application/json" if form == "itf.json" else "text/plain; charset=utf-8"
    return Response(text, media_type=media_type, headers=headers)


@router.get("/x/{exploration_id}/status")
def status(request: Request, exploration_id: EXPLORATION_ID) -> Response:
    """Return the progress of an exploration; after its end, make the page reload."""
    return status_of(request, find(request, exploration_id), f"/x/{exploration_id}")


def status_of(request: Request, row: ExplorationRow, address: str) -> Response:
    """Do the same; address: that of the page."""
    page = render(request, "partials/exploring.html", _live_context(row, address))
    if not row.live:
        page.headers["HX-Refresh"] = "true"
    return page


def _live_context(row: ExplorationRow, address: str) -> dict[str, Any]:
    progress = json.loads(row.progress_json) if row.progress_json else None
    return {"row": row, "address": address, "progress": progress, "phases": PHASES}


@router.get("/x/{exploration_id}")
def exploration(request: Request, exploration_id: EXPLORATION_ID) -> Response:
    """Return the page of an exploration: verdict, bounds, counts, and the shortest schedule as columns."""
    row = find(request, exploration_id)
    return render(request, "exploration.html", exploration_context(request, row, f"/x/{row.id}"))


def exploration_context(request: Request, row: ExplorationRow, address: str) -> dict[str, Any]:
    """Return the context of exploration.html; address: that of the page."""
    answer = answer_of(row)
    story_json = store_of(request).story(row.id)
    story = json.loads(story_json) if story_json else None
    subject = json.loads(row.subject_json)
    return _live_context(row, address) | {
        "here": "/x",
        "answer": answer,
        "subject": subject,
        "cells": [
            {"row": cases.ROWS[name], "test": cases.COLUMNS[column]}
            for name, column in of_exploration(str(subject.get("kernel", "")), row.asked_sha256)
        ],
        "plan": json.loads(row.plan_json),
        "limits": json.loads(row.limits_json),
        "sentence": verdicts.sentence(answer) if answer else "",
        "bounds": verdicts.bounds_words(answer) if answer else "",
        "counts": verdicts.counts(answer) if answer else [],
        "findings": verdicts.findings(answer) if answer else [],
        "story": story and story | {"steps": story["steps"][:STEPS_SHOWN], "left_out": story["steps"][STEPS_SHOWN:]},
        "saved_as": [one for one in SAVED_AS if one[0] in ("json", "txt", "pml") or (answer and answer["schedule"])],
        "searches": verdicts.SEARCHES,
        "reductions": verdicts.REDUCTIONS,
    }


@router.post("/x/{exploration_id}/cancel", dependencies=[CountedCancel])
def cancel(request: Request, exploration_id: EXPLORATION_ID) -> Response:
    """Cancel a queued or running exploration."""
    store_of(request).cancel_exploration(find(request, exploration_id).id)
    return RedirectResponse(f"/x/{exploration_id}", 303)


@router.post("/x/{exploration_id}/delete", dependencies=[CountedCancel])
def delete(request: Request, exploration_id: EXPLORATION_ID) -> Response:
    """Delete an exploration."""
    store_of(request).delete_exploration(find(request, exploration_id).id)
    return RedirectResponse("/x", 303)


@router.post("/x/{exploration_id}/run")
def open_as_run(
    request: Request,
    exploration_id: EXPLORATION_ID,
    schedule: Annotated[str, Form(max_length=1 << 16, pattern=r"^[a-z0-9./]+$")],
    smaller: Annotated[bool, Form()] = False,
) -> Response:
    """Play a schedule of a scenario as a run. The same schedule always gives the same run.

    smaller: the schedule belongs to the shrunk scenario of the finding.
    """
    row = find(request, exploration_id)
    scenario = subject_of(row).what
    if not isinstance(scenario, Scenario):
        raise Refusal(
            422, "no_scenario", "a table cannot be played as a run: step through it by hand", field="schedule"
        )
    small = json.loads(row.answer_json or "{}").get("shrunk") if smaller else None
    data = small["subject"] if small else scenario.model_dump(exclude_unset=True)
    run_id = play_schedule(store_of(request), data, schedule, key=f"x-{row.id}", smaller=bool(small), parent_id=row.id)
    return to_run(run_id)


def play_schedule(
    store: Store,
    subject: dict[str, Any],
    schedule: str,
    *,
    key: str,
    smaller: bool = False,
    parent_id: str | None = None,
) -> str:
    """Start the run of a scenario's schedule, and return its id; the same key and schedule give the same run.

    Raises Refusal for a schedule that the scenario does not have.
    """
    try:
        played = Scenario.model_validate(subject | {"schedule": schedule})
    except ValidationError as error:
        raise refusal_of_model(error, Scenario) from None
    digest = hashlib.sha256(f"{schedule}{' smaller' if smaller else ''}".encode()).hexdigest()
    run, _ = store.start_run(
        played, tags=["explored"], key=f"{key}-{digest[:32]}", body_sha256=digest, parent_id=parent_id
    )
    return run.id


# --- by hand ---------------------------------------------------------------------------------------------------------


@router.get("/x/{exploration_id}/at")
def at_start(exploration_id: EXPLORATION_ID) -> Response:
    """Redirect to the initial state."""
    return RedirectResponse(f"/x/{exploration_id}/at/", 308)


@router.get("/x/{exploration_id}/at/{word:path}")
def at(request: Request, exploration_id: EXPLORATION_ID, word: WORD) -> Response:
    """Return one state: its values, its processes, and a link for each enabled step."""
    row = find(request, exploration_id)
    state = stepper_of(request).state_at(subject_of(row), word)
    answer = answer_of(row)
    found = next((one for one in verdicts.findings(answer) if one.schedule == state["word"]), None) if answer else None
    context = {"here": "/x", "row": row, "state": state, "found": found}
    return render(request, "by_hand.html", context)
