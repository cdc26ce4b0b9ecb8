"""Render templates, their filters and globals, and error pages."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.routing import APIRoute
from fastapi.templating import Jinja2Templates
from starlette.exceptions import HTTPException

from app import formats
from app.files import DATA, asset
from app.problems import Problem, problem_of, refusal_of
from app.wording import refusal_of_validation
from engine.errors import Damaged, UserError
from engine.schedule_word import letters

templates = Jinja2Templates(DATA / "templates")
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.globals.update(asset=asset, letters=letters)
templates.env.filters.update(
    whole=formats.whole,
    counted=formats.counted,
    figure=formats.figure,
    quotient=formats.quotient,
    span=formats.span,
    percent=formats.percent,
    ago=formats.ago,
)

LISTS = {"/": "/runs", "/x": "/x", "/matrix": "/matrix", "/recordings": "/recordings", "/designs": "/designs"}
"""Page that lists something -> its address with a suffix (app.lists)."""
SUFFIXES = (("json", "JSON"), ("csv", "CSV"), ("txt", "text for mail"))

HEADINGS = {
    404: "Not found",
    403: "Cross-site request refused",
    409: "Conflict with stored data",
    413: "Too large",
    422: "Invalid request",
    429: "Too many requests",
    503: "Temporarily unavailable",
    507: "Disk full",
}
REMEDIES: dict[int | str, str] = {
    "stepper_busy": "The stepper is busy, or is still loading the engine: try again in a few seconds.",
    "no_share": "Ask for a new link.",
    404: "It may have been deleted, or the address is mistyped.",
    429: "Close other tabs of this server, or wait a few seconds.",
    503: "The server is busy: try again when some of its runs have finished.",
    507: "Delete runs you no longer need, or free disk space on the server.",
}


def render(request: Request, name: str, context: dict[str, Any], status: int = 200) -> HTMLResponse:
    """Return an uncacheable page: a run may advance, and a share link may be revoked."""
    headers = {"Cache-Control": "private, no-store" if context.get("shared") else "no-cache"}
    if (base := LISTS.get(request.url.path)) is not None and status == 200:
        query = f"?{request.url.query}" if request.url.query else ""
        context["twins"] = [(words, f"{base}.{suffix}{query}") for suffix, words in SUFFIXES]
    return templates.TemplateResponse(request, name, context, status_code=status, headers=headers)


def fragment(name: str, context: dict[str, Any]) -> str:
    """Return a partial as text without a request, as for the status line in the event stream."""
    return templates.get_template(name).render(context)


def wants_html(request: Request) -> bool:
    """Return whether the client accepts HTML; /api never answers with a page."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def error_page(request: Request, problem: Problem) -> HTMLResponse:
    """Return the error page of a problem, with a remedy where there is one."""
    context = {
        "problem": problem,
        "heading": HEADINGS.get(problem.status, problem.title),
        "remedy": REMEDIES.get(problem.code) or REMEDIES.get(problem.status, ""),
        "shared": request.url.path.startswith("/s/"),
    }
    return render(request, "error.html", context, problem.status)


def problem_from(request: Request, error: Exception) -> Problem:
    """Convert an exception raised by a handler into the client's Problem."""
    if isinstance(error, UserError | Damaged):
        return problem_of(refusal_of(error))
    if isinstance(error, RequestValidationError):
        return problem_of(refusal_of_validation(request, error))
    assert isinstance(error, HTTPException)
    return problem_of(error)


class PageRoute(APIRoute):
    """A route whose errors are pages for clients that accept HTML."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except (HTTPException, RequestValidationError, UserError, Damaged) as error:
                if not wants_html(request):
                    raise
                return error_page(request, problem_from(request, error))

        return handle_page


def new_key() -> str:
    """Return an idempotency key for one rendered form: submitted twice, it starts one run."""
    return secrets.token_hex(16)
