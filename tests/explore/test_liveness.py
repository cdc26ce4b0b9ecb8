"""Promises on fair paths: the verdicts of the plain search, and lassos that are walked round by hand."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from engine.explore import promela
from engine.explore.layout import start_of
from engine.explore.plan import Limits, Plan
from engine.explore.schedules import read
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.tables.checking import checked
from engine.explore.tables.expressions import evaluate
from engine.explore.tables.playing import enabled, move, reader
from engine.explore.tables.table import Table, Values
from tests.explore import plain, plain_fair
from tests.explore.shelf import KNOWN, NAMES, table

FAIR = [name for name in NAMES if "eventually" in table(name)]
PLANS = [Plan(), Plan(search="dfs"), Plan(reduction="por"), Plan(reduction="symmetry"), Plan(reduction="all")]


@functools.cache
def explored(name: str, plan: Plan = PLANS[0]) -> dict[str, Any]:
    explorer = Explorer(checked(table(name)), plan)
    return answer(explorer, explorer.run(), Limits())


def walked(asked: Table, word: str) -> tuple[list[Values], list[set[int]], list[int]]:
    """Return the states on the way, who could step in each, and who did."""
    states, able, who = [start_of(asked)], list[set[int]](), list[int]()
    for step in read(asked, word):
        can = enabled(asked, states[-1])
        assert step in can
        able.append({one.process for one in can})
        who.append(step.process)
        states.append(move(asked, states[-1], step).after)
    return states, able, who


def test_the_shelf_has_promises_that_are_kept_and_such_that_are_not() -> None:
    broken = [name for name in FAIR if KNOWN[name]["eventually_broken"]]
    assert len(FAIR) >= 8
    assert 3 <= len(broken) <= len(FAIR) - 3


@pytest.mark.parametrize("name", FAIR)
@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.search}-{plan.reduction}")
def test_given_a_promise_when_explored_then_the_verdict_is_that_of_the_plain_search(name: str, plan: Plan) -> None:
    found, broken = explored(name, plan), plain_fair.avoids_eventually(table(name))
    assert found["liveness"]["holds"] is not broken
    assert (found["verdict"] == "Sometimes") is (broken or plain.explore(table(name)).shortest_error is not None)
    if broken and found["shortest_error"] is None:
        assert (found["error"], found["schedule"]) == ("starvation", None)


@pytest.mark.parametrize("name", [name for name in FAIR if KNOWN[name]["eventually_broken"]])
def test_given_a_lasso_when_walked_then_it_comes_back_is_fair_and_never_hopes(name: str) -> None:
    asked, found = checked(table(name)), explored(name)["liveness"]
    states, able, who = walked(asked, ".".join(filter(None, (found["stem"], found["loop"]))))
    assert asked.eventually is not None
    assert not any(evaluate(asked.eventually, reader(asked, state)) for state in states)
    if not found["loop"]:
        assert enabled(asked, states[-1]) == []
        return
    begins = len(walked(asked, found["stem"])[2])
    assert states[begins] == states[-1]
    everyone = set(range(len(asked.processes)))
    owed = set.intersection(*able[begins:]) - set(who[begins:])
    assert owed == set(), [asked.processes[one].name for one in owed & everyone]


def test_given_no_promise_then_there_is_no_word_of_it() -> None:
    found = explored("peterson")
    assert (found["liveness"], found["bounds"]["liveness_stopped_by"]) == (None, None)


@pytest.mark.parametrize("plan", [Plan(search="random", walks=3), Plan(preemptions=9)])
def test_given_a_plan_that_does_not_look_at_all_paths_then_a_kept_promise_is_not_claimed(plan: Plan) -> None:
    found = explored("ticket_lock_turns", plan)
    assert (found["liveness"], found["verdict"]) == (None, "not explored")
    assert found["bounds"]["liveness_stopped_by"] == "the plan"


def test_given_a_search_that_was_stopped_then_a_kept_promise_is_not_claimed() -> None:
    found = answer(Explorer(checked(table("ticket_lock_turns"))), "time", Limits())
    assert (found["liveness"], found["verdict"]) == (None, "not explored")
    assert found["bounds"]["liveness_stopped_by"] == "time"


def test_given_too_little_memory_for_the_look_then_it_is_not_claimed_either() -> None:
    explorer = Explorer(checked(table("ticket_lock_turns")))
    found = answer(explorer, explorer.run(), Limits(memory=explorer.progress().memory + 100))
    assert (found["liveness"], found["bounds"]["liveness_stopped_by"]) == (None, "memory")


@pytest.mark.skipif(not (shutil.which("spin") and shutil.which("gcc")), reason="spin and gcc are not here")
@pytest.mark.parametrize("name", FAIR)
def test_given_a_promise_when_spin_looks_for_a_weakly_fair_cycle_then_it_agrees(name: str, tmp_path: Path) -> None:
    """SPIN lets a path that ends stand still for ever, so a deadlock breaks the promise for it too."""
    explorer = Explorer(checked(table(name)))
    explorer.run()
    hoped = re.sub(r"\b([a-z]\w*)\b", r"v_\1", table(name)["eventually"])
    model = promela.written(explorer.table, explorer.spans) + f"ltl promise {{ <> ({hoped}) }}\n"
    (tmp_path / "table.pml").write_text(model)
    for command in (
        ("spin", "-a", "table.pml"),
        ("gcc", "-O1", "-w", "-DNOREDUCE", "-DNFAIR=4", "-DMEMLIM=1024", "-o", "pan", "pan.c"),
    ):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(
        ["./pan", "-a", "-f", "-A", "-E", "-n", "-m100000"], cwd=tmp_path, capture_output=True, text=True
    )
    errors = re.search(r"errors: (\d+)", done.stdout)
    assert errors, done.stdout
    assert (int(errors[1]) > 0) is KNOWN[name]["eventually_broken"]


@pytest.mark.parametrize(
    ("plan", "turn"),
    [
        (Plan(), "engine.explore.search.liveness.TURN"),
        (Plan(reduction="por"), "engine.explore.search.explorer.TURN_STATES"),
    ],
)
def test_given_somebody_who_stops_the_look_at_promises_then_it_ends_and_claims_nothing(
    plan: Plan, turn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a reduction the look begins with a whole search of its own, which has to be stopped, too."""
    explorer = Explorer(checked(table("ticket_lock_turns")), plan)
    stopped_by = explorer.run()
    monkeypatch.setattr(turn, 2)  # such a table is done within one turn
    found = answer(explorer, stopped_by, Limits(), stop=lambda: True)
    assert (found["liveness"], found["bounds"]["liveness_stopped_by"]) == (None, "cancel")


def test_given_somebody_who_stops_it_when_the_lasso_is_closed_then_it_ends_and_claims_nothing() -> None:
    """All turns of so small a table are over before the first question whether to stop; the way round comes after."""
    explorer = Explorer(checked(table("after_you")))
    stopped_by = explorer.run()
    assert answer(explorer, stopped_by, Limits())["error"] == "starvation"
    found = answer(explorer, stopped_by, Limits(), stop=lambda: True)
    assert (found["liveness"], found["bounds"]["liveness_stopped_by"]) == (None, "cancel")
