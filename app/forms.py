"""Forms that start and stop runs; app.recordings has the one that plays a recording.

Every rendered form carries an idempotency key, so that submitting it twice starts one run; app.guard rejects cross-site
requests.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from app.api.deps import CountedCancel
from app.pages import RUN_ID, find_run, store_of
from app.problems import problem_of, refusal_of
from app.refusals import Refusal
from app.rendering import PageRoute, new_key, render
from app.shown import design_words, workload_words
from app.store.runs import RequestedRun
from app.subjects import read_scenario_text
from app.tags import read_tags
from engine.designs import DESIGNS
from engine.errors import UserError
from engine.scenario import Scenario
from engine.scenarios import shipped, shipped_text

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)

PACES = (
    (0, "full speed"),
    (1, "1 ms/s (1000x slower)"),
    (10, "10 ms/s (100x slower)"),
    (100, "100 ms/s (10x slower)"),
    (1000, "real time"),
)
PACE_MAX = 1_000_000
KEY = Annotated[str, Form(min_length=8, max_length=100)]
PACE = Annotated[int, Form(ge=0, le=PACE_MAX)]
SCENARIO_CHARACTERS_MAX = 1 << 20


# --- a new run -------------------------------------------------------------------------------------------------------


@router.get("/new")
def new(request: Request, preset: Annotated[str, Query(max_length=60)] = "") -> Response:
    """Show the presets, and a text box for a custom scenario."""
    presets = shipped()
    if preset and preset not in presets:
        raise Refusal(404, "no_preset", f"unknown preset; known presets: {', '.join(presets)}")
    return _new_page(request, shipped_text(preset or next(iter(presets))))


@router.post("/new")
def start(
    request: Request,
    key: KEY,
    preset: Annotated[str, Form(max_length=60)] = "",
    scenario: Annotated[str, Form(max_length=SCENARIO_CHARACTERS_MAX)] = "",
    pace: PACE = 0,
    tags: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Start a run of a preset or of the scenario in the text box; errors are shown beside the form that was sent."""
    try:
        return to_run(_start(request, _asked(preset, scenario), pace, _tags(tags), key))
    except (HTTPException, UserError) as error:
        refusal = refusal_of(error) if isinstance(error, UserError) else error
        text = scenario or shipped_text(preset if preset in shipped() else next(iter(shipped())))
        return _new_page(request, text, refusal, preset, pace, tags)


def _asked(preset: str, scenario: str) -> Scenario:
    """Return the requested scenario. Raises Refusal or UserError with field, line and remedy."""
    if not preset:
        return read_scenario_text(scenario)
    if preset not in shipped():
        raise Refusal(404, "no_preset", f"unknown preset; known presets: {', '.join(shipped())}")
    return shipped()[preset]


def _new_page(
    request: Request,
    text: str,
    refusal: HTTPException | None = None,
    refused_preset: str = "",
    pace: int = 0,
    tags: str = "",
) -> Response:
    """Return the page, with the refusal of the scenario in the text box, or of a preset."""
    problem = problem_of(refusal) if refusal else None
    context = {
        "here": "/new",
        "presets": {name: (preset, preset_words(preset)) for name, preset in shipped().items()},
        "scenario_text": text,
        "problem": problem,
        "refused": (refused_preset or "scenario") if problem else "",
        "paces": PACES,
        "chosen_pace": pace,
        "tags_text": tags,
        "key": new_key(),
    }
    return render(request, "new.html", context, problem.status if problem else 200)


def preset_words(scenario: Scenario) -> str:
    """Return a one-line description of a preset."""
    length = f", {scenario.events_max:,} events" if scenario.workload.kind == "tasks" else ""
    data = scenario.model_dump()
    return f"{design_words(data)}; {workload_words(data)}; kernel {scenario.profile}{length}"


def _tags(text: str) -> list[str]:
    return read_tags([tag.strip() for tag in text.split(",") if tag.strip()])


def requested(scenario: Scenario, pace: int, tags: list[str], key: str) -> RequestedRun:
    """Return the run that a form requests. Submitting the same form again gives the same run."""
    body = json.dumps([scenario.canonical().decode(), pace, tags]).encode()
    return RequestedRun(scenario, pace or None, tuple(tags), f"form-{key}", hashlib.sha256(body).hexdigest())


def _start(request: Request, scenario: Scenario, pace: int, tags: list[str], key: str) -> str:
    """Start a run and return its id."""
    return store_of(request).start_runs([requested(scenario, pace, tags, key)])[0][0].id


def to_run(run_id: str) -> Response:
    """Redirect to a run's page, so that a reload does not resubmit the form."""
    return RedirectResponse(f"/r/{run_id}", 303)


# --- replay and cancel ------------------------------------------------------------------------------------------------


@router.post("/r/{run_id}/again")
def again(
    request: Request,
    run_id: RUN_ID,
    key: KEY,
    design: Annotated[str, Form(max_length=60)],
    bits: Annotated[int | None, Form(ge=1, le=20)] = None,
) -> Response:
    """Play a run's scenario under another design or with another number of shared queues (2^bits) at the same pace,
    and redirect to the comparison."""
    row = find_run(store_of(request), run_id)
    scenario = under(row.to_play(), design, bits)
    return RedirectResponse(f"/c/{run_id},{_start(request, scenario, row.pace_ms_per_s or 0, [], key)}", 303)


def under(scenario: Scenario, design: str, bits: int | None = None) -> Scenario:
    """Return a scenario under another wait design; bits: power of two of its shared queues, where it has any. Raises
    Refusal for an unknown design."""
    if design not in DESIGNS:
        raise Refusal(422, "unknown_value", f"unknown design; known designs: {', '.join(DESIGNS)}", field="design")
    options = DESIGNS[design].options
    kept = {name: value for name, value in scenario.wait.model_dump().items() if name in options.model_fields}
    if bits is not None and "bits" in options.model_fields:
        kept["bits"] = bits
    wait = options.model_validate({**kept, "design": design})
    return scenario.model_copy(update={"wait": wait})


@router.post("/r/{run_id}/cancel", dependencies=[CountedCancel])
def cancel(
    request: Request, run_id: RUN_ID, back: Annotated[str, Form(pattern=r"^(/c/[0-9a-f]{12},[0-9a-f]{12})?$")] = ""
) -> Response:
    """Cancel a queued or running run, and redirect to its page, or back to the comparison that asked for it."""
    find_run(store_of(request), run_id)
    store_of(request).cancel(run_id)
    return RedirectResponse(back, 303) if back else to_run(run_id)


@router.post("/r/{run_id}/delete", dependencies=[CountedCancel])
def delete(request: Request, run_id: RUN_ID) -> Response:
    """Delete a run with its events and share links, and redirect to the list."""
    store_of(request).delete(find_run(store_of(request), run_id).id)
    return RedirectResponse("/", 303)
