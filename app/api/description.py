"""OpenAPI: the description of the API, with the media type that errors really have."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.problems import MEDIA_TYPE

ABOUT = """
Start runs, follow them, read their events and share them. Times are whole nanoseconds. Errors are problem+json (RFC
9457) with a stable `code`. JSON bodies are UTF-8 without a byte order mark, at most 1 MiB; unknown keys, duplicate keys
and numbers that are not finite are refused. A share link's token opens the same reading endpoints under
`/api/v1/shared/{token}`, and nothing else.
"""
TAGS = [
    {"name": "runs", "description": "Start, list, cancel, delete."},
    {"name": "reading", "description": "What happened in a run: events, windows, pages, streams."},
    {"name": "shared", "description": "The same, for the holder of a share link."},
    {"name": "sharing", "description": "Make and withdraw share links."},
    {"name": "recordings", "description": "Recordings of real kernels."},
    {
        "name": "explorations",
        "description": "Every interleaving of a small protocol: Never, or the schedule that breaks it.",
    },
    {"name": "catalogue", "description": "Designs, kinds of events, scenarios."},
    {"name": "service", "description": "Health, versions and limits."},
]


def operation_id(route: APIRoute) -> str:
    """Return an operation's name for generated clients: that of its function, shared ones told apart."""
    return f"shared_{route.name}" if "shared" in route.tags else route.name


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
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
