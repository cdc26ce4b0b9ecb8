"""The pages of designs: bits, bytes, paths with locks, arguments, rows of the matrix, runs, names of the kernel."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from app.store import Store
from engine.designs import AXES
from engine.designs.about import about
from engine.scenarios import shipped

DESIGNS = [(axis, name) for axis, cards in AXES.items() for name in cards]


@pytest.mark.parametrize(("axis", "name"), DESIGNS)
def test_given_a_design_when_its_page_is_read_then_it_tells_what_its_folder_tells(
    client: TestClient, axis: str, name: str
) -> None:
    page = client.get(f"/designs/{name}")
    assert page.status_code == 200
    told = about(axis, name)
    for words in (
        *(path.name for path in told.path),
        *(cost.per for cost in told.costs),
        *(voice.who for voice in told.voice),
        *(claim.bits for claim in told.claims),
    ):
        assert words in page.text, words
    assert page.text.count("<td>") > sum(len(path.steps) for path in told.path)


def test_given_a_kernel_when_chosen_then_functions_and_layout_are_that_kernels(client: TestClient) -> None:
    new = client.get("/designs/hashed?kernel=6.1").text
    assert "model step of folio_lock(), include/linux/pagemap.h" in new
    assert "struct folio" in new
    old = client.get("/designs/hashed?kernel=4.16").text
    assert "model step of lock_page(), include/linux/pagemap.h" in old
    assert "folio" not in old.partition("<main")[2].partition("What it takes of")[2].partition("<h2>In the matrix")[0]


def test_given_a_design_when_its_page_is_read_then_its_rows_of_the_matrix_and_its_runs_are_linked(
    client: TestClient, store: Store
) -> None:
    run = store.start_run(shipped()["demo-page-wait"])[0]
    page = client.get("/designs/page_wait").text
    assert f"/r/{run.id}" in page
    assert "/matrix/cell?kernel=6.1&amp;row=page_wait-raw_null&amp;column=T-1" in page
    assert client.get("/designs").text.count('href="/designs/page_wait"') == 2


def test_given_a_design_that_there_is_not_when_asked_for_then_the_nearest_is_told(client: TestClient) -> None:
    answer = client.get("/designs/page_wate", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert "page_wait" in answer.json()["detail"]
