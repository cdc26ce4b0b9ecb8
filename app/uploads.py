"""Uploads: stream a recording to an unnamed file, parse it in a child process, and store it.

The file disappears when it is closed. engine.recordings limits the parsing; the child keeps it off the server's
interpreter lock, so that viewers are not delayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import unicodedata
from collections.abc import AsyncIterator
from typing import IO, Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from app.children import environment
from app.limits import Limits
from app.refusals import Refusal, visible
from app.settings import Settings
from engine.text import NAME_MAX

READ_S = 600
"""Max. time to parse a recording, in seconds."""
RAW = ("application/octet-stream", "application/gzip", "application/x-gzip", "application/zstd", "text/plain")


class Uploads:
    """Limits a server to limits.uploads concurrent uploads."""

    def __init__(self, settings: Settings, limits: Limits) -> None:
        self.settings, self.limits = settings, limits
        self._busy = 0

    async def take(self, request: Request, name: str | None) -> str:
        """Import the recording in a request and return its id. Raises Refusal."""
        if self._busy >= self.limits.uploads:
            detail = f"{self._busy} uploads in progress: at most {self.limits.uploads} at a time"
            raise Refusal(429, "too_many_uploads", detail, limit=self.limits.uploads)
        self._busy += 1
        try:
            async with received(request) as (file, given):
                return await read_apart(file, name or given, self.settings)
        finally:
            self._busy -= 1


@contextlib.asynccontextmanager
async def received(request: Request) -> AsyncIterator[tuple[IO[bytes], str]]:
    """Receive an upload, raw or as the field `file` of a form: yield the file, rewound, and its name."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            sent = form.get("file")
            if not isinstance(sent, UploadFile):
                raise Refusal(422, "missing", "the form has no field 'file'", field="file")
            await asyncio.to_thread(_on_disk, sent.file)
            yield sent.file, sent.filename or ""
    elif kind in RAW or not kind:
        with tempfile.TemporaryFile() as file:
            async for block in request.stream():
                file.write(block)
            file.flush()
            file.seek(0)
            yield file, ""
    else:
        detail = f"send a form with the field 'file', or the recording itself as one of {', '.join(RAW)}"
        raise Refusal(415, "unsupported_type", detail, field="Content-Type")


def _on_disk(file: Any) -> None:
    """Move a form's file from memory to disk for the child process."""
    file.rollover()
    file.flush()
    file.seek(0)


async def read_apart(file: IO[bytes], name: str, settings: Settings) -> str:
    """Import a recording in a child process; return its id. Raises Refusal with the child's message."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.reading", "--name", recording_name(name)),
        stdin=file.fileno(),
        stdout=asyncio.subprocess.PIPE,
        stderr=None,
        env=environment(settings),
    )
    try:
        async with asyncio.timeout(READ_S):
            output, _ = await child.communicate()
    except TimeoutError:
        detail = f"the import took longer than {READ_S} s: split the recording"
        raise Refusal(422, "too_slow", detail, limit=READ_S) from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    answer = json.loads(output) if output else {}
    if "id" in answer:
        return str(answer["id"])
    if "code" not in answer:
        raise RuntimeError(f"the reading process ended with {child.returncode}")
    raise Refusal(answer["status"], answer["code"], visible(answer["detail"], 400), field=answer["field"])


def recording_name(given: str) -> str:
    """Return a file's base name as one short line for display; it is never used as a path.

    It is escaped before it is cut: the name of a run that plays the recording has the same limit.
    """
    last = unicodedata.normalize("NFC", given.replace("\\", "/").rpartition("/")[2])
    return visible(last, NAME_MAX).strip() or "recording"
