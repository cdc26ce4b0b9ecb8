"""What this version cannot play any more, or not read yet: pages show what is stored, and say what is needed."""

from __future__ import annotations

import html
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from app import windows
from app.main import create_app
from app.runner import play_one
from app.searching import explore_one
from app.store import Store
from app.store.tables import Exploration, Run
from app.windows.cache import cache_of
from engine import formats
from engine.errors import UserError
from engine.events import FORMAT, Kind
from tests.app.old import DONE, EXPLORATIONS, RUNS, opened, unpacked
from tests.app.test_runner import get

RUN = next(run for run in DONE if RUNS[run]["design"] == "page_wait" and RUNS[run]["workload"] == "tasks")
OTHER = next(run for run in DONE if RUNS[run]["design"] == "hashed")
FOUND = next(x for x, told in EXPLORATIONS.items() if told["kind"] == "scenario" and told["answer"]["schedule"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(opened(tmp_path)) as store:
        yield store


@pytest.fixture
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store.settings, store), base_url="http://127.0.0.1") as client:
        yield client


def change(store: Store, run: str, **values: Any) -> None:
    with store.db.write() as connection:
        connection.execute(update(Run).where(Run.id == run).values(**values))


def changed(**parts: Any) -> dict[str, Any]:
    """Return the scenario of RUN with parts of it replaced; a part that is a table keeps its other keys."""
    told: dict[str, Any] = json.loads(json.dumps(RUNS[RUN]["scenario"]))
    for name, part in parts.items():
        told[name] = {**told[name], **part} if isinstance(part, dict) else part
    return told


STRANGE = {
    "'gone'": changed(format="scenario/2", wait={"design": "gone"}),
    "wait.page_wait.encoding": changed(wait={"encoding": "E9"}),
    "kernel": changed(kernel="9.9"),
    "workload": changed(workload={"kind": "bios"}),
    "turbo": changed(turbo=True),
    "scenario/9": changed(format="scenario/9", workload={"groups": "two", "pages": "many"}),
}
"""What the refusal names -> a stored scenario that fits no longer."""


def one_line(detail: str) -> str:
    assert "\n" not in detail
    return detail


@pytest.mark.parametrize("named", STRANGE)
def test_given_a_stored_scenario_that_fits_no_longer_when_looked_at_then_all_is_shown_but_it_is_not_played(
    store: Store, client: TestClient, named: str
) -> None:
    told = STRANGE[named]
    change(store, RUN, scenario_json=json.dumps(told), design=told["wait"]["design"])
    paths = [
        "/",
        f"/live?run={RUN}",
        f"/r/{RUN}",
        f"/r/{RUN}.json",
        f"/r/{RUN}.txt",
        f"/r/{RUN}.csv",
        f"/r/{RUN}/figures",
    ]
    paths += [f"/c/{RUN},{OTHER}", f"/c/{OTHER},{RUN}.txt", f"/r/{OTHER}", "/api/v1/runs", f"/api/v1/runs/{RUN}"]
    paths += [f"/api/v1/runs/{RUN}/{what}" for what in ("events", "window?parts=series,heat,lanes", "cast")]
    for path in paths:
        assert client.get(path).status_code == 200, path
    assert RUNS[RUN]["name"] in client.get("/").text
    again = client.post(f"/r/{RUN}/again", data={"design": "hashed", "key": "k" * 16}, follow_redirects=False)
    assert again.status_code == 409
    assert f"the scenario of run {RUN}, stored by version 0.1.0, cannot be played by this version" in html.unescape(
        again.text
    )
    change(store, RUN, state="queued", chunks=0, events=0)
    for run in RUNS:
        if run != RUN:
            change(store, run, deleted=True)
    run = store.run_jobs.claim("test")
    assert run is not None
    assert run.id == RUN
    play_one(store, run)
    failed = get(store, RUN)
    assert (failed.state, failed.reason) == ("failed", "error")
    assert named in one_line(failed.detail or "")
    assert "0.1.0" in (failed.detail or "")


def test_given_an_explored_scenario_that_fits_no_longer_when_looked_at_then_it_is_shown_but_not_explored_further(
    store: Store, client: TestClient
) -> None:
    subject = EXPLORATIONS[FOUND]["subject"] | {"kernel": "9.9"}
    with store.db.write() as connection:
        here = Exploration.id == FOUND
        connection.execute(update(Exploration).where(here).values(subject_json=json.dumps(subject)))
    for path in ("/x", f"/x/{FOUND}", f"/x/{FOUND}.json", f"/x/new?of={FOUND}", f"/api/v1/explorations/{FOUND}"):
        assert client.get(path).status_code == 200, path
    for path in (f"/x/{FOUND}/at/a", f"/x/{FOUND}.pml", f"/x/{FOUND}.dot"):
        refused = client.get(path)
        assert refused.status_code == 409, path
        assert (
            f"the subject of exploration {FOUND}, stored by version 0.1.0, is no longer valid: kernel" in refused.text
        )
    with store.db.write() as connection:
        values = {"state": "queued", "answer_json": None, "verdict": None}
        connection.execute(update(Exploration).where(here).values(**values))
    row = store.exploration_jobs.claim("test")
    assert row is not None
    assert row.id == FOUND
    explore_one(store, row)
    failed = store.exploration(FOUND)
    assert failed is not None
    assert failed.state == "failed"
    assert "kernel" in one_line(failed.detail or "")


