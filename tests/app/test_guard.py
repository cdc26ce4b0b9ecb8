"""The guard: hosts, origins, tokens, sizes and slow bodies are refused; every answer carries the security headers."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from app.guard import CSP, Guard
from app.limits import Limits

SMALL = Limits(body_bytes=1_000, upload_bytes=5_000, body_s=0.2, guesses_per_minute=3, idle_s=0.1, idle_bytes=100)
LOCAL = "http://127.0.0.1:8340"


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def fault(request: Request) -> Response:
    raise ValueError("a secret path: /root/secret")


async def late_fault(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ValueError("too late to say so")

    return StreamingResponse(parts())


async def shared(request: Request) -> Response:
    return PlainTextResponse(
        "open" if request.path_params["token"] == "right" else "none",
        200 if request.path_params["token"] == "right" else 404,
    )


ROUTES = [
    Route("/echo", echo, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    Route("/api/v1/recordings", echo, methods=["GET", "POST"]),
    Route("/fault", fault),
    Route("/late-fault", late_fault),
    Route("/s/{token}", shared),
    Route("/static/x", echo),
]
INNER = Starlette(routes=ROUTES)


def client(**given: Any) -> TestClient:
    guard = Middleware(Guard, **{"limits": SMALL, **given})
    return TestClient(Starlette(routes=ROUTES, middleware=[guard]), base_url=LOCAL)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("path", ["/echo", "/nothing", "/fault", "/static/x", "/s/wrong"])
def test_given_any_answer_when_looked_at_then_it_carries_the_security_headers(path: str) -> None:
    headers = client().get(path).headers
    assert headers["content-security-policy"] == CSP
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == ("no-referrer" if path.startswith("/s/") else "same-origin")
    assert len(headers["x-request-id"]) == 12
    assert not [name for name in headers if name.startswith("access-control-")]


def test_given_the_policy_when_read_then_it_allows_no_inline_script_and_no_eval() -> None:
    script = next(part for part in CSP.split("; ") if part.startswith("script-src"))
    assert script == "script-src 'self'"
    assert "frame-ancestors 'none'" in CSP
    assert "unsafe-eval" not in CSP


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.0.0.1:1", "LOCALHOST:8340", "[::1]", "[::1]:8340", "folio.example:443"]
)
def test_given_a_known_host_when_asked_then_it_is_answered(host: str) -> None:
    assert client(hosts=["folio.example"]).get("/echo", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil@localhost",
        "localhost:x",
        "",
        "localhost/",
        "[::2]",
    ],
)
def test_given_another_host_when_asked_then_it_is_421(host: str) -> None:
    assert code(client(hosts=["folio.example"]).get("/echo", headers={"host": host})) == (421, "wrong_host")


UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "null"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "same-origin", "origin": "http://evil.example"},
    ],
)
def test_given_a_page_of_another_site_when_it_changes_something_then_it_is_403(
    method: str, headers: dict[str, str]
) -> None:
    assert code(client().request(method, "/echo", headers=headers)) == (403, "cross_site")


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin", "origin": LOCAL},
        {"origin": LOCAL.replace("http", "https")},
        {"sec-fetch-site": "none"},
    ],
)
def test_given_our_own_page_or_a_program_when_it_changes_something_then_it_may(
    method: str, headers: dict[str, str]
) -> None:
    assert client().request(method, "/echo", headers=headers).status_code == 200


@pytest.mark.parametrize("method", ["GET", *UNSAFE])
@pytest.mark.parametrize("order", [(LOCAL, "http://evil.example"), ("http://evil.example", LOCAL), (LOCAL, LOCAL)])
def test_given_two_origins_when_sent_then_it_is_403_whichever_comes_first(method: str, order: tuple[str, str]) -> None:
    headers = [(b"origin", origin.encode()) for origin in order]
    assert exchange(Guard(INNER), scope_of(method, headers=headers), [])[0]["status"] == 403


@pytest.mark.parametrize("name", [b"authorization", b"content-type", b"idempotency-key", b"last-event-id"])
def test_given_a_header_twice_when_only_one_of_them_is_read_then_it_is_400(name: bytes) -> None:
    scope = scope_of("POST", headers=[(name, b"a"), (name, b"b")])
    assert exchange(Guard(INNER), scope, [])[0]["status"] == 400


def test_given_a_link_on_another_site_when_followed_then_reading_is_allowed() -> None:
    assert client().get("/echo", headers={"sec-fetch-site": "cross-site"}).status_code == 200


TOKEN = "a token of this test"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"Basic {base64.b64encode(f'any:{TOKEN}'.encode()).decode()}", 200),
        ("", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("Bearer", 401),
        ("Basic ?", 401),
        ("Basic /////w==", 401),
        (TOKEN, 401),
    ],
)
def test_given_a_token_is_set_when_asked_then_only_its_holder_is_let_in(authorization: str, status: int) -> None:
    answer = client(token=TOKEN).get("/echo", headers={"authorization": authorization} if authorization else {})
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize("path", ["/s/right", "/static/x"])
def test_given_a_token_is_set_when_a_share_link_is_opened_then_it_needs_none(path: str) -> None:
    assert client(token=TOKEN).get(path).status_code == 200


def test_given_a_body_over_the_limit_when_sent_then_it_is_413_and_names_it() -> None:
    answer = client().post("/echo", content=b"x" * 1_001)
    assert code(answer) == (413, "body_too_large")
    assert answer.json()["limit"] == 1_000
    assert client().post("/echo", content=b"x" * 1_000).status_code == 200


def test_given_an_upload_when_larger_than_other_bodies_then_it_has_a_limit_of_its_own() -> None:
    assert client().post("/api/v1/recordings", content=b"x" * 4_000).status_code == 200
    assert code(client().post("/api/v1/recordings", content=b"x" * 71_000)) == (413, "body_too_large")


def exchange(guard: Guard, scope: Scope, received: list[Message | float]) -> list[Message]:
    """Run one exchange by hand; a number among the messages is a pause that the client makes."""
    sent: list[Message] = []
    waiting = list(received)

    async def receive() -> Message:
        while waiting and isinstance(waiting[0], float):
            await asyncio.sleep(waiting.pop(0))  # type: ignore[arg-type]
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)  # type: ignore[return-value]

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(guard(scope, receive, send))
    return sent


def scope_of(
    method: str = "GET", path: str = "/echo", headers: list[tuple[bytes, bytes]] | None = None, **more: Any
) -> Scope:
    base = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": ""}
    own = {"method": method, "path": path, "raw_path": path.encode(), "query_string": b"", "client": ("127.0.0.1", 1)}
    return {
        **base,
        **own,
        "server": ("127.0.0.1", 8340),
        "headers": [(b"host", b"127.0.0.1"), *(headers or [])],
        **more,
    }


def test_given_a_body_without_length_when_it_grows_too_large_then_it_is_refused_at_the_limit() -> None:
    story: list[str] = []
    parts = iter(range(50))

    async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass

    async def receive() -> Message:
        story.append("part")
        return {"type": "http.request", "body": b"x" * 100, "more_body": next(parts) < 49}

    async def send(message: Message) -> None:
        story.append(str(message.get("status", "body")))

    scope = scope_of("POST", headers=[(b"transfer-encoding", b"chunked")])
    asyncio.run(Guard(read_all, limits=SMALL)(scope, receive, send))
    assert story[:13] == ["part"] * 11 + ["413", "body"]
    assert story[-1] == "body", "the rest is thrown away before the answer ends, so that its sender can read it"


def test_given_a_body_that_does_not_come_when_waited_for_then_it_is_408() -> None:
    part: Message = {"type": "http.request", "body": b"x", "more_body": True}
    scope = scope_of("POST", headers=[(b"content-length", b"900")])
    sent = exchange(Guard(INNER, limits=SMALL), scope, [part, 0.05, part, 0.05, part])
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def test_given_an_upload_that_falls_silent_when_waited_for_then_it_is_408_long_before_its_time() -> None:
    parts: list[Message | float] = []
    for _ in range(9):  # a byte now and then is silence, too
        parts += [{"type": "http.request", "body": b"x", "more_body": True}, 0.03]
    scope = scope_of("POST", "/api/v1/recordings", headers=[(b"content-length", b"4000")])
    sent = exchange(Guard(INNER, limits=SMALL._replace(upload_s=60)), scope, parts)
    assert sent[0]["status"] == 408
    assert b"less than 100 bytes" in sent[1]["body"]


def test_given_an_upload_that_comes_steadily_when_it_is_slow_then_it_is_taken() -> None:
    parts: list[Message | float] = []
    for _ in range(8):
        parts += [{"type": "http.request", "body": b"x" * 100, "more_body": True}, 0.05]
    last: Message = {"type": "http.request", "body": b"x", "more_body": False}
    scope = scope_of("POST", "/api/v1/recordings", headers=[(b"content-length", b"801")])
    sent = exchange(Guard(INNER, limits=SMALL._replace(upload_s=60)), scope, [*parts, last])
    assert (sent[0]["status"], sent[1]["body"]) == (200, b"x" * 801)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("path", ["/page", "/data"])
def test_given_an_answer_that_says_later_then_it_says_how_much_later(status: int, path: str) -> None:
    async def busy(_: Request) -> Response:
        return PlainTextResponse("later", status, {} if path == "/page" else {"Retry-After": "7"})

    app = Starlette(routes=[Route(path, busy)], middleware=[Middleware(Guard)])
    later = TestClient(app, base_url=LOCAL).get(path).headers["retry-after"]
    assert int(later) > 0
    assert (later == "7") == (path == "/data")


@pytest.mark.parametrize("path", ["/a\x00b", "/a\nb", "/\x7f", "/\ufffd", "/" + "a" * 3_000])
def test_given_a_path_of_strange_characters_when_asked_then_it_is_404(path: str) -> None:
    assert exchange(Guard(INNER), scope_of(path=path, raw_path=b"/"), [])[0]["status"] == 404


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"headers": [(b"host", b"localhost"), (b"x", b"y" * 70_000)]}, 431),
        ({"headers": [(b"host", b"localhost"), *[(b"x", b"y")] * 200]}, 431),
        ({"headers": [(b"host", b"localhost"), (b"host", b"localhost")]}, 421),
        ({"headers": []}, 421),
        ({"headers": [(b"host", b"localhost"), (b"content-length", b"-1")]}, 400),
        ({"headers": [(b"host", b"localhost"), (b"content-length", b"9" * 5_000)]}, 413),
        ({"query_string": b"a=" * 20_000}, 414),
    ],
)
def test_given_a_head_out_of_bounds_when_asked_then_it_is_refused(changed: dict[str, Any], status: int) -> None:
    assert exchange(Guard(INNER), {**scope_of(), **changed}, [])[0]["status"] == status


def test_given_head_when_asked_then_it_answers_as_get_without_a_body() -> None:
    get, head = client().get("/echo"), client().head("/echo")
    own = {"x-request-id"}
    assert {k: v for k, v in head.headers.items() if k not in own} == {
        k: v for k, v in get.headers.items() if k not in own
    }
    assert (head.status_code, head.content) == (200, b"")


def test_given_a_fault_of_ours_when_it_happens_then_nothing_of_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client().get("/fault")
    assert code(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.json()["detail"]
    assert answer.headers["x-request-id"] in caplog.text


def test_given_a_fault_after_the_answer_began_when_it_happens_then_the_answer_is_cut_off() -> None:
    with pytest.raises(ValueError, match="too late"):
        client().get("/late-fault")


def test_given_wrong_tokens_when_guessed_then_the_address_must_wait() -> None:
    guarded = client()
    assert [guarded.get(f"/s/{n}").status_code for n in range(5)] == [404, 404, 404, 429, 429]
    assert guarded.get("/s/right").status_code == 429


def test_given_a_share_link_when_opened_then_no_cache_keeps_it_and_no_log_tells_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "folioscope.access"):
        answer = client().get("/s/right")
    assert answer.headers["cache-control"] == "private, no-store"
    told = [record.getMessage() for record in caplog.records if record.name == "folioscope.access"]
    assert "right" not in told[0]
    assert "/s/..." in told[0]


def test_given_a_path_with_line_breaks_when_logged_then_it_stays_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "folioscope.access"):
        exchange(Guard(INNER), scope_of(path="/a\r\nb\x1b[31m" + "c" * 300, raw_path=b"/"), [])
    assert len(caplog.messages) == 1
    assert caplog.messages[0].isprintable()
    assert len(caplog.messages[0]) < 300
