"""Runs that no sound recording and no sensible scenario asks for: nothing may be read or written beside its place."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.checks import PICKS_MAX
from engine.designs import DESIGNS
from engine.errors import BadScenario, UserError
from engine.events import ENTRY, NONE, PG_PRIVATE_2, WQ_CUSTOM, WQ_DONE, WQ_EXCLUSIVE, WQ_WOKEN, Kind
from engine.recordings.kernels import UNKNOWN_BIT
from engine.recordings.moves import MOVE, Op, Recording, Report
from engine.runs import timed, timed_run
from engine.runs.batches import cut_batch
from engine.runs.play import seal
from engine.runs.replay import LEVELS_MAX, ReplayRun, plan_walks, predict
from engine.runs.replay_steps import PASSES
from engine.runs.schedule import play_schedule
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from engine.world.state import EVENTS
from tests.engine.test_fold import check_page, check_queues
from tests.worlds import fold, scenario, start_of, wait_of

every_design = pytest.mark.parametrize("design", DESIGNS)


def recording(moves: list[dict[str, int]], tasks: int = 4, pages: int = 4) -> Recording:
    """Return a recording of these moves, 10 ns apart; what a move leaves out is 0, or unknown for the words."""
    rows = np.zeros(len(moves), MOVE)
    rows["time"] = np.arange(len(moves)) * 10
    for name in ("index", "flags", "mapping"):
        rows[name] = -1
    for row, move in zip(rows, moves, strict=True):
        for name, value in move.items():
            row[name] = value
    return Recording(
        moves=rows,
        tasks=[(f"t{i}", 100 + i) for i in range(tasks)],
        pfns=np.arange(pages, dtype=np.int64),
        files=[("8:1 1", -0x77FFFB000000), ("8:1 2", -0x77FFFAFFF000)],
        marks=["mark"],
        report=Report(form="ftrace"),
        sha256="0" * 64,
    )


def run_of(recorded: Recording, design: str = "hashed", kernel: str = "6.1", bits: int = 8) -> ReplayRun:
    wait = wait_of(design, bits)
    workload = {"kind": "recording", "recording": "demo"}
    asked = {"name": "x", "kernel": kernel, "wait": wait, "workload": workload}
    return ReplayRun(Scenario.model_validate(asked), recorded)


WORDS = st.one_of(st.sampled_from([-1, 0, 1, 2, 3, -2, 0x7FFFFFFFFFFFFFFF, -(2**63)]), st.integers(-(2**63), 2**63 - 1))
MOVES = st.fixed_dictionaries(
    {
        "op": st.sampled_from([1, 1, 1, 2, 2, 3, 3, 4, 4, *Op]),
        "task": st.integers(0, 3),
        "page": st.one_of(st.integers(0, 3), st.just(NONE)),
        "bit": st.sampled_from([0, 0, 14, PG_PRIVATE_2, 3, UNKNOWN_BIT]),
        "flags": WORDS,
        "mapping": WORDS,
        "index": WORDS,
        "arg": st.integers(0, 1),
        "wflags": st.sampled_from([0, WQ_EXCLUSIVE, WQ_EXCLUSIVE | WQ_CUSTOM, WQ_WOKEN, WQ_WOKEN | WQ_DONE, 255]),
        "cpu": st.sampled_from([0, 1, 65535]),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    moves=st.lists(MOVES, min_size=1, max_size=60),
    design=st.sampled_from([*DESIGNS]),
    kernel=st.sampled_from(["4.13", "4.16", "5.9", "6.1", "6.7+"]),
    bits=st.sampled_from([1, 8]),
)
def test_given_a_garbled_recording_when_its_log_is_folded_then_that_is_the_engines_state(
    moves: list[dict[str, int]], design: str, kernel: str, bits: int
) -> None:
    for move in moves:
        if move["op"] in (Op.insert, Op.remove):  # lines of these name a page and an order
            move |= {"page": move["page"] & 3, "flags": move["arg"], "index": move["index"] & 0xFFFF}
    run = run_of(recording(moves), design, kernel, bits)
    state = start_of(run.cast)
    for batch in run.batches():
        fold(batch, state)
    for row in range(4):
        check_page(run.world, state, row, design)
    check_queues(run.world, state, design)


@pytest.mark.parametrize("kernel", ["4.16", "6.1"])
@pytest.mark.parametrize("bit", [PG_PRIVATE_2, UNKNOWN_BIT])
def test_given_a_wait_for_any_bit_then_the_waiter_queues_and_its_wake_finds_it(bit: int, kernel: str) -> None:
    moves = [
        {"op": Op.queued, "task": 0, "bit": bit, "flags": 0},
        {"op": Op.walk, "task": 1, "bit": bit, "flags": 0},
        {"op": Op.left, "task": 0, "bit": bit, "flags": 0, "wflags": WQ_WOKEN},
    ]
    wakes, counts = predict(recording(moves), kernel=kernel)
    assert [(wake.walked, wake.matched, wake.woken) for wake in wakes] == [(1, 1, 1)]
    assert counts["waits_without_wake"] == 0


def test_given_walks_of_one_thread_that_overlap_then_each_has_a_row_of_its_own() -> None:
    """A of page 0 from row 0 to 2, B of page 1 from 1 to 5, C of page 2 from 3 to 4: C must not take B's row."""
    order = [(Op.walk, 0), (Op.walk, 1), (Op.walk_on, 0), (Op.walk, 2), (Op.walk_on, 2), (Op.walk_on, 1)]
    plan = plan_walks(recording([{"op": op, "page": page} for op, page in order]))
    assert plan.depth.tolist() == [1, 2, 1, 1, 1, 2]
    assert plan.number.tolist() == [0, 1, 0, 2, 2, 1]
    assert plan.more.tolist() == [1, 1, 0, 1, 0, 0]


