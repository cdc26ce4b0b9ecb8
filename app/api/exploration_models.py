"""What the API answers about explorations and the matrix, as models."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from app.api.models import State

TWINS = ("json", "txt", "pml")
"""Forms in which an exploration can be saved."""


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
