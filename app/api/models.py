"""What the API answers, as models: OpenAPI is made from them, and answers that are not large are checked by them."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.requests import DEMO, RUN_ID
from engine.words import FORMS

TWINS = ("json", "txt", "pml")
"""Forms in which an exploration can be saved."""
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


class ExplorationLine(BaseModel):
    """An exploration as lists show it."""

    id: str
    number: int = Field(description="order in which explorations were started")
    name: str
    kind: Literal["table", "scenario"]
    state: State
    reason: str | None = Field(description="why a failed or cancelled exploration ended")
    detail: str | None
    verdict: Literal["Never", "Sometimes", "not explored"] | None = Field(
        description="Never: nothing breaks within the bounds; Sometimes: a schedule breaks it; else: incomplete"
    )
    plan: dict[str, Any]
    limits: dict[str, int | float]
    progress: dict[str, int | float | str] | None = Field(
        description="states, edges, frontier, depth, seconds and memory (bytes) so far; phase: search, answer or shrink"
    )
    created_ns: int = Field(description="UTC, nanoseconds since 1970")
    started_ns: int | None
    ended_ns: int | None

    @classmethod
    def fields_of(cls, row: Any) -> dict[str, Any]:
        """Return the fields of a stored exploration."""
        texts = {"plan": row.plan_json, "limits": row.limits_json, "progress": row.progress_json}
        same = {name: getattr(row, name) for name in ExplorationLine.model_fields if name not in texts}
        return same | {name: text and json.loads(text) for name, text in texts.items()}

    @classmethod
    def of(cls, row: Any) -> ExplorationLine:
        return cls(**cls.fields_of(row))


class Exploration(ExplorationLine):
    """An exploration, with its subject, its answer and where else it can be seen."""

    subject: dict[str, Any]
    subject_sha256: str
    engine_version: str
    attempt: int = Field(description="1, plus 1 for each worker that died or was stopped during the search")
    answer: dict[str, Any] | None = Field(
        description="counts, outcomes, the shortest schedule to an error, and the bounds; null until the search ends"
    )
    links: dict[str, str] = Field(description="addresses of its page and its other formats")

    @classmethod
    def of(cls, row: Any) -> Exploration:
        page = f"/x/{row.id}"
        links = {"self": f"/api/v1/explorations/{row.id}", "page": page}
        links |= {form: f"{page}.{form}" for form in TWINS}
        values = {name: getattr(row, name) for name in ("subject_sha256", "engine_version", "attempt")}
        answer = json.loads(row.answer_json) if row.answer_json else None
        return cls(**cls.fields_of(row), **values, subject=json.loads(row.subject_json), answer=answer, links=links)


class ExplorationList(BaseModel):
    """A page of the list of explorations, newest first."""

    explorations: list[ExplorationLine]
    next: str | None = Field(description="token for _next of the following page; null on the last")


class MatrixRow(BaseModel):
    """A design, or a choice of several: its axes and what it picks on each."""

    name: str
    title: str
    axes: dict[str, Any]


class MatrixColumn(BaseModel):
    """An invariant or a litmus test."""

    name: str
    title: str
    source: str
    asks: str = Field(description="the invariant or witness searched for")
    question: str = Field(description="the same in words")


class MatrixCell(BaseModel):
    """A design under a question. Cells that do not apply are left out."""

    row: str
    column: str
    word: Literal["Never", "Sometimes", "not explored"]
    expected: str | None = Field(description="the result expected by the source; null if it states none")
    against: bool = Field(description="the verdict differs from the expected one")
    why: str
    bounds: str = Field(description="the bounds of the verdict")
    state: State | None = Field(description="state of its exploration; null if none was started")
    exploration: str | None = Field(description="id of its exploration")
    schedule: str | None = Field(description="the shortest schedule to the error or witness")
    loop: str | None = Field(description="starvation: the steps that repeat forever after the schedule")
    engine: str = Field(description="the engine that gave the verdict; empty without one")
    current: bool = Field(description="the running engine gave the verdict")
    shipped: bool = Field(description="the verdict came with the release")


class MatrixRefusal(BaseModel):
    """Two designs that cannot be together."""

    row: str
    column: str
    why: str


class Matrix(BaseModel):
    """The matrix of designs and questions for one kernel profile."""

    kernel: str
    kernels: list[str]
    engine: str = Field(description="the running engine: version and fingerprint")
    shipped_by: str | None = Field(description="the engine of the shipped verdicts; null if there are none")
    rows: list[MatrixRow]
    columns: list[MatrixColumn]
    cells: list[MatrixCell]
    refused: list[MatrixRefusal]


class MatrixQueued(BaseModel):
    """How many explorations were queued, and how many are still to be asked for when some have ended."""

    kernel: str
    queued: int
    left: int
    page: str = Field(description="address of the matrix's page")


class Event(BaseModel):
    """One event. Which fields it has depends on its kind: see /events."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "seq": 120,
                    "time_ns": 18_250_000,
                    "kind": "waiter_queued",
                    "cpu": 1,
                    "task": 17,
                    "task_name": "wl-120",
                    "page": 3,
                    "pfn": "0x29b0",
                    "a": 214,
                    "b": 1_099_511_627_781,
                    "fields": {
                        "queue": 214,
                        "length": 5,
                        "bit": "PG_locked",
                        "flags": ["exclusive"],
                        "unflagged": False,
                    },
                    "says": "wl-120 queued for PG_locked of page 0x29b0",
                }
            ]
        }
    )

    seq: int
    time_ns: int
    kind: str
    cpu: int
    task: int | None = Field(description="row of the cast's tasks")
    task_name: str | None
    page: int | None = Field(description="row of the cast's pages")
    pfn: str | None
    a: int | str = Field(description="the first word as stored; a mapping word is a string of 16 hex digits")
    b: int | str = Field(description="the second word")
    fields: dict[str, int | str | bool | list[str]] = Field(
        description="the words taken apart: numbers, names of bits and flags, mapping words as strings of 16 hex digits"
    )
    says: str


