"""The guard: checks on every request before any handler, and headers on every response.

Pure ASGI, outermost. It checks size, host, token and origin, limits the body while it is read, answers HEAD as GET,
sets the security headers, converts uncaught exceptions to a plain 500, and writes the access log (without share
tokens).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import logging
import re
import secrets
import time
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.limits import LIMITS, RECEIVED_AT, Limits, Quota
from app.problems import RETRY_AFTER, answer
from app.refusals import Refusal, shown, visible

log = logging.getLogger("folioscope")
access = logging.getLogger("folioscope.access")

# style-src-attr: Plotly sets image-rendering of a heat map in a style attribute, else its cells blur.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PRIVATE = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
"""Overrides and additions for responses behind a share token."""
SITES = ("Origin", "Sec-Fetch-Site")
SINGLE = (*SITES, "Authorization", "Content-Length", "Content-Type", "Idempotency-Key", "Last-Event-ID")
"""Headers of which each handler reads one."""
SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}
UPLOADS = {"/api/v1/recordings", "/recordings"}
"""Paths that accept a body as large as a recording."""
ENVELOPE = 1 << 16
"""Max. overhead of a multipart form over its file, in bytes."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SHARED = re.compile(r"^(/s/|/api/v1/shared/)[^/]*")
# Open even if a token is set: share links need no account, and their pages need static files.
OPEN = ("/s/", "/api/v1/shared/", "/static/", "/health")
LINGER_BYTES, LINGER_S = 1 << 26, 2.0
"""How much of a rejected body is still read and discarded, so that the client can read the response."""


