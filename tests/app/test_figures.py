"""The key figures in words: what a reviewer reads first must follow from the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from app.figures import broken, comparison, differences, per_wake, split, strangers_share, tiles, verdict
from engine.designs import DESIGNS
from engine.invariants import INVARIANTS, WRONG_IDENTITY

STORM = {
    "events": 40_000,
    "wakes": 2_000,
    "walked": 10_000,
    "matched": 5_000,
    "woken": 4_900,
    "strangers": 1_000,
    "other_bit": 4_000,
    "longest_walk": 64,
    "longest_queue": 60,
    "waiters_max": 63,
    "pages_swapped_max": 0,
    "swaps_in": 0,
    "swaps_out": 0,
    "waits": 5_000,
    "gave_up": 3,
    "wait_ns_mean": 1_500_000.0,
    "wait_ns_p50": 1_000_000,
    "wait_ns_p99": 9_000_000,
    "wait_ns_max": 40_000_000,
    "truncated": 0,
    "lost": 0,
}
COUNTS = strategies.integers(0, 10**9)


def test_the_verdict_says_how_many_visits_were_wasted_and_why() -> None:
    assert verdict(STORM) == (
        "2,000 wake-ups visited 10,000 queue entries (5 per wake-up). 50 % of the visits were wasted: "
        "1,000 to waiters for other pages, 4,000 to waiters for another bit of the same page."
    )


@pytest.mark.parametrize(
    ("times", "more"), [(1, ""), (2, "; 1 more violation after it"), (3, "; 2 more violations after it")]
)
def test_given_a_broken_invariant_then_it_is_what_is_read_first(times: int, more: str) -> None:
    broke: dict[str, float] = {"broken": times, "broken_first": WRONG_IDENTITY, "broken_at": 1_808}
    assert verdict(STORM | broke) == f"Invariant broken at event 1,808: {INVARIANTS[WRONG_IDENTITY].says}{more}."
    assert broken(STORM) is None


def test_given_no_wasted_visit_the_verdict_says_so() -> None:
    assert verdict(STORM | {"strangers": 0, "other_bit": 0}).endswith(
        "(5 per wake-up), every one waiting for the page and bit being woken."
    )


def test_nouns_agree_with_their_counts() -> None:
    one = {"wakes": 1, "walked": 1, "matched": 1, "longest_walk": 1, "longest_queue": 1, "waits": 1, "lost": 1}
    assert verdict(one).startswith("1 wake-up visited 1 queue entry (1 per wake-up)")
    assert verdict(one | {"walked": 0}) == "1 wake-up visited 0 queue entries (0 per wake-up)."
    said = {tile.label: f"{tile.value} {tile.unit}; {tile.more}" for tile in tiles(one, "hashed")}
    assert said["Entries visited per wake-up"] == "1 ; longest walk: 1 entry"
    assert said["Longest queue"] == "1 task; 1 wait in total"
    assert said["Pages truncated"].endswith("1 event lost in the recording")


@pytest.mark.parametrize("figures", [{}, {"wakes": 0, "walked": 0}])
def test_given_nobody_was_woken_nothing_is_divided(figures: dict[str, float | None]) -> None:
    assert verdict(figures) == "No task was woken in this run."
    assert verdict(figures, live=True) == "No wake-ups yet."
    assert split(figures) == []
    assert per_wake(figures) is None
    assert strangers_share(figures) is None


@given(matched=COUNTS, other=COUNTS, strangers=COUNTS)
def test_the_parts_of_the_bar_stand_side_by_side_and_fill_it(matched: int, other: int, strangers: int) -> None:
    walked = matched + other + strangers
    parts = split({"walked": walked, "matched": matched, "other_bit": other, "strangers": strangers})
    if not walked:
        assert parts == []
        return
    assert sum(part.count for part in parts) == walked
    assert abs(sum(part.share for part in parts) - 100) < 0.001
    assert [part.at for part in parts] == pytest.approx([0, parts[0].share, parts[0].share + parts[1].share], abs=0.001)


@pytest.mark.parametrize("design", DESIGNS)
def test_only_designs_that_swap_have_a_count_of_swaps(design: str) -> None:
    tile = next(tile for tile in tiles(STORM | {"swaps_in": 7}, design) if tile.label == "Mapping swaps")
    assert tile.value == ("7" if DESIGNS[design].tag_bits(DESIGNS[design].options()) else "none")


def test_differences_tell_direction_by_sign_and_by_word() -> None:
    rows = {
        row.label: row for row in differences(STORM, STORM | {"strangers": 0, "walked": 9_000, "wait_ns_mean": 3e6})
    }
    strangers, wait = rows["entries of other pages (strangers)"], rows["mean wait"]
    assert (strangers.change, strangers.ratio, strangers.words) == ("−1,000", "−100 %", "fewer: better in B")
    assert (wait.change, wait.ratio, wait.words) == ("+1.5 ms", "+100 %", "longer: worse in B")
    assert rows["wake-ups"].words == "the same"


def test_given_a_figure_is_missing_in_one_run_no_difference_is_made_up() -> None:
    rows = {row.label: row for row in differences(STORM, STORM | {"wait_ns_p99": None})}
    assert rows["p99 wait"].words == "not in both runs"


def test_the_comparison_names_both_designs_and_their_strangers() -> None:
    text = comparison(STORM, STORM | {"walked": 9_000, "strangers": 0}, ("hashed, 256 queues", "page_wait"))
    assert text == (
        "A (hashed, 256 queues) visited 5 entries per wake-up, B (page_wait) 4.5. "
        "Entries of other pages: 10 % in A, 0 % in B."
    )
