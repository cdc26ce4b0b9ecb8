"""The explorer against the plain search, with every reduction on and off and in every order of the processes."""

from __future__ import annotations

import functools
import random
from collections import Counter
from typing import Any

import pytest

from engine.errors import UserError
from engine.explore.layout import start_of
from engine.explore.plan import Limits, Plan
from engine.explore.schedules import read
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.tables.checking import checked
from engine.explore.tables.playing import ending, play
from tests.explore import plain
from tests.explore.shelf import KNOWN, NAMES, table

LARGE = {"filter_lock_5", "naive_attach_two", "dining_10"}
"""The plain search takes long for these: test_promela.py has SPIN count them."""
SMALL = [name for name in NAMES if name not in LARGE]
COUNTS = ("states", "edges", "deadlock_states", "assert_failures", "final_states", "final_violations", "depth")
ERRORS = ("deadlock_states", "assert_failures", "final_violations")


@functools.cache
def counts(name: str) -> plain.Counts:
    return plain.explore(table(name))


def explored(told: dict[str, Any], plan: Plan | None = None, limits: Limits | None = None) -> dict[str, Any]:
    explorer = Explorer(checked(told), plan or Plan())
    return answer(explorer, explorer.run(limits or Limits()), limits or Limits())


def outcomes(found: dict[str, Any]) -> Counter[tuple[Any, ...]]:
    return Counter({tuple(one["values"]): one["final_states"] for one in found["outcomes"]})


@pytest.mark.parametrize("name", SMALL)
def test_given_a_table_when_explored_then_all_counts_are_those_of_the_plain_search(name: str) -> None:
    found, true = explored(table(name)), counts(name)
    assert {key: found[key] for key in COUNTS} == {key: getattr(true, key) for key in COUNTS}
    assert outcomes(found) == true.outcomes
    assert found["shortest_error"] == true.shortest_error
    starves = KNOWN[name].get("eventually_broken", False)
    assert found["verdict"] == ("Never" if true.shortest_error is None and not starves else "Sometimes")
    assert found["bounds"]["complete"]
    if true.schedules is not None:
        assert found["schedules"] == true.schedules
    if true.traces is not None:
        assert found["traces"] == true.traces


@pytest.mark.parametrize("name", SMALL)
def test_given_an_error_when_its_schedule_is_played_then_it_ends_in_that_error(name: str) -> None:
    asked = checked(table(name))
    for plan in (Plan(), Plan(search="dfs"), Plan(reduction="all"), Plan(search="pct", walks=300, longest=400)):
        found = explored(table(name), plan)
        if found["schedule"] is None:
            continue
        moves = play(asked, read(asked, found["schedule"]))
        last = moves[-1].after if moves else start_of(asked)
        assert len(moves) == found["shortest_error"]
        assert ending(asked, last) == found["error"] if found["error"] in {"deadlock", "final"} else moves[-1].broken


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("reduction", ["por", "symmetry", "all"])
def test_given_a_reduction_then_every_verdict_is_the_same_and_no_state_is_new(name: str, reduction: Any) -> None:
    found, true = explored(table(name), Plan(reduction=reduction)), counts(name)
    assert found["states"] <= true.states
    assert {key: found[key] > 0 for key in ERRORS} == {key: getattr(true, key) > 0 for key in ERRORS}
    assert set(outcomes(found)) == set(true.outcomes)
    if reduction == "por":  # which keeps every end, and the number of them
        assert (found["deadlock_states"], found["final_states"]) == (true.deadlock_states, true.final_states)
    if reduction != "por":
        assert found["shortest_error"] == true.shortest_error or reduction == "all"


@pytest.mark.parametrize("name", SMALL)
def test_given_the_processes_in_another_order_then_the_counts_are_the_same(name: str) -> None:
    told = table(name)
    random.Random(name).shuffle(told["procs"])
    found, true = explored(told), counts(name)
    assert {key: found[key] for key in COUNTS} == {key: getattr(true, key) for key in COUNTS}
    for reduction in ("por", "all"):
        again: Any = explored(told, Plan(reduction=reduction))
        assert {key: again[key] > 0 for key in ERRORS} == {key: getattr(true, key) > 0 for key in ERRORS}


@pytest.mark.parametrize("name", SMALL)
def test_given_depth_first_then_it_finds_what_breadth_first_finds(name: str) -> None:
    found, true = explored(table(name), Plan(search="dfs")), counts(name)
    same = [key for key in COUNTS if key != "depth"]
    assert {key: found[key] for key in same} == {key: getattr(true, key) for key in same}


