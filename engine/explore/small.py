"""Check that a scenario is small enough to explore, without the engine."""

from __future__ import annotations

from engine.errors import UserError
from engine.scenario import Scenario
from engine.workloads import Tasks

TASKS_MAX, PAGES_MAX = 32, 64
"""Larger worlds have too many states to explore."""


def check_small(scenario: Scenario) -> None:
    """Raise UserError for a recording, and for a scenario with too many tasks or pages."""
    workload = scenario.workload
    if not isinstance(workload, Tasks):
        text = "a recording has one fixed order: explore a scenario whose workload is tasks"
        raise UserError(text, code="not_explorable", field="scenario.workload")
    tasks = sum(group.tasks for group in workload.groups)
    for what, count, most in (("tasks", tasks, TASKS_MAX), ("pages", workload.pages, PAGES_MAX)):
        if count > most:
            text = f"{count} {what}; an exploration takes at most {most}: use fewer"
            raise UserError(text, code="too_large", field=f"scenario.workload.{what}")
