"""Frames: calls nest, bring back what the caller worked on, and are known not to nest too deep before a run."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine.designs import DESIGNS
from engine.errors import BadDesign
from engine.fingerprint import python_function
from engine.mm.frames import call, call_on, ret
from engine.mm.steps import (
    FOUND_CHECK,
    LOCK_PAGE,
    NEXT_OP,
    NUMBERS,
    PATHS,
    STEPS,
    THINK,
    UNLOCK_PAGE,
    WRITEBACK_MAPPED,
)
from engine.runs.timed_run import TimedRun
from engine.world.jit import jit
from engine.world.linking import check_nesting, nesting, ruled_steps, step_function
from engine.world.nesting import Leads, deepest, leads_of
from engine.world.state import FRAMES_MAX, NONE, World
from tests.worlds import scenario


@jit
def _descend(w: World, task: int, frames: int) -> None:
    """Call as often as there are frames: by turns on the same pages and on others."""
    for depth in range(frames):
        if depth % 2:
            call(w, task, LOCK_PAGE, 10 + depth)
        else:
            call_on(w, task, LOCK_PAGE, 10 + depth, depth, depth + 1, depth % 5)


@jit
def _return(w: World, task: int) -> None:
    ret(w, task)


def place(w: World, task: int) -> tuple[int, ...]:
    t = w.tasks
    return t.step[task], t.depth[task], t.page[task], t.second[task], t.argument[task]


def test_given_eight_calls_when_each_returns_then_the_caller_has_its_step_pages_and_argument_back() -> None:
    w = TimedRun(scenario(*["lock unlock"] * 3, pages=2)).world
    w.tasks.page[1], w.tasks.second[1], w.tasks.argument[1] = 1, NONE, 4
    begun, others = w.memory.copy(), (place(w, 0), place(w, 2))
    outside = place(w, 1)
    _descend(w, 1, FRAMES_MAX)
    assert place(w, 1) == (LOCK_PAGE, 8, 6, 7, 1)
    assert (place(w, 0), place(w, 2)) == others
    seen = []
    for _ in range(FRAMES_MAX):
        _return(w, 1)
        seen.append(place(w, 1))
    assert seen[0] == (17, 7, 6, 7, 1), "a plain call leaves the pages as they are"
    assert seen[1] == (16, 6, 4, 5, 4)
    assert seen[-1] == (10, 0, *outside[2:])
    w.tasks.step[1] = outside[0]
    assert (w.memory == begun).all(), "frames that were left are as they were at first"


def test_given_no_caller_when_a_path_ends_then_the_next_operation_begins() -> None:
    w = TimedRun(scenario("lock unlock")).world
    steps, at = [], w.tasks.at[0]
    while w.tasks.step[0] != NEXT_OP:
        steps.append(w.tasks.step[0])
        _return(w, 0)
    assert steps == w.program.step.array.tolist()[at : at + len(steps)]
    assert w.program.last[w.tasks.at[0]] == 1


def test_given_the_kernels_paths_then_what_they_call_runs_one_frame_deeper() -> None:
    assert leads_of(python_function(step_function(NUMBERS["FIND_AGAIN"]))).calls == {LOCK_PAGE}
    assert FOUND_CHECK in leads_of(python_function(step_function(NUMBERS["FIND_AGAIN"]))).goes
    for design, card in DESIGNS.items():
        without_page_tables = tuple(step for step in range(len(STEPS)) if not WRITEBACK_MAPPED <= step < len(PATHS))
        assert nesting(without_page_tables, ruled_steps(card)) == 1, design
        assert nesting(tuple(range(len(STEPS))), ruled_steps(card)) == 3, f"{design}: a read protects, and locks"
    check_nesting()


def chain(length: int) -> Any:
    """Return leads in which each step calls the next one, `length` times."""
    return lambda step: Leads(frozenset(), frozenset({step + 1} if step < length else ()))


def test_given_calls_that_nest_too_deep_then_they_are_refused_in_a_line_that_names_the_step() -> None:
    assert deepest([0], chain(FRAMES_MAX)) == FRAMES_MAX
    with pytest.raises(BadDesign, match=rf"^calls nest deeper than 8 frames at step {STEPS[9][0]} \(.*\): end a path"):
        deepest([0], chain(FRAMES_MAX + 1))


def test_given_paths_that_call_each_other_for_ever_then_they_are_refused() -> None:
    def round_and_round(step: int) -> Leads:
        return Leads(frozenset({1 - step}), frozenset({step}) if step else frozenset())

    with pytest.raises(BadDesign, match="calls nest deeper than 8 frames"):
        deepest([0], round_and_round)


def test_given_a_step_in_two_roles_then_the_deeper_one_counts() -> None:
    nothing = frozenset[int]()
    leads = {
        THINK: Leads(frozenset({UNLOCK_PAGE}), frozenset({LOCK_PAGE})),
        LOCK_PAGE: Leads(frozenset({UNLOCK_PAGE}), nothing),
        UNLOCK_PAGE: Leads(nothing, frozenset({FOUND_CHECK})),
    }
    assert deepest([THINK], lambda step: leads.get(step, Leads(nothing, nothing))) == 2


def unnamed(w: World, task: int, step: int) -> None:
    call(w, task, step, FOUND_CHECK)


def test_given_a_call_whose_step_is_not_named_then_its_line_is_refused() -> None:
    line = unnamed.__code__.co_firstlineno + 1
    text = f"{__name__}, line {line}: call() must name the step that it calls"
    with pytest.raises(BadDesign, match=f"^{re.escape(text)}$"):
        leads_of(unnamed)
