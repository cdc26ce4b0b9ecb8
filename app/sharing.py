"""HTML behind share links: the page of what a link opens, read-only, and its other formats."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app import explorations, lists, matrix, pages
from app.pages import TOKEN, private, store_of
from app.refusals import Refusal
from app.rendering import PageRoute, render

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)


def opened(request: Request, token: str) -> tuple[str, str]:
    """Return what a link opens: kind (x or matrix; "" for runs) and name. Raises Refusal for one that opens nothing."""
    share = store_of(request).by_token(token)
    if share is None:
        raise Refusal(404, "no_share", "this link is invalid, revoked or expired")
    kind, _, name = share.names[0].rpartition("/")
    return kind, name


@router.get("/s/{token}.itf.json")
def shared_itf(request: Request, token: TOKEN) -> Response:
    """Return the schedule of a shared exploration's finding as an ITF trace."""
    return _represented(request, token, "itf.json")


@router.get("/s/{token}.{suffix}")
def shared_twin(
    request: Request, token: TOKEN, suffix: Literal["json", "csv", "txt", "pml", "shiviz", "dot"]
) -> Response:
    """Return what a link opens in another format."""
    return _represented(request, token, suffix)


@router.get("/s/{token}")
def shared_view(request: Request, token: TOKEN) -> Response:
    """Return the read-only page of what a link opens."""
    kind, name = opened(request, token)
    address = f"/s/{token}"
    if kind == "x":
        context = explorations.exploration_context(request, explorations.find(request, name), address)
        return private(render(request, "exploration.html", context | {"shared": True}))
    if kind == "matrix":
        context = matrix.matrix_context(request, name, address)
        return private(render(request, "matrix.html", context | {"shared": True}))
    return pages.shared_view(request, token)


@router.get("/s/{token}/status")
def shared_status(request: Request, token: TOKEN) -> Response:
    """Return the progress of a shared exploration."""
    kind, name = opened(request, token)
    if kind != "x":
        raise Refusal(404, "not_found", "no such address")
    return private(explorations.status_of(request, explorations.find(request, name), f"/s/{token}"))


def _represented(request: Request, token: str, suffix: str) -> Response:
    kind, name = opened(request, token)
    if kind == "x" and suffix != "csv":
        row = explorations.find(request, name)
        return private(explorations.in_form(request, row, suffix, f"/s/{token}"))
    if not kind and suffix in ("json", "csv", "txt"):
        return pages.shared_twin(request, token, suffix)
    if kind == "matrix" and suffix in ("json", "csv", "txt"):
        return private(lists.matrix_in(request, suffix, name, f"/s/{token}"))
    raise Refusal(404, "not_found", "no such address")
