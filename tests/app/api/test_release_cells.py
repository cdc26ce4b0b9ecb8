"""Verdicts that came with the release: shown as this engine's or as another's, checked again, explored one by one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app import cells, searching
from app.main import create_app
from app.searching import explore_one
from app.settings import load_settings
from app.store import Store, open_store
from engine import VERSION
from engine.explore import cases, verdicts
from engine.explore.release import Release, release
from engine.identity import engine_fingerprint, engine_words

KERNEL = cases.DEFAULT_KERNEL
Came = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(load_settings(data=tmp_path, free_bytes_min=0, ballast_bytes=0, queue_max=1_000))
    yield opened
    opened.close()


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store.settings, store), base_url="http://127.0.0.1:8340") as opened:
        yield opened


@pytest.fixture
def came(monkeypatch: pytest.MonkeyPatch) -> Came:
    """Let the shipped verdicts be those of an engine with this fingerprint."""
    real = release(KERNEL)
    assert real is not None
    some = next(iter(real.answers.values()))
    answers = {one.exploration.asked_sha256: some for one in cells.asked(KERNEL, load_settings())} | real.answers

    def make(fingerprint: str, version: str = VERSION) -> None:
        other = Release(KERNEL, version, fingerprint, answers)
        monkeypatch.setattr(cells, "release", lambda kernel: other if kernel == KERNEL else None)

    return make


def test_given_verdicts_of_this_engine_when_shown_then_none_is_missing_and_each_has_bounds(
    store: Store, came: Came
) -> None:
    came(engine_fingerprint())
    found = cells.shown(store, KERNEL)
    assert {(one.engine, one.current, one.shipped) for one in found.values()} == {(engine_words(), True, True)}
    assert all(one.bounds for one in found.values())
    assert all(one.schedule is not None for one in found.values() if one.word == verdicts.SOMETIMES)
    assert cells.missing(store, KERNEL) == []
    assert len(cells.everything(store.settings, KERNEL)) > 100


def test_given_verdicts_of_another_engine_when_shown_then_they_say_so_and_all_are_missing(
    store: Store, came: Came
) -> None:
    came("0123456789ab", "0.1.9")
    found = cells.shown(store, KERNEL)
    assert {(one.engine, one.current, one.shipped) for one in found.values()} == {("0.1.9 (0123456789ab)", False, True)}
    assert {one.asked_sha256 for one in cells.missing(store, KERNEL)} == {
        one.asked_sha256 for one in cells.everything(store.settings, KERNEL)
    }


def test_given_a_cell_explored_here_when_shown_then_its_own_verdict_comes_first(store: Store, came: Came) -> None:
    came("0123456789ab")
    smallest = min(cells.missing(store, KERNEL), key=lambda one: len(one.subject_json))
    store.explore_all([smallest])
    waiting = [one for one in cells.shown(store, KERNEL).values() if one.state == "queued"]
    assert waiting
    assert smallest not in cells.missing(store, KERNEL)
    row = store.exploration_jobs.claim("test")
    assert row is not None
    explore_one(store, row)
    mine = [one for one in cells.shown(store, KERNEL).values() if one.exploration == row.id]
    assert {(one.row, one.column) for one in mine} == {(one.row, one.column) for one in waiting}
    assert {(one.engine, one.current, one.shipped) for one in mine} == {(engine_words(), True, False)}


def test_given_an_exploration_by_another_version_when_nothing_newer_is_there_then_it_is_shown_as_such(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "release", lambda kernel: None)
    smallest = min(cells.missing(store, KERNEL), key=lambda one: len(one.subject_json))
    with monkeypatch.context() as older:
        older.setattr("app.store.explorations.VERSION", "0.0.9")
        older.setattr(searching, "engine_words", lambda: "0.0.9 (0123456789ab)")
        store.explore_all([smallest])
        row = store.exploration_jobs.claim("test")
        assert row is not None
        explore_one(store, row)
    mine = [one for one in cells.shown(store, KERNEL).values() if one.exploration == row.id]
    assert mine
    assert {(one.engine, one.current, one.shipped) for one in mine} == {("0.0.9 (0123456789ab)", False, False)}
    assert smallest in cells.missing(store, KERNEL)


def test_given_the_page_when_verdicts_are_another_engines_then_it_names_both_and_offers_to_explore(
    client: TestClient, came: Came
) -> None:
    came("0123456789ab", "0.1.9")
    page = client.get(f"/matrix?kernel={KERNEL}").text
    assert f"by engine 0.1.9 (0123456789ab), not by this one, {engine_words()}" in page
    assert re.search(r"Explore \d+ missing cells", page)
    assert re.search(r"Re-check all \d+ cells", page)
    came(engine_fingerprint())
    page = client.get(f"/matrix?kernel={KERNEL}").text
    assert "not by this one" not in page
    assert "missing cell" not in page
    assert f"shipped with this release, made by this engine, {engine_words()}" in page


def test_given_the_page_when_all_are_checked_again_then_every_exploration_is_queued_once(
    client: TestClient, store: Store, came: Came
) -> None:
    came(engine_fingerprint())
    client.post("/matrix", data={"kernel": KERNEL}, follow_redirects=False)
    assert client.get("/api/v1/explorations?_size=1000").json()["explorations"] == []
    for _ in range(2):
        answer = client.post("/matrix", data={"kernel": KERNEL, "everything": "true"}, follow_redirects=False)
        assert answer.status_code == 303
    queued = client.get("/api/v1/explorations?_size=1000").json()["explorations"]
    assert len(queued) == len(cells.everything(store.settings, KERNEL))
    page = client.get(f"/matrix?kernel={KERNEL}").text
    assert "Sometimes" in page, "the verdicts stay while they are checked"


def test_given_a_cell_when_its_page_is_read_then_it_has_question_verdict_schedule_and_story(client: TestClient) -> None:
    address = f"/matrix/cell?kernel={KERNEL}&row=page_wait-raw_null&column=T-1"
    deadline = time.monotonic() + 90
    while "the stepper did not answer in time" in (page := client.get(address).text):
        assert time.monotonic() < deadline
        assert 'hx-trigger="load delay:2s"' in page, "it is asked for again"
    assert "T-1 lookup vs. truncation" in page
    assert "Sometimes" in page
    assert "Within these bounds" in page
    assert "model step of folio_lock(), include/linux/pagemap.h" in page
    assert f'href="/matrix?kernel={KERNEL}"' in page
    run = client.post(
        "/matrix/run",
        data={"kernel": KERNEL, "row": "page_wait-raw_null", "column": "T-1"},
        follow_redirects=False,
    )
    again = client.post(
        "/matrix/run",
        data={"kernel": KERNEL, "row": "page_wait-raw_null", "column": "T-1"},
        follow_redirects=False,
    )
    assert run.status_code == 303
    assert run.headers["location"] == again.headers["location"]
    assert client.get("/matrix/cell?row=page_wait&column=nothing").status_code == 404
    assert client.get("/matrix/cell?row=hashed&column=GW-1").status_code == 404, "does not apply"


def test_given_a_cell_when_explored_here_then_its_exploration_leads_back_to_the_matrix(client: TestClient) -> None:
    data = {"kernel": KERNEL, "row": "page_wait-raw_null", "column": "T-1"}
    first = client.post("/matrix/cell", data=data, follow_redirects=False).headers["location"]
    assert client.post("/matrix/cell", data=data, follow_redirects=False).headers["location"] == first, "it is queued"
    page = client.get(first).text
    assert "T-1 lookup vs. truncation" in page
    assert "/matrix/cell?" in page
    assert f"/matrix?kernel={KERNEL}" in page
