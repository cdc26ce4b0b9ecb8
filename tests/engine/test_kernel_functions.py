"""The names of the kernel: every step has one or says what it stands for, and each kernel its own names."""

from __future__ import annotations

import pytest

from engine.events import Kind
from engine.kernel_functions import KernelFunction, _read, function_of, functions_of_event, step_words, table
from engine.kernels import KERNELS
from engine.mm.steps import STEPS


def test_given_all_steps_when_looked_up_then_each_stands_once_for_something() -> None:
    listed = [step for one in _read().function for step in one.steps] + [
        step for one in _read().other for step in one.steps
    ]
    assert sorted(listed) == sorted(name for name, _ in STEPS)
    assert len(set(listed)) == len(listed)


def test_given_the_table_when_read_then_it_knows_no_kernel_and_no_event_that_the_engine_does_not() -> None:
    assert {kernel for one in _read().function for kernel in one.names} <= set(KERNELS)
    events = [event for one in _read().function for event in one.events]
    assert set(events) <= set(Kind.__members__)
    assert len(set(events)) == len(events)


@pytest.mark.parametrize(
    ("step", "old", "new"),
    [
        ("LOCK_PAGE", "lock_page", "folio_lock"),
        ("UNLOCK_PAGE", "unlock_page", "folio_unlock"),
        ("WAIT_ENQUEUE", "wait_on_page_bit_common", "folio_wait_bit_common"),
        ("WAKE_BEGIN", "wake_up_page_bit", "folio_wake_bit"),
        ("FIND_GET", "find_get_entry", "mapping_get_entry"),
        ("TRUNCATE_REMOVE", "truncate_inode_page", "truncate_inode_folio"),
        ("WRITEBACK_END", "end_page_writeback", "folio_end_writeback"),
    ],
)
def test_given_a_kernel_when_asked_then_functions_have_its_names(step: str, old: str, new: str) -> None:
    names = [found.name for kernel in ("4.16", "6.1") if (found := function_of(step, kernel))]
    assert names == [old, new]


def test_given_a_step_when_told_then_it_is_a_step_of_the_model_with_function_and_file() -> None:
    assert step_words("LOCK_PAGE", "6.1") == "model step of folio_lock(), include/linux/pagemap.h"
    assert step_words("LOCK_PAGE", "4.16") == "model step of lock_page(), include/linux/pagemap.h"
    assert step_words("FIND_GET", "6.7+") == "model step of filemap_get_entry(), mm/filemap.c"
    assert step_words("EXCLUSIVE_RESTORE", "4.16") == "model step of restore_exclusive_pte(), which 4.16 does not have"
    assert step_words("THINK", "6.1") == "model step of the scenario's program"
    assert step_words("MY_STEP", "6.1") == "model step of a design"


def test_given_any_step_and_kernel_when_told_then_no_name_of_the_models_own_functions_is_among_the_words() -> None:
    functions, _ = table()
    for name, path in STEPS:
        for kernel in KERNELS:
            found = function_of(name, kernel)
            assert (name in functions) or found is None
            assert path.rpartition(".")[0] not in step_words(name, kernel)


def test_given_an_event_when_asked_for_then_its_function_is_told_for_each_kernel() -> None:
    unlocked = functions_of_event("page_unlocked")
    assert list(unlocked) == list(KERNELS)
    assert unlocked["6.1"] == KernelFunction("mm/filemap.c", "folio_unlock")
    assert functions_of_event("mark") == {}
