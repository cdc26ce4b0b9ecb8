"""Starting, listing, cancelling and deleting runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import AfterValidator

from app.api.deps import CountedCancel, FoundRun, Size, problems, store_of
from app.api.models import Run, RunLine, RunList, State
from app.api.requests import StartRun, sha256_of
from app.changes import changed, preset_named
from app.strict import StrictRoute
from engine.designs import DESIGNS
from engine.scenario import Scenario

router = APIRouter(tags=["runs"], route_class=StrictRoute)

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="repeated requests with the same key and body start one run; keys are kept for at least a day",
    ),
]


def known_design(name: str) -> str:
    """Return the name of a design. Raises ValueError for an unknown one."""
    if name not in DESIGNS:
        raise ValueError(f"unknown design; known designs: {', '.join(DESIGNS)}")
    return name


Design = Annotated[str, AfterValidator(known_design)]
Filter = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.post(
    "/runs",
    status_code=201,
    response_model=Run,
    responses={
        200: {"model": Run, "description": "This key has already started the run"},
        201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "address of the run"}}},
        **problems(400, 403, 404, 408, 413, 415, 422, 503, 507),
    },
)
def start_run(request: Request, response: Response, body: StartRun, key: Key = None) -> Run:
    """Start a run of a scenario or a preset on a worker. An invalid request starts nothing."""
    row, created = store_of(request).start_run(
        scenario_of(body),
        pace_ms_per_s=body.pace_ms_per_s,
        tags=list(dict.fromkeys(body.tags)),
        key=key,
        body_sha256=sha256_of(body),
    )
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/api/v1/runs/{row.id}"
    return Run.of(row)


def scenario_of(body: StartRun) -> Scenario:
    """Return the requested scenario. Raises Refusal for an unknown preset, or for changes that do not fit it."""
    if body.scenario is not None:
        return body.scenario
    assert body.preset is not None, "the model requires exactly one"
    return changed(preset_named(body.preset), body.set)


@router.get("/runs", responses=problems(422))
def list_runs(
    request: Request,
    response: Response,
    state: Annotated[State | None, Query()] = None,
    design: Annotated[Design | None, Query()] = None,
    tag: Filter = None,
    q: Annotated[str | None, Query(min_length=1, max_length=200, description="words in the name")] = None,
    size: Size = 50,
    after: Annotated[
        str | None, Query(alias="_next", pattern="^[0-9a-f]{1,15}$", description="`next` of the previous page")
    ] = None,
) -> RunList:
    """List runs, newest first, page by page."""
    rows, token = store_of(request).runs(size, after, state=state, design=design, tag=tag, q=q)
    if token is not None:
        url = request.url.include_query_params(_next=token)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return RunList(runs=[RunLine.of(row) for row in rows], next=token)


@router.post("/runs/{run_id}/cancel", responses=problems(403, 404, 409, 429), dependencies=[CountedCancel])
def cancel_run(request: Request, run: FoundRun) -> Run:
    """Cancel a run: a queued run is removed from the queue, a running one stops within two seconds."""
    return Run.of(store_of(request).cancel(run.id))


@router.delete(
    "/runs/{run_id}",
    status_code=204,
    response_class=Response,
    responses=problems(403, 404, 409, 429),
    dependencies=[CountedCancel],
)
def delete_run(request: Request, run: FoundRun) -> Response:
    """Delete a run with its events and share links; a running one is cancelled first."""
    store_of(request).delete(run.id)
    return Response(status_code=204)
