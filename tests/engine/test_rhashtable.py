"""rhashtable: the table grows and shrinks under its worker, and loses nobody, under all three schedulers."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from engine.designs.wait.rhashtable.tables import buckets_max
from engine.events import Kind
from engine.explore.plan import Limits, Plan
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.worlds.subject import WorldSubject
from engine.recordings.reading import read_file
from engine.runs.replay import predict
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from engine.world.state import ASLEEP, FINISHED
from tests.engine.recordings.samples import DATA
from tests.explore.plain_world import Counts, searched
from tests.worlds import scenario

CROWD = ("200*9/pick think:5000 lock hold:2000 unlock", "20*9/pick think:100 lock hold:50000 unlock")
WORLDS: dict[str, Scenario] = {
    "two lock, the table grows and shrinks": scenario(
        "2*lock unlock", design="rhashtable", kernel="6.1", wait={"size": 1}
    ),
    "two pages": scenario(
        "pick:0 lock unlock", "pick:1 lock unlock", design="rhashtable", kernel="4.16", pages=2, wait={"size": 1}
    ),
    "no resize": scenario("lock unlock", "wait_locked", design="rhashtable", kernel="6.7+", wait={"size": 4}),
}


def sizes(run: TimedRun) -> list[tuple[int, int]]:
    """Play a run; return the table's sizes before and after each resize."""
    found = []
    for batch in run.batches():
        resized = batch.kind == int(Kind.table_resized)
        found += list(zip(batch.a[resized].tolist(), batch.b[resized].tolist(), strict=True))
    return found


def crowd(**wait: object) -> TimedRun:
    costs = {"preset": "estimate"}
    return TimedRun(
        scenario(*CROWD, design="rhashtable", kernel="6.1", pages=400, costs=costs, wait={"size": 4, **wait})
    )


def test_given_many_waiters_when_played_then_the_table_doubles_and_halves_and_all_finish() -> None:
    run = crowd()
    told = sizes(run)
    assert (4, 8) in told
    assert (8, 16) in told
    assert (8, 4) in told
    assert all(after in (2 * before, before // 2) for before, after in told)
    assert all(one[1] == other[0] for one, other in pairwise(told)), "each begins where one ended"
    w = run.world
    assert set(w.tasks.state.array[: w.rules.first_actor].tolist()) == {FINISHED}
    assert w.tasks.state[w.rules.first_actor] == ASLEEP
    assert w.resizing.elements[0] == 0
    assert (w.buckets.head.array == 0xFFFFFFFF).all()


def test_given_no_automatic_shrinking_when_played_then_the_table_only_grows() -> None:
    told = sizes(crowd(shrink=False))
    assert told
    assert all(after == 2 * before for before, after in told)


def test_given_all_pages_waited_on_when_the_table_is_full_then_insertion_fails_and_is_tried_again() -> None:
    """-EBUSY while a resize is scheduled: the waiter costs time and queues in the end."""
    programs = ("40*pick lock hold:90000 unlock",)
    costs = {"preset": "estimate", "wake_latency_ns": 50_000}
    run = TimedRun(scenario(*programs, design="rhashtable", kernel="6.1", pages=9, costs=costs, wait={"size": 1}))
    queued = np.concatenate([batch.kind for batch in run.batches()]).tolist().count(int(Kind.waiter_queued))
    assert queued > 9
    assert set(run.world.tasks.state.array[:40].tolist()) == {FINISHED}


def test_given_a_recording_when_replayed_then_each_wake_meets_its_own_page_only() -> None:
    recording = read_file(DATA / "waits-6.1.trace.txt.gz")  # no page has waiters for two bits: these share a queue here
    theirs, _ = predict(recording, design="page_wait")
    ours, counts = predict(recording, design="rhashtable")
    assert [(wake.walked, wake.woken, wake.waiters) for wake in ours] == [
        (wake.walked, wake.woken, wake.waiters) for wake in theirs
    ]
    assert counts["waits_without_wake"] == counts["waits_left_unseen"] == 0


@cache
def plain() -> dict[str, Counts]:
    return dict(zip(WORLDS, searched(list(WORLDS.values())), strict=True))


@pytest.mark.parametrize("name", WORLDS)
def test_given_a_small_world_when_explored_then_it_counts_what_a_plain_search_counts(name: str) -> None:
    explorer = Explorer(WorldSubject(WORLDS[name]), Plan(promises=False))
    found, true = answer(explorer, explorer.run(), Limits()), plain()[name]
    assert (found["states"], found["edges"], found["depth"]) == (true.states, true.edges, true.depth)
    assert found["verdict"] == "Never"
    assert (true.stuck, true.broken, true.wrong_ends) == (0, 0, 0)


@pytest.mark.parametrize("name", WORLDS)
def test_given_equal_tasks_taken_for_one_when_explored_then_the_verdict_is_the_same(name: str) -> None:
    explorer = Explorer(WorldSubject(WORLDS[name]), Plan(reduction="all", promises=False))
    found = answer(explorer, explorer.run(), Limits())
    assert found["verdict"] == "Never"
    assert found["states"] <= plain()[name].states


@pytest.mark.parametrize(("size", "elements", "most"), [(64, 10, 64), (1, 4, 8), (4, 4, 8), (4, 3, 4)])
def test_given_so_many_elements_then_the_table_can_grow_until_they_fill_three_quarters(
    size: int, elements: int, most: int
) -> None:
    assert buckets_max(size, elements) == most
