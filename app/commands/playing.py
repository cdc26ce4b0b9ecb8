"""Commands that use the store: run a scenario in this process, import a file, list and verify runs."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import load_settings
from app.store import RunRow, Store, open_store
from engine.errors import BadRecording, UserError
from engine.scenario import Scenario

if TYPE_CHECKING:
    from app.store import RecordingRow

OVER = ("done", "failed", "cancelled")
LOOK_S = 0.2


def play_here(scenario: Scenario, tags: list[str], say: Callable[[str], None] | None) -> dict[str, Any]:
    """Run a scenario in this process, and return its id, state, seal and figures.

    Runs already queued are played first; a worker of a server may claim the run instead. Ctrl-C cancels it.
    Raises UserError if the run does not complete.
    """
    from app.runner import play_one

    stop, pause = threading.Event(), threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    with contextlib.closing(open_store(load_settings(), busy_s=60)) as store:
        row, _ = store.start_run(scenario, tags=tags)
        if say:
            say(f"run {row.id}: {row.name}")
        seen = -1
        while row.state not in OVER:
            if (claimed := store.run_jobs.claim("folioscope run")) is not None:
                play_one(store, claimed, stop=stop)
            elif seen == (seen := store.changed()):
                pause.wait(LOOK_S)
            if stop.is_set():
                store.cancel(row.id)
            row = _still_there(store, row.id)
    if row.state != "done":
        text = f"run {row.id} {row.state} ({row.reason}){': ' + row.detail if row.detail else ''}"
        raise UserError(text, code=row.reason or row.state)
    figures = json.loads(row.figures_json) if row.figures_json else None
    result = {name: getattr(row, name) for name in ("id", "state", "events", "time_ns", "seal")}
    return result | {"figures": figures}


def _still_there(store: Store, run_id: str) -> RunRow:
    row = store.run(run_id)
    if row is None:
        raise UserError(f"run {run_id} was deleted during playback", code="no_run", status=404)
    return row


def import_file(path: Path, name: str) -> tuple[RecordingRow, dict[str, Any]]:
    """Import a recording and return it with its report. Raises BadRecording, or the store's UserError."""
    from engine.recordings import read_file

    if not path.is_file():
        raise BadRecording(f"there is no file {str(path)[:80]!r}", code="no_file", field="file", status=404)
    recording = read_file(path, path.name)
    with contextlib.closing(open_store(load_settings())) as store:
        return store.add_recording(recording, name), recording.report.model_dump()


def verified(run_id: str) -> list[dict[str, Any]]:
    """Verify a run, or "all" runs, and return the results. Raises UserError for an unknown run."""
    with contextlib.closing(open_store(load_settings())) as store:
        ids, token = [run_id], None
        if run_id == "all":
            ids = []
            while True:
                rows, token = store.runs(500, token)
                ids += [row.id for row in rows]
                if token is None:
                    break
        return [{"id": each, "sound": (found := store.verify(each)).sound, **asdict(found)} for each in ids]


def stored_runs(size: int, state: str | None) -> list[dict[str, Any]]:
    """Return runs, newest first. Raises UserError for an unknown state."""
    states = ("queued", "running", *OVER)
    if state is not None and state not in states:
        raise UserError(f"unknown state {state[:80]!r}; known states: {', '.join(states)}", field="state")
    names = ("id", "number", "name", "state", "design", "kernel", "seed", "events", "time_ns", "seal", "created_ns")
    with contextlib.closing(open_store(load_settings())) as store:
        rows, _ = store.runs(size, None, state=state)
    return [{name: getattr(row, name) for name in names} | {"tags": list(row.tags)} for row in rows]
