"""What the API answers, as models: OpenAPI is made from them, and answers that are not large are checked by them."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.requests import DEMO, RUN_ID
from engine.words import FORMS

State = Literal["queued", "running", "done", "failed", "cancelled"]


class RunLine(BaseModel):
    """A run as lists show it."""

    id: str
    number: int = Field(description="order in which runs were started")
    name: str
    state: State
    reason: str | None = Field(description="why a failed or cancelled run ended")
    detail: str | None
    design: str
    kernel: str
    workload: Literal["tasks", "recording"]
    recording: str | None
    seed: int
    tags: list[str]
    events: int = Field(description="events stored so far")
    time_ns: int = Field(description="run time of the last stored event")
    progress: float | None = Field(description="fraction of the run played so far, 0..1")
    pace_ms_per_s: int | None
    created_ns: int = Field(description="UTC, nanoseconds since 1970")
    started_ns: int | None
    ended_ns: int | None
    seal: str | None = Field(description="SHA-256 of all events in order, once the run is done")
    parent_id: str | None = Field(None, description="the exploration whose finding the run reproduces")

    @classmethod
    def fields_of(cls, row: Any) -> dict[str, Any]:
        """Return the fields of a stored run."""
        same = {
            name: getattr(row, name) for name in RunLine.model_fields if name not in {"workload", "recording", "tags"}
        }
        return same | {"workload": row.workload_kind, "recording": row.recording_id, "tags": list(row.tags)}

    @classmethod
    def of(cls, row: Any) -> RunLine:
        return cls(**cls.fields_of(row))


class Run(RunLine):
    """A run, with all that was asked and the key figures."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": RUN_ID,
                    "number": 7,
                    "name": "A real kernel's page waits, under its own 256 queues",
                    "state": "done",
                    "reason": None,
                    "detail": None,
                    "design": "hashed",
                    "kernel": "6.1",
                    "workload": "recording",
                    "recording": "demo",
                    "seed": 1,
                    "tags": ["review"],
                    "events": 35_187,
                    "time_ns": 2_140_000_000,
                    "progress": 1.0,
                    "pace_ms_per_s": None,
                    "created_ns": 1_790_000_000_000_000_000,
                    "started_ns": 1_790_000_000_020_000_000,
                    "ended_ns": 1_790_000_000_410_000_000,
                    "seal": "9b1c6dfd8a8a4bb0d1a4c0f4e1f8e5a3c6b7d2e9f0a1b2c3d4e5f60718293a4b",
                    "scenario": {"name": "A real kernel's page waits", "kernel": "6.1", "workload": DEMO},
                    "scenario_sha256": "51c4d7d2b9a07f0e6c3b5a4938271605f4e3d2c1b0a9988776655443322110ff",
                    "engine_version": "0.2.0",
                    "event_format": 1,
                    "attempt": 1,
                    "figures": {"wakes": 1264, "walked": 3268, "longest_walk": 260},
                    "links": {"self": f"/api/v1/runs/{RUN_ID}", "page": f"/r/{RUN_ID}", "txt": f"/r/{RUN_ID}.txt"},
                }
            ]
        }
    )

    scenario: dict[str, Any]
    scenario_sha256: str
    engine_version: str
    event_format: int
    attempt: int = Field(description="1, plus 1 for each worker that died during the run")
    figures: dict[str, int | float | None] | None = Field(description="key figures, computed from the events")
    links: dict[str, str] = Field(description="addresses of the run here, of its page and of the page's other formats")

    @classmethod
    def of(cls, row: Any) -> Run:
        more = {name: getattr(row, name) for name in ("scenario_sha256", "engine_version", "event_format", "attempt")}
        figures = json.loads(row.figures_json) if row.figures_json else None
        links = {"self": f"/api/v1/runs/{row.id}", "page": f"/r/{row.id}"}
        links |= {form: f"/r/{row.id}.{form}" for form in ("json", "csv", "txt")}
        scenario = json.loads(row.scenario_json)
        return cls(**cls.fields_of(row), **more, scenario=scenario, figures=figures, links=links)


class RunList(BaseModel):
    """A page of the list of runs, newest first."""

    runs: list[RunLine]
    next: str | None = Field(description="token for _next of the following page; null on the last")


class Share(BaseModel):
    """A read-only link that was made; its address is told once, when it is made."""

    id: str
    runs: list[str]
    exploration: str | None = Field(None, description="the exploration that it opens")
    matrix: str | None = Field(None, description="the kernel profile whose matrix it opens")
    view: str
    created_ns: int
    expires_ns: int | None
    revoked_ns: int | None

    @classmethod
    def fields_of(cls, row: Any) -> dict[str, Any]:
        names = ("id", "view", "created_ns", "expires_ns", "revoked_ns")
        fields: dict[str, Any] = {name: getattr(row, name) for name in names} | {"runs": []}
        for name in row.names:
            kind, _, what = name.rpartition("/")
            if kind:
                fields["exploration" if kind == "x" else kind] = what
            else:
                fields["runs"].append(what)
        return fields


class NewShare(Share):
    """A link just made. token and path are told only now: the server keeps no more than a hash."""

    token: str
    path: str = Field(description="path of the page on this server")


class ShareList(BaseModel):
    """The links to a run, an exploration or a matrix, newest first."""

    shares: list[Share]


class Recording(BaseModel):
    """An imported recording, and what its import read, used, skipped and lost."""

    id: str
    name: str
    sha256: str
    bytes: int
    created_ns: int
    report: dict[str, Any]
    links: dict[str, str] = Field(description="addresses of the recording here, and of its place on the page")

    @classmethod
    def of(cls, row: Any) -> Recording:
        links = {"self": f"/api/v1/recordings/{row.id}", "page": f"/recordings#rec-{row.id}"}
        values = {name: getattr(row, name) for name in ("id", "name", "sha256", "bytes", "created_ns")}
        return cls(report=json.loads(row.report_json), links=links, **values)


class RecordingList(BaseModel):
    """All recordings, newest first."""

    recordings: list[Recording]


class Structure(BaseModel):
    """A structure that a design needs."""

    name: str
    bytes: int


class Design(BaseModel):
    """A design's card. axis: the question that it answers, wait or protect."""

    name: str
    axis: str
    title: str
    stands: str
    structures: list[Structure]
    tag_bits: int
    needs: str


class EventField(BaseModel):
    """A field of an event's words."""

    name: str
    label: str
    form: str = Field(description="how to interpret the value: " + ", ".join(FORMS))
    word: str | None = Field(description="a or b; null for a field that is computed from others")
    shift: int | None = Field(description="its lowest bit in the word")
    bits: int | None = Field(description="number of bits; 64 is the whole word, signed")


class EventKind(BaseModel):
    """What one kind of event means."""

    kind: str
    number: int
    fields: list[EventField]
    says: str = Field(description="sentence template; names in braces stand for the task, the page, and fields")
    lane: str
    colour: str
    functions: dict[str, str] = Field(description="kernel profile -> file: function in which it happens")


class Preset(BaseModel):
    """A scenario that ships with the server."""

    name: str
    title: str
    story: str
    scenario: dict[str, Any]


class Version(BaseModel):
    """Which versions answer, and how much may be asked."""

    version: str
    engine: str
    event_format: int
    scenario_format: str
    limits: dict[str, int | float]


class Health(BaseModel):
    """Whether the server can read and write."""

    status: Literal["ok", "degraded"]
    detail: str | None = None
