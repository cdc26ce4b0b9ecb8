"""Open a scenario as a run, and play it into batches of events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

from engine.cast import Cast
from engine.errors import BadScenario
from engine.events import Batch
from engine.recordings.moves import Recording
from engine.runs.replay import ReplayRun
from engine.runs.scheduled import ScheduledRun
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from engine.workloads import Recorded


class Player(Protocol):
    """One run being played. `cast` is complete before the first batch; the same scenario gives the same events."""

    cast: Cast
    total: int | None
    """Expected number of events, if known."""
    end_ns: int | None
    """Time at which the run will end, if known."""

    @property
    def progress(self) -> float:
        """How much of the run has been played, 0..1."""

    def batches(self) -> Iterator[Batch]:
        """Yield the run's events in order, 1..BATCH at a time."""


def open_run(scenario: Scenario, recording: Recording | None = None) -> Player:
    """Return the player of a scenario; a recorded workload needs its recording."""
    if isinstance(scenario.workload, Recorded):
        if recording is None:
            raise BadScenario("the recording is missing: import it first", field="scenario.workload.recording")
        return ReplayRun(scenario, recording)
    if scenario.schedule is not None:
        return ScheduledRun(scenario)
    return TimedRun(scenario)


def seal(batches: Iterator[Batch]) -> str:
    """Return the run's seal: the SHA-256 of all events' packed records."""
    digest = hashlib.sha256()
    for batch in batches:
        digest.update(batch.records().tobytes())
    return digest.hexdigest()
