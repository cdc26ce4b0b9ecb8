"""The HTTP connection: uvicorn's protocol, with limits on size and time of the header; clients that never read are
dropped, whatever they asked for."""

from __future__ import annotations

import array
import asyncio
import contextlib
import socket
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from app.limits import LIMITS
from app.problems import MEDIA_TYPE, problem_of
from app.refusals import Refusal

try:
    import fcntl
    import termios
except ImportError:  # not a Unix
    fcntl = None  # type: ignore[assignment]

SEND_BUFFER_BYTES = 1 << 16
"""What the kernel buffers of a stream; it doubles this number for its own needs."""
LINGER_S = 1.0
"""How long data from a rejected client is read and discarded."""


class Connection(HttpToolsProtocol):
    """One client's connection. Handlers find it as scope["state"]["connection"] and may call drop() and narrow()."""

    stuck_s = LIMITS.stuck_s
    """A client is dropped within this time from when it stopped reading, but not sooner than after half of it."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self._head_bytes = 0
        self._in_head = True
        self._refused = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._stuck_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Whatever the client has not taken pauses writing: so what is left of a response that is complete is seen, too.
        transport.set_write_buffer_limits(high=0)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_watching()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck_timer = self.loop.call_later(self.stuck_s / 2, self._look, None)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching()

    def _look(self, before: int | None) -> None:
        """Drop the client if it has taken none of the unsent bytes since the last look.

        before: their number then. Nothing is added to them while writing is paused. Those that the kernel holds count,
        too: it asks for more only when a good part of its buffer is free, which takes a slow client a while.
        """
        unsent = self.transport.get_write_buffer_size() + _held_by_kernel(self.transport.get_extra_info("socket"))
        if before is not None and unsent >= before:
            self.drop()
        else:
            self._stuck_timer = self.loop.call_later(self.stuck_s / 2, self._look, unsent)

    def _stop_watching(self) -> None:
        if self._stuck_timer is not None:
            self._stuck_timer.cancel()
            self._stuck_timer = None

    def narrow(self) -> None:
        """Keep the kernel from buffering megabytes for a client that does not read."""
        with contextlib.suppress(OSError, ValueError):  # it may have left
            client = self.transport.get_extra_info("socket")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            # llhttp accepts a header of any size, and uvicorn waits for its end indefinitely.
            self._head_bytes += len(data)
            if self._head_bytes > LIMITS.header_bytes:
                self._refuse(Refusal(431, "headers_too_large", f"the header exceeds {LIMITS.header_bytes} bytes"))
            elif self._head_timer is None:
                self._await_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0

    def on_headers_complete(self) -> None:
        self._stop_timer()
        self._in_head = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        self._refuse(Refusal(400, "bad_request", "this is not a valid HTTP request"))

    def drop(self) -> None:
        """Close at once, and discard unsent data."""
        self.transport.abort()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(LIMITS.header_s, self._late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self._refuse(Refusal(408, "slow_header", f"the header was not received within {LIMITS.header_s:g} s"))

    def _refuse(self, refusal: Refusal) -> None:
        """Answer data that is not a valid request, and close a moment later."""
        body = problem_of(refusal).model_dump_json(exclude_none=True).encode()
        fields = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[refusal.status_code] + fields.encode() + body)
        # Closing while the client still sends would reset the connection, and our answer with it.
        self._refused = True
        self._stop_timer()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


def _held_by_kernel(client: socket.socket) -> int:
    """Return the bytes sent that the client's side has not acknowledged; 0 where that is not told."""
    count = array.array("i", [0])
    with contextlib.suppress(OSError, ValueError):
        if fcntl is not None:
            fcntl.ioctl(client.fileno(), termios.TIOCOUTQ, count)
    return count[0]
