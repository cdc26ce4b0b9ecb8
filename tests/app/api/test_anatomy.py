"""Anatomy: layouts of struct page as JSON, CSV and a page."""

from __future__ import annotations

import csv
import io

import pytest
from fastapi.testclient import TestClient

from app.anatomy import cells
from engine.struct_page import LAYOUTS, WORD


def test_given_the_layouts_when_listed_then_each_says_what_each_type_of_page_keeps(client: TestClient) -> None:
    found = client.get("/api/v1/anatomy").json()
    assert [layout["name"] for layout in found] == list(LAYOUTS)
    old = found[0]
    assert (old["bytes"], old["mapping_at"], old["tag_bits"], old["free_bits"]) == (64, 8, 3, 4)
    e3 = {claim["options"]: claim for claim in old["designs"] if claim["design"] == "page_wait"}["encoding E3"]
    assert (e3["bits"], e3["confused"]) == (4, [])
    (attachment,) = (claim for claim in old["designs"] if claim["design"] == "attachment")
    assert attachment["bits"] == 3
    assert {"anon", "ksm"} <= set(attachment["confused"]), "PageAnon() is true of a file's page with an attachment"
    assert client.get("/api/v1/anatomy/4.16").json() == old


@pytest.mark.parametrize("path", ["/api/v1/anatomy/4.17", "/anatomy?layout=4.17", "/anatomy.csv?layout=4.17"])
def test_given_a_layout_that_is_unknown_when_asked_for_then_the_known_ones_are_named(
    client: TestClient, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "the layouts are 4.16, 4.18, folio, memdesc" in answer.text


@pytest.mark.parametrize("name", LAYOUTS)
def test_given_a_layout_as_csv_then_the_fields_of_each_type_fill_the_structure_but_for_its_unused_bytes(
    client: TestClient, name: str
) -> None:
    rows = list(csv.DictReader(io.StringIO(client.get(f"/anatomy.csv?layout={name}").text)))
    layout = LAYOUTS[name]
    for one in layout.type:
        used = sum(int(row["size_bytes"]) for row in rows if row["type"] == one.name)
        assert used == layout.bytes - layout.unused(one)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_cells_of_a_row_cover_all_words_once_and_count_what_is_unused(name: str) -> None:
    layout = LAYOUTS[name]
    for one in layout.type:
        row = cells(layout, one)
        assert [cell.at for cell in row] == [sum(cell.words for cell in row[:i]) * WORD for i in range(len(row))]
        assert sum(cell.words for cell in row) * WORD == layout.bytes
        assert sum(cell.unused for cell in row) == layout.unused(one)
