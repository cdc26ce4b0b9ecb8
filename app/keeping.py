"""The keeper: a thread that renews the lease of a worker's job, and signals when the job must stop."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from app.settings import MIB
from app.store import Store
from app.store.jobs import BEAT_S, Beat
from engine.errors import FolioscopeError

log = logging.getLogger("folioscope.runner")

LOOK_S = 0.25
"""Interval between checks for cancellation."""

Halt = Literal["", "cancel", "lost", "stop", "limit_time", "limit_memory"]


class Held(NamedTuple):
    """A claimed job. beat: renew the lease; look: check without renewing; seconds and memory_bytes: its limits."""

    name: str
    beat: Callable[[], Beat]
    look: Callable[[], Beat]
    seconds: float
    memory_bytes: int


def held_run(store: Store, run_id: str, attempt: int) -> Held:
    """Return a claimed run for a keeper."""
    most = store.settings
    return Held(
        f"run {run_id}",
        lambda: store.run_jobs.beat(run_id, attempt),
        lambda: store.run_jobs.look(run_id, attempt),
        most.run_seconds_max,
        most.run_bytes_max,
    )


class Keeper:
    """Renews the lease; checks for cancellation and limits. Used by `with`; halt: the reason to stop, or ""."""

    def __init__(self, held: Held, stop: threading.Event) -> None:
        """stop: set when the process must end; checked every LOOK_S."""
        self._held, self._stop = held, stop
        self._wake = threading.Event()
        """Set at the first reason to stop and at exit; the keeper and wait() sleep on it."""
        self._left = False
        self._thread = threading.Thread(target=self._keep, name=f"keeper of {held.name}", daemon=True)
        self._halt: Halt = ""

    @property
    def halt(self) -> Halt:
        return "stop" if self._stop.is_set() and not self._halt else self._halt

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`, or until there is a reason to stop."""
        if not self.halt:
            self._wake.wait(seconds)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        self._wake.set()
        self._thread.join()

    def _keep(self) -> None:
        """Renew and check until the job ends or must stop."""
        held = self._held
        ends = time.monotonic() + held.seconds
        next_beat = time.monotonic() + BEAT_S
        while not self._left and not self._halt and not self._stop.is_set():
            now = time.monotonic()
            try:
                if now >= next_beat:
                    status = held.beat()
                    next_beat = now + BEAT_S
                else:
                    status = held.look()
            except FolioscopeError as error:  # a busy or full disk: the next renewal may succeed
                log.warning("%s: its lease could not be renewed: %s", held.name, error)
                status = "held"
            if status != "held":
                self._halt = status
            elif now > ends:
                self._halt = "limit_time"
            elif resident_bytes() > held.memory_bytes:
                self._halt = "limit_memory"
            else:
                self._wake.wait(LOOK_S)
        self._wake.set()


def resident_bytes() -> int:
    """Return the resident memory of this process, 0 if unknown."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def limit_words(halt: Halt, store: Store) -> str:
    """Return which limit a run exceeded, and the remedy."""
    settings = store.settings
    if halt == "limit_time":
        return f"the run took longer than {settings.run_seconds_max} s: lower limits.events, or raise run_seconds_max"
    return f"the worker exceeded {settings.run_bytes_max // MIB} MiB: use fewer pages or tasks, or raise run_bytes_max"
