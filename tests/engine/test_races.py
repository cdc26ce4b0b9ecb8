"""Interleavings that no scheduler brings about often: a step of one task falls between two of another."""

from __future__ import annotations

import pytest

from engine.events import PG_DIRTY, PG_LOCKED, PG_WAITERS, PG_WRITEBACK, Kind
from engine.kernels import KERNELS
from engine.runs.timed_run import TimedRun
from engine.world.state import FREE_WAIT, NONE
from tests.worlds import Stage, scenario

OLD = ("4.13", "4.16")
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_design = pytest.mark.parametrize("design", ["hashed", "page_wait"])


@every_design
@pytest.mark.parametrize("kernel", OLD)
def test_given_a_waiter_queued_but_not_yet_asleep_then_a_wake_takes_it_off_and_stops_there(
    kernel: str, design: str
) -> None:
    """set_current_state() precedes the test of the bit: from there on try_to_wake_up() succeeds, asleep or not."""
    stage = Stage("9/lock hold unlock", "lock", "lock", kernel=kernel, design=design)
    stage.until(0, "UNLOCK_PAGE")
    stage.until(1, "WAIT_CHECK")
    stage.sleep(2)
    told = stage.until(0, "NEXT_OP")
    assert [line for line in told if "woken" in line] == ["1 waiter_woken"]
    stage.until(0, "UNLOCK_PAGE")  # the lock is taken again before task 1 goes on
    stage.sleep(1)  # it does not sleep through its wake, but queues again, at the tail
    (queue,) = stage.folded().queues.values()
    assert [waiter.task for waiter in queue] == [2, 1]


@pytest.mark.parametrize("kernel", OLD)
def test_given_a_waiter_that_takes_the_lock_without_having_slept_then_no_wake_is_owed_to_it(kernel: str) -> None:
    stage = Stage("lock hold unlock", "lock", "lock", kernel=kernel)
    stage.until(0, "UNLOCK_PAGE")
    stage.until(1, "WAIT_CHECK")
    stage.sleep(2)
    stage.play("0")  # the unlock itself, not yet the walk
    told = stage.sleep(1)
    assert told[:2] == ["1 page_locked", "1 waiter_left"]
    told = stage.sleep(0)
    assert [line for line in told if "woken" in line] == [], "the bit is taken: the walk stops at task 2"


@pytest.mark.parametrize("kernel", OLD)
def test_given_a_waiter_that_lost_and_is_still_linked_then_it_keeps_its_place(kernel: str) -> None:
    stage = Stage("lock hold unlock hold lock hold", "lock", "lock", kernel=kernel)
    stage.until(0, "UNLOCK_PAGE")
    stage.until(1, "WAIT_CHECK")
    stage.sleep(2)
    stage.play("0 1 0")  # unlock; task 1 sees the bit clear; the waker takes the queue lock
    stage.until(2, "-")
    stage.world.pages.flags[0] |= 1 << PG_LOCKED  # a third party takes the bit
    stage.play("1")
    assert stage.world.entries.list[1] != NONE
    stage.until(0, "HOLD")  # the walk stops at task 1, the bit being taken
    stage.sleep(1)
    (queue,) = stage.folded().queues.values()
    assert [waiter.task for waiter in queue] == [1, 2]


def test_given_a_bookmark_in_a_page_wait_when_the_last_waiter_leaves_then_the_structure_stays() -> None:
    """The walker comes back to its bookmark: the page_wait must still be this page's."""
    stage = Stage("lock hold unlock", "65*wait_locked", "wait_locked", design="page_wait", kernel="4.16")
    stage.until(0, "UNLOCK_PAGE")
    for task in range(1, 66):
        stage.sleep(task)
    stage.until(66, "WAIT_CHECK")
    stage.until(0, "WAKE_RESUME")
    told = stage.sleep(66)  # sees the bit clear and takes itself off: nobody waits any more
    assert told[0] == "66 waiter_left"
    assert "66 mapping_restored" not in told
    told = stage.sleep(0)
    assert told[:2] == ["0 walk_ended", "0 mapping_restored"]
    assert all(stage.world.lists.head[row] == NONE for row in range(3))
    assert stage.world.clock[FREE_WAIT] == 0


@every_kernel
def test_given_the_end_of_writeback_then_from_6_7_on_a_flag_set_after_it_brings_no_walk(kernel: str) -> None:
    stage = Stage("lock writeback_begin unlock writeback_end", "lock hold unlock", "lock", kernel=kernel)
    stage.until(0, "WRITEBACK_END")
    stage.until(1, "UNLOCK_PAGE")
    stage.play("0")  # clears PG_writeback; nobody waits
    stage.sleep(2)  # queues for the lock: PG_waiters is set
    told = stage.sleep(0)
    assert ("0 walk_ended" in told) == (kernel != "6.7+")


@every_kernel
def test_given_a_dirty_page_when_it_is_truncated_then_it_is_dirty_no_more(kernel: str) -> None:
    stage = Stage("lock dirty unlock truncate_page", kernel=kernel)
    told = stage.sleep(0)
    cleaned, truncated = told.index("0 page_cleaned"), told.index("0 page_truncated")
    assert cleaned < truncated
    assert not stage.world.pages.flags[0] >> PG_DIRTY & 1


@every_kernel
def test_given_a_page_under_writeback_and_out_of_its_file_then_truncation_waits_for_it_first(kernel: str) -> None:
    stage = Stage("lock writeback_begin delete unlock hold writeback_end", "truncate_page", kernel=kernel)
    stage.until(0, "WRITEBACK_END")
    told = stage.sleep(1)
    assert told[-1] == "1 waiter_queued"
    stage.sleep(0)
    told = stage.sleep(1)
    assert "1 lookup_retried" in told
    assert "1 page_truncated" not in told
    assert not stage.world.pages.flags[0] >> PG_WRITEBACK & 1


@every_design
@pytest.mark.parametrize("kernel", ["4.16", "6.1"])
def test_given_many_spinners_then_each_gets_the_queue_lock_in_the_order_of_its_coming(kernel: str, design: str) -> None:
    """Tasks come for the queue lock 10 ns apart and each keeps it 100 ns: nobody may overtake."""
    costs = {"atomic_ns": 10, "queue_lock_ns": 100, "wake_latency_ns": 0}
    programs = ["lock hold:100000000", *("hold:4000 lock" for _ in range(40))]
    run = TimedRun(scenario(*programs, design=design, kernel=kernel, costs=costs))
    (batch,) = run.batches()
    came = {}
    for time, kind, task in zip(batch.time.tolist(), batch.kind.tolist(), batch.task.tolist(), strict=True):
        if kind == Kind.waiter_queued:
            came[task] = time
    assert len(came) == 40
    streams = TimedRun(scenario(*programs, design=design, kernel=kernel, costs={**costs, "queue_lock_ns": 0}))
    (free,) = streams.batches()
    first = {
        task: time
        for time, kind, task in zip(free.time.tolist(), free.kind.tolist(), free.task.tolist(), strict=True)
        if kind == Kind.waiter_queued
    }
    assert sorted(came, key=came.__getitem__) == sorted(first, key=lambda task: (first[task], task))
    assert run.world.pages.flags[0] >> PG_WAITERS & 1
