"""Worlds: the engine's own steps under the explorer: verdicts, renamed tasks, schedules played again as runs."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from engine.errors import BadScenario, UserError
from engine.events import Kind
from engine.explore.plan import LIMITS, Limits, Plan
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.search.found import Found
from engine.explore.search.saving import resume, save
from engine.explore.worlds.columns import read, write
from engine.explore.worlds.equals import arrange, renamed
from engine.explore.worlds.facts import facts
from engine.explore.worlds.subject import WorldSubject
from engine.explore.worlds.telling import ending, possible, story_of_world
from engine.invariants import BUG_ON, INVARIANTS
from engine.mm.steps import PICK, SPIN
from engine.runs.play import open_run
from engine.runs.schedule import make_move, step_once
from engine.runs.scheduled import STEP_NS
from engine.scenario import Scenario
from engine.summaries.summary import Summariser
from engine.world.state import BROKEN as CLOCK_BROKEN
from engine.world.state import EVENTS, GROUPS, SEEN
from tests.worlds import scenario

WRITER = "lock writeback_begin unlock writeback_end"
WORLDS: dict[str, Scenario] = {
    "three lock": scenario("3*lock unlock", kernel="4.16", bits=1),
    "three lock, page_wait": scenario("3*lock unlock", kernel="6.1", design="page_wait"),
    "a lock never let go": scenario("lock", "2*lock unlock", kernel="4.16", bits=1),
    "writers, 5.9": scenario(f"3*{WRITER}", kernel="5.9", bits=1),
    "writers, 6.1": scenario(f"3*{WRITER}", kernel="6.1", bits=1),
    "raw NULL check": scenario(
        "lookup_locked unlock put", "truncate", "lock unlock", design="page_wait", truncate="raw_null"
    ),
    "helper": scenario("lookup_locked unlock put", "truncate", "lock unlock", design="page_wait", truncate="helper"),
    "compare": scenario("lookup_locked unlock put", "lock unlock", design="page_wait", truncate="compare"),
    "fork": scenario(
        "fork:1 store", "store", "2*store", memory={"maps": "anonymous", "children": 1, "spare": 2}, mms=(0, 0, 1)
    ),
    "dma": scenario(
        "pin dma unpin",
        "lock writeback_begin unlock writeback_end",
        "store",
        memory={"maps": "shared", "stable_pages": True},
    ),
    "protected, writers wait": scenario(
        "protect device_write unprotect",
        "2*store",
        memory={"maps": "shared"},
        protect={"design": "attachment", "policy": "wait"},
    ),
    "protected, truncation as posted": scenario(
        "protect device_write unprotect",
        "truncate",
        memory={"maps": "shared"},
        protect={"design": "page_flag", "paths": "posted"},
    ),
    "exclusive entries and fork": scenario(
        "protect device_write unprotect",
        "2*store",
        "fork:1",
        memory={"maps": "anonymous", "children": 1, "spare": 1},
        protect={"design": "exclusive_pte"},
        kernel="6.1",
    ),
    "copies": scenario(
        "device_read",
        "2/device_read",
        "store",
        memory={"maps": "shared", "copies": True},
        devices=["gpu-pcie3", "gpu-pcie4", None],
        protect={"design": "attachment"},
    ),
    "emulated atomics": scenario(
        "2*emulated_atomic", "2*store", memory={"maps": "anonymous"}, devices=["gpu-pcie3", None]
    ),
    "reclaim": scenario("reclaim:1", "store load", memory={"maps": "anonymous", "spare": 1}, kernel="6.1"),
    "a file mapped shared and private": scenario(
        *("2*store", "fork:2", "store"),
        memory={"maps": "shared", "mms": 2, "children": 1, "spare": 2, "private": [1]},
        mms=(0, 1, 1),
        kernel="6.1",
    ),
    "movable pages": scenario("2*lock unlock", "migrate_page:1", design="page_wait", type="movable", pages=2),
    "migration": scenario(
        "migrate",
        "2*store",
        "fork:1",
        memory={"maps": "anonymous", "children": 1, "spare": 2},
        kernel="6.1",
    ),
    "ksmd and a writer": scenario(
        "ksm_scan:3 ksm_scan:3",
        "2*store",
        "unmerge",
        memory={"maps": "anonymous", "contents": 1, "spare": 2},
        pages=2,
    ),
    "two pages": scenario("2*pick lock unlock", "pick:2 lock unlock", pages=3, bits=1, kernel="6.1"),
}
BROKEN = {
    "a lock never let go": "deadlock",
    "writers, 5.9": "bug_on",
    "raw NULL check": "wrong_identity",
    "dma": "unstable_write",
    "protected, truncation as posted": "lost_under_device",
}
PLANS = [Plan(reduction=reduction) for reduction in ("none", "por", "symmetry", "all")]


@cache
def explored(name: str, plan: Plan) -> tuple[WorldSubject, Found]:
    explorer = Explorer(WorldSubject(WORLDS[name]), plan)
    return explorer.subject, explorer.found(explorer.run())  # type: ignore[return-value]


def ends_in(subject: WorldSubject, moves: list[int]) -> str:
    """Return what the world shows broken after a schedule, played from the start."""
    story = story_of_world(subject, moves)
    return (story.steps[-1].broken if story.steps else "") or story.ending


@pytest.mark.parametrize("name", WORLDS)
def test_given_a_world_when_searched_in_every_way_then_the_verdict_is_one(name: str) -> None:
    plans = [*PLANS, Plan(search="dfs"), Plan(search="dfs", reduction="all")]
    errors = {plan: explored(name, plan)[1].error for plan in plans}
    assert set(errors.values()) == {BROKEN.get(name, "")}, errors


@pytest.mark.parametrize("name", WORLDS)
def test_given_a_reduction_when_it_leaves_states_out_then_none_is_new_and_some_are_fewer(name: str) -> None:
    counts = [explored(name, plan)[1].states for plan in PLANS]
    assert counts[0] >= max(counts[1:3])
    assert min(counts[1:3]) >= counts[3]
    assert counts[3] < counts[0]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.reduction)
@pytest.mark.parametrize("name", BROKEN)
def test_given_a_broken_world_when_its_schedule_is_played_then_it_breaks_there(name: str, plan: Plan) -> None:
    subject, found = explored(name, plan)
    says = next(one.says for one in INVARIANTS if one.name == BROKEN[name])
    assert found.schedule is not None
    assert says in ends_in(subject, found.schedule)
    assert found.broken[BROKEN[name]].times > 0


@pytest.mark.parametrize("name", ["a lock never let go", "raw NULL check"])
def test_given_breadth_first_when_it_finds_an_error_then_a_plain_search_finds_none_nearer(name: str) -> None:
    subject, found = explored(name, PLANS[0])
    assert found.schedule is not None
    w, n = subject.world, len(subject.processes)
    subject.begin()
    seen, layer = {subject.here()}, [subject.here()]
    for _ in range(len(found.schedule)):
        after = []
        for state in layer:
            subject.restore(state)
            assert not w.clock[CLOCK_BROKEN]
            assert not ending(subject)
            for move in possible(subject):
                subject.restore(state)
                w.clock[EVENTS] = 0
                make_move(w, move % n, move // n)
                if (to := subject.here()) not in seen:
                    seen.add(to)
                    after.append(to)
                subject.restore(state)
        layer = after
    broken = 0
    for state in layer:
        subject.restore(state)
        broken += bool(w.clock[CLOCK_BROKEN] or ending(subject))
    assert broken


@pytest.mark.parametrize("name", WORLDS)
def test_given_rubbish_in_all_other_columns_when_a_move_is_made_then_it_leads_to_the_same_state(name: str) -> None:
    """What is no part of a state must have no part in what follows it."""
    subject = WorldSubject(WORLDS[name])
    w, draw = subject.world, random.Random(name)
    state_of = {(column.group, column.name) for column in subject.columns}
    fixed = {"address", "queue", "index", "home", "lock_row", "spins_on", "spin_head", "in_pass", "mm", "device"}
    others = [
        getattr(getattr(w, group), column).array
        for group in ("pages", "tasks", "entries", "lists", "waits", "files")
        for column in GROUPS[group]._fields
        if (group, column) not in state_of and column not in fixed
    ]
    for _ in range(20):
        subject.begin()
        while moves := possible(subject):
            here, move = subject.here(), draw.choice(moves)
            n = len(subject.processes)
            w.clock[EVENTS] = 0
            make_move(w, move % n, move // n)
            told = subject.here()
            for array in others:
                array[:] = [draw.randrange(100) for _ in array]
            subject.restore(here)
            w.clock[EVENTS] = 0
            make_move(w, move % n, move // n)
            assert subject.here() == told


@pytest.mark.parametrize("name", WORLDS)
def test_given_what_is_forgotten_when_it_is_kept_then_everything_goes_on_alike(name: str) -> None:
    """Moves forget what no later step looks at: the bare steps, which forget nothing, tell the same."""
    tidied, bare = WorldSubject(WORLDS[name]), WorldSubject(WORLDS[name])
    draw, n = random.Random(name), len(tidied.processes)
    seen = ("pages.flags", "pages.refcount", "pages.owner", "tasks.step", "tasks.at", "tasks.state", "lists.length")
    for _ in range(10):
        tidied.begin()
        bare = WorldSubject(WORLDS[name])
        while moves := [move for move in possible(tidied) if move < n]:
            task = draw.choice(moves)
            if tidied.world.tasks.step[task] == PICK:
                break  # who picks by itself draws a page
            for subject in (tidied, bare):
                subject.world.clock[EVENTS] = 0
            make_move(tidied.world, task, 0)
            assert step_once(bare.world, task) != SPIN
            for column in tidied.columns:
                if column.title in seen:
                    assert read(tidied.world, column) == read(bare.world, column), column.title


@pytest.mark.parametrize("name", WORLDS)
def test_given_equal_tasks_when_renamed_then_what_follows_is_the_same_but_for_their_names(name: str) -> None:
    subject = WorldSubject(WORLDS[name])
    n, draw, w = len(subject.processes), random.Random(name), subject.world
    for _ in range(20):
        subject.begin()
        for _ in range(draw.randrange(1, 25)):
            if not (moves := possible(subject)):
                break
            make_move(w, (move := draw.choice(moves)) % n, move // n)
        here, order = subject.here(), list(range(n))
        for group in subject.symmetric:
            mixed = draw.sample(group, len(group))
            for at, task in zip(group, mixed, strict=True):
                order[at] = task
        names = {task: at for at, task in enumerate(order)}
        subject.restore(renamed(subject.columns, here, order))
        renamed_moves = {(move % n, move // n) for move in possible(subject)}
        subject.restore(here)
        assert renamed_moves == {(names[move % n], move // n) for move in possible(subject)}
        for move in possible(subject):
            subject.restore(here)
            w.clock[EVENTS] = 0
            make_move(w, move % n, move // n)
            wanted = renamed(subject.columns, subject.here(), order)
            subject.restore(renamed(subject.columns, here, order))
            w.clock[EVENTS] = 0
            make_move(w, names[move % n], move // n)
            assert subject.here() == wanted
            subject.restore(here)


@pytest.mark.parametrize("name", [*WORLDS, "page_waiter"])
def test_given_what_is_no_part_of_a_state_when_it_is_anything_then_every_step_does_the_same(name: str) -> None:
    """A search leaves there what other ways left; a step that looked at it would do now this, now that."""
    told = scenario("2*lock unlock", "lock unlock", design="page_waiter") if name == "page_waiter" else WORLDS[name]
    subject, draw = WorldSubject(told), random.Random(name)
    w, n = subject.world, len(subject.processes)
    kept = {column.name for column in subject.columns if column.group == "tasks"} | {
        "cpu",
        "mm",
        "device",
        "modified",
        "in_pass",
        "spins_on",
    }
    left_out = [getattr(w.tasks, column).array for column in w.tasks._fields if column not in kept]
    assert len(left_out) >= 6

    def made(move: int, most: int) -> tuple[object, ...]:
        for array in left_out:
            array[:] = draw.randint(0, most)
        w.clock[EVENTS] = 0
        told = make_move(w, move % n, move // n)
        return (told, subject.here(), w.clock[SEEN], w.clock[CLOCK_BROKEN]) if told else (told,)

    subject.begin()
    for _ in range(400):
        here, moves = subject.here(), possible(subject)
        for move in moves:
            subject.restore(here)
            clean = made(move, 0)
            for _ in range(3):
                subject.restore(here)
                assert made(move, 3) == clean
        subject.restore(here)
        if moves and not w.clock[CLOCK_BROKEN]:
            made(draw.choice(moves), 0)
        else:
            subject.begin()


def test_given_three_equal_tasks_when_arranged_then_most_states_that_differ_by_names_are_one() -> None:
    full, reduced = (explored("three lock", plan)[1].states for plan in (PLANS[0], PLANS[2]))
    assert full / reduced > 5, "of six names of a state, one should be left"


def test_given_a_found_schedule_when_made_a_run_then_its_events_show_what_breaks() -> None:
    subject, found = explored("writers, 5.9", PLANS[0])
    assert found.schedule is not None
    asked = WORLDS["writers, 5.9"].model_copy(update={"schedule": subject.written(found.schedule)})
    batches = list(open_run(Scenario.model_validate(asked.model_dump())).batches())
    (batch,) = batches
    (at,) = np.flatnonzero(batch.kind == Kind.invariant_broken)
    assert INVARIANTS[int(batch.a[at])].name == "bug_on"
    assert batch.time[at] == batch.time[-1] == (len(found.schedule) - 1) * STEP_NS
    summary = Summariser(open_run(Scenario.model_validate(asked.model_dump())).cast)
    summary.leaf(batch)
    figures = summary.figures()
    assert [figures[name] for name in ("broken", "broken_first", "broken_at")] == [1, BUG_ON, at]


def test_given_a_schedule_that_cannot_be_made_when_played_then_the_step_is_named() -> None:
    asked = WORLDS["three lock"].model_dump()
    for word, says in (("a4.a9", "step .*: t0-0 sleeps or has finished"), ("a/3", "has no choice 3")):
        with pytest.raises(BadScenario, match=says):
            list(open_run(Scenario.model_validate(asked | {"schedule": word})).batches())
    with pytest.raises(UserError, match="names no task"):
        WorldSubject(WORLDS["three lock"]).read("z9")


def test_given_a_retry_loop_when_searched_then_it_starves_under_weak_fairness() -> None:
    """compare under page_wait: the check fails as long as the other waits, whatever it does."""
    explorer = Explorer(WorldSubject(WORLDS["compare"]))
    told = answer(explorer, explorer.run(), LIMITS)
    assert told["verdict"] == "Sometimes"
    assert told["error"] == "starvation"
    assert told["liveness"]["loop"]


def test_given_a_limit_when_it_is_met_then_the_answer_says_what_was_covered() -> None:
    explorer = Explorer(WorldSubject(WORLDS["three lock, page_wait"]))
    limits = Limits(states=500)
    told = answer(explorer, explorer.run(limits), limits)
    assert (told["verdict"], told["bounds"]["stopped_by"]) == ("not explored", "states")


def test_given_a_choice_of_pages_when_picked_then_each_is_tried() -> None:
    subject = WorldSubject(WORLDS["two pages"])
    subject.begin()
    assert possible(subject) == [0, 3, 6, 1, 4, 7, 2], "two tasks pick one of three pages, one has a page of its own"


def test_given_arrange_when_tasks_stand_as_they_began_then_nobody_moves() -> None:
    subject = WorldSubject(WORLDS["three lock"])
    subject.begin()
    arrange(subject.world)
    assert subject.world.machine.woken.array[:3].tolist() == [0, 1, 2]
    assert read(subject.world, subject.columns[0]) == (0,)


PLACES = frozenset(
    {
        *(f"tasks.{name}" for name in ("step", "depth", "at", "rounds", "page", "bit", "unfairness")),
        *(f"tasks.{name}" for name in ("cursor", "walk_list", "matched", "other_bit")),
        *("frames.step", "frames.kept", "frames.page", "frames.second", "frames.argument"),
        *("entries.page", "entries.bit", "entries.next", "entries.prev", "entries.list"),
        *("lists.tail", "lists.length", "waits.free_next", "clock.free_wait", "clock.broken"),
    }
)
"""Columns that say where a task stands in its program, its walk or its queue: the story shows these in other ways."""


@pytest.mark.parametrize("name", WORLDS)
def test_given_a_state_when_a_column_of_it_changes_then_what_is_told_of_the_state_changes(name: str) -> None:
    subject = WorldSubject(WORLDS[name])
    for column in subject.columns:
        if column.title in PLACES:
            continue
        subject.begin()
        before, values = facts(subject), read(subject.world, column)
        for other in (-1, 1, 2, 0, 3) if column.element == "U32" else (1, 2, 0, 3):
            write(subject.world, column, (other, *values[1:]))
            if facts(subject) != before:
                break
        else:
            pytest.fail(f"{column.title} changes and nothing is told")


@pytest.mark.parametrize("name", WORLDS)
def test_given_a_world_when_it_moves_then_the_same_names_are_told_of_every_state(name: str) -> None:
    subject = WorldSubject(WORLDS[name])
    draw, n = random.Random(name), len(subject.processes)
    subject.begin()
    names = facts(subject).keys()
    while moves := possible(subject):
        move = draw.choice(moves)
        subject.world.clock[EVENTS] = 0
        make_move(subject.world, move % n, move // n)
        assert facts(subject).keys() == names


@pytest.mark.parametrize(
    "plan",
    [
        Plan(search="random", walks=3_000),
        Plan(search="pct", walks=3_000, depth=3),
        Plan(preemptions=3),
        Plan(compact=True),
    ],
    ids=["random", "pct", "preemptions", "compact"],
)
def test_given_a_broken_world_when_sampled_bounded_or_compacted_then_it_is_found_broken_too(plan: Plan) -> None:
    subject, found = explored("raw NULL check", plan)
    whole = explored("raw NULL check", PLANS[0])[1]
    assert found.error == "wrong_identity"
    assert found.schedule is not None
    assert len(found.schedule) >= len(whole.schedule or [])
    assert next(one.says for one in INVARIANTS if one.name == "wrong_identity") in ends_in(subject, found.schedule)
    assert found.states == whole.states if plan.compact else found.states <= whole.states


def test_given_a_search_of_a_world_when_saved_and_resumed_then_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    subject, whole = explored("three lock, page_wait", PLANS[0])
    first = Explorer(subject, PLANS[0])
    assert first.run(Limits(states=1_000)) == "states"
    save(first, tmp_path / "kept")
    again = resume(tmp_path / "kept", WorldSubject(WORLDS["three lock, page_wait"]), PLANS[0])
    found = again.found(again.run())
    assert (found.states, found.edges, found.depth) == (whole.states, whole.edges, whole.depth)
