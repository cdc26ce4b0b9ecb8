"""The log is complete: folding a prefix of it gives the engine's pages, tasks and queues at that instant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.designs import DESIGNS
from engine.designs.wait.page_wait.verbs import page_wait_row
from engine.designs.wait.page_waiter.structures import waiter_row
from engine.events import NONE, PG_LOCKED, PG_WRITEBACK
from engine.fold import Folded
from engine.kernels import KERNELS
from engine.mm.mapping import tagged
from engine.recordings.reading import read_file
from engine.recordings.shipped import shipped_recordings
from engine.runs.batches import cut_batch
from engine.runs.replay import ReplayRun
from engine.runs.timed import run_batch
from engine.runs.timed_run import TimedRun
from engine.scenario import Scenario
from engine.world.state import EVENTS, PENDING, World
from tests.worlds import fold, scenario, start_of

OPS = st.sampled_from(
    [
        "lock hold:50 unlock",
        "lock dirty writeback_begin unlock think:30 writeback_end",
        "lock insert hold:10 unlock",
        "lock delete unlock",
        "wait_locked",
        "wait_writeback",
        "lookup think:20 put",
        "truncate_page",
        "lookup_locked hold:20 dirty unlock put",
        "write",
        "fault",
        "truncate pick",
        "writeback_end",
        "dirty",
    ]
)
PROGRAMS = st.lists(OPS, min_size=1, max_size=4).map(lambda ops: " ".join(f"think:100 pick {op}" for op in ops))


def check_queues(w: World, state: Folded, design: str) -> None:
    """The queues of the log are the engine's: same waiters, same order."""
    lists = engine_queues(w)
    assert state.queues.keys() == lists.keys()
    for queue, waiters in state.queues.items():
        slots = [{PG_LOCKED: 0, PG_WRITEBACK: 1}.get(waiter.bit, 2) for waiter in waiters]
        by_slot = [
            [waiter.task for waiter, its in zip(waiters, slots, strict=True) if its == slot]
            for slot in sorted(set(slots))
        ]
        assert lists[queue] == (by_slot if design == "page_wait" else [[waiter.task for waiter in waiters]])


def check_page(w: World, state: Folded, row: int, design: str) -> None:
    """The page of the log is the engine's: flags, mapping word and what is kept behind it."""
    page = state.page(row)
    assert (page.flags, page.mapping) == (w.pages.flags[row], w.pages.mapping[row])
    swapped = design != "hashed" and tagged(w, page.mapping)
    row_of = page_wait_row if design == "page_wait" else waiter_row
    assert page.saved_mapping == (w.waits.base[row_of(page.mapping)] if swapped else None)


def queue_of(w: World, row: int) -> list[int]:
    """Return the tasks on a list, in order, bookmarks left out."""
    tasks, entry = [], w.lists.head[row]
    while entry != NONE:
        if entry < w.rules.n_tasks:
            tasks.append(entry)
        entry = w.entries.next[entry]
    return tasks


def engine_queues(w: World) -> dict[int, list[list[int]]]:
    """Return queue number, as events show it -> its lists' tasks (a page_wait has a list for each bit)."""
    queues: dict[int, list[list[int]]] = {}
    for row in range(w.lists.head.array.size):
        if tasks := queue_of(w, row):
            shown = w.entries.page[tasks[0]] if w.rules.queue_per_page else row
            queues.setdefault(shown, []).append(tasks)
    return queues


@settings(max_examples=120, deadline=None)
@given(
    programs=st.lists(PROGRAMS, min_size=2, max_size=5),
    kernel=st.sampled_from([*KERNELS]),
    design=st.sampled_from([*DESIGNS]),
    bits=st.sampled_from([1, 8]),
    costs=st.sampled_from(["ideal", "estimate"]),
    cpus=st.sampled_from([0, 2]),
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.sampled_from([1, 7, 40, 400, 4000, 20000]), min_size=1, max_size=12),
)
def test_given_any_run_when_its_log_is_folded_then_that_is_the_engines_state(
    programs: list[str], kernel: str, design: str, bits: int, costs: str, cpus: int, seed: int, cuts: list[int]
) -> None:
    more: dict[str, Any] = {"costs": {"preset": costs}, "machine": {"cpus": cpus}, "seed": seed}
    crowd = [f"20*8/{program}" for program in programs]
    run = TimedRun(scenario(*crowd, kernel=kernel, design=design, bits=bits, pages=4, **more))
    w = run.world
    state = start_of(run.cast)
    for cut in cuts:
        run_batch(w, w.clock[EVENTS] + cut, 2**42)
        fold(cut_batch(w), state)
        for row in range(4):
            check_page(w, state, row, design)
            assert state.page(row).refcount in (None, w.pages.refcount[row])
        check_queues(w, state, design)
        lists = engine_queues(w)
        queued = {task for tasks in lists.values() for line in tasks for task in line}
        assert state.waiting.keys() == queued
        if not w.clock[PENDING]:
            lost = [task for task in queued if not w.pages.flags[w.entries.page[task]] >> w.entries.bit[task] & 1]
            assert lost == [], "asleep on a bit that is clear, and nobody is left to wake them"
        assert state.finished == {task for task in range(w.rules.n_tasks) if w.tasks.state[task] == 3}


DATA = Path(__file__).parent / "recordings" / "data"
SAMPLES = [shipped_recordings()["demo"].trace, *sorted(DATA.glob("*.trace.txt.gz"))]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("trace", SAMPLES, ids=lambda path: path.name)
def test_given_a_recording_when_its_log_is_folded_then_that_is_the_engines_state(trace: Path, design: str) -> None:
    asked = {"name": "x", "wait": {"design": design}, "workload": {"kind": "recording", "recording": "demo"}}
    run = ReplayRun(Scenario.model_validate(asked), read_file(trace))
    state = start_of(run.cast)
    for batch in run.batches():
        fold(batch, state)
    for row in range(len(run.cast.pfns or [])):
        check_page(run.world, state, row, design)
    check_queues(run.world, state, design)
