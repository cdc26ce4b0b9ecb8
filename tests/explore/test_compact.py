"""Hash compaction: the counts of the exact search, in 20 bytes a state, and it says what it may have missed."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.m1 import m1
from engine.errors import UserError
from engine.explore.plan import Limits, Plan
from engine.explore.schedules import read
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.tables.checking import checked
from engine.explore.tables.playing import play
from tests.explore.shelf import NAMES, table

SMALL = [name for name in NAMES if name not in {"filter_lock_5", "naive_attach_two", "dining_10"}]
COUNTS = ("states", "edges", "deadlock_states", "assert_failures", "final_states", "final_violations", "depth")
TOLD = (*COUNTS, "verdict", "error", "shortest_error", "outcomes", "liveness")


def explored(told: dict[str, Any], plan: Plan, limits: Limits | None = None) -> dict[str, Any]:
    explorer = Explorer(checked(told), plan)
    return answer(explorer, explorer.run(limits or Limits()), limits or Limits())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("reduction", ["none", "symmetry"])
def test_given_a_table_when_states_are_known_by_hash_then_all_counts_are_those_of_the_exact_search(
    name: str, reduction: Any
) -> None:
    exact, compact = (explored(table(name), Plan(reduction=reduction, compact=compact)) for compact in (False, True))
    assert {key: compact[key] for key in TOLD} == {key: exact[key] for key in TOLD}
    if compact["schedule"] is not None:
        moves = play(checked(table(name)), read(checked(table(name)), compact["schedule"]))
        assert len(moves) == compact["shortest_error"]


@pytest.mark.parametrize("name", SMALL)
def test_given_partial_orders_too_then_the_verdict_and_the_ends_stay(name: str) -> None:
    exact, compact = explored(table(name), Plan()), explored(table(name), Plan(reduction="all", compact=True))
    assert compact["verdict"] == exact["verdict"]
    assert compact["states"] <= exact["states"]
    assert {tuple(map(str, one["values"])) for one in compact["outcomes"]} == {
        tuple(map(str, one["values"])) for one in exact["outcomes"]
    }


def test_given_a_hundred_thousand_states_then_each_takes_at_most_20_bytes_and_the_bounds_say_what_may_be_missed() -> (
    None
):
    found = explored(m1(1, 1, 2, 2), Plan(compact=True))
    bounds = found["bounds"]
    assert found["states"] == 102_481
    assert bounds["memory_bytes"] <= 20 * found["states"]
    assert (bounds["states_known_by"], bounds["complete"]) == ("64-bit hash", True)
    assert bounds["miss_probability"] == 102_481**2 / 2**65
    exact = explored(table("peterson"), Plan())["bounds"]
    assert (exact["states_known_by"], exact["miss_probability"]) == ("all their values", None)


def test_given_values_that_a_walk_does_not_meet_then_the_search_begins_anew_and_loses_no_state() -> None:
    away = [{"at": "s", "guard": "1", "do": [], "to": "-"}] * 40
    last = {"at": "s", "guard": "1", "do": ["far = 900", "b[1] = 0 - 70000"], "to": "-"}
    base = table("lost_increment")
    told = base | {"vars": base["vars"] | {"far": 0, "b": [0, 1]}, "outcomes": ["far", "b"]}
    told["procs"] = [*base["procs"], {"name": "far", "start": "s", "steps": [*away, last]}]
    exact, compact = (explored(told, Plan(compact=compact)) for compact in (False, True))
    assert {key: compact[key] for key in TOLD} == {key: exact[key] for key in TOLD}
    assert (900, [0, -70_000]) in [(one["values"][0], list(one["values"][1])) for one in compact["outcomes"]]


def test_given_too_little_memory_then_it_says_so() -> None:
    found = explored(m1(1, 1, 2, 2), Plan(compact=True), Limits(memory=1 << 20))
    assert (found["verdict"], found["bounds"]["stopped_by"]) == ("Sometimes", "memory")
    assert found["bounds"]["memory_bytes"] <= 1 << 20
    assert 20_000 < found["states"] < 102_481


@pytest.mark.parametrize("plan", [Plan(search="dfs"), Plan(search="pct"), Plan(preemptions=1)])
def test_given_a_search_that_needs_the_states_then_compaction_is_refused(plan: Plan) -> None:
    with pytest.raises(UserError) as refused:
        Explorer(checked(table("peterson")), plan._replace(compact=True))
    assert refused.value.field == "compact"
