"""Server-sent events (WHATWG HTML, section 9.2): the messages, and the response that sends them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"
PING = b": ping\n\n"


def message(data: str, *, event: str = "", id: int | None = None, retry_ms: int | None = None) -> bytes:
    """Return one message, with one field per line of data; htmx swaps in messages without an event name."""
    fields = [f"event: {event}"] if event else []
    fields += [f"id: {id}"] if id is not None else []
    fields += [f"retry: {retry_ms}"] if retry_ms is not None else []
    fields += [f"data: {line}" for line in data.splitlines() or [""]]
    return ("\n".join(fields) + "\n\n").encode()


def end(why: str) -> bytes:
    """Return the last message of a stream. why: the state in which the run ended, gone, or damaged."""
    return message(f'{{"why":"{why}"}}', event="end")


GONE = message("{}", event="gone") + end("gone")
"""The end of a stream whose run was deleted, or whose link was revoked."""


class EventStream(Response):
    """Send messages until they end or the client disconnects; done is called exactly once.

    The server's connection drops a client that does not read (app.wire).
    """

    media_type = MEDIA_TYPE

    def __init__(self, messages: AsyncGenerator[bytes], done: Callable[[EventStream], None]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.messages, self.done = messages, done
        self._connection: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._connection = scope.get("state", {}).get("connection")
        sending = asyncio.ensure_future(self._send_all(send, head=bool(scope.get("folioscope.head"))))
        leaving = asyncio.ensure_future(_gone(receive))
        try:
            if self._connection is not None:
                self._connection.narrow()
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, leaving):
                task.cancel()
            with contextlib.suppress(BaseException):
                await asyncio.gather(sending, leaving, return_exceptions=True)
            await self.messages.aclose()
            self.done(self)
        if not sending.cancelled() and (error := sending.exception()):
            raise error

    async def _send_all(self, send: Send, *, head: bool) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if not head:
            async for body in self.messages:
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def drop(self) -> None:
        """Drop the connection, and discard unsent data."""
        if self._connection is not None:
            self._connection.drop()


async def _gone(receive: Receive) -> None:
    """Wait until the client has closed its end."""
    while (await receive())["type"] != "http.disconnect":
        pass
