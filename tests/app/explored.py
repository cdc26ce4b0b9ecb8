"""Explorations for tests: of the tables on the shelf, asked as the server asks."""

from __future__ import annotations

from typing import Any

from app.plans import AskedLimits, AskedPlan, exploration_of
from app.settings import Settings, load_settings
from app.store.explorations import AskedExploration
from app.subjects import read_subject
from tests.explore.shelf import table


def asked(name: str, settings: Settings | None = None, limits: Any = None, **plan: Any) -> AskedExploration:
    """Return an exploration of a table on the shelf, as the store takes it."""
    return asked_of(table(name), settings, limits, **plan)


def asked_of(told: dict[str, Any], settings: Settings | None, limits: Any = None, **plan: Any) -> AskedExploration:
    """Return an exploration of a table, as the store takes it."""
    subject = read_subject(told)
    return exploration_of(subject, AskedPlan(**plan), AskedLimits(**(limits or {})), settings or load_settings())


def counters(processes: int, most: int) -> dict[str, Any]:
    """Return a table of processes that count each for itself: (most + 1) ^ processes states, and nothing breaks."""
    steps = [
        [{"at": "n", "guard": f"c[{i}] < {most}", "do": [f"c[{i}] = c[{i}] + 1"], "to": "n"}] for i in range(processes)
    ]
    for i in range(processes):
        steps[i].append({"at": "n", "guard": f"c[{i}] == {most}", "to": "-"})
    return {
        "format": "protocol-table/1",
        "name": f"{processes} counters to {most}",
        "vars": {"c": [0] * processes},
        "procs": [{"name": f"p{i}", "start": "n", "steps": steps[i]} for i in range(processes)],
        "ranges": {"c": [0, most]},
    }


def lockers(**more: Any) -> dict[str, Any]:
    """Two tasks that take one page's lock, one after the other."""
    program = [{"op": name} for name in ("lock", "unlock")]
    group = {"name": "locker", "tasks": 2, "repeat": 1, "program": program}
    workload = {"kind": "tasks", "pages": 1, "groups": [group]}
    return {"format": "scenario/2", "name": "Two lockers", "kernel": "6.1", "workload": workload, **more}
