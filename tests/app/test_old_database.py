"""A database written by version 0.1.0 (tests/fixtures/0.1.0) opens, with every run, link and exploration in it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.nodes import SeriesPart
from app.runner import play_one
from app.store import Store
from app.store.folder import REVISIONS
from app.windows.states import severities_after, swapped_changes
from app.windows.tree import Run
from engine.events import NONE
from engine.formats import UPGRADERS, upgraded_scenario
from engine.nodes import GAUGES
from engine.page_state import MARK_SWAPPED
from engine.runs.play import open_run, seal
from engine.scenario import Scenario
from tests.app.old import DONE, EXPECTED, EXPLORATIONS, RUNS, SHARES, opened
from tests.app.test_runner import get, stored_events
from tests.worlds import start_of

SCENARIOS = [x for x, told in EXPLORATIONS.items() if told["kind"] == "scenario"]
FOUND = [x for x, told in EXPLORATIONS.items() if told["answer"]["schedule"]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = opened(tmp_path_factory.mktemp("old"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    with TestClient(create_app(store.settings, store), base_url="http://127.0.0.1") as client:
        yield client


def read(client: TestClient, path: str, status: int = 200) -> Any:
    pause, ends = threading.Event(), time.monotonic() + 240
    while (answer := client.get(path)).status_code == 503 and time.monotonic() < ends:
        pause.wait(0.5)  # stepping by hand: the engine is still being compiled
    assert answer.status_code == status, (path, answer.text[:400])
    return answer.json() if "json" in answer.headers["content-type"] else answer.text


def options_of(told: dict[str, Any]) -> tuple[Any, ...]:
    wait = told["scenario"]["wait"]
    return {
        "hashed": ("hashed",),
        "page_wait": ("page_wait", wait["encoding"]),
        "page_waiter": ("page_waiter", wait["variant"]),
    }[wait["design"]]


def test_the_fixture_holds_what_it_is_for() -> None:
    assert {options_of(told) for told in RUNS.values()} == {
        ("hashed",),
        ("page_wait", "E1"),
        ("page_wait", "E2"),
        ("page_wait", "E3"),
        ("page_waiter", "posted"),
        ("page_waiter", "corrected"),
    }
    assert {told["scenario"]["truncate"]["design"] for told in RUNS.values()} == {"helper", "raw_null", "compare"}
    assert {told["state"] for told in RUNS.values()} == {"done", "failed", "cancelled"}
    assert {told["scenario"]["kernel"] for told in RUNS.values()} >= {
        "4.13",
        "4.16",
        "5.9-rc",
        "5.9",
        "5.10",
        "6.1",
        "6.7+",
    }
    done = [RUNS[run] for run in DONE]
    assert any(told["figures"]["swaps_in"] for told in done)
    assert any(told["figures"]["broken"] and told["scenario"]["schedule"] for told in done)
    assert {told["scenario"]["wait"]["design"] for told in done if told["scenario"]["workload"]["kind"] != "tasks"} == {
        "hashed",
        "page_wait",
    }
    assert {told["engine_version"] for told in [*RUNS.values(), *EXPLORATIONS.values()]} == {"0.1.0"}
    answers = [(told["kind"], told["answer"]) for told in EXPLORATIONS.values()]
    assert {kind for kind, answer in answers if answer["shrunk"]} == {"table", "scenario"}
    assert {answer["verdict"] for _, answer in answers} == {"Never", "Sometimes"}
    assert {told["what"] for told in SHARES.values()} == {"a run", "a comparison", "withdrawn", "expired"}


def test_given_an_old_database_when_listed_then_every_run_is_there(client: TestClient) -> None:
    listed = read(client, "/api/v1/runs?_size=100")["runs"]
    assert {run["id"] for run in listed} == {*RUNS, EXPECTED["queued"]}
    page = read(client, "/")
    assert all(f"/r/{run}" in page for run in RUNS)


@pytest.mark.parametrize("run", RUNS)
def test_given_an_old_run_when_read_then_it_is_as_it_was(client: TestClient, run: str) -> None:
    now, then = read(client, f"/api/v1/runs/{run}"), RUNS[run]
    for key in ("state", "reason", "events", "time_ns", "seal", "figures", "tags", "name", "seed"):
        assert now[key] == then[key], key
    assert now["scenario"]["wait"]["design"] == then["scenario"]["wait"]["design"]
    assert now["scenario"]["workload"] == then["scenario"]["workload"]
    assert then["name"] in read(client, f"/r/{run}")


def test_given_an_old_database_when_opened_then_its_schema_is_todays(store: Store) -> None:
    with store.db.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == REVISIONS[-1]


@pytest.mark.parametrize("run", DONE)
def test_given_an_old_run_when_its_views_are_asked_for_then_they_are_made(client: TestClient, run: str) -> None:
    told = RUNS[run]
    events = read(client, f"/api/v1/runs/{run}/events?_size=1000")["events"]
    assert [event["seq"] for event in events] == list(range(min(1000, told["events"])))
    for end in (told["time_ns"] + 1, max(1, told["time_ns"] // 100)):
        window = read(client, f"/api/v1/runs/{run}/window?px=300&parts=series,heat,lanes&t1={end}")
        assert window["gaps"] == []
        assert window["events"] <= told["events"]
    assert read(client, f"/api/v1/runs/{run}/window?px=300&parts=series")["events"] == told["events"]
    cast = read(client, f"/api/v1/runs/{run}/cast")
    recorded = told["scenario"]["workload"]["kind"] == "recording"
    names = {f"{task['name']}-{task['pid']}" if recorded else task["name"] for task in cast["tasks"]}
    assert {event["task_name"] for event in events if event["task_name"]} <= names
    assert read(client, f"/api/v1/runs/{run}/pages/0/history")["events"]


@pytest.mark.parametrize("run", [*RUNS, EXPECTED["queued"]])
def test_given_an_old_run_when_read_in_other_forms_then_each_is_made(client: TestClient, run: str) -> None:
    twin = read(client, f"/r/{run}.json")
    assert twin["id"] == run
    assert run in read(client, f"/r/{run}.txt")
    assert read(client, f"/r/{run}.csv").startswith("seq,time_ns,kind")
    read(client, f"/r/{run}/figures")
    for other in list(RUNS)[:2]:
        read(client, f"/c/{other},{run}")
        read(client, f"/c/{other},{run}.txt")


@pytest.mark.parametrize("run", DONE)
def test_given_an_old_run_when_verified_then_it_is_sound(store: Store, run: str) -> None:
    found = store.verify(run)
    assert found.damaged == []
    assert found.sealed == found.seal == RUNS[run]["seal"]


@pytest.mark.parametrize("run", DONE)
def test_given_an_old_chunk_without_states_when_read_then_it_has_those_of_the_fold(store: Store, run: str) -> None:
    reader = Run(store, run)
    cast = reader.cast()
    state, swapped = start_of(cast), 0
    for chunk in range(reader.chunks):
        batch, before = reader.batch(chunk), swapped
        assert reader.states(chunk) is None
        expected = []
        for kind, page, a, b in zip(*(c.tolist() for c in (batch.kind, batch.page, batch.a, batch.b)), strict=True):
            if page == NONE:
                expected.append(0)
                continue
            marks = state.page(page).marks
            state.page(page).add(kind, a, b)
            swapped += (state.page(page).marks & MARK_SWAPPED) - (marks & MARK_SWAPPED)
            expected.append(state.page(page).severity)
        assert severities_after(reader, cast, chunk).tolist() == expected
        changes = swapped_changes(reader, cast, chunk)
        assert (before + int(changes.to[-1]) if len(changes.to) else before) == swapped
        leaf = reader.series(0, chunk, chunk)[chunk]
        assert isinstance(leaf, SeriesPart)
        assert leaf.dated
        assert leaf.after[GAUGES.index("pages_swapped")] == swapped


@pytest.mark.parametrize("run", DONE)
def test_given_an_old_runs_stored_events_when_hashed_then_its_seal_is_found(store: Store, run: str) -> None:
    digest = hashlib.sha256()
    for batch in stored_events(store, run):
        digest.update(batch.records().tobytes())
    assert digest.hexdigest() == RUNS[run]["seal"]


@pytest.mark.parametrize("run", DONE)
def test_given_an_old_runs_scenario_when_played_again_then_its_seal_is_the_same(store: Store, run: str) -> None:
    row = get(store, run)
    recording = store.load_recording(row.recording_id) if row.recording_id else None
    assert seal(open_run(row.to_play(), recording).batches()) == RUNS[run]["seal"]


def test_given_a_run_that_was_queued_before_the_upgrade_when_claimed_then_it_is_played_as_one_of_this_version(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = opened(tmp_path_factory.mktemp("queued"))
    run = store.run_jobs.claim("test")
    assert run is not None
    assert run.id == EXPECTED["queued"]
    play_one(store, run)
    played = get(store, run.id)
    assert (played.state, played.detail) == ("done", None)
    assert played.engine_version != run.engine_version == "0.1.0"
    assert store.verify(run.id).sound
    store.close()


@pytest.mark.parametrize("number", range(len(EXPECTED["keys"])))
def test_given_a_request_of_0_1_0_when_it_comes_again_with_its_key_then_nothing_is_started_twice(
    client: TestClient, number: int
) -> None:
    asked = EXPECTED["keys"][number]
    again = client.post(asked["path"], json=asked["body"], headers={"Idempotency-Key": asked["key"]})
    assert (again.status_code, again.json()["id"]) == (200, asked["id"])
    other = json.loads(json.dumps(asked["body"]).replace('"6.1"', '"5.9"').replace('"4.13"', '"5.9"'))
    assert other != asked["body"]
    refused = client.post(asked["path"], json=other, headers={"Idempotency-Key": asked["key"]})
    assert refused.json()["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("exploration", EXPLORATIONS)
def test_given_an_old_exploration_when_read_then_its_answer_is_there(client: TestClient, exploration: str) -> None:
    now, then = read(client, f"/api/v1/explorations/{exploration}"), EXPLORATIONS[exploration]
    assert now["answer"] == then["answer"]
    assert now["state"] == then["state"] == "done"
    read(client, f"/x/{exploration}")


@pytest.mark.parametrize("exploration", FOUND)
@pytest.mark.parametrize("form", ["txt", "itf.json", "shiviz", "dot"])
def test_given_an_old_finding_when_its_schedule_is_exported_then_it_is_made(
    client: TestClient, exploration: str, form: str
) -> None:
    assert read(client, f"/x/{exploration}.{form}")


@pytest.mark.parametrize("exploration", EXPLORATIONS)
def test_given_an_old_exploration_when_stepped_by_hand_then_its_states_are_shown(
    client: TestClient, exploration: str
) -> None:
    read(client, f"/x/{exploration}/at")
    if schedule := EXPLORATIONS[exploration]["answer"]["schedule"]:
        read(client, f"/x/{exploration}/at/{schedule}")
    assert read(client, f"/x/{exploration}.pml")
    read(client, f"/x/new?of={exploration}")


def test_given_an_old_exploration_when_its_subject_is_explored_anew_then_it_is_taken(client: TestClient) -> None:
    for exploration in (SCENARIOS[0], next(x for x in EXPLORATIONS if x not in SCENARIOS)):
        subject = read(client, f"/api/v1/explorations/{exploration}")["subject"]
        assert client.post("/api/v1/explorations", json={"subject": subject}).status_code == 201


@pytest.mark.parametrize("exploration", [x for x in FOUND if x in SCENARIOS][:4])
@pytest.mark.parametrize("smaller", [False, True])
def test_given_an_old_finding_when_played_as_a_run_then_it_is_queued(
    client: TestClient, exploration: str, smaller: bool
) -> None:
    answer = EXPLORATIONS[exploration]["answer"]
    schedule = answer["shrunk"]["schedule"] if smaller and answer["shrunk"] else answer["schedule"]
    form = {"schedule": schedule, "smaller": str(smaller and bool(answer["shrunk"])).lower()}
    sent = client.post(f"/x/{exploration}/run", data=form, follow_redirects=False)
    assert sent.status_code == 303, sent.text[:400]
    run = read(client, sent.headers["location"].replace("/r/", "/api/v1/runs/"))
    assert run["scenario"]["schedule"] == schedule
    assert run["scenario"]["format"] == "scenario/2"


@pytest.mark.parametrize("run", list(RUNS)[:6])
def test_given_an_old_run_when_played_again_under_another_design_then_it_is_queued(
    client: TestClient, run: str
) -> None:
    form = {"design": "hashed", "key": os.urandom(8).hex()}
    sent = client.post(f"/r/{run}/again", data=form, follow_redirects=False)
    assert sent.status_code == 303, sent.text[:400]
    read(client, sent.headers["location"])


@pytest.mark.parametrize("token", SHARES)
def test_given_an_old_link_when_opened_then_it_shows_what_it_showed(client: TestClient, token: str) -> None:
    told = SHARES[token]
    alive = told["what"] in ("a run", "a comparison")
    for path in (told["path"], *(f"/s/{token}.{form}" for form in ("json", "txt", "csv"))):
        assert client.get(path).status_code == (200 if alive else 404), path
    page = client.get(told["path"]).text
    for run in told["runs"]:
        assert (RUNS[run]["name"] in page) == alive
        answer = client.get(f"/api/v1/shared/{token}/runs/{run}/window?px=100")
        assert answer.status_code == (200 if alive else 404)


def test_given_old_recordings_when_listed_then_they_are_there(client: TestClient) -> None:
    listed = read(client, "/api/v1/recordings")["recordings"]
    assert {one["id"]: one["report"] for one in listed} == {
        recording: told["report"] for recording, told in EXPECTED["recordings"].items()
    }
    page = read(client, "/recordings")
    assert all(told["name"] in page for told in EXPECTED["recordings"].values())


def test_given_verdicts_of_another_version_when_the_matrix_is_read_then_none_passes_for_this_engines(
    client: TestClient,
) -> None:
    assert {cell["word"] for cell in EXPECTED["matrix"]} == {"Never", "Sometimes", "not explored"}
    told = read(client, "/api/v1/matrix?kernel=6.1")
    cells = {(cell["row"], cell["column"]): cell for cell in told["cells"]}
    assert {(cell["row"], cell["column"]) for cell in EXPECTED["matrix"]} <= cells.keys()
    assert {cell["engine"] for cell in cells.values()} <= {"", told["shipped_by"]}
    assert {cell["exploration"] for cell in cells.values()} == {None}
    read(client, "/matrix")


KEPT = {
    "hashed": {"bits"},
    "page_wait": {"encoding", "wait_bits", "free", "writers"},
    "page_waiter": {"bits", "encoding", "free", "writers", "variant"},
}


@pytest.mark.parametrize("run", RUNS)
def test_given_a_scenario_of_format_1_when_upgraded_then_its_design_keeps_its_own_options(run: str) -> None:
    old = RUNS[run]["scenario"]
    before = json.dumps(old)
    assert old["format"] == "scenario/1"
    assert old["wait"].keys() == {"design"}.union(*KEPT.values())
    new = upgraded_scenario(old)
    kept = KEPT[old["wait"]["design"]]
    assert new["format"] == "scenario/2"
    assert new["wait"] == {"design": old["wait"]["design"]} | {name: old["wait"][name] for name in kept}
    assert {name: part for name, part in new.items() if name not in ("format", "wait")} == {
        name: part for name, part in old.items() if name not in ("format", "wait")
    }
    assert json.dumps(old) == before, "what is given is left as it is"
    assert upgraded_scenario(new) == new
    assert Scenario.model_validate(old).model_dump() == new


def test_given_designs_that_scenario_1_did_not_know_when_upgraded_then_their_options_are_left() -> None:
    told = {"format": "scenario/1", "wait": {"design": "mine", "width": 3}, "truncate": {}, "name": "x"}
    assert upgraded_scenario(told) == told | {"format": "scenario/2"}
    assert list(UPGRADERS) == ["scenario/1"]
