"""The rule of page states: compiled as in plain Python, a column as one page; the table of severities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import EVENTS, PG_DIRTY, PG_LOCKED, PG_WAITERS, PG_WRITEBACK, Kind
from engine.page_state import (
    MARK_SWAPPED,
    MARK_TRUNCATED,
    SEVERITY,
    PageState,
    PageWait,
    page_after,
    severity_at,
    severity_of,
)
from engine.world.jit import inlined, jit

WORD = st.integers(-(2**63), 2**63 - 1)
MAPPING = st.sampled_from((0, -0x77FF_8000_0000, 0x2001)) | WORD
FLAGS = st.integers(0, 2**15 - 1)
PAGES = st.tuples(MAPPING, FLAGS, st.integers(0, 3), st.integers(0, 3))

_after, _severity = inlined(page_after), inlined(severity_of)


@jit
def _compiled(kind: int, a: int, b: int, mapping: int, flags: int, waiters: int, marks: int) -> Any:
    mapping, flags, waiters, marks = _after(kind, a, b, mapping, flags, waiters, marks)
    return mapping, flags, waiters, marks, _severity(mapping, flags, waiters, marks)


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(Kind), a=WORD | FLAGS, b=WORD | FLAGS, page=PAGES)
def test_given_any_event_then_compiled_code_leaves_the_page_that_plain_python_leaves(
    kind: Kind, a: int, b: int, page: tuple[int, int, int, int]
) -> None:
    after = page_after(kind, a, b, *page)
    assert _compiled(int(kind), a, b, *page) == (*after, severity_of(*after))


@settings(max_examples=100, deadline=None)
@given(st.lists(PAGES, min_size=1, max_size=20))
def test_given_columns_of_pages_then_each_has_the_severity_that_it_has_alone(
    pages: list[tuple[int, int, int, int]],
) -> None:
    columns = (np.array(column, np.int64) for column in zip(*pages, strict=True))
    assert severity_of(*columns).tolist() == [severity_of(*page) for page in pages]


@pytest.mark.parametrize(
    ("page", "state", "wait"),
    [
        ((0, 0, 0, 0), PageState.free, PageWait.none),
        ((8, 0, 0, 0), PageState.clean, PageWait.none),
        ((8, 1 << PG_DIRTY, 0, 0), PageState.dirty, PageWait.none),
        ((8, 1 << PG_DIRTY | 1 << PG_LOCKED, 0, 0), PageState.locked, PageWait.none),
        ((8, 1 << PG_LOCKED | 1 << PG_WAITERS, 2, 0), PageState.locked, PageWait.waited_on),
        ((9, 1 << PG_LOCKED, 1, MARK_SWAPPED), PageState.locked, PageWait.swapped),
        ((9, 1 << PG_WRITEBACK, 1, MARK_SWAPPED), PageState.writeback, PageWait.swapped),
        ((9, 1 << PG_WRITEBACK, 1, MARK_SWAPPED | MARK_TRUNCATED), PageState.writeback, PageWait.swapped),
        ((9, 1 << PG_DIRTY, 2, MARK_TRUNCATED), PageState.gone, PageWait.waited_on),
    ],
)
def test_given_a_page_in_several_states_then_the_worst_shows_and_hides_no_wait(
    page: tuple[int, int, int, int], state: PageState, wait: PageWait
) -> None:
    assert SEVERITY[severity_of(*page)] == (state, wait)


@pytest.mark.parametrize("waiters", [0, 2])
def test_given_a_truncation_then_it_is_a_moment_and_the_page_is_gone_afterwards(waiters: int) -> None:
    after = severity_of(*page_after(Kind.page_truncated, 8, 0, 8, 0, waiters, 0))
    assert SEVERITY[after].state is PageState.gone
    assert SEVERITY[severity_at(Kind.page_truncated, after)] == (PageState.truncated, SEVERITY[after].wait)
    assert severity_at(Kind.page_locked, after) == after


@pytest.mark.parametrize("kind", [Kind.page_inserted, Kind.page_removed, Kind.page_truncated, Kind.page_freed])
def test_given_a_swapped_mapping_then_only_a_store_of_another_word_ends_the_swap(kind: Kind) -> None:
    swapped = (0x2001, 0, 1, MARK_SWAPPED)
    assert page_after(kind, 0x4000, 0x4000, *swapped)[3] & MARK_SWAPPED == 0
    if kind is not Kind.page_freed:
        assert page_after(kind, 0x2001, 0x2001, *swapped)[3] & MARK_SWAPPED


def test_given_the_events_with_flags_after_then_they_are_those_whose_word_a_is_the_flags() -> None:
    kinds = {
        Kind.page_locked, Kind.page_unlocked, Kind.writeback_started, Kind.writeback_ended, Kind.page_dirtied,
        Kind.page_cleaned, Kind.page_uptodate, Kind.waiters_flag_set, Kind.waiters_flag_cleared,
    }  # fmt: skip
    taken = {kind for kind in EVENTS if page_after(kind, 0x5555, 0x5555, 0, 0, 0, 0)[1] == 0x5555}
    assert taken - {Kind.page_seen} == kinds
