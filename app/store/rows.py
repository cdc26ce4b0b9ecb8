"""Rows that the store returns: plain values, independent of any connection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, select

from app.store.tables import Exploration, Recording, Run, Share, Tag
from engine.errors import UserError
from engine.formats import SCENARIO, newer_events, upgraded_scenario
from engine.scenario import Scenario


def scenario_to_play(given: dict[str, Any], whose: str, version: str) -> Scenario:
    """Validate a stored scenario against the current model, to play or explore it again.

    whose: its owner ("run 3f9c0a51b7e2"); version: the program version that stored it. Raises UserError, with a
    one-line message that names what is no longer valid.
    """
    data = upgraded_scenario(given)
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
    if field == "format":
        why = f"it is {data['format']!r:.40}; this version reads up to {SCENARIO}: update folioscope"
    else:
        why = f"{field}: {fault['msg']}" if field else fault["msg"]
    text = f"the scenario of {whose}, stored by version {version}, cannot be played by this version: {why}"
    raise UserError(text, code="outdated_scenario", field=field, status=409)


@dataclass(frozen=True)
class RunRow:
    """A run without its cast and events. Fields as in app.store.tables.Run."""

    id: str
    number: int
    name: str
    scenario_json: str
    scenario_sha256: str
    design: str
    kernel: str
    workload_kind: str
    recording_id: str | None
    seed: int
    pace_ms_per_s: int | None
    engine_version: str
    event_format: int
    created_ns: int
    state: str
    reason: str | None
    detail: str | None
    attempt: int
    losses: int
    worker: str | None
    cancel_requested: bool
    parent_id: str | None
    started_ns: int | None
    ended_ns: int | None
    chunks: int
    events: int
    time_ns: int
    progress: float
    figures_json: str | None
    hot_json: str | None
    seal: str | None
    tags: tuple[str, ...] = ()

    @cached_property
    def scenario(self) -> dict[str, Any]:
        """The scenario as data in the current format. It was validated when it was stored, not by the current model."""
        return upgraded_scenario(json.loads(self.scenario_json))

    @property
    def newer_events(self) -> str:
        """Why this version cannot read the run's events, in one line; "" where it can."""
        return newer_events(self.event_format, f"run {self.id}", self.engine_version)

    def to_play(self) -> Scenario:
        """Return the scenario, to play it again. Raises UserError if it is no longer valid."""
        return scenario_to_play(self.scenario, f"run {self.id}", self.engine_version)


@dataclass(frozen=True)
class RecordingRow:
    """A recording without its moves."""

    id: str
    name: str
    sha256: str
    bytes: int
    moves: int
    kernel: str
    report_json: str
    created_ns: int


@dataclass(frozen=True)
class ShareRow:
    """A read-only link; run_ids is a JSON list of what it opens: see app.store.shares."""

    id: str
    run_ids: str
    view: str
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None

    @property
    def names(self) -> list[str]:
        """What it opens: ids of runs, or one x/ID or matrix/KERNEL."""
        found: list[str] = json.loads(self.run_ids)
        return found


@dataclass(frozen=True)
class ExplorationRow:
    """An exploration without its story. Fields as in app.store.tables.Exploration."""

    id: str
    number: int
    name: str
    kind: str
    subject_json: str
    subject_sha256: str
    asked_sha256: str
    plan_json: str
    limits_json: str
    engine_version: str
    created_ns: int
    state: str
    reason: str | None
    detail: str | None
    attempt: int
    losses: int
    cancel_requested: bool
    parent_id: str | None
    started_ns: int | None
    ended_ns: int | None
    progress_json: str | None
    checkpoint: str | None
    verdict: str | None
    answer_json: str | None

    @property
    def live(self) -> bool:
        """Whether it is queued or running."""
        return self.state in ("queued", "running")


RUN_COLUMNS = [getattr(Run, name) for name in RunRow.__dataclass_fields__ if name != "tags"]
RECORDING_COLUMNS = [getattr(Recording, name) for name in RecordingRow.__dataclass_fields__]
EXPLORATION_COLUMNS = [getattr(Exploration, name) for name in ExplorationRow.__dataclass_fields__]
SHARE_COLUMNS = [getattr(Share, name) for name in ShareRow.__dataclass_fields__]


def exploration_rows(connection: Connection, *conditions: Any, size: int = 1) -> list[ExplorationRow]:
    """Return at most `size` explorations, newest first."""
    query = select(*EXPLORATION_COLUMNS).where(*conditions).order_by(Exploration.number.desc()).limit(size)
    return [ExplorationRow(*row) for row in connection.execute(query)]


def run_rows(connection: Connection, *conditions: Any, order: Any = None, size: int = 1) -> list[RunRow]:
    """Return at most `size` runs that are not deleted, with their tags."""
    query = select(*RUN_COLUMNS).where(Run.deleted.is_(False), *conditions).limit(size)
    found = connection.execute(query if order is None else query.order_by(order)).all()
    tags: dict[str, list[str]] = {row.id: [] for row in found}
    if found:
        tagged = select(Tag.run_id, Tag.tag).where(Tag.run_id.in_(list(tags))).order_by(Tag.tag)
        for run_id, tag in connection.execute(tagged):
            tags[run_id].append(tag)
    return [RunRow(**row._mapping, tags=tuple(tags[row.id])) for row in found]
