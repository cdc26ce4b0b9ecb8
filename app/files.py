"""Static files: static/, and Swagger UI's from its package.

    /static/<version>/js/run.js    cached by browsers forever: a new version has a new address
    /static/js/run.js              revalidated each time, answered 304 if unchanged

Text is compressed once and cached. asset("js/run.js") gives the first form; modules that import each other by relative
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
"""The folder of static/, templates/ and migrations/: inside the package in a wheel, beside it in a checkout."""
STATIC = DATA / "static"
SWAGGER = "swagger/"
"""Paths with this prefix are served from Swagger UI's package."""
TEXT = {".css", ".html", ".js", ".json", ".svg", ".txt"}
FOR_EVER = "public, max-age=31536000, immutable"


@cache
def version() -> str:
    """Return 12 hex digits of a hash over all static files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def asset(path: str) -> str:
    """Return the immutable address of a static file."""
    return f"/static/{version()}/{path}"


@cache
def swagger_folder() -> Path:
    """Return the folder of Swagger UI's files, without importing its package."""
    spec = importlib.util.find_spec("fastapi_offline")
    assert spec is not None, "fastapi-offline is not installed"
    assert spec.origin is not None, "fastapi-offline has no files"
    return Path(spec.origin).parent / "static"


@lru_cache(maxsize=200)
def _compressed(path: str, _changed_ns: int) -> bytes:
    return gzip.compress(Path(path).read_bytes(), 6, mtime=0)


class Files(StaticFiles):
    """Serve static/ and Swagger UI's files, with the caching headers of the address."""

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
        # Never serve dot files.
        if any(part.startswith(".") for part in path.split("/")):
            raise HTTPException(404)
        return super().lookup_path(path)


async def _packed(response: FileResponse, scope: Scope) -> Response:
    """Return the file gzipped if the client accepts that; the ETag tells the two encodings apart."""
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
    etags = headers.get("if-none-match", "")
    return NotModifiedResponse(packed.headers) if packed.headers["ETag"] in etags.split(", ") else packed
