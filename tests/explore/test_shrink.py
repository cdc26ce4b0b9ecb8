"""What is left out leaves the failure as it was, and in the end nothing more can be left out."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from engine.explore.fewer_switches import fewer_switches, switches
from engine.explore.search.explorer import Explorer
from engine.explore.shrink import Budget, shrink
from engine.explore.shrink_scenario import scenario_candidates
from engine.explore.tables.checking import checked
from engine.explore.tables.playing import ending, play
from engine.explore.tables.shrink_table import carried, fails, failure, shrink_table, table_candidates
from engine.explore.tables.table import Step, Table
from engine.scenario import Scenario
from tests.explore.shelf import KNOWN, LONG, NAMES, table
from tests.worlds import scenario

FAILING = [
    name
    for name in NAMES
    if name not in LONG and any(KNOWN[name].get(key) for key in ("deadlocks", "asserts", "final_broken"))
]


def process_of(step: Step) -> int:
    return step.process


def searched(asked: Table) -> list[Step] | None:
    explorer = Explorer(asked)
    explorer.run()
    return explorer.found("").schedule


@functools.cache
def found(name: str) -> tuple[Step, ...]:
    steps = searched(checked(table(name)))
    assert steps is not None
    return tuple(steps)


def test_there_are_tables_that_fail_in_every_way() -> None:
    assert len(FAILING) > 30
    assert {"deadlock", "final"} < {failure(checked(table(name)), found(name)) for name in FAILING}


@pytest.mark.parametrize("name", FAILING)
def test_given_a_table_that_fails_when_shrunk_then_its_schedule_is_one_of_the_table_itself(name: str) -> None:
    asked = checked(table(name))
    small = shrink_table(asked, found(name), searched, tries=400)
    same = failure(asked, found(name))
    assert failure(asked, small.schedule) == same
    own = carried(small.schedule, asked, checked(small.subject))
    assert own is not None
    assert fails(checked(small.subject), own, same)
    assert small.stopped_by == ""
    assert len({step.process for step in small.schedule}) <= len({step.process for step in found(name)})


@pytest.mark.parametrize("name", ["dining_4", "lost_increment", "w1_wait_once", "peterson_broken_order"])
def test_given_a_shrunk_table_when_more_is_left_out_then_it_no_longer_fails(name: str) -> None:
    asked = checked(table(name))
    small = shrink_table(asked, found(name), searched)
    same = failure(asked, small.schedule)
    for what, told in table_candidates(small.subject):
        smaller = checked(told)
        steps = searched(smaller)
        back = None if steps is None or not fails(smaller, steps, same) else carried(steps, smaller, asked)
        assert back is None or not fails(asked, back, same), what
    again = shrink_table(checked(small.subject), carried(small.schedule, asked, checked(small.subject)) or [], searched)
    assert again.dropped == ()


def test_given_a_process_that_the_failure_does_not_need_when_shrunk_then_it_and_its_variable_go() -> None:
    told = table("lost_increment")
    told["vars"]["other"] = 0
    told["procs"].append({"name": "away", "start": "s", "steps": [{"at": "s", "do": ["other = 1"], "to": "s"}]})
    told["procs"][0]["steps"].append({"at": told["procs"][0]["start"], "guard": "0", "to": "-"})
    told.pop("final", None)
    last = told["procs"][1]["steps"][-1]
    last.setdefault("do", []).append("assert(x == 2)")
    asked = checked(told)
    steps = searched(asked)
    assert steps is not None
    small = shrink_table(asked, steps, searched)
    assert "process away" in small.dropped
    assert "variable other" in small.dropped
    assert [process["name"] for process in small.subject["procs"]] in (
        [told["procs"][1]["name"]],
        [process["name"] for process in told["procs"][:2]],
    )


def test_given_a_deadlock_that_only_a_smaller_table_has_then_it_does_not_count() -> None:
    """Without its way on, a process stands still at once: that is no deadlock of the table."""
    step = {"at": "s", "guard": "x == 1", "to": "-"}
    told = {
        "format": "protocol-table/1",
        "name": "ways",
        "vars": {"x": 0, "y": 0},
        "procs": [
            {"name": "gives", "start": "s", "steps": [{"at": "s", "do": ["x = 1"], "to": "t"}, step | {"at": "t"}]},
            {"name": "waits", "start": "s", "steps": [step, {"at": "s", "guard": "x == 1", "to": "never"}, *stuck()]},
        ],
    }
    asked = checked(told)
    steps = searched(asked)
    assert steps is not None
    small = shrink_table(asked, steps, searched)
    assert failure(asked, small.schedule) == "deadlock"
    last = play(asked, small.schedule)[-1].after
    assert ending(asked, last) == "deadlock"
    assert "process gives" not in small.dropped


def stuck() -> list[dict[str, Any]]:
    return [{"at": "never", "guard": "y == 1", "to": "-"}]


# --- fewer switches -------------------------------------------------------------------------------------------------


HARD = "gw5_two_attach_plain_store"
"""One switch more than needed: two runs would first have to be parted, which saves none by itself."""


def with_fewer_switches(name: str) -> list[Step]:
    asked = checked(table(name))
    same = failure(asked, found(name))
    return fewer_switches(found(name), lambda order: fails(asked, order, same), process_of)


@pytest.mark.parametrize("name", FAILING)
def test_given_a_schedule_when_calmed_then_it_fails_alike_with_no_more_switches(name: str) -> None:
    asked, steps, order = checked(table(name)), found(name), with_fewer_switches(name)
    assert failure(asked, order) == failure(asked, steps)
    assert switches(order, process_of) <= switches(steps, process_of)
    for process in range(len(asked.processes)):
        assert [s for s in order if s.process == process] == [s for s in steps if s.process == process]


@functools.cache
def fewest(name: str) -> int:
    """Return the fewest switches of any order of the same steps with the same failure: every one of them is tried."""
    asked, steps = checked(table(name)), found(name)
    own = {p: [s for s in steps if s.process == p] for p in {s.process for s in steps}}

    def orders(taken: dict[int, int]) -> Any:
        if sum(taken.values()) == len(steps):
            yield []
        for process, mine in own.items():
            if taken[process] < len(mine):
                for rest in orders({**taken, process: taken[process] + 1}):
                    yield [mine[taken[process]], *rest]

    same = failure(asked, steps)
    return min(switches(o, process_of) for o in orders(dict.fromkeys(own, 0)) if fails(asked, o, same))


def test_given_short_schedules_when_calmed_then_the_fewest_switches_are_nearly_always_met() -> None:
    short = [name for name in FAILING if len(found(name)) <= 8]
    assert len(short) > 15
    assert [name for name in short if switches(with_fewer_switches(name), process_of) > fewest(name)] in ([], [HARD])


def test_given_moves_of_tasks_when_calmed_then_tries_are_bounded_and_the_order_within_a_task_stays() -> None:
    asked = list[list[int]]()

    def plays(order: list[int]) -> bool:
        asked.append(order)
        return True

    assert fewer_switches([0, 1, 0, 1, 0, 1], plays) in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
    asked.clear()
    assert fewer_switches([0, 1, 0, 1], lambda order: not plays(order) and False, tries=2) == [0, 1, 0, 1]
    assert len(asked) == 2


# --- scenarios ------------------------------------------------------------------------------------------------------


def needs(*wanted: str) -> Any:
    """Return a stand-in for a search: a scenario fails if some group does each of these, "lock 2" by two tasks."""

    def finds(told: dict[str, Any], known: str) -> str | None:
        Scenario.model_validate(told)
        done: dict[str, int] = {}
        for group in told["workload"]["groups"]:
            for name in {op["op"] for op in group["program"]}:
                done[name] = done.get(name, 0) + group["tasks"]
        for want in wanted:
            name, _, count = want.partition(" ")
            if done.get(name, 0) < int(count or 1):
                return None
        return known

    return finds


def programs(told: dict[str, Any]) -> list[str]:
    return [
        f"{group['tasks']}*{group['repeat']}/{' '.join(op['op'] for op in group['program'])}"
        for group in told["workload"]["groups"]
    ]


WIDE = ("3*4/lock hold writeback_begin unlock writeback_end think", "2*2/lookup lock unlock put", "wait_writeback")


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (("lock 2",), ["2*1/lock unlock"]),
        (
            ("wait_writeback", "writeback_begin"),
            ["1*1/lock writeback_begin unlock writeback_end", "1*1/wait_writeback"],
        ),
        (("lookup", "hold"), ["1*1/hold", "1*1/lookup put"]),
        (("wait_writeback",), ["1*1/wait_writeback"]),
    ],
)
def test_given_what_a_failure_needs_when_a_scenario_is_shrunk_then_that_is_what_is_left(
    wanted: tuple[str, ...], left: list[str]
) -> None:
    told = scenario(*WIDE, pages=3).model_dump()
    small = shrink(told, "a", scenario_candidates, needs(*wanted))
    assert sorted(programs(small.subject)) == sorted(left)
    assert small.subject["workload"]["pages"] == 1
    assert small.stopped_by == ""
    assert [what for what, one in scenario_candidates(small.subject) if needs(*wanted)(one, "a")] == []
    assert shrink(told, "a", scenario_candidates, needs(*wanted)) == small


def test_given_candidates_then_each_can_be_played_and_leaves_nothing_more_taken_than_before() -> None:
    told = scenario(*WIDE, pages=3).model_dump() | {"schedule": "a.b"}
    found = dict(scenario_candidates(told))
    assert len(found) > 15
    for what, smaller in found.items():
        Scenario.model_validate(smaller)
        assert "schedule" not in smaller
        for program in programs(smaller):
            ops = program.rpartition("/")[2].split()
            assert ops.count("lock") == ops.count("unlock"), what
            assert ops.count("writeback_begin") == ops.count("writeback_end"), what


def test_given_picks_when_a_page_is_left_out_then_they_move_up() -> None:
    told = scenario("pick:0 lock unlock pick:2 lock unlock", pages=3).model_dump()
    smaller = dict(scenario_candidates(told))["page 1"]
    picks = [op["first"] for op in smaller["workload"]["groups"][0]["program"] if op["op"] == "pick"]
    assert (smaller["workload"]["pages"], picks) == (2, [0, 1])
    assert "page 0" not in dict(scenario_candidates(told))


def test_given_a_lookup_that_locks_when_left_out_then_its_unlock_and_put_go_with_it() -> None:
    told = scenario("lookup_locked dirty unlock put wait_locked").model_dump()
    small = shrink(told, "a", scenario_candidates, needs("wait_locked"))
    assert programs(small.subject) == ["1*1/wait_locked"]
    assert small.dropped == ("dirty of t0", "lookup_locked and unlock and put of t0")


def test_given_a_limit_of_tries_then_what_was_left_out_so_far_counts() -> None:
    told = scenario(*WIDE, pages=3).model_dump()
    small = shrink(told, "a", scenario_candidates, needs("lock"), budget=Budget(tries=2))
    assert (small.tries, small.stopped_by, small.dropped) == (
        2,
        "tries",
        ("group t0", "group t0")[:1] + small.dropped[1:],
    )
    assert (
        shrink(told, "a", scenario_candidates, needs("lock"), budget=Budget(stop=lambda: True)).stopped_by == "cancel"
    )
