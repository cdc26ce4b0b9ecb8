"""REST: create, list and revoke share links. app.api.reading serves the shared runs under their token."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.api.deps import FoundRun, problems, store_of
from app.api.models import NewShare, Share, ShareList
from app.api.requests import ShareRun, ShareRuns
from app.strict import StrictRoute

router = APIRouter(tags=["sharing"], route_class=StrictRoute)

ShareId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="id of the link, not its secret")]


@router.post("/runs/{run_id}/shares", status_code=201, responses=problems(400, 403, 404, 408, 413, 415, 422, 507))
def share_run(request: Request, run: FoundRun, body: ShareRun, response: Response) -> NewShare:
    """Create a read-only link to a run, opened at `view`."""
    return _share(request, response, [run.id], body)


@router.post("/shares", status_code=201, responses=problems(400, 403, 404, 408, 413, 415, 422, 507))
def share_runs(request: Request, body: ShareRuns, response: Response) -> NewShare:
    """Create a read-only link to one run, or to a comparison of two."""
    return _share(request, response, body.runs, body)


def _share(request: Request, response: Response, run_ids: list[str], body: ShareRun) -> NewShare:
    expires_ns = None if body.expires_s is None else time.time_ns() + body.expires_s * 10**9
    row, token = store_of(request).share(run_ids, body.view, expires_ns)
    response.headers["Cache-Control"] = "private, no-store"
    return NewShare(**Share.fields_of(row), token=token, path=f"/s/{token}" + (f"?{body.view}" if body.view else ""))


@router.get("/runs/{run_id}/shares", responses=problems(404))
def list_shares(request: Request, run: FoundRun) -> ShareList:
    """List the links to a run, including revoked ones."""
    return ShareList(shares=[Share(**Share.fields_of(row)) for row in store_of(request).shares(run.id)])


@router.delete("/shares/{share_id}", status_code=204, response_class=Response, responses=problems(403, 404))
def revoke_share(request: Request, share_id: ShareId) -> Response:
    """Revoke a link: it stops working, and streams opened through it end within a second."""
    store_of(request).revoke(share_id)
    return Response(status_code=204)
