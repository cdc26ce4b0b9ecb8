"""Litmus tests of structures swapped into page->mapping: GW-1 to GW-6, each with its good and its breaking order."""

from __future__ import annotations

from typing import Any

import pytest

from engine.events import PG_DIRTY, PG_LOCKED
from engine.kernels import KERNELS
from engine.world.state import NONE
from tests.worlds import Stage, step_name

every_kernel = pytest.mark.parametrize("kernel", KERNELS)
both_ends = pytest.mark.parametrize("free", ["early", "grace"])
both_writers = pytest.mark.parametrize("writers", ["helper", "plain"])
both_texts = pytest.mark.parametrize("variant", ["posted", "corrected"])
every_structure = pytest.mark.parametrize("design", ["page_wait", "page_waiter"])


def waiters(*programs: str, **wait: Any) -> Stage:
    return Stage(*programs, design="page_waiter", wait=wait)


def locked(stage: Stage) -> bool:
    return bool(stage.world.pages.flags[0] >> PG_LOCKED & 1)


@both_texts
def test_gw1_a_waiter_published_between_the_reading_of_the_mapping_and_the_clearing_of_the_bit(variant: str) -> None:
    stage = waiters("lock unlock", "lock unlock", variant=variant)
    stage.until(0, "UNLOCK_CLEAR")  # the mapping was read, and nobody was there
    stage.sleep(1)  # publishes, tries a last time, sleeps
    told = stage.sleep(0)
    assert ("1 waiter_woken" in told) == (variant == "corrected")
    if variant == "posted":
        assert not locked(stage), "asleep on a bit that is clear"
        assert stage.world.entries.list[1] != NONE
        return
    stage.sleep(1)
    assert stage.world.tasks.state[1] == 3
    assert not stage.broke()


def test_gw1_where_a_waiter_tries_after_the_clearing_it_has_the_lock() -> None:
    stage = waiters("lock unlock", "lock unlock", variant="posted")
    stage.until(0, "UNLOCK_CLEAR")
    stage.until(1, "WAITER_LAST_TRY")
    stage.play("0")
    told = stage.play("1")
    assert told == ["1 page_locked", "1 waiter_left", "1 mapping_restored"]
    stage.sleep(1)
    assert stage.world.pages.mapping[0] == stage.world.files.address[0]


def test_given_waiters_behind_one_another_then_the_lock_goes_from_one_to_the_next_and_the_mapping_comes_back() -> None:
    stage = waiters("lock unlock", "lock unlock", "lock unlock", "wait_locked")
    stage.until(0, "UNLOCK_PAGE")
    for task in (1, 2, 3):
        stage.sleep(task)
    queues = stage.folded().queues
    assert sorted([waiter.task for waiter in line] for line in queues.values()) == [[1, 2], [3]]
    for task in (0, 1):
        told = stage.sleep(task)
        assert f"{task + 1} waiter_woken" in told
        assert f"{task} page_unlocked" not in told
        assert stage.world.pages.owner[0] == task + 1
    assert "3 waiter_woken" in stage.sleep(2)
    assert not stage.broke()
    assert stage.folded().pages[0].mapping == stage.world.pages.mapping[0] == stage.world.files.address[0]


@both_writers
@every_structure
def test_gw2_a_plain_store_over_a_tagged_word_leaves_the_waiter_out_of_reach(design: str, writers: str) -> None:
    stage = Stage("truncate_page", "lock unlock", design=design, wait={"writers": writers})
    stage.until(0, "TRUNCATE_REMOVE")
    stage.sleep(1)
    told = stage.sleep(0)
    assert ("1 waiter_woken" in told) == (writers == "helper")
    stage.sleep(1)
    assert (stage.world.tasks.state[1] == 3) == (writers == "helper")
    assert stage.world.pages.mapping[0] == 0
    assert stage.folded().pages[0].mapping == 0
    if writers == "plain":
        assert not locked(stage)


