"""REST: create, list and revoke share links. app.api.reading serves the shared runs under their token."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from app.api.deps import FoundRun, problems, store_of
from app.api.explorations import Found as FoundExploration
from app.api.models import NewShare, Share, ShareList
from app.api.requests import ShareRun, ShareRuns
from app.cells import known_kernel
from app.strict import StrictRoute

router = APIRouter(tags=["sharing"], route_class=StrictRoute)

ShareId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="id of the link, not its secret")]


@router.post("/runs/{run_id}/shares", status_code=201, responses=problems(400, 403, 404, 408, 413, 415, 422, 507))
def share_run(request: Request, run: FoundRun, body: ShareRun, response: Response) -> NewShare:
    """Create a read-only link to a run, opened at `view`."""
    return _share(request, response, [run.id], body)


@router.post("/shares", status_code=201, responses=problems(400, 403, 404, 408, 413, 415, 422, 507))
def share_runs(request: Request, body: ShareRuns, response: Response) -> NewShare:
    """Create a read-only link to one run, to a comparison of two, to an exploration, or to a matrix."""
    if body.exploration is not None:
        names = [f"x/{body.exploration}"]
    elif body.matrix is not None:
        names = [f"matrix/{known_kernel(body.matrix)}"]
    else:
        names = body.runs or []
    return _share(request, response, names, body)


def _share(request: Request, response: Response, names: list[str], body: ShareRun) -> NewShare:
    expires_ns = None if body.expires_s is None else time.time_ns() + body.expires_s * 10**9
    row, token = store_of(request).share(names, body.view, expires_ns)
    response.headers["Cache-Control"] = "private, no-store"
    return NewShare(**Share.fields_of(row), token=token, path=f"/s/{token}" + (f"?{body.view}" if body.view else ""))


@router.get("/runs/{run_id}/shares", responses=problems(404))
def list_shares(request: Request, run: FoundRun) -> ShareList:
    """List the links to a run, including revoked ones."""
    return _listed(request, run.id)


@router.get("/explorations/{exploration_id}/shares", responses=problems(404))
def list_exploration_shares(request: Request, found: FoundExploration) -> ShareList:
    """List the links to an exploration, including revoked ones."""
    return _listed(request, f"x/{found.id}")


@router.get("/matrix/shares", responses=problems(422))
def list_matrix_shares(
    request: Request, kernel: Annotated[str, Query(max_length=20, description="kernel profile")] = ""
) -> ShareList:
    """List the links to the matrix of a kernel profile, including revoked ones."""
    return _listed(request, f"matrix/{known_kernel(kernel)}")


def _listed(request: Request, name: str) -> ShareList:
    return ShareList(shares=[Share(**Share.fields_of(row)) for row in store_of(request).shares(name)])


@router.delete("/shares/{share_id}", status_code=204, response_class=Response, responses=problems(403, 404))
def revoke_share(request: Request, share_id: ShareId) -> Response:
    """Revoke a link: it stops working, and streams opened through it end within a second."""
    store_of(request).revoke(share_id)
    return Response(status_code=204)
