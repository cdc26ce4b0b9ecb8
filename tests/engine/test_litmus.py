"""Litmus tests of the page lock and its waits: interleavings whose outcome each kernel version is known for."""

from __future__ import annotations

import pytest

from engine.events import PG_LOCKED, PG_WAITERS, STOPS, WALK
from engine.kernels import KERNELS
from tests.worlds import Stage

OLD = ("4.13", "4.16")
NEW = ("5.9-rc", "5.9", "5.10", "6.1", "6.7+")
LOOPING = ("6.1", "6.7+")
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_design = pytest.mark.parametrize("design", ["hashed", "page_wait"])


def flag(stage: Stage, bit: int, page: int = 0) -> bool:
    return bool(stage.world.pages.flags[page] >> bit & 1)


@every_design
@every_kernel
def test_l1_no_wake_up_is_lost_wherever_the_unlock_falls(kernel: str, design: str) -> None:
    """T1 holds; T2 goes for the lock; the unlock comes after 0, 1, 2 .. of T2's steps. T2 always gets the lock."""
    for cut in range(12):
        stage = Stage("lock hold unlock", "lock", kernel=kernel, design=design)
        stage.until(0, "UNLOCK_PAGE")
        for _ in range(cut):
            if stage.world.tasks.state[1] == 0 and stage.world.tasks.step[1] != 0:
                stage.play("1")
        list_lock = [
            row for row in range(stage.world.lists.lock.array.size) if stage.world.lists.lock[row] != 0xFFFFFFFF
        ]
        if list_lock:  # T2 stands inside the queue lock: the waker would spin until T2 lets go
            stage.play("1")
        stage.sleep(0)
        stage.until(1, "NEXT_OP")
        assert flag(stage, PG_LOCKED), f"T2 sleeps for ever after {cut} steps"
        assert stage.world.entries.list[1] == 0xFFFFFFFF


@every_kernel
def test_l2_a_runner_may_steal_until_the_lock_is_handed_over(kernel: str) -> None:
    """T1 queued; T0 unlocks and T2 takes the lock before T1 runs, again and again."""
    stage = Stage("99/lock hold unlock", "lock", kernel=kernel)
    stage.until(0, "UNLOCK_PAGE")
    stage.sleep(1)
    stolen = 0
    for _ in range(20):
        stage.until(0, "NEXT_OP")  # unlock and wake
        if flag(stage, PG_LOCKED):
            break  # the walk gave the lock to the waiter
        stage.until(0, "UNLOCK_PAGE")  # T0 is quicker than the woken T1
        stolen += 1
        stage.sleep(1)  # T1 wakes, loses, queues again
    assert stage.saw("stolen_often") == (kernel in OLD)
    assert stage.saw("lock_stolen") == (kernel != "5.9-rc")
    assert stage.saw("lock_handed_over") == (kernel in NEW)
    assert stolen == (20 if kernel in OLD else 0 if kernel == "5.9-rc" else 5)


@every_kernel
def test_l3_a_waiter_that_lost_queues_again_at_the_tail(kernel: str) -> None:
    stage = Stage("9/lock hold unlock", "lock", "lock", kernel=kernel)
    stage.until(0, "UNLOCK_PAGE")
    stage.sleep(1)
    stage.sleep(2)
    stage.until(0, "NEXT_OP")
    stage.until(0, "UNLOCK_PAGE")
    stage.sleep(1)
    (queue,) = stage.folded().queues.values()
    # the strict 5.9-rc hands the lock over: there it is the runner that queues
    assert [waiter.task for waiter in queue] == ([2, 0] if kernel == "5.9-rc" else [2, 1])
    assert stage.saw("requeued_at_tail") == (kernel != "5.9-rc")


@every_kernel
def test_l4_a_shared_waiter_whose_bit_is_taken_again_before_it_runs(kernel: str) -> None:
    stage = Stage("2/lock hold unlock", "wait_locked", kernel=kernel)
    stage.until(0, "UNLOCK_PAGE")
    stage.sleep(1)
    stage.until(0, "NEXT_OP")
    stage.until(0, "UNLOCK_PAGE")  # the bit is set again
    stage.until(1, "NEXT_OP")
    waits_on = stage.world.entries.list[1] != 0xFFFFFFFF
    assert waits_on == (kernel in OLD)
    assert stage.saw("returned_bit_set") == (kernel in NEW)


@every_kernel
def test_l4_the_wait_for_writeback_loops_from_5_11_on(kernel: str) -> None:
    stage = Stage("2/lock writeback_begin unlock writeback_end hold", "wait_writeback", kernel=kernel)
    stage.until(0, "WRITEBACK_END")
    stage.sleep(1)
    stage.until(0, "HOLD")
    stage.until(0, "UNLOCK_PAGE")  # in the second round: written back again before T1 has run
    stage.until(1, "NEXT_OP")
    waits_on = stage.world.entries.list[1] != 0xFFFFFFFF
    assert waits_on == (kernel in (*OLD, *LOOPING))
    assert stage.saw("returned_bit_set") == (not waits_on)


