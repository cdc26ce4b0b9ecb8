"""The matrix: what is known of litmus tests and designs is what the explorer finds, and what decides the debate."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from engine.explore.cases import COLUMNS, KERNELS, ROWS, Cell, cell, refusal
from engine.explore.plan import Limits, Plan
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.verdicts import NEVER, NOT_EXPLORED, SOMETIMES, Verdict, judged
from engine.explore.worlds.smaller import leads_to
from engine.explore.worlds.subject import WorldSubject
from engine.explore.worlds.telling import story_of_world
from engine.invariants import INVARIANTS
from engine.scenario import Scenario

LIMITS = Limits(states=5_000_000, seconds=120)
ANSWERS: dict[str, dict[str, Any]] = {}


def verdict(row: str, column: str, kernel: str) -> tuple[Cell, Verdict] | None:
    asked = cell(row, column, kernel)
    if asked is None:
        return None
    key = repr((asked.subject, asked.plan))
    if key not in ANSWERS:
        explorer = Explorer(subject(asked), Plan(**asked.plan))
        ANSWERS[key] = answer(explorer, explorer.run(LIMITS), LIMITS)
    return asked, judged(asked, ANSWERS[key])


def subject(asked: Cell) -> WorldSubject:
    return WorldSubject(Scenario.model_validate(asked.subject))


def word(row: str, column: str, kernel: str = "6.1") -> str:
    told = verdict(row, column, kernel)
    assert told is not None, f"{column} does not apply to {row}"
    return told[1].word


@pytest.mark.parametrize("row", ROWS)
def test_given_a_design_when_every_question_is_asked_under_6_1_then_none_is_answered_otherwise_than_known(
    row: str,
) -> None:
    surprises = {}
    for column, test in COLUMNS.items():
        if test.wait is not None:  # pairs are large: a sample of them follows
            continue
        told = verdict(row, column, "6.1")
        if told is not None and told[1].surprising:
            surprises[column] = told[1]
    assert surprises == {}


@pytest.mark.parametrize("kernel", KERNELS)
def test_given_a_kernel_when_its_own_design_is_asked_then_each_litmus_test_comes_out_as_known(kernel: str) -> None:
    litmus = [name for name, column in COLUMNS.items() if column.source.startswith("litmus")]
    told = {name: verdict("hashed", name, kernel) for name in litmus}
    found = {name: (one[1].word, one[1].expected) for name, one in told.items() if one is not None}
    assert all(word in {NEVER, SOMETIMES} for word, _ in found.values()), found
    assert {name: pair for name, pair in found.items() if pair[1] not in {None, pair[0]}} == {}


@pytest.mark.parametrize(
    ("row", "column", "found"),
    [
        ("attachment-break", "with page_wait E1", ""),
        ("attachment-wait", "with page_waiter E1", ""),
        ("attachment-refuse", "with page_waiter E3", "wild dereference"),
        ("page_flag-break", "with rhashtable", ""),
        ("exclusive_pte", "with page_waiter E3", ""),
    ],
)
def test_designs_of_both_axes_live_together_where_every_reader_calls_a_helper(
    row: str, column: str, found: str
) -> None:
    told = verdict(row, column, "6.1")
    assert told is not None
    assert told[1].word == (SOMETIMES if found else NEVER)
    assert told[1].why.startswith(found)


def test_designs_that_claim_the_same_bit_are_refused_with_the_bit() -> None:
    assert cell("attachment-break", "with page_wait E2", "6.1") is None
    assert "bit 0" in refusal("attachment-break", "with page_wait E2")
    assert "bit 0" in refusal("exclusive_pte", "with page_wait E2")
    assert refusal("page_flag-break", "with page_wait E2") == refusal("hashed", "with page_wait E2") == ""


@pytest.mark.parametrize("kernel", KERNELS)
def test_w1_shows_in_the_kernels_that_wait_once_and_in_no_other(kernel: str) -> None:
    assert word("hashed", "W-1", kernel) == (SOMETIMES if kernel in ("5.9-rc", "5.9", "5.10") else NEVER)


def test_claims_9_to_11_the_raw_check_breaks_under_page_wait_and_the_helper_does_not() -> None:
    assert word("hashed-raw_null", "T-1") == NEVER
    assert word("page_wait-raw_null", "T-1") == SOMETIMES
    assert word("page_wait", "T-1") == NEVER


def test_claim_3_holds_for_page_wait_at_its_best_and_breaks_with_early_freeing_or_plain_stores() -> None:
    asked = ("lost_wakeup", "use_after_free", "mapping_lost", "leak", *(f"GW-{n}" for n in range(1, 7)))
    assert {word("page_wait", column) for column in asked} == {NEVER}
    assert word("page_wait-early", "GW-6") == SOMETIMES
    assert word("page_wait-plain", "GW-2") == SOMETIMES
    assert word("page_wait-plain", "GW-4") == SOMETIMES


def test_claim_33_today_s_tags_make_truncation_restart_and_pointers_wild() -> None:
    assert word("page_wait", "T-3 restart") == NEVER
    found = {
        row: {column: word(row, column) for column in ("T-3 restart", "T-1")}
        for row in ("page_wait-E2", "page_wait-E3")
    }
    assert any(SOMETIMES in one.values() for one in found.values()), found


def test_claim_34_the_posted_text_loses_a_wake_up_and_the_corrected_one_does_not() -> None:
    assert word("page_waiter-posted", "GW-1") == SOMETIMES
    assert word("page_waiter", "GW-1") == NEVER


@pytest.mark.parametrize(
    ("row", "column", "kernel"),
    [
        ("page_wait-raw_null", "T-1", "6.1"),
        ("hashed", "W-1", "5.9"),
        ("page_waiter-posted", "GW-1", "6.1"),
        ("page_wait-early", "GW-6", "6.1"),
        ("hashed", "L-4", "6.1"),
    ],
)
def test_given_a_sometimes_when_its_schedule_is_played_then_it_shows_what_was_asked(
    row: str, column: str, kernel: str
) -> None:
    told = verdict(row, column, kernel)
    assert told is not None
    asked, found = told
    assert found.schedule is not None
    world = subject(asked)
    moves = world.read(found.schedule)
    assert leads_to(world, moves, asked.question)
    assert not leads_to(world, moves[:-1], asked.question), "it shows before the last step"
    says = {one.name: one.says for one in INVARIANTS}
    story = story_of_world(world, moves)
    assert (story.steps[-1].broken or story.ending) == says.get(asked.question, "")


def test_given_ways_that_were_cut_when_another_question_is_asked_then_the_answer_is_not_never() -> None:
    told = verdict("page_wait-early", "mapping_lost", "6.1")
    assert told is not None
    assert told[1].word == NOT_EXPLORED
    assert "use after free" in told[1].why


@cache
def old_words() -> dict[str, str]:
    return {kernel: word("hashed", "L-2 often", kernel) for kernel in KERNELS}


def test_l2_steals_are_without_bound_before_5_9_and_at_most_five_after() -> None:
    assert {kernel for kernel, told in old_words().items() if told == SOMETIMES} == {"4.13", "4.16"}
