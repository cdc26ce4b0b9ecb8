"""What the API answers about events, pages, queues and windows of a run, as models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.api.models import State


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
