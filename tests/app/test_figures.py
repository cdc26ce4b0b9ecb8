"""The key figures in words: what a reviewer reads first must follow from the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from app.figures import broken, per_task, read_rate, split, tiles, verdict, wasted_share
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
        "To wake 4,900 tasks the kernel visited 10,000 queue entries (2.04 per task woken). 50 % of the visits were "
        "wasted: 1,000 to waiters for other pages, 4,000 to waiters for another bit of the same page."
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
        "(2.04 per task woken): every entry visited was waiting for this page and bit."
    )


def test_nouns_agree_with_their_counts() -> None:
    one = {"wakes": 1, "walked": 1, "matched": 1, "woken": 1, "longest_walk": 1, "longest_queue": 1, "waits": 1}
    assert verdict(one).startswith("To wake 1 task the kernel visited 1 queue entry (1.00 per task woken)")
    assert verdict(one | {"walked": 0, "woken": 0}) == "1 wake-up visited 0 queue entries and woke no task."
    said = {tile.label: f"{tile.value} {tile.unit}; {tile.more}" for tile in tiles(one | {"lost": 1}, "hashed")}
    assert said["Entries visited per task woken"] == "1.00 ; 1.00 is ideal; longest walk: 1 entry"
    assert said["Longest queue"] == "1 task; 1 wait in total"
    assert said["Events lost"].startswith("1 ")


def test_given_nothing_lost_and_nothing_truncated_then_no_tile_says_so() -> None:
    assert {"Events lost", "Pages truncated"}.isdisjoint(tile.label for tile in tiles(STORM, "hashed"))


@pytest.mark.parametrize(
    ("wakes", "said"),
    [(115, "The recording has 115 wake-ups but no waits: "), (0, "The recording has no waits: ")],
)
def test_given_a_recording_without_waits_then_it_is_not_praised(wakes: int, said: str) -> None:
    """Its probes are missing, not its contention."""
    figures = {"wakes": wakes, "walked": 0, "woken": 0, "waits": 0}
    assert verdict(figures, recorded=True).startswith(said)
    assert "waiting for this page" not in verdict(figures, recorded=True)
    assert verdict(figures, recorded=True, live=True) != verdict(figures, recorded=True)
    assert tiles(figures, "hashed") == [], "dashes tell nothing"


def test_given_the_figures_of_a_window_then_only_what_a_window_has_is_shown() -> None:
    window = {
        "wakes": 9,
        "walked": 30,
        "matched": 10,
        "woken": 10,
        "strangers": 20,
        "other_bit": 0,
        "waiters_mean": 1.5,
    }
    labels = [tile.label for tile in tiles(window | {"longest_queue": 3, "waiters_max": 4}, "hashed")]
    assert labels == ["Entries visited per task woken", "Wasted visits", "Longest queue", "Max. tasks waiting"]
    assert "so far" not in verdict(window, window=True)
    assert verdict({"wakes": 0}, window=True) == "No task was woken in this window."


@pytest.mark.parametrize("figures", [{}, {"wakes": 0, "walked": 0}])
def test_given_nobody_was_woken_nothing_is_divided(figures: dict[str, float | None]) -> None:
    assert verdict(figures) == "No wake-ups in this run."
    assert verdict(figures, live=True) == "No wake-ups yet."
    assert split(figures) == []
    assert per_task(figures) is None
    assert wasted_share(figures) is None


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
    values = [tile.value for tile in tiles(STORM | {"swaps_in": 7}, design) if tile.label == "Mapping swaps"]
    assert values == (["7"] if DESIGNS[design].tag_bits(DESIGNS[design].options()) else [])


@pytest.mark.parametrize(
    ("links", "said"),
    [
        ([12.0, 12.0], "2 devices: 30 GB/s in all, 2.50 times what one link carries."),
        ([12.0, 24.0], "2 devices: 30 GB/s in all; their links carry 36 GB/s."),
        ([], ""),
        ([0.0], ""),
    ],
)
def test_the_rate_at_which_devices_read_is_told_beside_what_a_link_carries(links: list[float], said: str) -> None:
    figures = {"link_bytes": 20_000, "local_bytes": 10_000}
    assert read_rate(figures, 1_000, links) == said
    assert read_rate({"link_bytes": 0}, 1_000, links) == read_rate(figures, 0, links) == ""
    assert verdict(figures, rate=said).endswith(said)
