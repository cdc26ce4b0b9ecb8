"""The connection: headers without end, slow ones and nonsense are answered in our shape, and closed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from app import wire
from app.guard import Guard
from app.limits import Limits
from app.main import create_app
from app.store import open_store
from tests.app.explored import settings_in
from tests.app.serving import follow, served, talk
from tests.app.stored import play_log
from tests.app.synthetic import Log


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what came; at /drop cut the connection in the middle of the answer."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/drop":
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        scope["state"]["connection"].drop()
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    small = Limits(header_s=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "LIMITS", small)
        with served(Guard(inner)) as port:
            yield port


def problem(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head.lower()
    found: dict[str, Any] = json.loads(body)
    return found


HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


def test_given_a_request_when_sent_then_it_is_answered(port: int) -> None:
    assert talk(port, HEAD + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n", 400),
        (HEAD + b"X: " + b"a" * 200_000, 431),
        (HEAD + b"".join(b"X-%d: a\r\n" % n for n in range(5_000)) + b"Connection: close\r\n\r\n", 431),
        (b"GET /" + b"a" * 100_000, 431),
        (HEAD, 408),
        (b"", 408),
    ],
)
def test_given_a_head_that_cannot_be_when_sent_then_it_is_refused_and_closed(
    port: int, sent: bytes, status: int
) -> None:
    answer = talk(port, sent)
    assert answer.startswith(b"HTTP/1.1 %d" % status)
    assert problem(answer)["status"] == status


def test_given_a_header_byte_by_byte_when_it_takes_too_long_then_it_is_408(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD)
        closed = threading.Event()

        def drip() -> None:
            while not closed.wait(0.05):
                try:
                    client.sendall(b"X")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        got = client.recv(65536)
        closed.set()
        dripping.join()
    assert got.startswith(b"HTTP/1.1 408")


def test_given_a_connection_that_is_kept_when_a_second_request_dawdles_then_it_is_408(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD + b"\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET /")
        assert client.recv(65536).startswith(b"HTTP/1.1 408")


def test_given_a_body_that_is_far_too_large_when_sent_then_its_sender_reads_the_413(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20000000\r\n\r\n"
    answer = talk(port, head + b"x" * 20_000_000)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def test_given_a_client_that_asks_first_when_the_body_is_too_large_then_it_is_told_before_it_sends(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20000000\r\nExpect: 100-continue\r\n\r\n"
    assert talk(port, head).startswith(b"HTTP/1.1 413")


def test_given_a_client_that_is_dropped_when_it_reads_then_its_answer_ends_in_the_middle(port: int) -> None:
    answer = talk(port, b"GET /drop HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert not answer.endswith(b"0\r\n\r\n")


def silent(port: int, path: str) -> socket.socket:
    """Ask for something, and read none of it; the little that is buffered here is soon full."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return client


def test_given_viewers_that_never_read_when_their_time_is_over_then_they_are_dropped_and_others_read_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wire.Connection, "stuck_s", 1.0)
    settings = settings_in(tmp_path)
    with closing(open_store(settings)) as store:
        run = play_log(store, Log(1, 20_000, truth=False), [16_384]).id
        app = create_app(settings, store)
        path = f"/api/v1/runs/{run}/stream?events=1"
        with served(app) as port:
            stuck = [silent(port, path) for _ in range(10)]
            ends, pause = time.monotonic() + 20, threading.Event()
            while len(app.state.hub.streams) < len(stuck):
                assert time.monotonic() < ends, "the streams have begun"
                pause.wait(0.01)
            events = [each for each in follow(port, path) if each.event == "events"]
            assert sum(len(json.loads(each.data)) for each in events) == 20_000
            while app.state.hub.streams:
                assert time.monotonic() < ends, "viewers that never read are dropped"
                pause.wait(0.05)
            for client in stuck:
                client.close()


def test_given_a_client_that_reads_nothing_of_a_large_answer_then_it_is_dropped_and_a_slow_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wire.Connection, "stuck_s", 0.6)
    block, sent = bytes(1 << 16), threading.Event()

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        sent.set()

    with served(large) as port, closing(silent(port, "/")):
        assert sent.wait(10), "what is sent to a client that was dropped is thrown away"
        with closing(silent(port, "/")) as slow:
            got, pause = 0, threading.Event()
            for _ in range(12):  # for twice the time
                got += len(slow.recv(1 << 16))
                pause.wait(0.1)
            while part := slow.recv(1 << 20):
                got += len(part)
                if part.endswith(b"0\r\n\r\n"):
                    break
            assert got > 200 * len(block)
