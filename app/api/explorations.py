"""REST: start, list, read, cancel and delete explorations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.api.deps import CountedCancel, Size, problems, store_of
from app.api.exploration_models import Exploration, ExplorationLine, ExplorationList
from app.api.models import State
from app.api.requests import StartExploration, sha256_of
from app.api.runs import Key
from app.plans import exploration_of
from app.refusals import Refusal
from app.store import ExplorationRow
from app.strict import StrictRoute
from app.subjects import read_preset, read_subject, read_text

router = APIRouter(tags=["explorations"], route_class=StrictRoute)

ExplorationId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="12 hex digits")]


def find_exploration(request: Request, exploration_id: ExplorationId) -> ExplorationRow:
    """Return the exploration that the path names."""
    row = store_of(request).exploration(exploration_id)
    if row is None:
        raise Refusal(404, "no_exploration", f"there is no exploration {exploration_id}", field="exploration_id")
    return row


Found = Annotated[ExplorationRow, Depends(find_exploration)]


@router.post(
    "/explorations",
    status_code=201,
    response_model=Exploration,
    responses={
        200: {"model": Exploration, "description": "This key has already started the exploration"},
        201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "address of the exploration"}}},
        **problems(400, 403, 404, 408, 413, 415, 422, 503, 507),
    },
)
def start_exploration(request: Request, response: Response, body: StartExploration, key: Key = None) -> Exploration:
    """Explore every interleaving of a small protocol. The request is validated completely before it is queued."""
    if body.preset is not None:
        subject = read_preset(body.preset, body.set)
    else:
        subject = read_text(body.table) if body.table is not None else read_subject(body.subject)
    request.app.state.stepper.refuse_unbounded(subject)
    requested = exploration_of(subject, body.plan, body.limits, request.app.state.settings)
    sha256 = sha256_of(body)
    row, created = store_of(request).explore(requested, key=key, body_sha256=sha256)
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/api/v1/explorations/{row.id}"
    return Exploration.of(row)


@router.get("/explorations", responses=problems(422))
def list_explorations(
    request: Request,
    response: Response,
    state: Annotated[State | None, Query()] = None,
    q: Annotated[str | None, Query(min_length=1, max_length=200, description="words in the name")] = None,
    size: Size = 50,
    after: Annotated[
        str | None, Query(alias="_next", pattern="^[0-9a-f]{1,15}$", description="`next` of the previous page")
    ] = None,
) -> ExplorationList:
    """List explorations, newest first, page by page."""
    rows, token = store_of(request).explorations(size, after, state=state, q=q)
    if token is not None:
        url = request.url.include_query_params(_next=token)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return ExplorationList(explorations=[ExplorationLine.of(row) for row in rows], next=token)


@router.get("/explorations/{exploration_id}", responses=problems(404))
def read_exploration(found: Found) -> Exploration:
    """Return an exploration: its progress and its answer."""
    return Exploration.of(found)


@router.post(
    "/explorations/{exploration_id}/cancel", responses=problems(403, 404, 409, 429), dependencies=[CountedCancel]
)
def cancel_exploration(request: Request, found: Found) -> Exploration:
    """Cancel an exploration; its answer states what it had covered."""
    return Exploration.of(store_of(request).cancel_exploration(found.id))


@router.delete(
    "/explorations/{exploration_id}",
    status_code=204,
    response_class=Response,
    responses=problems(403, 404, 409, 429),
    dependencies=[CountedCancel],
)
def delete_exploration(request: Request, found: Found) -> Response:
    """Delete an exploration with its answer; a running one is cancelled first."""
    store_of(request).delete_exploration(found.id)
    return Response(status_code=204)
