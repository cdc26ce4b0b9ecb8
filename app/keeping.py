"""The keeper: a thread that holds the lease of what a worker plays or explores, and tells when it has to stop."""

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
"""Pause between two looks at whether the run was cancelled."""

Halt = Literal["", "cancel", "lost", "stop", "limit_time", "limit_memory"]


class Held(NamedTuple):
    """What a worker has claimed. beat: renew the lease; look: tell the same without; then the limits on its worker."""

    name: str
    beat: Callable[[], Beat]
    look: Callable[[], Beat]
    seconds: float
    memory_bytes: int


def held_run(store: Store, run_id: str, attempt: int) -> Held:
    """Return a run as a keeper holds it."""
    most = store.settings
    return Held(
        f"run {run_id}",
        lambda: store.run_jobs.beat(run_id, attempt),
        lambda: store.run_jobs.look(run_id, attempt),
        most.run_seconds_max,
        most.run_bytes_max,
    )


class Keeper:
    """Renews the lease, watches for cancellation and limits. Used by `with`; halt says why to stop, "" while not."""

    def __init__(self, held: Held, stop: threading.Event) -> None:
        """stop: set when the whole process shall end; it is looked at every LOOK_S."""
        self._held, self._stop = held, stop
        self._wake = threading.Event()
        """Set at the first reason to stop, and when the run is left: whoever sleeps here sleeps on this."""
        self._left = False
        self._thread = threading.Thread(target=self._keep, name=f"keeper of {held.name}", daemon=True)
        self._halt: Halt = ""

    @property
    def halt(self) -> Halt:
        return "stop" if self._stop.is_set() and not self._halt else self._halt

    def wait(self, seconds: float) -> None:
        """Sleep so long, or until there is a reason to stop."""
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
        """Until the run is left, or has to be."""
        held = self._held
        ends = time.monotonic() + held.seconds
        next_beat = time.monotonic() + BEAT_S
        while not self._left and not self._halt and not self._stop.is_set():
            now = time.monotonic()
            try:
                if now >= next_beat:
                    told = held.beat()
                    next_beat = now + BEAT_S
                else:
                    told = held.look()
            except FolioscopeError as error:  # a busy or full disk: the next beat may get through
                log.warning("%s: its lease could not be renewed: %s", held.name, error)
                told = "held"
            if told != "held":
                self._halt = told
            elif now > ends:
                self._halt = "limit_time"
            elif resident_bytes() > held.memory_bytes:
                self._halt = "limit_memory"
            else:
                self._wake.wait(LOOK_S)
        self._wake.set()


def resident_bytes() -> int:
    """Return the memory that this process holds, 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def limit_words(halt: Halt, store: Store) -> str:
    """Return in one sentence which limit a run met, and what to do."""
    settings = store.settings
    if halt == "limit_time":
        return f"the run took longer than {settings.run_seconds_max} s: lower events_max, or raise run_seconds_max"
    return f"the worker exceeded {settings.run_bytes_max // MIB} MiB: use fewer pages or tasks, or raise run_bytes_max"
