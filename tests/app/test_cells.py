"""The matrix: each cell has its exploration, and says what that found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import cells
from app.searching import explore_one
from app.settings import load_settings
from app.store import Store, open_store
from engine.errors import UserError
from engine.explore import cases, verdicts


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(load_settings(data=tmp_path, free_bytes_min=0, ballast_bytes=0, queue_max=1_000))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _nothing_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no verdict come with the release: tests/app/api/test_release_cells.py has those that do."""
    monkeypatch.setattr(cells, "release", lambda kernel: None)


@pytest.mark.parametrize("kernel", cases.KERNELS)
def test_given_a_kernel_when_its_cells_are_listed_then_each_can_be_asked_for(store: Store, kernel: str) -> None:
    told = cells.table(store, kernel)
    here = {(cell["row"], cell["column"]) for cell in told["cells"]}
    known = {(row, column) for row in cases.ROWS for column in cases.COLUMNS if cases.cell(row, column, kernel)}
    assert here == known
    assert {cell["word"] for cell in told["cells"]} == {verdicts.NOT_EXPLORED}
    assert {json.loads(one.subject_json)["kernel"] for one in cells.missing(store, kernel)} == {kernel}


def test_given_a_kernel_that_is_none_when_asked_for_then_the_known_ones_are_told() -> None:
    assert cells.known_kernel("") == cases.DEFAULT_KERNEL
    with pytest.raises(UserError) as refused:
        cells.known_kernel("2.4")
    assert (refused.value.field, refused.value.status) == ("kernel", 422)
    assert cases.DEFAULT_KERNEL in str(refused.value)


def test_given_what_is_missing_when_queued_then_it_is_missing_no_more_and_a_cell_says_what_was_found(
    store: Store,
) -> None:
    needed = cells.missing(store, cases.DEFAULT_KERNEL)
    assert len(needed) == len({one.asked_sha256 for one in needed})
    smallest = min(needed, key=lambda one: len(one.subject_json))
    assert store.explore_all([smallest]) == []
    assert len(cells.missing(store, cases.DEFAULT_KERNEL)) == len(needed) - 1
    row = store.exploration_jobs.claim("test")
    assert row is not None
    explore_one(store, row)
    found = [one for one in cells.shown(store, cases.DEFAULT_KERNEL).values() if one.exploration == row.id]
    assert found
    for one in found:
        cell = cases.cell(one.row, one.column, cases.DEFAULT_KERNEL)
        done = store.exploration(row.id)
        assert cell is not None
        assert done is not None
        assert (one.word, one.state) == (verdicts.judged(cell, json.loads(done.answer_json or "")).word, "done")
        assert one.bounds


def test_given_an_exploration_that_failed_when_listed_then_its_cell_is_missing_again(store: Store) -> None:
    first = cells.missing(store, cases.DEFAULT_KERNEL)[0]
    store.explore_all([first])
    row = store.exploration_jobs.claim("test")
    assert row is not None
    store.finish_exploration(row.id, row.attempt, "failed", reason="error", detail="for a reason")
    shown = [one for one in cells.shown(store, cases.DEFAULT_KERNEL).values() if one.exploration == row.id]
    assert {(one.word, one.state, one.why) for one in shown} == {(verdicts.NOT_EXPLORED, "failed", "for a reason")}
    assert first in cells.missing(store, cases.DEFAULT_KERNEL)
