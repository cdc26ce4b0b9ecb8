"""Stepping by hand: tables are handled here; scenarios need the engine, which only a child process loads (app.stepper).

The first request starts the child, which lives as long as the server. A request that takes too long times out.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

from app.children import environment
from app.refusals import Refusal, visible
from app.settings import Settings
from app.subjects import Subject
from engine.explore import byhand
from engine.explore.tables.table import Table

log = logging.getLogger("folioscope")

ANSWER_S = 8.0
"""Timeout of a request; a new child loads the engine first."""
CHECK_S, LATE_S = 4.0, 0.2
"""Timeout of a check, normally and while the child is still busy with a request that timed out."""
STUCK_S = 60.0
"""Time after which an unresponsive child is killed."""
ANSWER_BYTES_MAX = 64 << 20


class Late(Exception):
    """The child did not answer in time."""


class Stepper:
    """The child process; requests are serialized."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = 0
        self._since = 0.0
        self._late = False
        """Whether the answer to a timed-out request is still outstanding."""
        self._rest = b""
        """The partial line received from the child."""
        self._unsent = b""
        """Bytes of requests not yet written to the child."""

    def refuse_unbounded(self, subject: Subject) -> None:
        """Reject a subject with infinitely many states. A check that times out passes: the worker repeats it."""
        with contextlib.suppress(Late):
            self._ask("check", subject, LATE_S if self._late else CHECK_S)

    def state_at(self, subject: Subject, word: str) -> dict[str, Any]:
        """Return the state behind a schedule (engine.explore.byhand). Raises UserError for an invalid schedule."""
        if isinstance(subject.what, Table):
            return byhand.at(subject.what, word)
        return self._waited("at", subject, word=word)

    def story(self, subject: Subject, word: str, loop: str = "") -> dict[str, Any]:
        """Return a scenario's schedule step by step, as partials/story.html has it; loop: steps repeated after it.

        Raises Refusal for a schedule that cannot be played.
        """
        return self._waited("story", subject, word=word, loop=loop)

    def export(self, subject: Subject, form: str, word: str) -> str:
        """Return a subject as Promela (pml), or a schedule of it in another format. Raises Refusal if there is none."""
        return str(self._waited("export", subject, form=form, word=word)["text"])

    def _waited(self, do: str, subject: Subject, **more: str) -> dict[str, Any]:
        try:
            return self._ask(do, subject, ANSWER_S, **more)
        except Late:
            raise Refusal(503, "stepper_busy", "the stepper did not answer in time: try again in a moment") from None

    def stop(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def _ask(self, do: str, subject: Subject, seconds: float, **more: str) -> dict[str, Any]:
        question = {"do": do, "kind": subject.kind, "subject": subject.data, **more}
        ends = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise Late
        try:
            reply = self._exchange(question, ends)
        finally:
            self._lock.release()
        if "refused" in reply:
            refused = reply["refused"]
            detail = visible(refused["detail"], 400)
            raise Refusal(refused["status"], refused["code"], detail, field=refused["field"])
        if "told" not in reply:
            raise RuntimeError("the stepper failed: see its log")
        found: dict[str, Any] = reply["told"]
        return found

    def _exchange(self, question: dict[str, Any], ends: float) -> dict[str, Any]:
        if self._late and time.monotonic() - self._since > STUCK_S:
            self._end()
        child = self._running()
        self._asked += 1
        if not self._late:
            self._since = time.monotonic()
        line = json.dumps({"id": self._asked, **question}).encode() + b"\n"
        self._unsent += line
        try:
            while (reply := self._line(child, ends))["id"] != self._asked:
                pass
        except Late:
            self._late = True
            if self._unsent.endswith(line):  # a partially written request must be completed
                self._unsent = self._unsent.removesuffix(line)
            raise
        except (OSError, ValueError):
            log.warning("the stepper died; the next request starts another one")
            self._end()
            raise Late from None
        self._late = False
        return reply

    def _line(self, child: subprocess.Popen[bytes], ends: float) -> dict[str, Any]:
        """Return the child's next line, while writing pending requests. Raises Late, or OSError if the child died.

        Reading and writing must interleave: a pipe buffers 64 KiB, a request may have 256 KiB and an answer more.
        """
        assert child.stdin is not None
        assert child.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            if self._unsent:
                selector.register(child.stdin, selectors.EVENT_WRITE)
            while b"\n" not in self._rest:
                ready = [key.fileobj for key, _ in selector.select(max(0.0, ends - time.monotonic()))]
                if not ready:
                    raise Late
                if child.stdin in ready:
                    self._unsent = self._unsent[os.write(child.stdin.fileno(), self._unsent) :]
                    if not self._unsent:
                        selector.unregister(child.stdin)
                if child.stdout in ready:
                    part = os.read(child.stdout.fileno(), 1 << 16)
                    if not part or len(self._rest) > ANSWER_BYTES_MAX:
                        raise OSError("the child has ended")
                    self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = subprocess.Popen(
                [sys.executable, "-m", "app.stepper"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(self._settings),
            )
            assert self._child.stdin is not None
            os.set_blocking(self._child.stdin.fileno(), False)
            weakref.finalize(self, _reap, self._child)
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            _reap(self._child)
        self._child, self._rest, self._unsent, self._late = None, b"", b"", False


def _reap(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
