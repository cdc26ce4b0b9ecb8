"""The plain search against SPIN on the tables that take seconds: a file of its own, for a worker of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.explore import spin
from tests.explore.plain import explore
from tests.explore.shelf import LONG, table

MISSING = [program for program in ("spin", "gcc") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' and '.join(MISSING)} (Debian: spin, gcc)")


@pytest.mark.parametrize("name", sorted(LONG))
def test_given_a_long_table_when_spin_searches_it_then_it_counts_the_same(name: str, tmp_path: Path) -> None:
    theirs = spin.search(table(name), tmp_path, optimize="-O2")
    assert theirs == spin.SpinCounts.of(explore(table(name)))
