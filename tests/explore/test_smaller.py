"""Scenarios shrunk by the explorer itself: what is left still fails, plays as a run, and could not be less."""

from __future__ import annotations

import functools
import itertools

import pytest

from engine.events import Kind
from engine.explore.fewer_switches import switches
from engine.explore.shrink import Budget, Shrunk, Told
from engine.explore.shrink_scenario import scenario_candidates
from engine.explore.worlds.smaller import leads_to, schedule_to, shrink_world
from engine.explore.worlds.subject import WorldSubject
from engine.invariants import INVARIANTS
from engine.runs.scheduled import ScheduledRun
from engine.scenario import Scenario
from tests.worlds import scenario

CASES = {
    "deadlock": ("lock", "2*2/lock hold unlock", "lookup put"),
    "lock_stolen": ("2*lock unlock", "lookup lock hold unlock put", "wait_locked"),
    "lookup_retried": ("lookup_locked unlock put", "2*truncate_page", "wait_locked"),
}
"""What is to be found, in programs that are more than it takes."""


def named(told: Told) -> WorldSubject:
    return WorldSubject(Scenario.model_validate(told))


@functools.cache
def small(name: str) -> Shrunk[Told, list[int]]:
    asked = scenario(*CASES[name])
    moves = schedule_to(WorldSubject(asked), name)
    assert moves is not None
    return shrink_world(asked, name, moves)


@pytest.mark.parametrize("name", CASES)
def test_given_a_finding_when_shrunk_then_it_is_still_there_and_nothing_more_can_be_left_out(name: str) -> None:
    found = small(name)
    assert found.stopped_by == ""
    assert len(found.dropped) >= 2
    assert leads_to(named(found.subject), found.schedule, name)
    for what, told in scenario_candidates(found.subject):
        assert schedule_to(named(told), name) is None, what


@pytest.mark.parametrize("name", CASES)
def test_given_a_shrunk_finding_then_it_switches_no_more_than_the_shortest_schedule_does(name: str) -> None:
    found = small(name)
    subject = named(found.subject)
    shortest = schedule_to(subject, name)
    assert shortest is not None
    n = len(subject.processes)
    assert sorted(found.schedule) == sorted(shortest)
    assert switches(found.schedule, lambda move: move % n) <= switches(shortest, lambda move: move % n)


def test_given_a_shrunk_deadlock_when_played_as_a_run_then_its_last_event_tells_of_it() -> None:
    found = small("deadlock")
    word = named(found.subject).written(found.schedule)
    run = ScheduledRun(Scenario.model_validate(found.subject | {"schedule": word}))
    last = [event for batch in run.batches() for event in zip(batch.kind.tolist(), batch.a.tolist(), strict=True)][-1]
    assert (Kind(last[0]), INVARIANTS[last[1]].name) == (Kind.invariant_broken, "deadlock")


def test_given_moves_that_cannot_be_made_or_stop_short_then_they_lead_to_nothing() -> None:
    found = small("deadlock")
    subject = named(found.subject)
    assert not leads_to(subject, found.schedule[:-1], "deadlock")
    assert not leads_to(subject, [*found.schedule, 0], "deadlock")
    assert not leads_to(subject, found.schedule, "lost_wakeup")


def test_given_a_clock_that_runs_ahead_when_shrunk_then_the_answer_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stored answer must not depend on how fast the machine is."""
    expected, clock = small("lock_stolen"), itertools.count(0, 1000)
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    small.cache_clear()
    assert small("lock_stolen") == expected


@pytest.mark.parametrize("looks", [1, 4])
def test_given_somebody_who_stops_it_when_shrunk_then_the_rest_is_kept_and_told(looks: int) -> None:
    asked, whole, seen = scenario(*CASES["lock_stolen"]), small("lock_stolen"), itertools.count(1)
    moves = schedule_to(WorldSubject(asked), "lock_stolen")
    assert moves is not None
    found = shrink_world(asked, "lock_stolen", moves, Budget(stop=lambda: next(seen) >= looks))
    assert found.stopped_by == "cancel"
    assert found.tries < whole.tries
    assert found.dropped == whole.dropped[: len(found.dropped)]
    assert leads_to(named(found.subject), found.schedule, "lock_stolen")


def test_given_few_states_when_shrunk_then_it_says_that_states_ended_it() -> None:
    asked = scenario(*CASES["lock_stolen"])
    moves = schedule_to(WorldSubject(asked), "lock_stolen")
    assert moves is not None
    assert shrink_world(asked, "lock_stolen", moves, Budget(states=1)).stopped_by == "states"