def test_given_more_overlapping_walks_than_any_kernel_nests_then_memory_stays_bounded() -> None:
    pages = 300
    order = [(Op.walk, page) for page in range(pages)] + [(Op.walk_on, page) for page in range(pages)]
    recorded = recording([{"op": op, "page": page} for op, page in order], pages=pages)
    plan = plan_walks(recorded)
    assert plan.levels == LEVELS_MAX + 1
    assert sorted(set(plan.number.tolist())) == list(range(plan.wakes))
    wakes, _ = predict(recorded)
    assert len(wakes) == plan.wakes == LEVELS_MAX + 2 * (pages - LEVELS_MAX)


@every_design
def test_given_walks_that_say_nothing_then_their_passes_are_handed_on_in_time(design: str) -> None:
    """Where a page has a queue of its own, walks without waiters make no event: the table of passes fills first."""
    many = 2 * PASSES + 10
    moves = recording([{"op": Op.walk}])._replace(moves=np.zeros(many, MOVE))
    moves.moves["op"] = Op.walk
    moves.moves["time"] = np.arange(many)
    run = run_of(moves, design)
    told: list[int] = []
    run.on_pass = lambda number, tasks: told.append(number)
    events = sum(len(batch) for batch in run.batches())
    assert told == list(range(many))
    assert (events < 10) == (design in {"page_wait", "rhashtable"})


def test_given_a_walk_longer_than_a_batch_after_many_long_ones_then_the_replay_goes_on() -> None:
    waiters = 16_400
    moves = recording([{"op": Op.walk}], tasks=waiters, pages=241)._replace(moves=np.zeros(waiters + 14, MOVE))
    rows = moves.moves
    rows["time"] = np.arange(len(rows))
    for name in ("index", "flags", "mapping"):
        rows[name] = -1
    rows["op"][:waiters], rows["task"][:waiters] = Op.queued, np.arange(waiters)
    rows["op"][waiters:] = Op.walk
    rows["page"][waiters:-1] = 240  # in the queue of page 0: thirteen meet only strangers, the last wakes all
    run = run_of(moves, kernel="6.7+")
    batches = list(islice(run.batches(), 20))
    assert len(batches) < 20
    woken = sum(int((batch.kind == Kind.waiter_woken).sum()) for batch in batches)
    assert woken == waiters