@both_texts
def test_gw3_the_last_waiter_restores_the_mapping_that_it_copied_before_truncation(variant: str) -> None:
    stage = waiters("truncate_page", "lock unlock", "lock unlock", variant=variant)
    stage.until(0, "TRUNCATE_REMOVE")
    stage.sleep(1)
    stage.sleep(2)
    for task in (0, 1, 2):
        stage.sleep(task)
    resurrected = variant == "posted"
    assert stage.broke() == ({"mapping_resurrected"} if resurrected else set())
    assert (stage.world.pages.mapping[0] != 0) == resurrected


@every_kernel
def test_gw5_of_two_who_attach_one_wins_and_the_other_joins(kernel: str) -> None:
    stage = Stage("lock hold unlock", "lock unlock", "lock unlock", design="page_wait", kernel=kernel)
    stage.until(0, "UNLOCK_PAGE")
    stage.until(1, "WAIT_ATTACH")
    stage.until(2, "WAIT_ATTACH")
    assert stage.world.tasks.made[1] != stage.world.tasks.made[2]
    assert stage.play("2") == ["2 mapping_swapped"]
    assert stage.play("1") == []
    assert stage.world.tasks.made[1] == NONE
    assert stage.world.tasks.seen[1] == stage.world.tasks.seen[2] == stage.world.pages.mapping[0]
    for task in (1, 2, 0, 1, 2, 1, 2):
        stage.sleep(task) if stage.world.tasks.state[task] == 0 else []
    assert [stage.world.tasks.state[task] for task in range(3)] == [3, 3, 3]
    assert stage.world.pages.mapping[0] == stage.world.files.address[0]


@every_kernel
@both_ends
def test_gw6_a_joiner_comes_to_a_structure_whose_last_waiter_has_left(kernel: str, free: str) -> None:
    """T2 has read the tagged word; T1, the only waiter, is woken and the structure given back; T2 goes for its lock."""
    stage = Stage(
        "lock hold unlock hold lock hold", "lock", "lock", design="page_wait", kernel=kernel, wait={"free": free}
    )
    stage.until(0, "UNLOCK_PAGE")
    stage.sleep(1)
    stage.until(2, "WAIT_ENQUEUE")
    assert "0 mapping_restored" in stage.until(0, "HOLD")
    stage.until(0, "HOLD")
    stage.until(0, "LOCK_PAGE")
    stage.play("2")
    assert stage.broke() == ({"use_after_free"} if free == "early" else set())
    assert step_name(stage.world, 2) == "WAIT_PREPARE"
    stage.sleep(2)
    assert stage.world.waits.readers.array.sum() == 0


@both_ends
def test_gw6_a_follower_on_its_way_to_a_head_that_returns(free: str) -> None:
    stage = waiters("lock unlock", "lock unlock", "lock unlock", free=free)
    stage.until(0, "UNLOCK_READ")
    stage.sleep(1)
    stage.until(2, "WAITER_JOIN")
    stage.sleep(0)
    stage.until(1, "UNLOCK_PAGE")
    if free == "grace":
        assert step_name(stage.world, 1) == "WAITER_GONE", "nobody returns while somebody is on the way"
        stage.play("2")
        assert stage.world.tasks.state[1] == 0
        stage.sleep(1)
        stage.sleep(2)
        stage.sleep(1)
    else:
        stage.play("2")
    assert stage.broke() == ({"use_after_free"} if free == "early" else set())


