"""Litmus tests of truncation: T-1 to T-3, and the check after locking under each design of the truncate axis."""

from __future__ import annotations

import pytest

from engine.designs import AXES
from engine.kernels import KERNELS
from engine.world.state import NONE
from tests.worlds import Stage, enabled, step_name

every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_design = pytest.mark.parametrize("design", ["hashed", "page_wait"])
every_check = pytest.mark.parametrize("truncate", AXES["truncate"])
OLD = ("4.13", "4.16")


@every_check
@pytest.mark.parametrize("op", ["lookup_locked unlock put", "write", "fault"])
def test_t1_a_page_truncated_between_its_lookup_and_its_lock_is_found_out(op: str, truncate: str) -> None:
    stage = Stage(op, "truncate", truncate=truncate)
    stage.until(0, "LOCK_PAGE")
    assert "1 page_truncated" in stage.sleep(1)
    told = stage.sleep(0)
    assert told.count("0 lookup_retried") == 2, "the check after locking, then the empty slot"
    assert stage.saw("lookup_retried")
    assert not {"0 page_written", "0 page_mapped", "0 page_dirtied"} & set(told)
    assert not stage.broke()
    assert stage.world.tasks.holds[0] == 0
    assert stage.world.pages.owner[0] == NONE


@every_design
@every_check
@pytest.mark.parametrize("op", ["lookup_locked unlock put", "write", "fault"])
def test_t1_with_a_structure_swapped_in_a_check_for_null_takes_a_truncated_page_for_good(
    op: str, truncate: str, design: str
) -> None:
    """Chinner's objection: T0 has the page and waits for its lock; T2 waits too, so the word is no NULL meanwhile."""
    stage = Stage(op, "truncate_page", op, truncate=truncate, design=design, kernel="4.16")
    stage.until(1, "TRUNCATE_REMOVE")
    stage.sleep(0)
    stage.sleep(2)
    if design == "page_wait" and truncate == "compare":
        stage.sleep(1)  # the tagged word is not the file's: the page stays in it
        assert stage.world.pages.file[0] != NONE
        return
    assert "1 page_truncated" in stage.until(1, "NEXT_OP")
    stage.sleep(0)
    fooled = design == "page_wait" and truncate == "raw_null"
    assert ("wrong_identity" in stage.broke()) == fooled


@every_kernel
def test_t2_an_entry_installed_after_the_first_unmap_is_taken_away_with_the_page(kernel: str) -> None:
    """The fault asked for i_size before truncation wrote it, and has the page locked."""
    stage = Stage("fault", "truncate", kernel=kernel)
    stage.until(0, "FAULT_MAP")
    stage.until(1, "RANGE_NEXT")
    assert "0 page_mapped" in stage.sleep(0)
    told = stage.sleep(1)
    assert told.index("1 page_unmapped") < told.index("1 page_truncated")
    assert not stage.broke()
    assert stage.world.pages.mapped[0] == 0


@every_kernel
def test_t2_a_fault_after_i_size_maps_nothing(kernel: str) -> None:
    stage = Stage("fault", "truncate", kernel=kernel)
    stage.until(1, "RANGE_NEXT")
    assert "0 page_mapped" not in stage.sleep(0)
    stage.sleep(1)
    assert not stage.broke()


@every_kernel
def test_t3_truncation_waits_for_writeback_with_the_page_locked_and_lockers_pile_up_behind(kernel: str) -> None:
    stage = Stage("lock writeback_begin unlock writeback_end", "truncate", "write", kernel=kernel)
    stage.until(0, "WRITEBACK_END")
    told = stage.sleep(1)
    assert told[-1] == "1 waiter_queued"
    assert stage.world.pages.owner[0] == 1
    stage.sleep(2)
    assert stage.saw("wait_holding_lock")
    stage.sleep(0)
    assert "1 page_truncated" in stage.sleep(1)
    assert "2 page_written" not in stage.sleep(2)
    assert not stage.broke()


@every_check
def test_t3_a_page_that_is_waited_on_is_passed_over_for_ever_where_the_word_itself_is_compared(truncate: str) -> None:
    """The writer queues for the lock whenever truncation has it: its wait is what keeps the word tagged."""
    stage = Stage("truncate", "write", design="page_wait", truncate=truncate, kernel="4.16")
    stage.until(1, "LOCK_PAGE")
    stage.until(0, "RANGE_CHECK")
    stage.sleep(1)
    stage.until(0, "RANGE_NEXT")
    assert (stage.world.pages.file[0] != NONE) == (truncate == "compare")
    if truncate == "compare":
        for _ in range(3):  # the writer is quick to queue, and slow to run when it is woken
            stage.until(0, "RANGE_CHECK")
            assert enabled(stage.world, 0)
            stage.sleep(1)
            assert "0 lookup_retried" in stage.play("0")
            assert step_name(stage.world, 0) == "UNLOCK_PAGE"
            stage.play("0")


def test_given_a_program_when_it_uses_what_it_has_not_looked_up_then_it_is_refused() -> None:
    from pydantic import ValidationError

    from tests.worlds import scenario

    for program, words in (
        ("lock unlock", "look it up first"),
        ("lookup lock unlock", "put"),
        ("lookup lock insert unlock put", "pages that stay"),
    ):
        with pytest.raises(ValidationError, match=words):
            scenario(program, pinned=False)
    for program, words in (
        ("lookup_locked put", "unlock and put"),
        ("lock write", "waits for itself"),
        ("lookup write put", "put it first"),
        ("pick:1 truncate lock", "pick one again"),
    ):
        with pytest.raises(ValidationError, match=words):
            scenario(program, pages=2)


@every_kernel
def test_given_a_first_page_of_another_file_when_a_file_is_truncated_then_its_own_pages_go(kernel: str) -> None:
    stage = Stage("pick:1 truncate", pages=2, kernel=kernel)
    w = stage.world
    w.pages.home[0], w.pages.file[0], w.pages.mapping[0] = NONE, NONE, 0
    w.pages.mapped[0] = 1
    told = stage.sleep(0)
    assert told.count("0 page_truncated") == 1
    assert w.pages.file[1] == NONE
    assert w.pages.mapped[0] == 1, "an entry of another file stays"
    assert not stage.broke()
