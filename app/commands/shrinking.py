"""`folioscope explore --shrink`: shrink a finding to a smaller reproducer with few switches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.explore.columns import columns
from engine.explore.fewer_switches import fewer_switches
from engine.explore.shrink import Budget
from engine.explore.story import story_of_table
from engine.explore.tables.shrink_table import fails, failure, shrink_table
from engine.explore.tables.table import Step, Table
from engine.scenario import Scenario

CANDIDATE_STATES = 2_000_000
"""Max. states searched per candidate of a table."""


def shrunk(
    subject: Table | Scenario, found: dict[str, Any], wide: int, budget: Budget | None = None
) -> tuple[dict[str, Any], str] | None:
    """Return what is left of an answer's finding, and its schedule as columns; None if it has no schedule to its end.

    subject: the smaller table or scenario. schedule: its word; a scenario carries it, of a table it is a word of the
    whole table, too: what was left out makes no step. states: that the searches of all candidates found together.
    stopped_by: null if nothing more can be left out, else tries, states, time or cancel.
    """
    if found["schedule"] is None:
        return None
    pays = budget or Budget()
    most = pays.states
    result, story = _table(subject, found, pays) if isinstance(subject, Table) else _scenario(subject, found, pays)
    return result | {"states": most - pays.states}, columns(story, wide)


def _table(table: Table, found: dict[str, Any], budget: Budget) -> tuple[dict[str, Any], Any]:
    from engine.explore import schedules
    from engine.explore.plan import Limits
    from engine.explore.search.explorer import Explorer

    def searched(smaller: Table) -> Sequence[Step] | None:
        explorer = Explorer(smaller)
        most = Limits(states=min(CANDIDATE_STATES, budget.states), seconds=float("inf"))
        ended = explorer.run(most, stop=budget.stopped)
        budget.states -= explorer.progress().states
        return None if budget.stopped() else explorer.found(ended).schedule

    steps = schedules.read(table, found["schedule"])
    same = failure(table, steps)
    small = shrink_table(table, steps, searched, budget=budget)
    order = fewer_switches(
        small.schedule, lambda one: fails(table, one, same), lambda step: step.process, stop=budget.stopped
    )
    result = _result(small, small.subject, schedules.written(table, order), len(order))
    return result, story_of_table(table, order)


def _scenario(scenario: Scenario, found: dict[str, Any], budget: Budget) -> tuple[dict[str, Any], Any]:
    from engine.explore.worlds.smaller import shrink_world
    from engine.explore.worlds.subject import WorldSubject
    from engine.explore.worlds.telling import story_of_world

    moves = WorldSubject(scenario).read(found["schedule"])
    small = shrink_world(scenario, found["error"], moves, budget)
    subject = WorldSubject(Scenario.model_validate(small.subject))
    word = subject.written(small.schedule)
    result = _result(small, small.subject | {"schedule": word}, word, len(small.schedule))
    return result, story_of_world(subject, small.schedule)


def _result(small: Any, subject: dict[str, Any], word: str, steps: int) -> dict[str, Any]:
    return {
        "dropped": list(small.dropped),
        "subject": subject,
        "schedule": word,
        "steps": steps,
        "tries": small.tries,
        "stopped_by": small.stopped_by or None,
    }
