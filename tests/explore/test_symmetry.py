"""Equal processes with variables of their own: who is equal, and that only one of each orbit is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.m1 import m1
from engine.explore.layout import unpack
from engine.explore.plan import Plan
from engine.explore.search.explorer import Explorer
from engine.explore.search.subject import TableSubject
from engine.explore.symmetry import canonical
from engine.explore.tables.checking import checked
from engine.explore.tables.wording import BadTable
from tests.explore.shelf import NAMES, table

LARGE = {"filter_lock_5", "naive_attach_two", "dining_10"}
M1 = {(1, 1, 1, 3): (23_450, 47_170), (1, 2, 2, 1): (29_752, 77_257)}


def lock(i: int, **more: Any) -> dict[str, Any]:
    """Return a process that raises its own flag, looks whether another one's is up, and counts in its own cell."""
    return {
        "name": f"p{i}",
        "start": "ask",
        "steps": [
            {"at": "ask", "guard": "flag[0] + flag[1] + flag[2] == 0", "do": [f"flag[{i}] = 1"], "to": "in"},
            {"at": "in", "guard": "1", "do": [f"r{i} = r{i} + 1"], "to": "out"},
            {"at": "out", "guard": f"r{i} < 2", "do": [f"flag[{i}] = 0"], "to": "ask"},
            {"at": "out", "guard": f"2 <= r{i}", "do": [f"flag[{i}] = 0"], "to": "-"},
        ],
    } | more


def three(*changed: dict[str, Any], **more: Any) -> dict[str, Any]:
    procs = {proc["name"]: proc for proc in (lock(0), lock(1), lock(2), *changed)}
    return {
        "format": "protocol-table/1",
        "name": "three",
        "vars": {"flag": [0, 0, 0], "r0": 0, "r1": 0, "r2": 0, "turn": 0},
        "procs": list(procs.values()),
    } | more


def names(told: dict[str, Any]) -> list[list[str]]:
    subject = TableSubject(checked(told))
    return [[subject.processes[member] for member in group.members] for group in subject.groups]


def test_given_processes_that_differ_in_their_own_variables_then_they_are_found_to_be_equal() -> None:
    assert names(three()) == [["p0", "p1", "p2"]]
    (group,) = TableSubject(checked(three())).groups
    assert group.owned == (((0, 0), (1, 0)), ((0, 1), (2, 0)), ((0, 2), (3, 0)))


def watcher(guard: str) -> dict[str, Any]:
    return {"name": "q", "start": "s", "steps": [{"at": "s", "guard": guard, "do": [], "to": "-"}]}


@pytest.mark.parametrize(
    ("told", "groups"),
    [
        (three(lock(2, start="in")), [["p0", "p1"]]),
        (three(watcher("flag[0] && flag[2] && flag[1]")), [["p0", "p1", "p2"]]),
        (three(watcher("flag[1]")), [["p0", "p2"]]),
        (three(watcher("flag[turn]")), []),
        (three(final="r0 == 2"), [["p1", "p2"]]),
        (three(final="r2 == 2 && r0 == 2 && r1 == 2"), [["p0", "p1", "p2"]]),
        (three(final="r0 / r1 == r2"), []),
        (three(fair="weak", eventually="r1 == 2"), [["p0", "p2"]]),
        (three(outcomes=["r2"]), [["p0", "p1"]]),
        (three(ranges={"r1": [0, 2]}), [["p0", "p2"]]),
        (three(vars={"flag": [0, 0, 0], "r0": 0, "r1": 1, "r2": 0, "turn": 0}), [["p0", "p2"]]),
    ],
)
def test_given_something_that_tells_processes_apart_then_they_are_not_equal(
    told: dict[str, Any], groups: list[list[str]]
) -> None:
    assert names(told) == groups


def test_given_values_that_name_processes_then_nobody_is_equal() -> None:
    assert names(table("peterson")) == []
    with pytest.raises(BadTable, match=r"are not symmetric: their steps at .* differ: 1 and 0"):
        checked(table("peterson") | {"symmetric": [[proc["name"] for proc in table("peterson")["procs"]]]})


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"symmetric": [["p0", "p1"], ["p1", "p2"]]}, "'p1' is listed twice"),
        ({"symmetric": [["p0", "p9"]]}, "there is no process 'p9'"),
        ({"symmetric": [["p0", "p1"]], "final": "r0 == 2"}, "final tells them apart"),
        ({"symmetric": [["p1", "p0"]], "outcomes": ["r0"]}, "is listed in outcomes"),
    ],
)
def test_given_a_group_that_is_none_then_it_is_refused_with_the_reason(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadTable, match=reason):
        checked(three(**more))


@pytest.mark.parametrize("told", [*(name for name in NAMES if name not in LARGE), "three", (1, 2, 2, 1)], ids=str)
def test_given_all_states_then_one_of_each_orbit_is_found_and_no_other(told: Any) -> None:
    """The search with symmetry finds the least of each orbit, in the native code's order and in Python's alike."""
    asked = checked(m1(*told) if isinstance(told, tuple) else three() if told == "three" else table(told))
    whole, few = Explorer(asked), Explorer(asked, Plan(reduction="symmetry"))
    assert (whole.run(), few.run()) == ("", "")
    assert isinstance(few.subject, TableSubject)
    groups = few.subject.groups
    if not groups:
        assert few.found("").states == whole.found("").states
        return

    def states(explorer: Explorer) -> set[Any]:
        return {
            canonical(groups, unpack(explorer.layout, row))[0]
            for row in explorer.memory.states[: explorer.found("").states]
        }

    assert states(whole) == states(few)
    assert len(states(few)) == few.found("").states


@pytest.mark.parametrize("size", M1)
def test_given_m1_then_its_counts_are_those_of_four_other_checkers(size: tuple[int, int, int, int]) -> None:
    """Counted by SPIN without reduction, TLC and two programs written for this model alone."""
    explorer = Explorer(checked(m1(*size)))
    explorer.run()
    found = explorer.found("")
    assert (found.states, found.edges) == M1[size]


def test_given_two_and_two_like_threads_then_symmetry_leaves_less_than_a_third_of_the_states() -> None:
    explorer = Explorer(checked(m1(1, 2, 2, 1)), Plan(reduction="symmetry"))
    explorer.run()
    assert explorer.found("").states * 3 < M1[1, 2, 2, 1][0]
