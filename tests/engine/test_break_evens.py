"""The break-evens of the last release: a sample is computed again, and says what the claims need."""

from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.break_evens import CLAIMS, LAST, crossing

LISTED: list[dict[str, Any]] = json.loads(LAST.read_text())


@pytest.mark.parametrize("claim", [14, 16, 17, 18, 19])
def test_a_claim_computed_again_gives_the_tables_of_the_last_release(claim: int) -> None:
    made = [json.loads(json.dumps(table._asdict())) for table in CLAIMS[claim]()]
    assert made == [table for table in LISTED if table["claim"] == claim]


def test_every_claim_has_a_table_and_every_table_says_something() -> None:
    assert {table["claim"] for table in LISTED} == set(CLAIMS)
    assert all(table["says"] and table["rows"] for table in LISTED)
    assert all(len(row) == len(table["columns"]) for table in LISTED for row in table["rows"])


def test_a_break_even_lies_between_its_neighbours_and_is_none_where_there_is_none() -> None:
    assert crossing((1, 4), (0.5, 2.0)) == 2.0
    assert crossing((1, 2, 4), (0.25, 0.5, 2.0)) == pytest.approx(2.83, abs=0.01)
    assert crossing((1, 2), (1.5, 2.0)) is None
