"""Templates, what every template may use, and how a browser is told that something went wrong."""

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
from engine.errors import AskedWrongly, Damaged

templates = Jinja2Templates(DATA / "templates")
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.globals["asset"] = asset
templates.env.filters.update(
    whole=formats.whole, figure=formats.figure, span=formats.span, percent=formats.percent, ago=formats.ago
)

HEADINGS = {
    404: "There is nothing here",
    403: "Not from there",
    409: "That does not fit what is stored",
    413: "That is too large",
    422: "That cannot be done",
    429: "Too much at once",
    503: "Not now",
    507: "The disk is full",
}
REMEDIES: dict[int | str, str] = {
    "stepper_busy": "What steps through worlds is busy, or has just been started: it loads the engine first.",
    404: "The run may have been deleted, or the link to it withdrawn or mistyped.",
    429: "Close some tabs of this server, or wait a little.",
    503: "Runs are waiting for a worker already: try again when some have ended.",
    507: "Delete runs that are no longer needed, or give the server more space.",
}


def render(request: Request, name: str, context: dict[str, Any], status: int = 200) -> HTMLResponse:
    """Return a page that no cache keeps: a run may move on, a shared link be withdrawn."""
    headers = {"Cache-Control": "private, no-store" if context.get("shared") else "no-cache"}
    return templates.TemplateResponse(request, name, context, status_code=status, headers=headers)


def fragment(name: str, context: dict[str, Any]) -> str:
    """Return a partial as text, where there is no request (the stream's status line)."""
    return templates.get_template(name).render(context)


def wants_html(request: Request) -> bool:
    """Return whether a browser asks for a page: what stands under /api never answers with one."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def error_page(request: Request, problem: Problem) -> HTMLResponse:
    """Return the page that tells of a refusal in words, with what may be done."""
    context = {
        "problem": problem,
        "heading": HEADINGS.get(problem.status, problem.title),
        "remedy": REMEDIES.get(problem.code) or REMEDIES.get(problem.status, ""),
        "shared": request.url.path.startswith("/s/"),
    }
    return render(request, "error.html", context, problem.status)


def problem_from(request: Request, error: Exception) -> Problem:
    """Return what an exception of a handler means to the one who asked."""
    if isinstance(error, AskedWrongly | Damaged):
        return problem_of(refusal_of(error))
    if isinstance(error, RequestValidationError):
        return problem_of(refusal_of_validation(request, error))
    assert isinstance(error, HTTPException)
    return problem_of(error)


class PageRoute(APIRoute):
    """A route of a page: its refusals are pages too, for who asks for HTML."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except (HTTPException, RequestValidationError, AskedWrongly, Damaged) as error:
                if not wants_html(request):
                    raise
                return error_page(request, problem_from(request, error))

        return handle_page


def new_key() -> str:
    """Return an idempotency key for one form as rendered: sent twice, it starts one run."""
    return secrets.token_hex(16)
