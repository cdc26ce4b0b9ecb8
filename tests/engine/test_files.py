"""Workloads over several files: truncation of one leaves the others alone, and every reader knows a page's own file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from engine.events import Kind
from engine.explore.plan import Limits, Plan
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.worlds.subject import WorldSubject
from engine.fold import fold
from engine.runs.play import open_run
from engine.scenario import Scenario
from engine.summaries.summary import Summariser
from tests.worlds import scenario, start_of


def two_files(*programs: str, files: int = 2, pages: int = 4, **more: Any) -> Scenario:
    told = scenario(*programs, pages=pages, **more).model_dump()
    told["workload"]["files"] = files
    return Scenario.model_validate(told)


def test_given_one_file_then_the_scenario_has_the_bytes_that_it_had_before_there_could_be_several() -> None:
    assert "files" not in scenario("lock unlock").model_dump()["workload"]
    assert b'"files"' not in scenario("lock unlock").canonical()
    assert b'"files":2' in two_files("lock unlock").canonical()


@pytest.mark.parametrize(("files", "pages", "expected"), [(2, 4, [0, 0, 1, 1]), (3, 4, [0, 0, 1, 2]), (1, 2, [0, 0])])
def test_given_files_when_a_world_is_made_then_each_has_its_pages_in_order(
    files: int, pages: int, expected: list[int]
) -> None:
    run = open_run(two_files("lock unlock", files=files, pages=pages))
    w = run.world  # type: ignore[attr-defined]
    assert w.pages.home.array.tolist() == w.pages.file.array.tolist() == expected
    assert w.files.size.array.tolist() == w.files.pages.array.tolist() == np.bincount(expected).tolist()
    starts = {file: expected.index(file) for file in expected}
    assert w.pages.index.array.tolist() == [page - starts[file] for page, file in enumerate(expected)]
    assert w.pages.mapping.array.tolist() == run.cast.first_mappings(range(pages))
    assert len(set(run.cast.first_mappings(range(pages)))) == files


def test_given_two_files_when_one_is_truncated_then_the_pages_of_the_other_stay() -> None:
    asked = two_files("truncate", "pick lock hold:300 unlock")
    run = open_run(asked)
    batches = list(run.batches())
    truncated = np.concatenate([batch.page[batch.kind == Kind.page_truncated] for batch in batches])
    assert sorted(truncated.tolist()) == [0, 1]
    state, summary = start_of(run.cast), Summariser(run.cast)
    for batch in batches:
        fold(batch, state)
        summary.leaf(batch)
    words = run.cast.first_mappings(range(4))
    assert [state.page(page).mapping for page in range(4)] == [0, 0, *words[2:]]
    assert run.world.files.pages.array.tolist() == [0, 2]  # type: ignore[attr-defined]


@pytest.mark.parametrize("design", ["hashed", "page_wait"])
def test_given_two_files_when_explored_then_truncation_of_both_at_once_breaks_nothing(design: str) -> None:
    explorer = Explorer(
        WorldSubject(two_files("truncate", "pick truncate", pages=2, design=design)), Plan(promises=False)
    )
    found = answer(explorer, explorer.run(), Limits())
    assert found["verdict"] == "Never"
    assert found["states"] > 100


@pytest.mark.parametrize(
    ("files", "program", "says"),
    [
        (5, "lock unlock", "5 files share 4 pages: each needs one; raise pages"),
        (2, "migrate_page:1", "migrates: pages keep their file here, so leave files at 1"),
        (0, "lock unlock", "greater than or equal to 1"),
    ],
)
def test_given_files_that_do_not_fit_then_the_scenario_is_refused(files: int, program: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        two_files(program, files=files)
