"""`folioscope serve`: startup checks, the web server, its workers, and shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn

from app.main import create_app
from app.settings import Settings
from app.store import Store, open_store
from app.stream import Hub
from app.wire import Connection
from app.workers import Workers
from engine.errors import UserError

log = logging.getLogger("folioscope")

DEMO = ("demo", "demo-page-wait")
"""Presets of the demo: two designs on one recording; the first is the kernel's own."""
DEMO_PACE_MS_PER_S = 20
"""Slow enough to watch waiters come and go: a burst of them every five seconds."""
DEMO_VIEW = "v=1&t0=0&t1=520000000&tracks=queue,wakes&side=1"
"""The whole demo, the tracks that show why shared queues hurt, both designs beside each other."""
DEMO_LOOK_S = 0.2
GRACE_S = 2
"""Grace period of open responses after a stop; streams end at once."""


class Server(uvicorn.Server):
    """uvicorn's server; starts and stops the workers, and ends streams before shutdown."""

    def __init__(
        self,
        config: uvicorn.Config,
        hub: Hub,
        workers: Workers,
        started: Callable[[], None],
        later: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        super().__init__(config)
        self._hub, self._workers, self._report, self._later = hub, workers, started, later
        self._telling: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._report()
        self._workers.start()
        self._telling = asyncio.create_task(self._later())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._telling is not None:
            self._telling.cancel()
        self._hub.stop()
        await asyncio.gather(super().shutdown(sockets), self._workers.stop())


def serve(
    settings: Settings,
    *,
    demo: bool,
    access_log: bool,
    report: Callable[[Any], None] | None,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or Ctrl-C. report: receives the addresses as data, instead of lines through say.

    Raises UserError if the server cannot start.
    """
    refuse_open_door(settings)
    configure_logging(settings.log_level, access_log)
    listener = listen(settings.host, settings.port)
    address = address_of(listener)
    with listener, contextlib.closing(open_store(settings)) as store:
        store.db.open_readers()
        app = create_app(settings, store)
        if demo and settings.workers:  # both runs play at the same time
            settings = settings.model_copy(update={"workers": max(settings.workers, len(DEMO))})
        workers = Workers(settings, store, None if report else say)

        def started() -> None:
            if report:
                report({"address": address})
            else:
                say(f"Folioscope: {address}   (Ctrl-C stops it)")

        async def show_demo() -> None:
            try:
                ids = start_demo(store) if demo else []
            except UserError as error:
                log.warning("the demo could not be started: %s", error)
                return
            while settings.workers and not await asyncio.to_thread(playing, store, ids):
                await asyncio.sleep(DEMO_LOOK_S)
            if ids:
                pages = demo_pages(address, ids)
                if report:
                    report(pages)
                else:
                    say(f"Shared queues beside a queue per page: {pages['compared']}")
                    say(f"The kernel's own queues alone: {pages['demo']}")

        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        raise_file_limit()
        # uvicorn re-raises the signal that stopped it after shutdown; ignore it.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        Server(config, app.state.hub, workers, started, show_demo).run(sockets=[listener])


def refuse_open_door(settings: Settings) -> None:
    """Reject a host that is reachable from other machines if no token is set."""
    if settings.token or _loopback(settings.host):
        return
    text = f"{settings.host} is reachable from other machines: set FOLIOSCOPE_TOKEN (16 characters or more) first"
    raise UserError(text, code="token_needed", field="FOLIOSCOPE_TOKEN")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises UserError if the address is not available."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: "is taken: stop the process that listens there, or choose another port with --port",
            errno.EACCES: "needs privileges: choose a port above 1023 with --port",
        }
        reason = reasons.get(error.errno or 0, f"cannot be listened on: {error.strerror or error}")
        raise UserError(f"port {port} of {host} {reason}", code="no_port", field="port") from None


def address_of(listener: socket.socket) -> str:
    """Return the address to type into a browser."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def start_demo(store: Store) -> list[str]:
    """Start the throttled demo under each of its designs; return the run ids."""
    from engine.scenarios import shipped

    options: Any = {"pace_ms_per_s": DEMO_PACE_MS_PER_S, "tags": ["demo"], "key": None, "body_sha256": None}
    return [store.start_run(shipped()[name], **options)[0].id for name in DEMO]


def playing(store: Store, ids: list[str]) -> bool:
    """Return whether all of these runs have events, or have ended: only then is there something to see."""
    rows = [store.run(run_id) for run_id in ids]
    return all(row is None or row.events or row.state not in ("queued", "running") for row in rows)


def demo_pages(address: str, ids: list[str]) -> dict[str, str]:
    """Return the addresses of the demo: the comparison, opened where it matters, and the run of the kernel's queues."""
    return {"compared": f"{address}/c/{','.join(ids)}?{DEMO_VIEW}", "demo": f"{address}/r/{ids[0]}"}


def configure_logging(level: str, access_log: bool) -> None:
    """Log to standard error, one line per record; verbose library logs only at level debug."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=level.upper(), force=True)
    for chatty, else_level in (("uvicorn", "ERROR"), ("alembic", "WARNING")):
        logging.getLogger(chatty).setLevel("DEBUG" if level == "debug" else else_level)
    logging.getLogger("folioscope.access").setLevel("INFO" if access_log else "WARNING")


def raise_file_limit() -> None:
    """Raise the limit on open files: every stream is one."""
    try:
        import resource
    except ImportError:  # not a Unix: there is no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def warm_engine(say: Callable[[str], None] | None) -> float:
    """Compile the engine in a child process, reporting progress; return the seconds taken. Raises UserError."""
    began = time.monotonic()
    child = subprocess.Popen([sys.executable, "-m", "engine.warm"], stdout=subprocess.PIPE, text=True, errors="replace")
    assert child.stdout is not None, "it was asked for"
    for line in child.stdout:
        if say:
            say(line.rstrip())
    if child.wait():
        raise UserError(
            f"compiling the engine failed with exit code {child.returncode}: see the messages above",
            code="not_compiled",
            status=500,
        )
    return time.monotonic() - began
