"""Build the OpenAPI document, with the real media type of errors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.problems import MEDIA_TYPE

ABOUT = """
Start runs, follow them, read their events and share them. Times are whole nanoseconds. Errors are
problem+json as in RFC 9457, with a stable `code`. JSON bodies are UTF-8 without a byte order mark, at most 1 MiB;
unknown keys, duplicate keys and non-finite numbers are rejected. The token of a share link grants access to the same
read endpoints under `/api/v1/shared/{token}`, and to nothing else.
"""
TAGS = [
    {"name": "runs", "description": "Start, list, cancel, delete."},
    {"name": "reading", "description": "Read a run: events, windows, pages, streams."},
    {"name": "shared", "description": "The same endpoints for holders of a share link."},
    {"name": "sharing", "description": "Create and revoke share links."},
    {"name": "recordings", "description": "Recordings of real kernels."},
    {
        "name": "explorations",
        "description": "Every interleaving of a small protocol: Never, or the schedule that breaks it.",
    },
    {"name": "catalogue", "description": "Designs, event kinds, scenarios."},
    {"name": "service", "description": "Health, versions and limits."},
]


def operation_id(route: APIRoute) -> str:
    """Return an operation's name for generated clients: its function's name, with a prefix for shared routes."""
    return f"shared_{route.name}" if "shared" in route.tags else route.name


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, built once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes, tags=TAGS)
        schemas = document["components"]["schemas"]
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for operation in [operation for path in document["paths"].values() for operation in path.values()]:
            for status, answer in operation["responses"].items():
                if (status >= "400" and status != "503") or "Problem" in str(answer):
                    answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        app.openapi_schema = document
    return app.openapi_schema
