"""A real server on a port of its own, for what an in-process client cannot show."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from app.wire import Connection


class Ready(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextlib.contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    """Serve an application as the product does, in a thread; give the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=Connection, ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    server = Ready(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    assert server.ready.wait(20)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


def talk(port: int, sent: bytes, *, until_closed: bool = True, timeout_s: float = 10) -> bytes:
    """Send bytes on a connection of their own, and return what comes until the server closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as client:
        client.sendall(sent)
        got = b""
        while part := client.recv(65536):
            got += part
            if not until_closed and b"\r\n\r\n" in got:
                break
        return got
