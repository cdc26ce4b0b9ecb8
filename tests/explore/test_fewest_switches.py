"""Of the shortest schedules to an error of one kind, the answer's has the fewest switches of process."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from engine.explore.layout import start_of
from engine.explore.plan import Limits, Plan
from engine.explore.schedules import read
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.search.fewest_switches import fewest_switches
from engine.explore.tables.checking import checked
from engine.explore.tables.playing import enabled, ending, move, play
from engine.explore.tables.table import Step, Table, Values
from tests.explore.shelf import KNOWN, NAMES, table

LARGE = {"filter_lock_5", "naive_attach_two", "dining_10"}
BROKEN = [
    name
    for name in NAMES
    if name not in LARGE and any(KNOWN[name][key] for key in ("deadlocks", "asserts", "final_broken"))
]


def switches(steps: list[Step]) -> int:
    return sum(one.process != other.process for one, other in pairwise(steps))


def fewest(asked: Table, length: int, kind: str) -> int:
    """Return the fewest switches of all schedules of so many steps that end so, layer by layer."""
    ahead: dict[tuple[Values, int], int] = {(start_of(asked), -1): 0}
    for steps in range(length):
        found: dict[tuple[Values, int], int] = {}
        for (values, last), so_far in ahead.items():
            for step in enabled(asked, values):
                made = move(asked, values, step)
                cost = so_far + (last not in {-1, step.process})
                if kind == "step" and steps == length - 1 and not made.broken:
                    continue
                key = made.after, step.process
                found[key] = min(cost, found.get(key, cost))
        ahead = found
    ends = [cost for (values, _), cost in ahead.items() if kind == "step" or ending(asked, values) == kind]
    return min(ends)


@pytest.mark.parametrize("name", BROKEN)
def test_given_an_error_then_no_schedule_as_short_to_one_of_its_kind_switches_less(name: str) -> None:
    asked = checked(table(name))
    explorer = Explorer(asked)
    found = answer(explorer, explorer.run(), Limits())
    steps = read(asked, found["schedule"])
    first = explorer.found("").schedule
    assert first is not None
    assert len(steps) == len(first) == found["shortest_error"]
    moves = play(asked, steps)
    kind = found["error"] if found["error"] in {"deadlock", "final"} else "step"
    assert (ending(asked, moves[-1].after) if kind != "step" else moves[-1].broken and "step") == kind
    assert switches(steps) <= switches(first)
    if explorer.found("").states < 3_000 and len(steps) <= 14:
        assert switches(steps) == fewest(asked, len(steps), kind)


def test_the_shelf_has_errors_whose_first_schedule_switches_more_than_it_must() -> None:
    fewer = 0
    for name in BROKEN:
        explorer = Explorer(checked(table(name)))
        explorer.run()
        first, best = explorer.found("").schedule, fewest_switches(explorer)
        assert first is not None
        assert best is not None
        fewer += switches(best) < switches(first)
    assert fewer >= 3


@pytest.mark.parametrize(
    "plan", [Plan(search="dfs"), Plan(reduction="all"), Plan(preemptions=5), Plan(compact=True), Plan(search="random")]
)
def test_given_a_search_that_does_not_keep_all_shortest_paths_then_its_schedule_stays(plan: Any) -> None:
    explorer = Explorer(checked(table("lost_increment")), plan)
    explorer.run()
    assert fewest_switches(explorer) is None


@pytest.mark.parametrize("over", [{"stop": lambda: True}, {"ends_at": 0.0}], ids=["stop", "time"])
def test_given_no_time_left_when_answered_then_nothing_is_counted_and_the_first_schedule_stays(
    over: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.explore.search.fewest_switches.TURN", 1)  # such tables are done within one turn
    fewer = counted = 0
    for name in BROKEN:
        explorer = Explorer(checked(table(name)))
        stopped_by = explorer.run()
        first = explorer.found(stopped_by).schedule
        assert first is not None
        whole, cut = answer(explorer, stopped_by, Limits()), answer(explorer, stopped_by, Limits(), **over)
        assert (cut["schedules"], cut["traces"]) == (None, None)
        assert cut["schedule"] == explorer.subject.written(first)
        fewer += whole["schedule"] != cut["schedule"]
        counted += whole["schedules"] is not None
    assert fewer >= 3
    assert counted >= 3
