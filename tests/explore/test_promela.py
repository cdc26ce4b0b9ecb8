"""What the product exports, searched by SPIN: as many states and edges as the explorer found, and the same verdict."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.explore import promela
from engine.explore.plan import Limits
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.tables.checking import checked
from engine.explore.tables.wording import BadTable
from tests.explore.shelf import table
from tests.explore.spin import model_counts

spin = pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("gcc")),
    reason="spin and gcc are not here (Debian: apt-get install spin gcc)",
)
NAMES = (
    "peterson",
    "peterson_broken_order",
    "dining_4",
    "sleep_without_recheck",
    "bounded_buffer",
    "mcs_lock",
    "two_phase_commit_crash",
    "c_arithmetic",
    "w1_wait_once",
    "gw2_truncate_stores_null",
    "lost_increment",
    "seqlock",
    "dining_10",
    "naive_attach_two",
    "filter_lock_5",
)


def found(told: dict[str, Any]) -> tuple[dict[str, Any], str]:
    explorer = Explorer(checked(told))
    return answer(explorer, explorer.run(), Limits()), promela.written(explorer.table, explorer.spans)


@spin
@pytest.mark.parametrize("name", NAMES)
def test_given_an_exported_table_when_spin_searches_it_then_it_counts_what_we_count(name: str, tmp_path: Path) -> None:
    ours, model = found(table(name))
    states, transitions, errors = model_counts(model, tmp_path, run=("-A",))
    assert (states, transitions - 1) == (ours["states"], ours["edges"])
    assert errors == ours["deadlock_states"]


@spin
@pytest.mark.parametrize(
    ("name", "broken"), [("lost_increment", True), ("lost_increments_three", True), ("peterson", False)]
)
def test_given_an_exported_table_then_spin_finds_what_breaks_at_the_end(
    name: str, broken: bool, tmp_path: Path
) -> None:
    told = table(name) | ({"final": "x == 3"} if name == "lost_increments_three" else {})
    ours, model = found(told)
    *_, errors = model_counts(model, tmp_path, "-DFINAL", run=("-E",))
    assert (errors > 0, ours["final_violations"] > 0) == (broken, broken)


def test_given_values_beyond_spins_int_then_the_export_is_refused_with_the_variable() -> None:
    told = {
        "format": "protocol-table/1",
        "name": "wide",
        "vars": {"far": 1 << 40},
        "procs": [{"name": "p", "start": "s", "steps": [{"at": "s", "to": "-"}]}],
    }
    with pytest.raises(BadTable, match=r"vars\.far: SPIN's int has 32 bits"):
        found(told)
