"""An exploration's answer as data: counts, the verdict with its bounds, and the schedule of the shortest error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from engine.explore.plan import Limits
from engine.explore.search.compact import HASH_BITS, miss_probability
from engine.explore.search.counting import counted
from engine.explore.search.explorer import Explorer
from engine.explore.search.fewest_switches import fewest_switches
from engine.explore.search.found import Found, Seen
from engine.explore.search.liveness import Unknown, promise
from engine.explore.search.subject import Subject

NEVER, SOMETIMES, NOT_EXPLORED = "Never", "Sometimes", "not explored"
"""Verdicts: nothing breaks within the bounds reported; a schedule breaks it; not everything was explored."""


def answer(
    explorer: Explorer,
    stopped_by: str,
    limits: Limits,
    stop: Callable[[], bool] = lambda: False,
    ends_at: float | None = None,
) -> dict[str, Any]:
    """Return the results of a search as JSON-ready data. Numbers that a sample or a bound cannot give are null.

    stop: polled. ends_at: deadline by time.monotonic(); by default, the time that the search left of its limit. Either
    one leaves out what is not known yet: liveness (stopped by "cancel" or "time"), the number of schedules, the
    schedule with the fewest switches.
    """
    ends = time.monotonic() + limits.seconds - explorer.seconds if ends_at is None else ends_at

    def over() -> bool:
        return stop() or time.monotonic() > ends

    subject, plan, found = explorer.subject, explorer.plan, explorer.found(stopped_by)
    sampled = plan.search in {"random", "pct"}
    whole = found.complete and not sampled and plan.preemptions is None
    counts = counted(subject, explorer.shape, found.states, over) if whole and plan.reduction == "none" else None
    live, unlooked = None, ""
    if plan.promises and subject.promises:
        try:
            live = promise(explorer, stopped_by, limits, ends, stop)
        except Unknown as why:
            unlooked = str(why)
    schedule = found.schedule if found.schedule is None else fewest_switches(explorer, over) or found.schedule
    starves = live is not None and not live["holds"]
    return {
        "name": subject.name,
        "why": subject.why,
        "verdict": SOMETIMES if starves else NOT_EXPLORED if unlooked and not found.error else verdict(found, sampled),
        "error": found.error or ("starvation" if starves else None),
        "states": found.states,
        "edges": None if sampled else found.edges,
        "deadlock_states": found.deadlock_states,
        "assert_failures": found.assert_failures,
        "range_failures": found.range_failures,
        "faults": found.faults,
        "final_states": found.final_states,
        "final_violations": found.final_violations,
        "depth": found.depth,
        "outcomes": [{"values": list(values), "final_states": n} for values, n in sorted(found.outcomes.items())],
        "schedules": counts and counts.schedules,
        "traces": counts and counts.traces,
        "shortest_error": None if schedule is None else len(schedule),
        "schedule": None if schedule is None else subject.written(schedule),
        "broken": _seen(subject, found.broken),
        "witnessed": _seen(subject, found.witnessed),
        "liveness": live,
        "bounds": _bounds(explorer, found, limits) | {"liveness_stopped_by": unlooked or None},
    }


def _seen(subject: Subject, seen: dict[str, Seen]) -> dict[str, Any]:
    """Return what a world's steps reported, by name: how often, and the shortest schedule to it."""
    return {
        name: {"times": one.times, "steps": len(one.schedule), "schedule": subject.written(one.schedule)}
        for name, one in seen.items()
    }


def verdict(found: Found, sampled: bool) -> str:
    """Return the verdict without liveness."""
    if found.error:
        return SOMETIMES
    return NEVER if found.complete and not sampled else NOT_EXPLORED


def _bounds(explorer: Explorer, found: Found, limits: Limits) -> dict[str, Any]:
    """Return the bounds of the verdict: "Never" holds within them only."""
    subject, plan = explorer.subject, explorer.plan
    sampled = plan.search in {"random", "pct"}
    return {
        "complete": found.complete and not sampled,
        "stopped_by": found.stopped_by or None,
        "search": plan.search,
        "reduction": plan.reduction,
        "preemptions": plan.preemptions,
        "walks": plan.walks if sampled else None,
        "longest_walk": plan.longest if sampled else None,
        "bug_depth": plan.depth if plan.search == "pct" else None,
        "seed": plan.seed if sampled else None,
        "processes": len(subject.processes),
        "symmetric": [[subject.processes[member] for member in group] for group in subject.symmetric]
        if explorer.symmetry
        else [],
        "states_known_by": f"{HASH_BITS}-bit hash" if plan.compact else "all their values",
        "miss_probability": miss_probability(found.states) if plan.compact else None,
        "limits": {"states": limits.states, "memory_bytes": limits.memory, "seconds": limits.seconds},
        "memory_bytes": found.memory,
        "seconds": round(found.seconds, 3),
    }
