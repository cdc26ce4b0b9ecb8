"""Explorations for tests: of the tables on the shelf, asked as the server asks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.children import environment
from app.plans import RequestedLimits, RequestedPlan, exploration_of
from app.settings import Settings, load_settings
from app.store import ExplorationRow, Store
from app.store.explorations import RequestedExploration
from app.subjects import read_subject
from tests.explore.shelf import table

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240.0
HASTY = "import app.searching as s, app.runner as r, sys; s.CHECKPOINT_S = s.REPORT_S = 0.2; sys.exit(r.main())"


def asked(name: str, settings: Settings | None = None, limits: Any = None, **plan: Any) -> RequestedExploration:
    """Return an exploration of a table on the shelf, as the store takes it."""
    return asked_of(table(name), settings, limits, **plan)


def asked_of(told: dict[str, Any], settings: Settings | None, limits: Any = None, **plan: Any) -> RequestedExploration:
    """Return an exploration of a table, as the store takes it."""
    subject = read_subject(told)
    return exploration_of(
        subject, RequestedPlan(**plan), RequestedLimits(**(limits or {})), settings or load_settings()
    )


def counters(processes: int, most: int) -> dict[str, Any]:
    """Return a table of processes that count each for itself: (most + 1) ^ processes states, and nothing breaks."""
    steps = [
        [{"at": "n", "guard": f"c[{i}] < {most}", "do": [f"c[{i}] = c[{i}] + 1"], "to": "n"}] for i in range(processes)
    ]
    for i in range(processes):
        steps[i].append({"at": "n", "guard": f"c[{i}] == {most}", "to": "-"})
    return {
        "format": "protocol-table/1",
        "name": f"{processes} counters to {most}",
        "vars": {"c": [0] * processes},
        "procs": [{"name": f"p{i}", "start": "n", "steps": steps[i]} for i in range(processes)],
        "ranges": {"c": [0, most]},
    }


def lockers(**more: Any) -> dict[str, Any]:
    """Two tasks that take one page's lock, one after the other."""
    program = [{"op": name} for name in ("lock", "unlock")]
    group = {"name": "locker", "tasks": 2, "repeat": 1, "program": program}
    workload = {"kind": "tasks", "pages": 1, "groups": [group]}
    return {"format": "scenario/2", "name": "Two lockers", "kernel": "6.1", "workload": workload, **more}


def settings_in(folder: Path, **more: Any) -> Settings:
    return load_settings(data=folder, **({"free_bytes_min": 0, "ballast_bytes": 0} | more))


def until(true: Callable[[], Any], what: str) -> None:
    """Wait until something holds; fail where it never does."""
    ends, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not true():
        assert time.monotonic() < ends, f"waited in vain for {what}"
        pause.wait(0.01)


def get(store: Store, exploration_id: str) -> ExplorationRow:
    row = store.exploration(exploration_id)
    assert row is not None
    return row


def answered(row: ExplorationRow) -> dict[str, Any]:
    """Return an answer without what differs from one search to the next."""
    found: dict[str, Any] = json.loads(row.answer_json or "null")
    bounds = {name: value for name, value in found["bounds"].items() if name not in {"seconds", "memory_bytes"}}
    return found | {"bounds": bounds}


def worker(settings: Settings, program: str = "") -> subprocess.Popen[bytes]:
    """Start a worker; a HASTY one writes five checkpoints a second."""
    words = ["-c", program] if program else ["-m", "app.runner"]
    return subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment(settings))
