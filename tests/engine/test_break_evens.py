"""Break-evens of claims 13 to 19: computed from runs, and the same as the golden ones."""

from __future__ import annotations

import json

import pytest

from benchmarks.break_evens import CLAIMS, crossing
from tests.engine.test_golden import check


def test_the_break_evens_of_every_claim_are_the_golden_ones() -> None:
    tables = [table for make in CLAIMS.values() for table in make()]
    assert {table.claim for table in tables} == set(CLAIMS)
    assert all(table.says and table.rows for table in tables)
    assert all(len(row) == len(table.columns) for table in tables for row in table.rows)
    check("break-evens.json", json.dumps([table._asdict() for table in tables], indent=1) + "\n")


def test_a_break_even_lies_between_its_neighbours_and_is_none_where_there_is_none() -> None:
    assert crossing((1, 4), (0.5, 2.0)) == 2.0
    assert crossing((1, 2, 4), (0.25, 0.5, 2.0)) == pytest.approx(2.83, abs=0.01)
    assert crossing((1, 2), (1.5, 2.0)) is None
