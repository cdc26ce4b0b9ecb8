"""Request models of the API, each with an example: no unknown keys, no strings for numbers."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.changes import Changes
from app.plans import RequestedLimits, RequestedPlan
from app.subjects import TEXT_MAX
from app.tags import Tags
from engine.scenario import Scenario

RUN_ID = "3f9c0a51b7e2"
DEMO: dict[str, Any] = {"kind": "recording", "recording": "demo"}


class Asked(BaseModel):
    """Base of the request models: no unknown keys, no strings for numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def sha256_of(body: StartRun | StartExploration) -> str:
    """Return the hash by which a request that is sent again is known.

    Fields that version 0.1.0 did not have count only if they are given: its requests keep their hash.
    """
    later = {"set"} | ({"preset"} if isinstance(body, StartExploration) else set())
    values = {name: value for name, value in body.model_dump().items() if value or name not in later}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class StartRun(Asked):
    """A run to start: a scenario, or the name of a preset."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"preset": "demo", "pace_ms_per_s": 20, "tags": ["review"]},
                {"preset": "w1", "set": {"wait.design": "page_wait", "limits.events": 100_000}},
                {"scenario": {"name": "The demo with 4,096 queues", "wait": {"bits": 12}, "workload": DEMO}},
            ]
        }
    )

    scenario: Scenario | None = None
    preset: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="name of one of /presets, instead of a scenario"
    )
    set: Changes = Field(
        {},
        description="fields of the preset to change, as wait.design or workload.groups[0].tasks, and their new values",
    )
    pace_ms_per_s: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="throttle playback to this many ms of run time per second; full speed if absent"
    )
    tags: Tags = []

    @model_validator(mode="after")
    def _one(self) -> StartRun:
        if (self.scenario is None) == (self.preset is None):
            raise ValueError("give either a scenario or a preset")
        if self.set and self.preset is None:
            raise ValueError("set changes a preset: give one, or change the scenario itself")
        return self


class ShareRun(Asked):
    """A link to one run."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"view": "v=1&t0=0&t1=50000000", "expires_s": 604_800}]})
    view: Annotated[str, Field(max_length=2_000, pattern=r"^[\x21-\x7e]*$")] = Field(
        "", description="the page's query string: window, selection, tracks"
    )
    expires_s: Annotated[int, Field(ge=60, le=10 * 366 * 86_400)] | None = None


class ShareRuns(ShareRun):
    """A link to one run, to two side by side, to an exploration, or to a matrix."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"runs": [RUN_ID], "view": "v=1"}, {"exploration": RUN_ID}, {"matrix": "6.1"}]}
    )
    runs: (
        Annotated[list[Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]], Field(min_length=1, max_length=2)] | None
    ) = None
    exploration: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    matrix: Annotated[str, Field(max_length=20, description="kernel profile")] | None = None

    @model_validator(mode="after")
    def _one(self) -> ShareRuns:
        if sum(one is not None for one in (self.runs, self.exploration, self.matrix)) != 1:
            raise ValueError("give one of runs, exploration and matrix")
        return self


TABLE: dict[str, Any] = {
    "format": "protocol-table/1",
    "name": "two_increments",
    "vars": {"n": 0, "seen": [0, 0]},
    "procs": [
        {
            "name": f"p{i}",
            "start": "read",
            "steps": [
                {"at": "read", "do": [f"seen[{i}] = n"], "to": "write"},
                {"at": "write", "do": [f"n = seen[{i}] + 1"], "to": "-"},
            ],
        }
        for i in range(2)
    ],
    "final": "n == 2",
}
"""Two processes that increment a counter without a lock: the smallest example that breaks."""


class StartExploration(RequestedPlan):
    """A subject to explore, and the settings of the search."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"subject": TABLE},
                {"preset": "lost_increment"},
                {"subject": TABLE, "search": "pct", "walks": 200, "limits": {"seconds": 10.0}},
            ]
        }
    )

    subject: dict[str, Any] | None = Field(None, description="a protocol table (format protocol-table/1)")
    table: Annotated[str, Field(min_length=1, max_length=TEXT_MAX)] | None = Field(
        None, description="the subject as TOML or JSON text; errors name its lines"
    )
    preset: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="name of a table that ships with the server, or of a small preset"
    )
    set: Changes = Field({}, description="fields of the small preset to change, and their new values")
    limits: RequestedLimits = RequestedLimits()

    @model_validator(mode="after")
    def _one(self) -> StartExploration:
        if sum(one is not None for one in (self.subject, self.table, self.preset)) != 1:
            raise ValueError("give one of subject, table and preset")
        if self.set and self.preset is None:
            raise ValueError("set changes a preset: give one, or change the subject itself")
        return self

    @property
    def plan(self) -> RequestedPlan:
        """Return the settings of the search without the subject."""
        return RequestedPlan(**{name: getattr(self, name) for name in RequestedPlan.model_fields})


class ExploreMissing(Asked):
    """A kernel profile whose cells without a verdict by this engine are to be explored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kernel": "5.9"}, {"everything": True}]})
    kernel: Annotated[str, Field(max_length=20, description="kernel profile; the default if absent")] = ""
    everything: bool = Field(False, description="explore all cells, to check their verdicts again")