def test_given_a_run_whose_events_are_newer_when_looked_at_then_its_row_is_there_and_its_view_says_what_is_needed(
    store: Store, client: TestClient
) -> None:
    change(store, RUN, event_format=FORMAT + 1, engine_version="9.0.0")
    words = f"events of run {RUN} are of format {FORMAT + 1}, written by version 9.0.0; "
    words += f"this version reads formats up to {FORMAT}: update folioscope"
    assert RUN in client.get("/").text
    assert client.get(f"/api/v1/runs/{RUN}").json()["event_format"] == FORMAT + 1
    for path in (f"/r/{RUN}", f"/c/{RUN},{OTHER}"):
        page = client.get(path)
        assert page.status_code == 200
        assert words in page.text
        assert 'id="stage"' not in page.text
        assert 'id="stage"' in client.get(f"/r/{OTHER}").text
    what = ("events", "window", "window?parts=lanes", "pages/0/history", "stream?events=1")
    for path in (*(f"/api/v1/runs/{RUN}/{one}" for one in what), f"/r/{RUN}.csv"):
        refused = client.get(path)
        assert refused.status_code == 409, path
        assert words in html.unescape(refused.text)
    with pytest.raises(UserError, match="update folioscope"):
        store.verify(RUN)


def test_given_a_database_of_a_newer_version_when_served_then_one_line_names_the_file_and_what_is_too_new(
    tmp_path: Path,
) -> None:
    file = unpacked(tmp_path)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    before = file.read_bytes()
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--data", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert f"{file} has the newer schema 0999" in ended.stderr
    assert "update folioscope" in ended.stderr
    assert file.read_bytes() == before


def test_given_figures_of_another_version_when_shown_then_those_known_are_and_no_page_fails(
    store: Store, client: TestClient
) -> None:
    whole = json.loads(get(store, RUN).figures_json or "{}")
    paths = ["/", f"/live?run={RUN}", f"/r/{RUN}", f"/r/{RUN}.txt", f"/r/{RUN}.json", f"/c/{RUN},{OTHER}"]
    paths += [f"/c/{OTHER},{RUN}.{form}" for form in ("txt", "csv", "json")] + [f"/api/v1/runs/{RUN}"]
    for without in whole:
        figures = {name: value for name, value in whole.items() if name != without} | {"stalls": 3}
        change(store, RUN, figures_json=json.dumps(figures))
        assert {path: client.get(path).status_code for path in paths} == dict.fromkeys(paths, 200), without
    assert client.get(f"/api/v1/runs/{RUN}").json()["figures"]["stalls"] == 3


def test_given_events_of_an_older_format_when_read_then_they_are_upgraded_and_the_seal_is_of_what_is_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = windows.events(store, RUN, limit=1000)

    def shifted(kind: Any, a: Any, b: Any) -> Any:
        return kind, a, np.where(kind == Kind.page_locked, b + 1000, b)

    monkeypatch.setattr(formats, "EVENTS", FORMAT + 2)
    monkeypatch.setattr(formats, "EVENT_UPGRADERS", {FORMAT: shifted, FORMAT + 1: shifted})
    cache_of(store).clear()
    after = windows.events(store, RUN, limit=1000)
    locked = [event["kind"] == "page_locked" for event in before]
    assert any(locked)
    assert [int(str(e["b"]), 0) for e in after] == [
        int(str(e["b"]), 0) + 2000 * up for e, up in zip(before, locked, strict=True)
    ]
    assert store.verify(RUN).sound


def test_given_a_run_that_an_older_version_began_when_its_events_would_be_mixed_then_it_ends_and_says_so(
    store: Store,
) -> None:
    for run in RUNS:
        change(store, run, deleted=run != RUN)
    change(store, RUN, state="queued", event_format=FORMAT - 1)
    run = store.run_jobs.claim("test")
    assert run is not None
    play_one(store, run)
    failed = get(store, RUN)
    assert failed.state == "failed"
    assert failed.detail == (
        f"version 0.1.0 started this run with event format {FORMAT - 1}; this version writes format {FORMAT}: "
        "start the run again"
    )
