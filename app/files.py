"""The files that this server hands out: static/, and Swagger UI's from the package that carries them.

    /static/<version>/js/run.js    kept by browsers for ever: another version is another address
    /static/js/run.js              asked for again each time, answered 304 while it is the same

Text is compressed once and kept. asset("js/run.js") gives the first form; modules that import each other by relative
paths stay within one version.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import re
from functools import cache, lru_cache
from os import stat_result
from pathlib import Path

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Scope

_CARRIED = Path(__file__).parent / "_data"
DATA = _CARRIED if _CARRIED.is_dir() else Path(__file__).parent.parent
"""Where static/, templates/ and migrations/ stand: in a wheel inside the package, in a checkout beside it."""
STATIC = DATA / "static"
SWAGGER = "swagger/"
"""Paths under this come from Swagger UI's package."""
TEXT = {".css", ".html", ".js", ".json", ".svg", ".txt"}
FOR_EVER = "public, max-age=31536000, immutable"


@cache
def version() -> str:
    """Return 12 hex digits that name the content of all static files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def asset(path: str) -> str:
    """Return the address of a static file that browsers may keep for ever."""
    return f"/static/{version()}/{path}"


@cache
def swagger_folder() -> Path:
    """Return the folder of Swagger UI's files; the package is found, not imported."""
    spec = importlib.util.find_spec("fastapi_offline")
    assert spec is not None, "fastapi-offline is not installed"
    assert spec.origin is not None, "fastapi-offline has no files"
    return Path(spec.origin).parent / "static"


@lru_cache(maxsize=200)
def _compressed(path: str, _changed_ns: int) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 6, mtime=0)


class Files(StaticFiles):
    """static/ and Swagger UI's files, with the caching that the address asks for."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)
        self._swagger = StaticFiles(directory=swagger_folder())

    async def get_response(self, path: str, scope: Scope) -> Response:
        named, _, rest = path.partition("/")
        old_or_new = re.fullmatch("[0-9a-f]{12}", named) is not None
        path = rest if old_or_new else path
        if path.startswith(SWAGGER):
            response = await self._swagger.get_response(path.removeprefix(SWAGGER), scope)
        else:
            response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = FOR_EVER if named == version() else "no-cache"
        if isinstance(response, FileResponse) and Path(response.path).suffix in TEXT:
            return await _packed(response, scope)
        return response

    def lookup_path(self, path: str) -> tuple[str, stat_result | None]:
        # A dot file is nobody's to read, should one ever lie there.
        if any(part.startswith(".") for part in path.split("/")):
            raise HTTPException(404)
        return super().lookup_path(path)


async def _packed(response: FileResponse, scope: Scope) -> Response:
    """Return the same file compressed, for a client that takes it so; its ETag says which form it is."""
    response.headers["Vary"] = "Accept-Encoding"
    headers = Headers(scope=scope)
    if "gzip" not in headers.get("accept-encoding", "") or "range" in headers:
        return response
    assert response.stat_result is not None, "StaticFiles gives every file its stat"
    body = await anyio.to_thread.run_sync(_compressed, str(response.path), response.stat_result.st_mtime_ns)
    packed = Response(body, media_type=response.media_type)
    for name in ("Cache-Control", "Vary", "Last-Modified"):
        packed.headers[name] = response.headers[name]
    packed.headers["Content-Encoding"] = "gzip"
    packed.headers["ETag"] = response.headers["etag"].rstrip('"') + '-gz"'
    asked = headers.get("if-none-match", "")
    return NotModifiedResponse(packed.headers) if packed.headers["ETag"] in asked.split(", ") else packed