def test_given_a_recording_under_page_wait_then_a_mapping_behind_a_structure_is_cleared_by_who_did_it() -> None:
    moves = [
        {"op": Op.insert, "task": 3, "index": 0, "flags": 0},
        {"op": Op.queued, "task": 1, "flags": 1, "wflags": WQ_EXCLUSIVE},
        {"op": Op.remove, "task": 2, "index": 0, "flags": 0},
    ]
    batches = list(run_of(recording(moves), "page_wait").batches())
    who = {int(kind): int(task) for batch in batches for kind, task in zip(batch.kind, batch.task, strict=True)}
    assert who[Kind.saved_mapping_cleared] == who[Kind.page_removed] == 2


def test_given_a_recording_of_a_day_then_it_is_played_to_its_end() -> None:
    recorded = recording([{"op": Op.mark}, {"op": Op.mark}])
    recorded.moves["time"][1] = 86_400 * 10**9
    (batch,) = run_of(recorded).batches()
    assert batch.time.tolist() == [0, 86_400 * 10**9]


def test_given_a_schedule_with_more_events_than_a_batch_holds_then_it_is_refused() -> None:
    w = TimedRun(scenario("9000/lock dirty unlock")).world
    with pytest.raises(UserError, match="more events"):
        play_schedule(w, [0] * 100_000)


def test_given_a_scenario_in_which_nothing_is_recorded_then_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_run, "QUIET_MAX", 1)
    group = {"name": "idle", "tasks": 1, "program": [{"op": "think", "mean_ns": 1}]}
    asked = {"name": "x", "workload": {"kind": "tasks", "pages": 1, "groups": [group]}}
    with pytest.raises(BadScenario) as refused:
        list(TimedRun(Scenario.model_validate(asked)).batches())
    assert refused.value.code == "nothing_happens"


def test_given_few_events_among_many_turns_then_a_batch_comes_before_it_is_full() -> None:
    w = TimedRun(scenario("think:1000000000 lock unlock", *["2000000000/think:1"])).world
    assert timed.run_batch(w, 16_384, 2**42) == timed.FULL
    assert w.clock[EVENTS] < 16_384


def test_given_pages_chosen_in_too_many_ways_then_the_scenario_is_refused() -> None:
    pages = 2**22
    program: list[dict[str, Any]] = [{"op": "pick", "zipf": zipf / 10} for zipf in range(PICKS_MAX // pages)]
    group = {"name": "g", "tasks": 1, "repeat": 1, "program": program}
    asked = {"name": "x", "workload": {"kind": "tasks", "pages": pages, "groups": [group]}}
    Scenario.model_validate(asked)
    program.append({"op": "pick", "zipf": 2.0})
    with pytest.raises(ValidationError, match="use fewer pages"):
        Scenario.model_validate(asked)


PROGRAMS = ("99/think:9000 pick lookup lock dirty hold:500 writeback_begin unlock put think:900 writeback_end",)


@every_design
@pytest.mark.parametrize("kernel", ["4.16", "6.1"])
def test_given_batches_of_any_size_then_the_log_is_the_same(design: str, kernel: str) -> None:
    def log(room: int) -> str:
        programs = [f"90*{PROGRAMS[0]}", "60*9/think:20000 wait_locked", "5*9/think:50000 truncate_page"]
        more: dict[str, Any] = {"costs": {"preset": "estimate"}, "machine": {"cpus": 7}, "pages": 3, "bits": 1}
        run = TimedRun(scenario(*programs, design=design, kernel=kernel, **more))
        batches = []
        while timed.run_batch(run.world, room, 2**42) == timed.FULL:
            batches.append(cut_batch(run.world))
        batches.append(cut_batch(run.world))
        assert max(len(batch) for batch in batches) < room + 1_000
        return seal(iter(batches))

    assert log(1) == log(777) == log(16_384)


def test_entries_of_a_wait_for_an_unnamed_bit_come_apart() -> None:
    moves = [{"op": Op.queued, "task": 0, "bit": UNKNOWN_BIT, "flags": 0}]
    (batch,) = run_of(recording(moves)).batches()
    (row,) = np.flatnonzero(batch.kind == Kind.waiter_queued)
    assert ENTRY.unpack(0, int(batch.b[row])).length == 1
