"""Forms that start and stop runs. Every rendered form carries an idempotency key, so that submitting it twice starts
one run; app.guard rejects cross-site requests.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from app.api.deps import CountedCancel
from app.formats import counted
from app.pages import RUN_ID, find_run, store_of
from app.problems import problem_of, refusal_of
from app.refusals import Refusal
from app.rendering import PageRoute, new_key, render
from app.shown import design_words, workload_words
from app.store.runs import RequestedRun
from app.subjects import read_scenario_text
from app.tags import read_tags
from app.uploads import recording_name
from engine.designs import DESIGNS
from engine.errors import UserError
from engine.recordings.missing import missing
from engine.recordings.moves import Report
from engine.scenario import Recorded, Scenario
from engine.scenarios import shipped, shipped_text

if TYPE_CHECKING:
    from app.store import RecordingRow

COMPARED = 2
"""Number of runs in a comparison."""

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)

PACES = (
    (0, "full speed"),
    (1, "1 ms/s (1000x slower)"),
    (10, "10 ms/s (100x slower)"),
    (100, "100 ms/s (10x slower)"),
    (1000, "real time"),
)
PACE_MAX = 1_000_000
RECORDING_ID = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
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


def _requested(scenario: Scenario, pace: int, tags: list[str], key: str) -> RequestedRun:
    """Return the run that a form requests. Submitting the same form again gives the same run."""
    body = json.dumps([scenario.canonical().decode(), pace, tags]).encode()
    return RequestedRun(scenario, pace or None, tuple(tags), f"form-{key}", hashlib.sha256(body).hexdigest())


def _start(request: Request, scenario: Scenario, pace: int, tags: list[str], key: str) -> str:
    """Start a run and return its id."""
    return store_of(request).start_runs([_requested(scenario, pace, tags, key)])[0][0].id


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


# --- recordings ------------------------------------------------------------------------------------------------------


class ShownRecording(NamedTuple):
    """A recording as its card shows it."""

    id: str
    name: str
    key: str
    facts: list[tuple[str, str]]
    events: list[tuple[str, int, int]]
    bad_lines: list[tuple[int, str, str]]
    warnings: tuple[str, ...]


@router.get("/recordings")
def recordings(request: Request) -> Response:
    """List the recordings with their import reports."""
    return _recordings_page(request)


def _recordings_page(request: Request, refusal: HTTPException | None = None, refused: str = "") -> Response:
    """Return the page; refused: the recording whose form was refused."""
    problem = problem_of(refusal) if refusal else None
    rows = store_of(request).recordings()
    context = {
        "here": "/recordings",
        "recordings": [shown_recording(row) for row in rows],
        "designs": [(name, card.title) for name, card in DESIGNS.items()],
        "paces": PACES,
        "bytes_most": request.app.state.settings.recording_bytes_max,
        "problem": problem,
        "refused": refused,
    }
    return render(request, "recordings.html", context, problem.status if problem else 200)


def shown_recording(row: RecordingRow) -> ShownRecording:
    """Return a recording with its formatted report."""
    report = Report.model_validate_json(row.report_json)
    length = max(0, report.last_time_ns - report.first_time_ns)
    facts: list[tuple[str, Any]] = [
        ("format", f"{report.form} {report.compressed}".strip()),
        ("kernel", row.kernel or "unknown"),
        ("lines", f"{report.lines:,}"),
        ("used", f"{sum(report.used.values()):,}"),
        ("skipped", f"{sum(report.skipped.values()):,}"),
        ("unreadable", f"{report.bad_lines:,}"),
        ("lost", lost_words(report)),
        ("waits never woken", f"{report.waits_without_wake_count:,}"),
        (
            "length",
            f"{length / 1e9:.3g} s on {counted(report.cpus, 'CPU') if report.cpus else 'an unknown number of CPUs'}",
        ),
    ]
    names = sorted({*report.used, *report.skipped}, key=lambda name: -report.used.get(name, 0))
    events = [(name, report.used.get(name, 0), report.skipped.get(name, 0)) for name in names]
    bad = [(bad.line, bad.why, bad.text) for bad in report.bad]
    return ShownRecording(row.id, row.name, new_key(), facts, events, bad, missing(report))


def lost_words(report: Report) -> str:
    """Return the events lost in a recording, according to its markers and its header."""
    parts = [counted(report.lost_events, "event")]
    if report.lost_marks:
        parts.append(counted(report.lost_marks, "gap of unknown size", "gaps of unknown size"))
    if report.buffer_lost:
        parts.append(f"{report.buffer_lost:,} overwritten in the ring buffer")
    return ", ".join(parts)


@router.post("/recordings/{recording_id}/play")
def play(
    request: Request,
    recording_id: RECORDING_ID,
    key: KEY,
    design: Annotated[list[str] | None, Form(max_length=8)] = None,
    pace: PACE = 0,
) -> Response:
    """Play a recording under the selected designs, and redirect to the run, the comparison of two, or the list."""
    row = store_of(request).recording(recording_id)
    if row is None:
        raise Refusal(404, "no_recording", f"there is no recording {recording_id}")
    try:
        return _play(request, row, key, list(dict.fromkeys(design or [])), pace)
    except (HTTPException, UserError) as error:
        refusal = refusal_of(error) if isinstance(error, UserError) else error
        return _recordings_page(request, refusal, recording_id)


def _play(request: Request, row: RecordingRow, key: str, designs: list[str], pace: int) -> Response:
    """Start all of the runs, or raise and start none."""
    if not designs:
        raise Refusal(422, "missing", "select at least one design", field="design")
    scenario = played(row)
    scenarios = [under(scenario, name) for name in designs]
    tag = f"together-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    tags = [tag] if len(scenarios) > COMPARED else []
    requests = [_requested(one, pace, tags, f"{key}-{number}") for number, one in enumerate(scenarios)]
    ids = [run.id for run, _ in store_of(request).start_runs(requests)]
    if tags:
        return RedirectResponse(f"/?tag={tag}", 303)
    return to_run(ids[0]) if len(ids) == 1 else RedirectResponse(f"/c/{ids[0]},{ids[1]}", 303)


@router.post("/recordings/{recording_id}/delete", dependencies=[CountedCancel])
def delete_recording(request: Request, recording_id: RECORDING_ID) -> Response:
    """Delete a recording, and redirect to those that are left."""
    store_of(request).delete_recording(recording_id)
    return RedirectResponse("/recordings", 303)


def played(row: RecordingRow) -> Scenario:
    """Return the scenario that plays a recording, with the kernel profile detected in it."""
    return Scenario(name=recording_name(row.name), workload=Recorded(kind="recording", recording=row.id))
