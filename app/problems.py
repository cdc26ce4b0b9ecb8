"""Problems: every error response of this server, as application/problem+json (RFC 9457).

    {"type": "about:blank", "title": "Not Found", "status": 404, "code": "no_run", "detail": "there is no run ..."}

code is stable and meant for programs; field, limit and errors locate the fault, if known. No response quotes more than
app.refusals.SHOWN characters of a request, and none contains a file path, a library name or a traceback.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount

from app.refusals import FieldProblem, Refusal, visible
from app.wording import refusal_of_validation
from engine.errors import Damaged, UserError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {429: "10", 503: "2"}
"""Default Retry-After in seconds, by status."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Problem(BaseModel):
    """An error as in RFC 9457, with a stable code for programs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "code": "too_large",
                    "detail": "scenario.workload.pages is 1000000000000: the maximum is 4194304",
                    "field": "scenario.workload.pages",
                    "limit": 4194304,
                }
            ]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    field: str | None = None
    limit: int | float | str | None = None
    errors: list[FieldProblem] | None = None


def problem_of(refusal: HTTPException) -> Problem:
    """Convert an exception to a Problem; the framework's own exceptions get the name of their status as code."""
    status = HTTPStatus(refusal.status_code)
    if isinstance(refusal, Refusal):
        return Problem(
            title=status.phrase,
            status=status,
            code=refusal.code,
            detail=str(refusal.detail),
            field=refusal.field or None,
            limit=refusal.limit,
            errors=refusal.errors,
        )
    details = {404: "no such address", 405: "this address does not support this method"}
    return Problem(
        title=status.phrase,
        status=status,
        code=status.name.lower(),
        detail=details.get(status, status.description or status.phrase),
    )


def answer(refusal: HTTPException) -> Response:
    """Return the response of a refusal, with Retry-After if retrying may help."""
    headers = dict(refusal.headers or {})
    if refusal.status_code in RETRY_AFTER:
        headers.setdefault("Retry-After", RETRY_AFTER[refusal.status_code])
    headers.setdefault("Cache-Control", "no-store")
    body = problem_of(refusal).model_dump_json(exclude_none=True).encode()
    return Response(body, refusal.status_code, headers, MEDIA_TYPE)


def refusal_of(error: UserError | Damaged) -> Refusal:
    """Convert an error of engine or store; its message may quote user input."""
    text = visible(str(error), 400)
    if isinstance(error, Damaged):
        return Refusal(409, "chunk_corrupt", text)
    return Refusal(error.status, error.code, text, field=error.field)


def allowed(routes: list[BaseRoute], path: str) -> str:
    """Return the methods supported at this path, for the header Allow."""
    found = []
    for method in METHODS:
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
        for route in routes:
            if isinstance(route, Mount) and method != "GET":
                continue  # mounts are static files: read-only
            if route.matches(scope)[0] is Match.FULL:
                found.append(method)
                break
    return ", ".join(["GET", "HEAD", *found[1:]] if found[:1] == ["GET"] else found)


def install(app: FastAPI, page: Callable[[Request, Problem], Response | None] = lambda *_: None) -> None:
    """Convert every error of this application to a Problem, or to a page if `page` returns one."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = page(request, problem_of(error)) or answer(error)
        if error.status_code == 405:
            response.headers["Allow"] = allowed(app.routes, request.scope["path"])
        return response

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(refusal_of_validation(request, error))

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, UserError | Damaged)
        return answer(refusal_of(error))

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(UserError, ours)
    app.add_exception_handler(Damaged, ours)