@every_kernel
def test_l5_a_walk_wakes_the_shared_and_stops_after_the_first_exclusive(kernel: str) -> None:
    stage = Stage("lock hold unlock", "wait_locked", "lock", "wait_locked", kernel=kernel)
    stage.until(0, "UNLOCK_PAGE")
    for task in (1, 2, 3):
        stage.sleep(task)
    told = stage.until(0, "NEXT_OP")
    assert [line for line in told if "woken" in line] == ["1 waiter_woken", "2 waiter_woken"]
    ended = stage.batches[-1]
    assert WALK.unpack(int(ended.a[-1]), int(ended.b[-1])).stop == STOPS.index("exclusive")
    (queue,) = stage.folded().queues.values()
    assert [waiter.task for waiter in queue] == [3]


@pytest.mark.parametrize("kernel", [*KERNELS])
def test_l6_an_unlock_walks_past_the_waiters_of_another_page(kernel: str) -> None:
    """Pages 0 and 240 share a queue (test vectors of the hash): 150 wait for page 240, one for page 0."""
    sleepers = "150*pick:240 lock"
    stage = Stage(
        "pick:0 lock hold unlock", "pick:240 lock hold unlock", "pick:0 lock", sleepers, kernel=kernel, pages=241
    )
    stage.until(0, "UNLOCK_PAGE")
    stage.until(1, "UNLOCK_PAGE")
    for task in range(3, 153):
        stage.sleep(task)
    stage.sleep(2)
    told = stage.until(0, "NEXT_OP")
    seen = WALK.unpack(*((int(stage.batches[-1].a[-1]), int(stage.batches[-1].b[-1]))))
    assert (seen.walked, seen.matched, seen.woken, seen.strangers) == (151, 1, 1, 150)
    assert stage.saw("walk_met_strangers")
    assert told.count("0 walk_paused") == (0 if kernel in ("4.13", "6.7+") else 2)


def test_l6_a_page_of_its_own_queue_meets_no_strangers() -> None:
    sleepers = "20*pick:240 lock"
    stage = Stage(
        "pick:0 lock hold unlock", "pick:240 lock hold unlock", "pick:0 lock", sleepers, design="page_wait", pages=241
    )
    stage.until(0, "UNLOCK_PAGE")
    stage.until(1, "UNLOCK_PAGE")
    for task in range(3, 23):
        stage.sleep(task)
    stage.sleep(2)
    stage.until(0, "NEXT_OP")
    ended = stage.batches[-1]
    row = [i for i, kind in enumerate(ended.kind.tolist()) if kind == 7][-1]
    assert WALK.unpack(int(ended.a[row]), int(ended.b[row])).walked == 1


def test_l7_a_run_that_nobody_explores_does_not_walk_the_queue_for_a_witness() -> None:
    """With the same events, which is all that a run shows."""
    programs = ("pick:0 lock hold unlock", "pick:240 lock hold unlock", "pick:0 lock unlock", "pick:240 lock")
    told = {}
    for watched in (True, False):
        stage = Stage(*programs, pages=241, watched=watched)
        stage.until(0, "UNLOCK_PAGE")
        stage.until(1, "UNLOCK_PAGE")
        stage.sleep(2)
        stage.sleep(3)
        told[watched] = stage.sleep(0)
        assert flag(stage, PG_WAITERS)
        assert stage.saw("stale_waiters_flag") == watched
    assert told[True] == told[False]


@every_kernel
def test_l7_pg_waiters_stays_after_the_last_waiter_if_others_share_the_queue(kernel: str) -> None:
    stage = Stage(
        "pick:0 lock hold unlock lock hold unlock",
        "pick:240 lock hold unlock",
        "pick:0 lock unlock",
        "pick:240 lock",
        kernel=kernel,
        pages=241,
    )
    stage.until(0, "UNLOCK_PAGE")
    stage.until(1, "UNLOCK_PAGE")
    stage.sleep(2)
    stage.sleep(3)
    stage.until(0, "LOCK_PAGE")
    assert stage.saw("stale_waiters_flag")
    assert flag(stage, PG_WAITERS), "the walk that wakes the last waiter leaves the flag"
    stage.sleep(2)  # takes the lock and unlocks: walks in vain
    assert not flag(stage, PG_WAITERS)
    ended = stage.batches[-1]
    assert WALK.unpack(int(ended.a[-1]), int(ended.b[-1])).matched == 0
