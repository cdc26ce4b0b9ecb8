"""REST: read the matrix of designs and questions, and queue its missing cells."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request

from app import cells
from app.api.deps import problems, store_of
from app.api.exploration_models import Matrix, MatrixQueued
from app.api.requests import ExploreMissing
from app.strict import StrictRoute

router = APIRouter(tags=["explorations"], route_class=StrictRoute)

Kernel = Annotated[str, Query(max_length=20, description="kernel profile; the default if absent")]


@router.get("/matrix", responses=problems(422))
def read_matrix(request: Request, kernel: Kernel = "") -> Matrix:
    """Return rows (designs), columns (invariants and litmus tests) and cells with their verdicts."""
    return Matrix(**cells.table(store_of(request), cells.known_kernel(kernel)))


@router.post("/matrix", status_code=202, responses=problems(400, 403, 408, 413, 415, 422, 507))
def explore_missing(request: Request, body: ExploreMissing) -> MatrixQueued:
    """Queue the missing cells of a kernel profile, or all, as many as the queue admits."""
    name, store = cells.known_kernel(body.kernel), store_of(request)
    needed = cells.everything(store.settings, name) if body.everything else cells.missing(store, name)
    left = store.explore_all(needed)
    page = f"/matrix?{urlencode({'kernel': name})}"
    return MatrixQueued(kernel=name, queued=len(needed) - len(left), left=len(left), page=page)
