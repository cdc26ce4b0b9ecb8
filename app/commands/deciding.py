"""`folioscope matrix`: explore the missing cells in this process, and in a second one if there are many."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from app.children import environment
from app.commands.exploring import subject_of
from app.searching import explore_one
from app.settings import load_settings
from app.store import Store, open_store
from app.store.explorations import RequestedExploration
from engine.errors import UserError
from engine.scenario import Scenario

MANY = 8
"""Number of explorations that justifies starting a second process, which takes seconds."""
LOOK_S = 0.2
REPORT_EACH = 25
"""Answers between two lines of progress."""


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


def answers(
    requests: Sequence[RequestedExploration], say: Callable[[str], None] | None, processes: int = 2
) -> dict[str, dict[str, Any]]:
    """Run these explorations in processes of their own, and return their answers by digest; nothing is stored.

    Findings are not shrunk, which takes longer than to find them.
    """
    found = {}
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        asked = {
            pool.submit(_answer, one.kind, one.subject_json, one.plan_json, one.limits_json): one for one in requests
        }
        for done in as_completed(asked):
            found[asked[done].asked_sha256] = done.result()
            if say and len(found) % REPORT_EACH in (0, len(asked) % REPORT_EACH):
                say(f"explorations remaining: {len(asked) - len(found)} of {len(asked)}")
    return found


def _answer(kind: str, subject_json: str, plan_json: str, limits_json: str) -> dict[str, Any]:
    """Return the answer of one exploration."""
    from engine.explore.plan import Limits, Plan
    from engine.explore.search.answers import answer
    from engine.explore.search.explorer import Explorer
    from engine.explore.tables.checking import checked

    data, values = json.loads(subject_json), json.loads(limits_json)
    limits = Limits(values["states"], values["memory_bytes"], values["seconds"])
    subject = subject_of(checked(data) if kind == "table" else Scenario.model_validate(data))
    explorer = Explorer(subject, Plan(**json.loads(plan_json)))
    return answer(explorer, explorer.run(limits), limits)


@contextlib.contextmanager
def _second(store: Store) -> Iterator[None]:
    """Run a second worker process for the duration of the block."""
    worker = subprocess.Popen([sys.executable, "-m", "app.runner"], env=environment(store.settings))
    try:
        yield
    finally:
        worker.terminate()
        worker.wait()
