"""`folioscope matrix`: explore the missing cells in this process, and in a second one if there are many."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

from app.children import environment
from app.searching import explore_one
from app.settings import load_settings
from app.store import Store, open_store
from app.store.explorations import RequestedExploration
from engine.errors import UserError

MANY = 8
"""Number of explorations that justifies starting a second process, which takes seconds."""
LOOK_S = 0.2


@contextlib.contextmanager
def stored() -> Iterator[Store]:
    """Open the store of the settings."""
    with contextlib.closing(open_store(load_settings(), busy_s=60)) as store:
        yield store


def decide(store: Store, requests: Sequence[RequestedExploration], say: Callable[[str], None] | None) -> None:
    """Run all of these explorations, after those already queued. Ctrl-C cancels the remaining ones.

    Raises UserError if cancelled.
    """
    stop, pause = threading.Event(), threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    names, left = [one.asked_sha256 for one in requests], list(requests)
    with _second(store) if len(left) >= MANY else contextlib.nullcontext():
        reported = -1
        while not stop.is_set():
            if left:
                left = store.explore_all(left)
            open_ = len(left) + sum(row.live for row in store.explored(names).values())
            if say and open_ != reported:
                say(f"explorations remaining: {open_} of {len(names)}")
            reported = open_
            if not open_:
                return
            if (row := store.exploration_jobs.claim("folioscope matrix")) is not None:
                explore_one(store, row, stop=stop)
            else:
                store.exploration_jobs.recover()
                pause.wait(LOOK_S)
    for row in store.explored(names).values():
        if row.live:
            store.cancel_exploration(row.id)
    raise UserError("cancelled; completed explorations are kept", code="cancelled")


@contextlib.contextmanager
def _second(store: Store) -> Iterator[None]:
    """Run a second worker process for the duration of the block."""
    worker = subprocess.Popen([sys.executable, "-m", "app.runner"], env=environment(store.settings))
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()
