"""Schedules told: what the story says is what the plain steps did, and the columns hold all of it at any width."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine.explore.columns import columns
from engine.explore.schedules import read
from engine.explore.story import Change, Story, Told, shown, story_of_table
from engine.explore.tables.checking import checked
from engine.explore.tables.table import Table
from engine.explore.tables.wording import BadTable
from tests.explore.shelf import NAMES, table, walk


def looping(**more: Any) -> Table:
    """Two processes: one can turn round for ever, the other waits for what never comes."""
    round_ = [{"at": "here", "do": ["x = 1 - x"], "to": "there"}, {"at": "there", "do": [], "to": "here"}]
    wait = [{"at": "wait", "guard": "x == 2", "to": "-"}]
    procs = [{"name": "turns", "start": "here", "steps": round_}, {"name": "waits", "start": "wait", "steps": wait}]
    return checked({"format": "protocol-table/1", "name": "loop", "vars": {"x": 0}, "procs": procs, **more})


def story(name: str, word: str) -> Story:
    asked = checked(table(name))
    return story_of_table(asked, read(asked, word))


def test_given_a_lock_that_breaks_when_told_then_it_reads_so() -> None:
    assert columns(story("peterson_broken_order", "a.b2.b/0.a.a/1.a.b"), 120).splitlines() == [
        "step  p0                   p1",
        "   1  idle: turn 0->1",
        "   2                       idle: turn 1->0",
        "   3                       raise: flag[1] 0->1",
        "   4                       wait",
        "   5  raise: flag[0] 0->1",
        "   6  wait",
        "   7  cs: inside 0->1",
        "   8                       cs: inside 1->2   <-- assert(inside == 1) does not hold",
    ]


def test_given_four_processes_on_80_columns_when_told_then_their_cells_go_on_below_themselves() -> None:
    assert columns(story("dining_4", "a.b.c.d"), 80).splitlines() == [
        "step  p0                 p1                 p2                 p3",
        "   1  think:",
        "        fork[0] 0->1",
        "   2                     think:",
        "                           fork[1] 0->1",
        "   3                                        think:",
        "                                              fork[2] 0->1",
        "   4                                                           think:",
        "                                                                 fork[3] 0->1",
        "      deadlock: p0 at first, p1 at first, p2 at first, p3 at first",
    ]


def test_given_more_processes_than_columns_fit_when_told_then_they_share_one_and_those_that_rest_are_named() -> None:
    assert columns(story("dining_10", "b.j.a"), 52).splitlines()[:4] == [
        "step  p0              p1              p9",
        "   1                  think:",
        "                        fork[1] 0->1",
        "   2                                  think:",
    ]
    assert columns(story("dining_10", "b.j.a"), 51).splitlines() == [
        "step  process",
        "   1  p1    think: fork[1] 0->1",
        "   2  p9      think: fork[9] 0->1",
        "   3  p0  think: fork[0] 0->1",
        "      no steps by p2, p3, p4, p5, p6, p7, p8",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_given_any_schedule_when_told_then_the_changes_lead_from_state_to_state(name: str) -> None:
    asked = checked(table(name))
    for seed in range(3):
        steps = walk(asked, 40, seed)
        told = story_of_table(asked, steps)
        before = told.start
        for step, made in zip(steps, told.steps, strict=True):
            now = {key: list(value) if isinstance(value, list) else value for key, value in before.items()}
            for change in made.changed:
                name_, _, index = change.name.partition("[")
                held = now[name_]
                if isinstance(held, list):
                    assert held[int(index[:-1])] == change.before
                    held[int(index[:-1])] = change.after
                else:
                    assert held == change.before
                    now[name_] = change.after
            places = now["at"]
            assert isinstance(places, list)
            assert (made.process, made.label) == (step.process, places[step.process])
            places[step.process] = step.asked.to
            assert now == made.after
            assert {change.name for change in made.changed} <= made.writes
            before = made.after


@pytest.mark.parametrize("wide", [60, 80, 120, 200])
@pytest.mark.parametrize("name", NAMES)
def test_given_any_width_when_told_then_no_line_is_longer_and_every_change_is_there(name: str, wide: int) -> None:
    asked = checked(table(name))
    told = story_of_table(asked, walk(asked, 60, 7))
    lines = columns(told, wide).splitlines()
    assert max(map(len, lines)) <= wide
    assert [line for line in lines if line != line.rstrip()] == []
    assert [int(n) for n in re.findall(r"^ *(\d+)  ", "\n".join(lines), re.M)] == list(range(1, len(told.steps) + 1))
    said = "\n".join(lines)
    for step in told.steps:
        for change in step.changed:
            assert str(change) in said


def test_given_a_loop_when_told_then_its_steps_are_marked() -> None:
    asked = looping()
    steps = list(asked.processes[0].steps)
    told = story_of_table(asked, steps, steps * 2)
    assert (told.loop_from, told.steps[-1].after) == (2, told.steps[1].after)
    lines = columns(told).splitlines()
    assert [line[4:6] for line in lines[1:7]] == ["  ", "  ", "| ", "| ", "| ", "| "]
    assert lines[7] == "      steps 3 to 6 (marked |) repeat forever"
    with pytest.raises(BadTable, match="does not end in the state in which it began"):
        story_of_table(asked, [], steps)


def test_given_a_variable_called_at_when_told_then_the_labels_have_another_name() -> None:
    asked = looping(vars={"x": 0, "at": 7, "at_": 8})
    assert story_of_table(asked, []).start == {"x": 0, "at": 7, "at_": 8, "at__": ["here", "wait"]}


def test_given_a_start_from_which_nothing_moves_when_told_then_that_is_the_whole_story() -> None:
    procs = [{"name": "p", "start": "s", "steps": [{"at": "s", "guard": "0", "to": "-"}]}]
    told = story_of_table(checked({"format": "protocol-table/1", "name": "still", "procs": procs}), [])
    assert columns(told) == "      deadlock: p at s"
    assert told.verdict == "deadlock: p at s"


def test_given_functions_of_the_kernel_when_told_then_they_stand_beside_the_steps_or_below_them() -> None:
    def step(label: str, function: str) -> Told:
        return Told(0, label, function, (Change("flags", 0, "locked"),), "", {}, frozenset(), frozenset({"flags"}))

    told = Story("lock", "", ("t0",), {}, (step("LOCK", "mm/filemap.c: __lock_page()"), step("LOCK", "")), "")
    assert columns(told, 90).splitlines()[1] == "   1  LOCK: flags 0->locked  mm/filemap.c: __lock_page()"
    assert columns(told, 45).splitlines()[1:] == [
        "   1  LOCK: flags 0->locked",
        "   2  LOCK: flags 0->locked",
        "      LOCK = mm/filemap.c: __lock_page()",
    ]


def test_given_control_characters_in_names_when_told_then_none_of_them_reaches_a_terminal() -> None:
    bad = "a\x1b[31m\nb\u202e\x00\u2028"
    steps = [{"at": bad, "do": ["x = 1", "assert(x ==\t0)"], "to": bad[:-1]}, {"at": bad[:-1], "guard": "0", "to": "-"}]
    procs = [{"name": bad, "start": bad, "steps": steps}]
    asked = checked({"format": "protocol-table/1", "name": bad, "vars": {"x": 0}, "procs": procs})
    said = columns(story_of_table(asked, asked.processes[0].steps[:1]))
    assert all(char.isprintable() or char == "\n" for char in said)
    assert r"a\x1b[31m\nb\u202e\x00\u2028" in said
    assert shown("plain ü 字") == "plain ü 字"


def test_given_a_schedule_too_long_to_tell_then_it_is_refused_with_the_limit() -> None:
    asked = looping()
    with pytest.raises(BadTable, match="65538 steps; the limit is 65536") as refused:
        story_of_table(asked, list(asked.processes[0].steps) * 32_769)
    assert refused.value.field == "schedule"