class Guard:
    """Wrap an ASGI application; hosts: accepted host names besides the loopback names."""

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str] = (), token: str | None = None, limits: Limits = LIMITS
    ) -> None:
        self.app, self.token, self.limits = app, token, limits
        self.hosts = {host.lower() for host in (*LOOPBACK, *hosts)}
        self.guesses = Quota(limits.guesses_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await Exchange(self, scope, receive, send).run()
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": ""})

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return the reason to reject a request before its body is read, or None."""
        headers, path, limits = Headers(scope=scope), scope["path"], self.limits
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if len(scope["headers"]) > limits.headers or size > limits.header_bytes:
            detail = f"header too large: at most {limits.headers} fields and {limits.header_bytes} bytes in total"
            return Refusal(431, "headers_too_large", detail, limit=limits.header_bytes)
        if len(scope["query_string"]) > limits.query_bytes:
            detail = f"the query string exceeds {limits.query_bytes} bytes"
            return Refusal(414, "query_too_long", detail, field="query", limit=limits.query_bytes)
        if len(path) > limits.path_bytes or any(
            ord(char) < 32 or ord(char) == 127 or char == "\ufffd" for char in path
        ):
            return Refusal(404, "not_found", "no such address")
        if twice := next((name for name in SINGLE if len(headers.getlist(name)) > 1), None):
            detail = f"the header {twice} appears twice: send it once"
            # Browsers send one Origin: a second one comes from whoever wants the first to be checked in its place.
            return Refusal(403 if twice in SITES else 400, "repeated_header", detail, field=twice)
        host = headers.getlist("host")
        if len(host) != 1 or not self.known_host(host[0]):
            detail = f"unknown host {shown(', '.join(host))}: list the names of this server in FOLIOSCOPE_HOSTS"
            return Refusal(421, "wrong_host", detail, field="Host")
        if SHARED.match(path) and self.guesses.left(_address(scope)) < 1:
            detail = f"too many invalid share links: at most {limits.guesses_per_minute} per minute"
            return Refusal(429, "too_many_guesses", detail, limit=limits.guesses_per_minute)
        if self.token and not path.startswith(OPEN) and not _carries(headers.get("authorization", ""), self.token):
            challenge = {"WWW-Authenticate": 'Basic realm="folioscope", charset="UTF-8"'}
            return Refusal(
                401,
                "token_needed",
                "send the token as Bearer token, or as password with any user name",
                headers=challenge,
            )
        if scope["method"] not in SAFE and not same_site(headers):
            return Refusal(
                403, "cross_site", "cross-site requests may not change anything on this server", field="Origin"
            )
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return Refusal(400, "bad_length", "Content-Length must be an integer", field="Content-Length")
        return self.too_large(scope) if len(length) > 18 or int(length) > self.cap(scope) else None

    def known_host(self, host: str) -> bool:
        name = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::[0-9]{1,5})?|([^:\s/\\@]+)(?::[0-9]{1,5})?", host)
        return name is not None and (name[1] or name[2]).lower() in self.hosts

    def cap(self, scope: Scope) -> int:
        """Return the max. size of this request's body, in bytes."""
        return self.limits.upload_bytes + ENVELOPE if _is_upload(scope) else self.limits.body_bytes

    def too_large(self, scope: Scope) -> Refusal:
        cap = self.limits.upload_bytes if _is_upload(scope) else self.limits.body_bytes
        return Refusal(413, "body_too_large", f"the body exceeds {cap} bytes", field="the body", limit=cap)


def _address(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else "-"


def _is_upload(scope: Scope) -> bool:
    return scope["path"] in UPLOADS and scope["method"] == "POST"


def _carries(authorization: str, token: str) -> bool:
    """Return whether the header Authorization holds the token, as Bearer or as a Basic password."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return False
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(value.strip().encode(), token.encode())


def same_site(headers: Headers) -> bool:
    """Return whether a modifying request comes from our own pages, or from no page at all.

    Schemes are not compared: behind a TLS-terminating proxy Origin says https, but the request arrives over http.
    """
    if not {"same-origin", "none"}.issuperset(headers.getlist("sec-fetch-site")):
        return False
    host = headers.get("host", "").lower()
    return all(origin.partition("://")[2].lower() == host != "" for origin in headers.getlist("origin"))


class Exchange:
    """One request and its response, between the server and the application."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.guard, self.scope, self._receive, self._send = guard, scope, receive, send
        self.id = secrets.token_hex(6)
        self.began = time.monotonic()
        self.status = 0
        self.head = scope["method"] == "HEAD"
        self.ended = False
        self.body_read, self.body_done = 0, False
        self.seconds = guard.limits.upload_s if _is_upload(scope) else guard.limits.body_s
        self.deadline = self.began + self.seconds
        self.idle_left, self.idle_from = guard.limits.idle_s, 0
        """Seconds left to wait until the body has grown by idle_bytes, and its size when they were counted anew."""

    async def run(self) -> None:
        inner = {**self.scope, "method": "GET" if self.head else self.scope["method"], "folioscope.head": self.head}
        inner["state"] = {**self.scope.get("state", {}), "request_id": self.id}
        RECEIVED_AT.set(self.began)
        try:
            if refusal := self.guard.refusal(self.scope):
                await answer(refusal)(inner, self.receive, self.send)
            else:
                await self.guard.app(inner, self.receive, self.send)
        except Exception as error:
            if isinstance(error, Refusal):  # raised outside the application's exception handlers
                refusal = error
            else:
                log.exception("request %s failed", self.id)
                refusal = Refusal(500, "internal", f"internal error: see {self.id} in the server's log")
            if self.status:
                raise  # the response has started: it can only be aborted
            await answer(refusal)(inner, self.receive, self.send)
        finally:
            self.note()

    async def receive(self) -> Message:
        """Pass on the body in pieces; reject it if it is too large or too slow."""
        if self.body_done:
            return await self._receive()
        asked = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(self.deadline - asked, self.idle_left))):
                message = await self._receive()
        except TimeoutError:
            raise self.too_slow() from None
        self._count(message)
        if self.body_read > self.guard.cap(self.scope):
            raise self.guard.too_large(self.scope)
        self.idle_left -= time.monotonic() - asked  # time in which the application was busy is not the client's
        if self.body_read - self.idle_from >= self.guard.limits.idle_bytes:
            self.idle_left, self.idle_from = self.guard.limits.idle_s, self.body_read
        return message

    def too_slow(self) -> Refusal:
        limits, seconds = self.guard.limits, self.seconds
        detail = f"the body was not received within {seconds:g} s"
        if time.monotonic() < self.deadline:
            seconds = limits.idle_s
            detail = f"less than {limits.idle_bytes} bytes of the body came within {seconds:g} s: send it faster"
        return Refusal(408, "slow_body", detail, limit=seconds, headers={"Connection": "close"})

    def _count(self, message: Message) -> None:
        self.body_read += len(message.get("body", b""))
        self.body_done = message["type"] != "http.request" or not message.get("more_body", False)
        if self.body_done:
            RECEIVED_AT.set(time.monotonic())

    async def send(self, message: Message) -> None:
        if self.ended:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            shared = SHARED.match(self.scope["path"])
            if shared:
                headers["Cache-Control"] = "private, no-store"
                if self.status == 404:
                    self.guard.guesses.take(_address(self.scope))
            elif self.scope["path"].startswith("/api/"):
                headers.setdefault("Cache-Control", "no-cache")
            for name, value in {**SECURITY, **(PRIVATE if shared else {})}.items():
                headers.setdefault(name, value)
            if self.status in RETRY_AFTER:  # pages and handlers of their own, too
                headers.setdefault("Retry-After", RETRY_AFTER[self.status])
            headers["X-Request-ID"] = self.id
            if self.unread_body():
                headers["Connection"] = "close"
            await self._send({**message, "headers": headers.raw})
            return
        last = self.head or not message.get("more_body", False)
        self.ended = last
        body = b"" if self.head else message.get("body", b"")
        if last and self.unread_body():
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
            await self.linger()
            body = b""
        await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    def unread_body(self) -> bool:
        """Return whether the client may still be sending a body that will not be read."""
        headers = Headers(scope=self.scope)
        announced = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        return self.status >= 400 and announced and not self.body_done

    async def linger(self) -> None:
        """Discard the rest of the body for a moment: closing at once would reset the connection before the response."""
        if Headers(scope=self.scope).get("expect", "").lower() == "100-continue" and not self.body_read:
            return  # the client waits for 100 Continue before sending anything
        stop = self.body_read + LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_S):
                while not self.body_done and self.body_read < stop:
                    self._count(await self._receive())
        except TimeoutError:
            pass

    def note(self) -> None:
        """Write one line of the access log; paths are escaped and truncated, without share tokens and queries."""
        if access.isEnabledFor(logging.INFO):
            path = visible(SHARED.sub(r"\1...", self.scope["path"]), 200)
            took_ms = (time.monotonic() - self.began) * 1000
            access.info(
                "%s %s %s %s %d %.1f ms",
                self.id,
                _address(self.scope),
                self.scope["method"],
                path,
                self.status,
                took_ms,
            )