class EventList(BaseModel):
    """Consecutive events that fit the question."""

    events: list[Event]
    next_after_seq: int | None = Field(
        description="after_seq for the next request; null at the end. Finding a rare kind may take several requests."
    )
    total: int | None = Field(
        None, description="with count=1: events that fit, before and after these too; null if counting takes too long"
    )


class QueueEntry(BaseModel):
    """A task in a wait queue."""

    task: int
    task_name: str
    pid: int
    page: int = Field(description="row of the page that it waits for")
    pfn: str
    label: str
    bit: str = Field(description="page bit that it waits for")
    since_ns: int


class QueueMoment(BaseModel):
    """A wait queue at an instant."""

    queue: int
    time_ns: int
    entries: list[QueueEntry] = Field(description="first in line first")
    unnamed: int = Field(description="entries in front of these that were queued too long ago to be named")


class Mapping(BaseModel):
    """A word of page->mapping, decoded."""

    word: str
    pointer: str
    tag: str = Field(description="none, PAGE_MAPPING_ANON, _MOVABLE or _KSM; PAGE_MAPPING_WAIT while swapped")
    tag_bits: int = Field(description="number of tag bits, the lowest bits of the word")
    means: str = Field(description="meaning of the word")
    bits: list[int] = Field(description="64 bits, the highest first")
    file: str | None = Field(None, description="the file whose address_space the pointer refers to")


class Flags(BaseModel):
    """page->flags, decoded."""

    word: str
    names: list[str] = Field(description="names of the set bits")


class PageSeen(BaseModel):
    """A page at one instant."""

    mapping: Mapping
    flags: Flags


class PageEvent(Event):
    """An event of a page, with the page before and after it."""

    before: PageSeen
    after: PageSeen


class History(BaseModel):
    """What happened to one page."""

    page: int
    pfn: str
    label: str
    events: list[PageEvent]


class Packed(BaseModel):
    """An array of numbers: little-endian bytes in base64, as Plotly takes it."""

    dtype: str
    bdata: str
    shape: str


class Heat(BaseModel):
    """Queues by columns: the longest each was in each column."""

    rows: int
    fold: int = Field(description="queues per row")
    z: Packed
    max: int


class Lanes(BaseModel):
    """Pages by columns: what the most severe moment of each page in each column was like (255: not reached)."""

    pages: list[int]
    labels: list[str]
    z: Packed = Field(description="the page's state, a number of PageState")
    waits: Packed = Field(description="0: no task waits for it; 1: some do; 2: its mapping is swapped; 255: not known")


class Gap(BaseModel):
    """A stretch whose events are missing or damaged."""

    t0: int
    t1: int
    why: str


class Window(BaseModel):
    """What a picture of a stretch of a run needs; its cost follows px, not the events."""

    run: str
    state: State
    t0: int
    t1: int
    px: int
    level: int = Field(description="-1: computed from the events; otherwise the level of the summaries used")
    events: int
    x0: int
    dx: float
    series: dict[str, Any] | None = Field(
        None, description="name -> min, max, mean or sum, each px numbers; null beyond the end of the run so far"
    )
    totals: dict[str, dict[str, float | None]] | None = Field(
        None, description="name -> min, max, mean or sum over the window, exact at any px; the part totals"
    )
    heat: Heat | None = None
    lanes: Lanes | None = None
    gaps: list[Gap]


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
