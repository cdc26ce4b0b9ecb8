"""HTML of the matrix of designs and questions; cells.py computes it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app import cells
from app.pages import store_of
from app.rendering import PageRoute, render
from engine.explore import cases

router = APIRouter(include_in_schema=False, route_class=PageRoute, default_response_class=HTMLResponse)


@router.get("/matrix")
def breaks_under(
    request: Request,
    kernel: Annotated[str, Query(max_length=20)] = "",
    left: Annotated[int, Query(ge=0, le=10**6)] = 0,
) -> Response:
    """Return the matrix of designs and questions of a kernel profile; left: explorations not admitted to the queue."""
    return render(
        request, "matrix.html", matrix_context(request, cells.known_kernel(kernel), "/matrix") | {"left": left}
    )


def matrix_context(request: Request, kernel: str, address: str) -> dict[str, Any]:
    """Return the context of matrix.html; address: that of the page."""
    found = cells.shown(store_of(request), kernel)
    return {
        "here": "/matrix",
        "address": address,
        "kernel": kernel,
        "kernels": list(cases.KERNELS),
        "tables": cases.tables(),
        "cells": found,
        "refusal": cases.refusal,
        "live": any(cell.state in ("queued", "running") for cell in found.values()),
        "missing": len(cells.missing(store_of(request), kernel)),
        "left": 0,
    }


@router.post("/matrix")
def explore_missing(request: Request, kernel: Annotated[str, Form(max_length=20)]) -> Response:
    """Queue the missing cells."""
    name = cells.known_kernel(kernel)
    needed = cells.missing(store_of(request), name)
    left = len(store_of(request).explore_all(needed))
    return RedirectResponse(f"/matrix?{urlencode({'kernel': name} | ({'left': left} if left else {}))}", 303)