def test_reductions_reduce() -> None:
    alone, twins = "dining_once_3", "double_checked_lock"
    assert explored(table(alone), Plan(reduction="por"))["states"] < counts(alone).states
    assert explored(table(twins), Plan(reduction="symmetry"))["states"] < counts(twins).states / 2


def test_given_bounds_of_preemptions_then_each_finds_more_until_all_is_found() -> None:
    """Lost wake-up needs one preemption: the sleeper is interrupted between its look and its sleep."""
    found = [explored(table("sleep_without_recheck"), Plan(preemptions=bound)) for bound in range(4)]
    assert [one["verdict"] for one in found] == ["Never", "Sometimes", "Sometimes", "Sometimes"]
    assert [one["bounds"]["preemptions"] for one in found] == [0, 1, 2, 3]
    wide = explored(table("peterson_broken_order"), Plan(preemptions=100))
    assert (wide["states"], wide["final_states"]) == (
        counts("peterson_broken_order").states,
        counts("peterson_broken_order").final_states,
    )


def test_given_samples_then_a_find_is_sometimes_and_no_find_is_not_never() -> None:
    assert explored(table("lost_increment"), Plan(search="random", walks=100))["verdict"] == "Sometimes"
    assert explored(table("lost_increment"), Plan(search="pct", walks=100))["verdict"] == "Sometimes"
    found = explored(table("peterson"), Plan(search="random", walks=20, longest=100))
    assert (found["verdict"], found["edges"], found["bounds"]["complete"]) == ("not explored", None, False)
    again = explored(table("lost_increment"), Plan(search="pct", walks=100, seed=1))
    assert again["schedule"] == explored(table("lost_increment"), Plan(search="pct", walks=100, seed=1))["schedule"]


@pytest.mark.parametrize(
    ("limits", "why"),
    [(Limits(states=5_000), "states"), (Limits(memory=1 << 19), "memory"), (Limits(seconds=0.0), "time")],
)
def test_given_a_limit_then_the_answer_says_what_was_covered(limits: Limits, why: str) -> None:
    found = explored(table("filter_lock_5"), limits=limits)
    assert (found["verdict"], found["bounds"]["stopped_by"], found["bounds"]["complete"]) == (
        "not explored",
        why,
        False,
    )
    assert 1_000 < found["states"] < 230_000


def test_given_a_stop_then_what_was_found_is_told_and_the_search_goes_on_to_the_same_end() -> None:
    explorer = Explorer(checked(table("naive_attach_two")))
    assert explorer.run(stop=lambda: True) == "cancel"
    part = explorer.found("cancel")
    assert explorer.run() == ""
    whole = explorer.found("")
    assert (part.complete, part.states < whole.states) == (False, True)
    assert whole[:8] == Explorer(checked(table("naive_attach_two"))).found("")[:8] or whole.states == 168_700


def test_given_values_that_a_walk_does_not_meet_then_the_fields_grow_and_no_state_is_lost() -> None:
    """x = 900 lies at the end of one schedule of thousands: the fields were made without it."""
    steps = [
        {"at": str(i), "guard": f"turn == {i % 2}", "do": [f"turn = {(i + 1) % 2}"], "to": str(i + 1)}
        for i in range(12)
    ]
    away = [{"at": str(i), "guard": "1", "do": [], "to": "-"} for i in range(12)]
    last = [{"at": "12", "guard": "1", "do": ["x = 900", "a[1] = 0 - 70000"], "to": "-"}]
    told = {
        "format": "protocol-table/1",
        "name": "far",
        "vars": {"x": 0, "turn": 0, "a": [0, 1]},
        "procs": [
            {"name": "p", "start": "0", "steps": [*steps, *away * 40, *last]},
            {"name": "q", "start": "s", "steps": [{"at": "s", "guard": "1", "do": ["a[0] = 1 - a[0]"], "to": "s"}]},
        ],
        "outcomes": ["x"],
    }
    for search in ("bfs", "dfs"):
        found = explored(told, Plan(search=search))
        true = plain.explore(told)
        assert (found["states"], found["edges"]) == (true.states, true.edges)


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (Plan(preemptions=-1), "preemptions"),
        (Plan(preemptions=2, reduction="por"), "preemptions"),
        (Plan(search="pct", reduction="symmetry"), "reduction"),
        (Plan(walks=0), "walks"),
        (Plan(depth=99), "depth"),
    ],
)
def test_given_a_plan_that_does_not_fit_then_it_is_refused_with_its_field(plan: Plan, field: str) -> None:
    with pytest.raises(UserError) as refused:
        Explorer(checked(table("peterson")), plan)
    assert refused.value.field == field