@pytest.mark.parametrize("encoding", ["E1", "E2", "E3"])
@pytest.mark.parametrize("op", ["dirty", "writeback_end", "lock delete unlock", "lookup_locked unlock put"])
def test_readers_of_a_tagged_word_see_through_it_or_take_it_for_another_or_follow_it(op: str, encoding: str) -> None:
    """4.7: what page_mapping() answers while somebody waits for the page, and what readers make of it."""
    stage = Stage(
        "lock writeback_begin hold unlock", op, "lock", design="page_wait", kernel="4.16", wait={"encoding": encoding}
    )
    if "lock" in op:  # its owner reads the word itself, another waits for the lock
        stage.sleep(0)
        stage.until(1, "DELETE" if "delete" in op else "FOUND_CHECK")
    else:
        stage.until(0, "HOLD")
    stage.sleep(2)
    told = stage.until(1, "FIND_SLOT") if op.startswith("lookup") else stage.sleep(1)
    followed = {"E1": False, "E2": op == "lock delete unlock", "E3": "lookup" not in op}[encoding]
    assert stage.broke() == ({"wild_dereference"} if followed else set())
    if op.startswith("lookup"):
        assert ("1 lookup_retried" in told) == (encoding != "E1")


@pytest.mark.parametrize("bits", [1, 3])
def test_given_one_queue_for_all_bits_then_a_walk_meets_those_who_wait_for_another(bits: int) -> None:
    stage = Stage(
        "lock writeback_begin hold unlock writeback_end",
        "wait_writeback",
        "lock unlock",
        design="page_wait",
        wait={"wait_bits": bits},
    )
    stage.until(0, "UNLOCK_PAGE")
    stage.sleep(1)
    stage.sleep(2)
    stage.until(0, "WRITEBACK_END")
    others = [
        (int(a) >> 40) & 0xFFFFF
        for batch in stage.batches
        for kind, a in zip(batch.kind.tolist(), batch.a.tolist(), strict=True)
        if kind == 7
    ]
    assert others == [1 if bits == 1 else 0]
    for task in (2, 0, 1):
        stage.sleep(task)
    assert [stage.world.tasks.state[task] for task in range(3)] == [3, 3, 3]
    assert not stage.broke()


MOVER = "pick:1 lookup_locked delete unlock put pick:0 migrate_page:1"


@both_writers
@every_structure
def test_gw4_migration_copies_a_tagged_word_where_a_waiter_holds_no_reference(design: str, writers: str) -> None:
    stage = Stage(MOVER, "pick:0 lock unlock", design=design, wait={"writers": writers}, pages=2)
    stage.until(0, "MIGRATE_MOVE")
    stage.sleep(1)
    stage.play("0")
    assert stage.broke() == ({"shared_wait"} if writers == "plain" else set())
    if writers == "helper":
        stage.sleep(0)
        stage.sleep(1)
        assert [stage.world.tasks.state[task] for task in (0, 1)] == [3, 3]
        mappings = [stage.folded().pages[page].mapping for page in (0, 1)]
        assert mappings == [0, stage.world.files.address[0]]
        assert [stage.world.pages.index[page] for page in (0, 1)] == [1, 0]


@both_writers
def test_gw4_where_every_waiter_holds_a_reference_migration_fails_instead(writers: str) -> None:
    stage = Stage(
        MOVER, "pick:0 lookup_locked unlock put", design="page_wait", wait={"writers": writers}, pages=2, pinned=False
    )
    stage.until(0, "MIGRATE_MOVE")
    stage.sleep(1)
    stage.sleep(0)
    stage.sleep(1)
    assert not stage.broke()
    assert [stage.world.pages.file[page] for page in (0, 1)] == [0, NONE]
    assert [stage.world.pages.refcount[page] for page in (0, 1)] == [1, 0]


@every_kernel
def test_given_a_dirty_mapped_page_when_it_is_migrated_then_all_of_that_goes_with_it(kernel: str) -> None:
    stage = Stage("pick:0 write fault", MOVER, "pick:0 write", kernel=kernel, pages=2)
    stage.sleep(0)
    assert stage.sleep(1)[-1] == "1 task_finished"
    assert "2 page_written" not in stage.sleep(2)
    pages = stage.world.pages
    assert [pages.mapped[page] for page in (0, 1)] == [0, 1]
    assert [pages.flags[page] for page in (0, 1)] == [0, 1 << PG_DIRTY]
    assert [pages.refcount[page] for page in (0, 1)] == [1, 2]
    assert not stage.broke()
