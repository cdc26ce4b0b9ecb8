"""The pages that list something, as JSON, CSV and text: the same rows under the same filter."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import lists
from app.store import Store
from engine.recordings.shipped import demo
from tests.app.explored import asked

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def filled(client: TestClient, store: Store) -> TestClient:
    for name in ("=1+1", "Quokka, the first", "Quokka, the second"):
        scenario = client.get("/api/v1/presets/w1").json()["scenario"] | {"name": name}
        assert client.post("/api/v1/runs", json={"scenario": scenario, "tags": ["listed"]}).status_code == 201
    store.explore(asked("peterson"))
    store.add_recording(demo(), "demo.trace")
    return client


def rows(client: TestClient, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize(
    ("path", "base", "items"),
    [
        ("/", "/runs", "runs"),
        ("/x", "/x", "explorations"),
        ("/recordings", "/recordings", "recordings"),
        ("/designs", "/designs", "designs"),
        ("/matrix", "/matrix", "cells"),
    ],
)
def test_given_a_page_that_lists_something_then_it_leads_to_its_other_formats_and_they_agree(
    filled: TestClient, path: str, base: str, items: str
) -> None:
    found = set(re.findall(rf'href="({base}\.(?:json|csv|txt))"', filled.get(path, headers=HTML).text))
    assert found == {f"{base}.{suffix}" for suffix in ("json", "csv", "txt")}
    data: dict[str, Any] = filled.get(f"{base}.json").json()
    table, text = rows(filled, f"{base}.csv"), filled.get(f"{base}.txt").text
    assert len(data[items]) == len(table) > 0
    first, name = data[items][0], "id" if "id" in data[items][0] else "name" if "name" in data[items][0] else "row"
    assert table[0][name] == str(first[name])
    assert str(first[name]) in text
    assert f"Link: http://127.0.0.1:8340{path}\n" in text
    assert max(map(len, text.splitlines())) <= 75
    assert filled.get(f"{base}.xml").status_code in (404, 422)


def test_given_a_filter_when_the_list_is_saved_then_it_holds_in_every_format(filled: TestClient) -> None:
    assert [row["name"] for row in rows(filled, "/runs.csv?q=quokka")] == ["Quokka, the second", "Quokka, the first"]
    assert [run["name"] for run in filled.get("/runs.json?q=quokka").json()["runs"]] == [
        "Quokka, the second",
        "Quokka, the first",
    ]
    assert "=1+1" not in filled.get("/runs.txt?q=quokka").text
    page = filled.get("/?q=quokka", headers=HTML).text
    assert "/runs.csv?q=quokka" in page


def test_given_a_name_that_a_spreadsheet_would_compute_when_saved_then_it_is_text(filled: TestClient) -> None:
    assert "'=1+1" in [row["name"] for row in rows(filled, "/runs.csv?tag=listed")]


def test_given_more_rows_than_one_file_takes_then_each_format_names_the_rest(
    filled: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "ROWS_MAX", 2)
    answer = filled.get("/runs.csv?tag=listed")
    *_, last = answer.text.splitlines()
    rest = re.fullmatch(r"# more: \S+:8340(/runs\.csv\?tag=listed&_next=\w+)", last)
    assert rest, last
    assert answer.headers["link"] == f'<{rest[1]}>; rel="next"'
    assert len(filled.get(rest[1]).text.splitlines()) == 2
    assert "More: http://127.0.0.1:8340/runs.txt?tag=listed&_next=" in filled.get("/runs.txt?tag=listed").text
