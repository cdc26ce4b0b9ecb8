"""A database written by version 0.1.0 (tests/fixtures/0.1.0) opens, with every run, link and exploration in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.store import Store, open_store
from engine.formats import UPGRADERS, upgraded_scenario
from engine.play import open_run, seal
from engine.scenario import Scenario
from tests.app.test_runner import stored_events

OLD = Path(__file__).parents[1] / "fixtures" / "0.1.0"
EXPECTED: dict[str, Any] = json.loads(zstd.decompress((OLD / "expected.json.zst").read_bytes()))
RUNS, EXPLORATIONS, SHARES = EXPECTED["runs"], EXPECTED["explorations"], EXPECTED["shares"]
DONE = [run for run, told in RUNS.items() if told["state"] == "done"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    file = tmp_path_factory.mktemp("old") / "database.sqlite"
    file.write_bytes(zstd.decompress((OLD / "database.sqlite.zst").read_bytes()))
    settings = Settings(database_url=f"sqlite:///{file}", workers=0)
    opened = open_store(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def client(store: Store) -> Iterator[TestClient]:
    app = create_app(Settings(workers=0), store)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        yield client


def read(client: TestClient, path: str, status: int = 200) -> Any:
    answer = client.get(path)
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


@pytest.mark.parametrize("run", DONE)
def test_given_an_old_run_when_its_views_are_asked_for_then_they_are_made(client: TestClient, run: str) -> None:
    events = read(client, f"/api/v1/runs/{run}/events?_size=100")["events"]
    assert events
    window = read(client, f"/api/v1/runs/{run}/window?px=300&parts=series,heat,lanes")
    assert window
    read(client, f"/api/v1/runs/{run}/cast")


@pytest.mark.parametrize("run", DONE)
def test_given_an_old_runs_stored_events_when_hashed_then_its_seal_is_found(store: Store, run: str) -> None:
    digest = hashlib.sha256()
    for batch in stored_events(store, run):
        digest.update(batch.records().tobytes())
    assert digest.hexdigest() == RUNS[run]["seal"]


@pytest.mark.parametrize("run", [run for run in DONE if RUNS[run]["scenario"]["workload"]["kind"] == "tasks"])
def test_given_an_old_runs_scenario_when_played_again_then_its_seal_is_the_same(run: str) -> None:
    assert seal(open_run(Scenario.model_validate(RUNS[run]["scenario"])).batches()) == RUNS[run]["seal"]


@pytest.mark.parametrize("exploration", EXPLORATIONS)
def test_given_an_old_exploration_when_read_then_its_answer_is_there(client: TestClient, exploration: str) -> None:
    now, then = read(client, f"/api/v1/explorations/{exploration}"), EXPLORATIONS[exploration]
    assert now["answer"] == then["answer"]
    assert now["state"] == then["state"] == "done"
    read(client, f"/x/{exploration}")


@pytest.mark.parametrize("token", SHARES)
def test_given_an_old_link_when_opened_then_it_shows_what_it_showed(client: TestClient, token: str) -> None:
    alive = SHARES[token]["what"] in ("a run", "a comparison")
    assert client.get(SHARES[token]["path"]).status_code == (200 if alive else 404)


def test_given_old_recordings_when_listed_then_they_are_there(client: TestClient) -> None:
    listed = read(client, "/api/v1/recordings")["recordings"]
    assert {one["id"]: one["report"] for one in listed} == {
        recording: told["report"] for recording, told in EXPECTED["recordings"].items()
    }
    page = read(client, "/recordings")
    assert all(told["name"] in page for told in EXPECTED["recordings"].values())


def test_given_verdicts_of_another_version_when_the_matrix_is_read_then_its_cells_are_to_be_explored_anew(
    client: TestClient,
) -> None:
    assert {cell["word"] for cell in EXPECTED["matrix"]} == {"Never", "Sometimes", "not explored"}
    cells = {(cell["row"], cell["column"]): cell for cell in read(client, "/api/v1/matrix?kernel=6.1")["cells"]}
    assert {(cell["row"], cell["column"]) for cell in EXPECTED["matrix"]} <= cells.keys()
    assert {cell["word"] for cell in cells.values()} == {"not explored"}
    read(client, "/matrix")


def test_given_a_scenario_of_format_1_when_upgraded_then_each_design_keeps_its_own_options() -> None:
    old = next(told["scenario"] for told in RUNS.values() if told["scenario"]["wait"]["design"] == "hashed")
    assert old["format"] == "scenario/1"
    assert {"encoding", "variant", "free"} <= old["wait"].keys()
    new = upgraded_scenario(old)
    assert new["format"] == "scenario/2"
    assert new["wait"] == {"design": "hashed", "bits": old["wait"]["bits"]}
    assert old["wait"].keys() != new["wait"].keys(), "what is given is left as it is"
    assert list(UPGRADERS) == ["scenario/1"]
