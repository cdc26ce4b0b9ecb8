"""Numbers and times in words."""

from __future__ import annotations

import pytest

from app.formats import DASH, ago, figure, percent, signed, span, whole


@pytest.mark.parametrize(
    ("ns", "words"),
    [(0, "0 ns"), (999, "999 ns"), (1_000, "1 µs"), (3_420_000, "3.42 ms"), (1_234_000_000, "1.23 s"), (None, DASH)],
)
def test_a_length_of_time_has_three_digits_and_the_unit_that_fits(ns: int | None, words: str) -> None:
    assert span(ns) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.0001, "<0.1 %"), (0.0034, "0.3 %"), (0.0995, "10 %"), (0.486, "49 %"), (1, "100 %"), (None, DASH)],
)
def test_a_share_that_is_not_zero_never_reads_as_zero(share: float | None, words: str) -> None:
    assert percent(share) == words


def test_numbers_have_their_thousands_apart_and_three_digits_where_they_are_small() -> None:
    assert whole(1_234_567.4) == "1,234,567"
    assert figure(2.765) == "2.77"
    assert figure(1_234.5) == "1,234"
    assert figure(7.0) == "7"
    assert whole(None) == figure(None) == DASH


def test_a_change_carries_its_sign_in_text() -> None:
    assert signed(3, "3") == "+3"
    assert signed(-3, "3") == "−3"
    assert signed(0, "0") == "±0"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "just now"),
        (42, "42 s ago"),
        (200, "3 min ago"),
        (7_300, "2 h ago"),
        (200_000, "2 d ago"),
        (1e7, "1999-09-09"),
    ],
)
def test_how_long_ago_something_happened_is_told_in_the_unit_that_fits(seconds: float, words: str) -> None:
    now_ns = 946_857_600 * 10**9  # 2000-01-03
    assert ago(int(now_ns - seconds * 1e9), now_ns) == words
