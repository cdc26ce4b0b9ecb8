"""Forms that start and stop runs. Every rendered form carries an idempotency key, so that submitting it twice starts
one run; app.guard rejects cross-site requests.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from app.formats import counted
from app.pages import RUN_ID, find_run, store_of
from app.problems import problem_of, refusal_of
from app.refusals import Refusal
from app.rendering import PageRoute, new_key, render
from app.shown import design_words, workload_words
from app.strict import parse_json
from app.wording import refusal_of_model
from engine.designs import DESIGNS
from engine.errors import UserError
from engine.recordings.missing import missing
from engine.recordings.moves import Report
from engine.scenario import Recorded, Scenario
from engine.scenarios import shipped

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
    text = _as_text(presets[preset] if preset else next(iter(presets.values())))
    return _new_page(request, text)


@router.post("/new")
def start(
    request: Request,
    key: KEY,
    preset: Annotated[str, Form(max_length=60)] = "",
    scenario: Annotated[str, Form(max_length=SCENARIO_CHARACTERS_MAX)] = "",
    pace: PACE = 0,
    tags: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Start a run of a preset or of the scenario in the text box; errors are shown above the box."""
    try:
        return to_run(_start(request, _asked(preset, scenario), pace, _tags(tags), key))
    except (HTTPException, UserError) as error:
        refusal = refusal_of(error) if isinstance(error, UserError) else error
        return _new_page(request, scenario, refusal, pace, tags)


def _asked(preset: str, scenario: str) -> Scenario:
    """Return the requested scenario. Raises Refusal with field and remedy."""
    if preset:
        if preset not in shipped():
            raise Refusal(404, "no_preset", f"unknown preset; known presets: {', '.join(shipped())}")
        return shipped()[preset]
    value = parse_json(scenario.encode("utf-8", "surrogatepass"), "the scenario")
    try:
        return Scenario.model_validate(value)
    except ValidationError as error:
        raise refusal_of_model(error, Scenario) from None


def _new_page(
    request: Request, text: str, refusal: HTTPException | None = None, pace: int = 0, tags: str = ""
) -> Response:
    problem = problem_of(refusal) if refusal else None
    context = {
        "here": "/new",
        "presets": {name: (preset, preset_words(preset)) for name, preset in shipped().items()},
        "scenario_text": text,
        "problem": problem,
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


def _as_text(scenario: Scenario) -> str:
    return json.dumps(scenario.model_dump(exclude_unset=True), indent=2, ensure_ascii=False)


def _tags(text: str) -> list[str]:
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def _start(request: Request, scenario: Scenario, pace: int, tags: list[str], key: str) -> str:
    """Start a run and return its id. Submitting the same form again returns the same run."""
    body = json.dumps([scenario.canonical().decode(), pace, tags]).encode()
    body_sha256 = hashlib.sha256(body).hexdigest()
    row, _ = store_of(request).start_run(
        scenario, pace_ms_per_s=pace or None, tags=tags, key=f"form-{key}", body_sha256=body_sha256
    )
    return row.id


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


@router.post("/r/{run_id}/cancel")
def cancel(
    request: Request, run_id: RUN_ID, back: Annotated[str, Form(pattern=r"^(/c/[0-9a-f]{12},[0-9a-f]{12})?$")] = ""
) -> Response:
    """Cancel a queued or running run, and redirect to its page, or back to the comparison that asked for it."""
    find_run(store_of(request), run_id)
    store_of(request).cancel(run_id)
    return RedirectResponse(back, 303) if back else to_run(run_id)


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
    rows = store_of(request).recordings()
    context = {
        "here": "/recordings",
        "recordings": [shown_recording(row) for row in rows],
        "designs": [(name, card.title) for name, card in DESIGNS.items()],
        "paces": PACES,
        "bytes_most": request.app.state.settings.recording_bytes_max,
    }
    return render(request, "recordings.html", context)


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
    recording_id: Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")],
    key: KEY,
    design: Annotated[list[str], Form(max_length=8)],
    pace: PACE = 0,
) -> Response:
    """Play a recording under the selected designs, and redirect to the run, the comparison of two, or the list."""
    row = store_of(request).recording(recording_id)
    if row is None:
        raise Refusal(404, "no_recording", f"there is no recording {recording_id}")
    scenario = played(row)
    scenarios = [under(scenario, name) for name in dict.fromkeys(design)]
    tag = f"together-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    tags = [tag] if len(scenarios) > COMPARED else []
    ids = [_start(request, one, pace, tags, f"{key}-{number}") for number, one in enumerate(scenarios)]
    if tags:
        return RedirectResponse(f"/?tag={tag}", 303)
    return to_run(ids[0]) if len(ids) == 1 else RedirectResponse(f"/c/{ids[0]},{ids[1]}", 303)


def played(row: RecordingRow) -> Scenario:
    """Return the scenario that plays a recording, with the kernel profile detected in it."""
    return Scenario.model_validate({"name": row.name, "workload": Recorded(kind="recording", recording=row.id)})
