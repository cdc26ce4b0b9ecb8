"""The requested settings and limits of an exploration, validated without the engine."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.refusals import Refusal
from app.settings import MIB, Settings
from app.store.explorations import RequestedExploration
from app.subjects import Subject, digest
from engine.explore.plan import Plan, check_plan


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class RequestedLimits(_Asked):
    """Limits at which an exploration stops and reports its coverage; the server's limits if absent."""

    states: Annotated[int | None, Field(ge=1, le=2**31, description="max. states found")] = None
    memory_bytes: Annotated[int | None, Field(ge=MIB, le=2**40, description="max. memory for states, bytes")] = None
    seconds: Annotated[float | None, Field(gt=0, le=1e6, description="max. time of the search, seconds")] = None


class RequestedPlan(_Asked):
    """Settings of a search."""

    search: Literal["bfs", "dfs", "random", "pct"] = Field(
        "bfs", description="breadth-first (shortest schedules), depth-first, random walks, or PCT"
    )
    reduction: Literal["none", "por", "symmetry", "all"] = Field(
        "none", description="partial-order reduction, symmetry reduction, both, or none"
    )
    preemptions: Annotated[int | None, Field(ge=0, le=200)] = Field(
        None, description="max. preemptions of a runnable process per schedule"
    )
    walks: Annotated[int, Field(ge=1, le=10_000_000, description="random, pct: number of schedules")] = 1_000
    longest: Annotated[int, Field(ge=1, le=1_000_000, description="random, pct: max. steps per schedule")] = 10_000
    depth: Annotated[int, Field(ge=1, le=16, description="pct: bug depth")] = 3
    seed: Annotated[int, Field(ge=0, lt=2**53, description="random, pct: random seed")] = 1
    compact: bool = Field(
        False,
        description="hash compaction: less memory; the answer gives the probability that a state was missed",
    )
    promises: bool = Field(True, description="also check liveness: whether a process can starve")


def within(requested: RequestedLimits, settings: Settings) -> dict[str, float]:
    """Return the effective limits: the requested ones, or the server's. Raises Refusal for larger ones."""
    most = {
        "states": settings.explore_states_max,
        "memory_bytes": settings.explore_bytes_max,
        "seconds": settings.explore_seconds_max,
    }
    for name, limit in most.items():
        if (given := getattr(requested, name)) is not None and given > limit:
            detail = f"limits.{name} is {given}: the maximum here is {limit}"
            raise Refusal(422, "too_large", detail, field=f"limits.{name}", limit=limit)
    return {name: getattr(requested, name) or limit for name, limit in most.items()}


def exploration_of(
    subject: Subject, plan: RequestedPlan, limits: RequestedLimits, settings: Settings
) -> RequestedExploration:
    """Return an exploration for the store. Raises Refusal or UserError for invalid settings or limits."""
    values = plan.model_dump()
    check_plan(Plan(**values))
    return RequestedExploration(
        kind=subject.kind,
        name=subject.name,
        subject_json=subject.json,
        subject_sha256=subject.sha256,
        asked_sha256=digest([subject.data, values]),
        plan_json=json.dumps(values),
        limits_json=json.dumps(within(limits, settings)),
    )
