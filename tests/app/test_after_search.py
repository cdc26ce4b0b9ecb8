"""What comes after a search: promises, the answer, shrinking. Each hears of a cancellation, of an end and of limits."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import searching
from app.searching import explore_one
from app.store import ExplorationRow, Store, open_store
from engine.explore.worlds.subject import WorldSubject
from engine.explore.worlds.telling import story_of_world
from engine.scenario import Scenario
from tests.app.explored import answered, asked_of, counters, get, settings_in, until, worker
from tests.worlds import scenario as scenario_of

THOROUGH = "import app.searching as s, app.runner as r, sys; s.SHRINK_STATES = 1 << 40; sys.exit(r.main())"
"""A worker that shrinks for as long as something may be left out."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(settings_in(tmp_path), busy_s=30)
    yield opened
    opened.close()


def slow_promise(store: Store, most: int = 60) -> ExplorationRow:
    """Ask for an exploration that is done at once, with a look at its promises that takes long: of all states."""
    told = counters(4, most) | {"fair": "weak", "eventually": f"c[0] == {most}"}
    row, _ = store.explore(asked_of(told, store.settings, reduction="por"))
    return row


def slow_shrink(store: Store) -> ExplorationRow:
    """Ask for an exploration whose finding takes seconds to shrink: it needs all processes, and nearly all states."""
    told = counters(4, 30)
    told["procs"][0]["steps"][1] = {
        "at": "n",
        "guard": " && ".join(f"c[{i}] == 30" for i in range(4)),
        "do": ["assert(0 == 1)"],
        "to": "-",
    }
    row, _ = store.explore(asked_of(told, store.settings))
    return row


SLOW = {"answer": slow_promise, "shrink": slow_shrink}


def crowded(bytes_left: int) -> str:
    """Return a worker's program that may take so many bytes more once its search is done, whatever the limit says."""
    return f"""
import app.searching as s, app.runner as r, app.keeping as k, sys
held, answer = s.Held, s.answer
def grown(*told):
    most[0] = k.resident_bytes() + {bytes_left}
    return answer(*told)
class Crowded(held):
    memory_bytes = property(lambda _: most[0])
most, s.Held, s.answer = [1 << 60], Crowded, grown
sys.exit(r.main())
"""


def test_given_a_worker_at_its_limit_of_memory_when_promises_are_looked_at_then_the_answer_says_memory(
    store: Store,
) -> None:
    """These promises fit into the exploration's own limit of memory: only the worker's stops the look at them."""
    row = slow_promise(store, 40)
    process = worker(store.settings, crowded(64 << 20))
    until(lambda: not get(store, row.id).live, "the end")
    process.terminate()
    assert process.wait(20) == 0
    ended, found = get(store, row.id), answered(get(store, row.id))
    assert (ended.state, ended.reason, ended.verdict) == ("done", None, "not explored")
    bounds = found["bounds"]
    assert (bounds["complete"], bounds["stopped_by"], bounds["liveness_stopped_by"]) == (True, None, "memory")


def phase_of(store: Store, row: ExplorationRow) -> str:
    return str(json.loads(get(store, row.id).progress_json or "{}").get("phase"))


@pytest.mark.parametrize("phase", SLOW)
def test_given_an_answer_under_way_when_cancelled_then_its_worker_ends_it_soon(store: Store, phase: str) -> None:
    row = SLOW[phase](store)
    process = worker(store.settings, THOROUGH)
    until(lambda: phase_of(store, row) == phase, phase)
    began = time.monotonic()
    store.cancel_exploration(row.id)
    until(lambda: not get(store, row.id).live, "the end")
    took = time.monotonic() - began
    process.terminate()
    assert process.wait(20) == 0
    ended, found = get(store, row.id), json.loads(get(store, row.id).answer_json or "null")
    assert (ended.state, ended.reason) == ("cancelled", "user")
    assert took < 2.5
    if phase == "answer":
        assert (found["liveness"], found["bounds"]["liveness_stopped_by"]) == (None, "cancel")
        assert ended.verdict == "not explored"
    else:
        assert (ended.verdict, found["error"]) == ("Sometimes", "assertion")
        assert found["shrunk"] is None or found["shrunk"]["stopped_by"] == "cancel"


@pytest.mark.parametrize("phase", SLOW)
def test_given_an_answer_under_way_when_its_worker_is_asked_to_end_then_another_can_take_it_up(
    store: Store, phase: str
) -> None:
    row = SLOW[phase](store)
    process = worker(store.settings, THOROUGH)
    until(lambda: phase_of(store, row) == phase, phase)
    began = time.monotonic()
    process.terminate()
    assert process.wait(20) == 0
    assert time.monotonic() - began < 5
    left = get(store, row.id)
    assert (left.state, left.attempt, left.losses, left.verdict) == ("queued", 2, 0, None)


def test_given_a_limit_of_time_when_the_finding_is_shrunk_then_it_ends_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is moved past the limit as soon as the search is done."""
    monkeypatch.setattr(searching, "SHRINK_STATES", 1 << 40)
    slow_shrink(store)
    row = store.exploration_jobs.claim("test")
    assert row is not None
    ahead, note = [0.0], store.note_exploration

    def noted(*args: Any, **told: Any) -> None:
        note(*args, **told)
        if phase_of(store, row) == "shrink":
            ahead[0] = 1e6

    monkeypatch.setattr(store, "note_exploration", noted)
    monkeypatch.setattr("app.searching.time.monotonic", lambda real=time.monotonic: real() + ahead[0])
    explore_one(store, row)
    found = json.loads(get(store, row.id).answer_json or "null")
    assert (get(store, row.id).state, found["error"]) == ("done", "assertion")
    assert found["shrunk"] is None


def test_given_a_finding_when_explored_then_what_it_does_not_need_is_left_out_and_fails_still(store: Store) -> None:
    told = scenario_of("lock", "2*lock hold unlock", "lookup put", kernel="4.16", bits=1).model_dump()
    store.explore(asked_of(told, None))
    row = store.exploration_jobs.claim("test")
    assert row is not None
    explore_one(store, row)
    found = json.loads(get(store, row.id).answer_json or "")
    small = found["shrunk"]
    assert found["error"] == "deadlock"
    assert small["dropped"]
    assert small["steps"] <= found["shortest_error"]
    tasks = sum(group["tasks"] for group in small["subject"]["workload"]["groups"])
    assert tasks == 2, "one who keeps the lock, and one who waits"
    world = WorldSubject(Scenario.model_validate(small["subject"]))
    assert "wait for each other" in story_of_world(world, world.read(small["schedule"])).ending
