"""The plain search against SPIN: the same states, edges, deadlocks, failures and ends for every table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.explore import spin
from tests.explore.plain import explore
from tests.explore.shelf import NAMES, table

MISSING = [program for program in ("spin", "gcc") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {' and '.join(MISSING)} (Debian: spin, gcc)")
LONG = {"dining_10", "filter_lock_5", "naive_attach_two"}  # worth the C compiler's time


@pytest.mark.parametrize("name", NAMES)
def test_given_a_table_when_spin_searches_it_then_it_counts_the_same(name: str, tmp_path: Path) -> None:
    ours = explore(table(name))
    theirs = spin.search(table(name), tmp_path, optimize="-O2" if name in LONG else "-O0")
    assert theirs == spin.SpinCounts(
        states=ours.states,
        edges=ours.edges,
        deadlock_states=ours.deadlock_states,
        assert_failures=ours.assert_failures,
        final_states=ours.final_states,
        outcomes=ours.outcomes,
    )
