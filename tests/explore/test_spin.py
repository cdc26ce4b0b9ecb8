"""The plain search against SPIN: the same states, edges, deadlocks, failures and ends for every table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.explore import spin
from tests.explore.plain import explore
from tests.explore.shelf import LONG, NAMES, table

MISSING = [program for program in ("spin", "gcc") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' and '.join(MISSING)} (Debian: spin, gcc)")


@pytest.mark.parametrize("name", sorted(set(NAMES) - LONG))
def test_given_a_table_when_spin_searches_it_then_it_counts_the_same(name: str, tmp_path: Path) -> None:
    theirs = spin.search(table(name), tmp_path, optimize="-O0")
    assert theirs == spin.SpinCounts.of(explore(table(name)))
