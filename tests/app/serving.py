"""A real server on a port of its own, for what an in-process client cannot show."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple

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


class Message(NamedTuple):
    """One server-sent event."""

    event: str
    id: str
    data: str
    retry: str


def follow(port: int, path: str, last_id: str | None = None, timeout_s: float = 30) -> Generator[Message]:
    """Yield the messages of a stream until it ends; closing the generator cuts the connection."""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n"
    head += f"Last-Event-ID: {last_id}\r\n" if last_id is not None else ""
    address = ("127.0.0.1", port)
    with socket.create_connection(address, timeout=timeout_s) as client, closing(HTTPResponse(client)) as answer:
        client.sendall(head.encode() + b"\r\n")
        answer.begin()
        assert answer.status == 200, answer.read()
        fields: dict[str, str] = {}
        for line in answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name and value:
                fields[name] = f"{fields[name]}\n{value}" if name in fields else value
            elif not name and fields:
                yield Message(*(fields.get(key, "") for key in Message._fields))
                fields = {}


class Started(NamedTuple):
    """A product started by its command, with its first line read."""

    process: subprocess.Popen[str]
    port: int

    def get(self, path: str) -> Any:
        return self.ask("GET", path)[1]

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and JSON of a request."""
        client = HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        client.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = client.getresponse()
        text = answer.read()
        client.close()
        return answer.status, json.loads(text) if text else None

    def until(self, path: str, true: Callable[[Any], bool], seconds: float = 60) -> Any:
        """Ask again and again until the answer fits, and return it."""
        pause, end = threading.Event(), time.monotonic() + seconds
        while not true(found := self.get(path)):
            assert time.monotonic() < end, found
            pause.wait(0.05)
        return found


@contextlib.contextmanager
def started(data: Path, *words: str, **variables: str) -> Iterator[Started]:
    """Start `folioscope serve` on a free port; it is stopped at the end, if it is not already."""
    command = [sys.executable, "-m", "app.cli", "serve", "--json", "--port", "0", "--data", str(data), *words]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield Started(process, int(json.loads(line)["address"].rpartition(":")[2]))
    finally:
        process.terminate()
        process.communicate(timeout=20)
