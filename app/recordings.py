"""The page of recordings: imported ones, those that ship with the project, and the forms that play and delete them."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from app.api.deps import CountedCancel
from app.formats import counted
from app.forms import KEY, PACE, PACES, requested, to_run, under
from app.pages import store_of
from app.problems import problem_of, refusal_of
from app.refusals import Refusal
from app.rendering import PageRoute, new_key, render
from app.uploads import recording_name
from engine.designs import DESIGNS
from engine.errors import UserError
from engine.recordings.missing import missing
from engine.recordings.moves import Report
from engine.recordings.shipped import ShippedRecording, shipped_recordings
from engine.scenario import Scenario
from engine.workloads import Recorded

if TYPE_CHECKING:
    from app.store import RecordingRow

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)

COMPARED = 2
"""Number of runs in a comparison."""
QUEUE_BITS = (4, 6, 8, 10, 12, 14, 16)
"""Numbers of shared queues to choose from, as powers of two; the kernel has 2^8."""
RECORDING_ID = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")]
RECORDING = Annotated[str, Path(pattern=r"^([0-9a-f]{12}|[a-z][a-z-]{1,40})$")]


class ShownRecording(NamedTuple):
    """A recording as its card shows it. shipped: what a shipped one shows and where it is from, None for others."""

    id: str
    name: str
    key: str
    facts: list[tuple[str, str]]
    events: list[tuple[str, int, int]]
    bad_lines: list[tuple[int, str, str]]
    warnings: tuple[str, ...]
    shipped: ShippedRecording | None = None


@router.get("/recordings")
def recordings(request: Request) -> Response:
    """List the recordings with their import reports: imported ones, newest first, then the shipped ones."""
    return _recordings_page(request)


def _recordings_page(request: Request, refusal: HTTPException | None = None, refused: str = "") -> Response:
    """Return the page; refused: the recording whose form was refused."""
    problem = problem_of(refusal) if refusal else None
    shipped = [_shown_shipped(name)._replace(key=new_key()) for name in shipped_recordings()]
    imported = [shown_recording(row) for row in store_of(request).recordings()]
    context = {
        "here": "/recordings",
        "recordings": [*imported, *shipped],
        "designs": [(name, card.title) for name, card in DESIGNS.items()],
        "queue_bits": QUEUE_BITS,
        "paces": PACES,
        "bytes_most": request.app.state.settings.recording_bytes_max,
        "problem": problem,
        "refused": refused,
    }
    return render(request, "recordings.html", context, problem.status if problem else 200)


def shown_recording(row: RecordingRow) -> ShownRecording:
    """Return an imported recording with its formatted report."""
    return _shown(row.id, row.name, row.kernel, Report.model_validate_json(row.report_json))


@cache
def _shown_shipped(name: str) -> ShownRecording:
    """Return a shipped recording with its report; the first call reads the file, which takes about a second."""
    one = shipped_recordings()[name]
    report = one.read().report
    return _shown(name, one.title, report.kernel, report)._replace(shipped=one)


def _shown(recording_id: str, name: str, kernel: str, report: Report) -> ShownRecording:
    length = max(0, report.last_time_ns - report.first_time_ns)
    facts: list[tuple[str, Any]] = [
        ("format", f"{report.form} {report.compressed}".strip()),
        ("kernel", kernel or "unknown"),
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
    return ShownRecording(recording_id, name, new_key(), facts, events, bad, missing(report))


def lost_words(report: Report) -> str:
    """Return the events lost in a recording, according to its markers and its header."""
    parts = [counted(report.lost_events, "event")]
    if report.lost_marks:
        parts.append(counted(report.lost_marks, "gap of unknown size", "gaps of unknown size"))
    if report.buffer_lost:
        parts.append(f"{report.buffer_lost:,} overwritten in the ring buffer")
    return ", ".join(parts)


@router.get("/recordings/{file}")
def shipped_file(file: Annotated[str, Path(max_length=80)]) -> Response:
    """Return a shipped recording, or the truth of its wake-ups, as a download."""
    known = {path.name: path for one in shipped_recordings().values() for path in (one.trace, one.truth)}
    if file not in known:
        raise Refusal(404, "no_recording", "no file of this name ships with this server")
    return FileResponse(known[file], media_type="application/gzip", filename=file)


@router.post("/recordings/{recording_id}/play")
def play(
    request: Request,
    recording_id: RECORDING,
    key: KEY,
    design: Annotated[list[str] | None, Form(max_length=8)] = None,
    bits: Annotated[int, Form(ge=1, le=20)] = 8,
    pace: PACE = 0,
) -> Response:
    """Play a recording under the selected designs, and redirect to the run, the comparison of two, or the list.

    bits: 2^bits queues, for designs that share queues among pages.
    """
    scenario = played(request, recording_id)
    try:
        return _play(request, scenario, key, list(dict.fromkeys(design or [])), bits, pace)
    except (HTTPException, UserError) as error:
        refusal = refusal_of(error) if isinstance(error, UserError) else error
        return _recordings_page(request, refusal, recording_id)


def _play(request: Request, scenario: Scenario, key: str, designs: list[str], bits: int, pace: int) -> Response:
    """Start all of the runs, or raise and start none."""
    if not designs:
        raise Refusal(422, "missing", "select at least one design", field="design")
    scenarios = [under(scenario, name, bits) for name in designs]
    tag = f"together-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
    tags = [tag] if len(scenarios) > COMPARED else []
    requests = [requested(one, pace, tags, f"{key}-{number}") for number, one in enumerate(scenarios)]
    ids = [run.id for run, _ in store_of(request).start_runs(requests)]
    if tags:
        return RedirectResponse(f"/?tag={tag}", 303)
    return to_run(ids[0]) if len(ids) == 1 else RedirectResponse(f"/c/{ids[0]},{ids[1]}", 303)


@router.post("/recordings/{recording_id}/delete", dependencies=[CountedCancel])
def delete_recording(request: Request, recording_id: RECORDING_ID) -> Response:
    """Delete an imported recording, and redirect to those that are left."""
    store_of(request).delete_recording(recording_id)
    return RedirectResponse("/recordings", 303)


def played(request: Request, recording_id: str) -> Scenario:
    """Return the scenario that plays a recording, with the kernel profile detected in it. Raises Refusal 404."""
    workload = Recorded(kind="recording", recording=recording_id)
    if one := shipped_recordings().get(recording_id):
        return Scenario(name=one.title, story=one.shows, workload=workload)
    row = store_of(request).recording(recording_id)
    if row is None:
        raise Refusal(404, "no_recording", f"there is no recording {recording_id}")
    return Scenario(name=recording_name(row.name), workload=workload)
