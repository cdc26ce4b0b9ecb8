"""Starting, listing, cancelling and deleting runs over REST."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.limits import Limits
from app.main import create_app
from app.settings import load_settings
from app.store import Store, open_store
from engine.scenarios import shipped

V1 = "/api/v1"


def started(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post(f"{V1}/runs", json={"preset": "demo", **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_given_a_preset_when_started_then_the_run_is_queued_and_has_an_address(client: TestClient) -> None:
    answer = client.post(f"{V1}/runs", json={"preset": "w1", "tags": ["b", "a", "a"], "pace_ms_per_s": 5})
    run = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{V1}/runs/{run['id']}"
    assert (run["state"], run["tags"], run["pace_ms_per_s"]) == ("queued", ["a", "b"], 5)
    assert client.get(answer.headers["location"]).json() == run


def test_given_a_scenario_when_started_then_it_is_kept_as_it_was_asked(client: TestClient) -> None:
    scenario = shipped()["hot-page"].model_dump()
    run = client.post(f"{V1}/runs", json={"scenario": scenario}).json()
    assert run["scenario"] == scenario
    assert run["scenario_sha256"] == client.post(f"{V1}/runs", json={"preset": "hot-page"}).json()["scenario_sha256"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"preset": "dem"}, "no_preset"),
        ({}, "invalid"),
        ({"preset": "demo", "scenario": {}}, "missing"),
        ({"preset": "demo", "pace_ms_per_s": 0}, "too_small"),
        ({"preset": "demo", "tags": ["a"] * 11}, "too_long"),
        (
            {"scenario": {"name": "x", "workload": {"kind": "recording", "recording": "0" * 12}}},
            "no_recording",
        ),
    ],
)
def test_given_a_wrong_start_when_sent_then_nothing_is_stored(
    client: TestClient, store: Store, body: dict[str, Any], code: str
) -> None:
    before = len(store.runs(1000)[0])
    answer = client.post(f"{V1}/runs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert len(store.runs(1000)[0]) == before


def test_given_a_key_when_sent_again_then_it_gives_the_same_run(client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post(f"{V1}/runs", json={"preset": "demo"}, headers=headers)
    blanks = {**headers, "content-type": "application/json"}
    again = client.post(f"{V1}/runs", content='{ "preset":  "demo" }', headers=blanks)
    other = client.post(f"{V1}/runs", json={"preset": "w1"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_given_keys_when_sent_at_the_same_time_then_each_starts_one_run(client: TestClient) -> None:
    def start(number: int) -> str:
        headers = {"Idempotency-Key": f"parallel-{number % 4}"}
        answer = client.post(f"{V1}/runs", json={"preset": "demo"}, headers=headers)
        assert answer.status_code in {200, 201}
        return str(answer.json()["id"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(start, range(40)))) == 4


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "é"])
def test_given_a_key_that_is_none_when_sent_then_it_is_422(client: TestClient, key: str) -> None:
    answer = client.post(f"{V1}/runs", json={"preset": "demo"}, headers={b"Idempotency-Key": key.encode()})
    assert answer.status_code == 422


def test_given_many_runs_when_listed_page_by_page_then_each_comes_once_and_newest_first(client: TestClient) -> None:
    ids = [started(client, tags=["paged"])["id"] for _ in range(7)]
    seen: list[str] = []
    url: str | None = f"{V1}/runs?tag=paged&_size=3"
    while url:
        answer = client.get(url)
        seen += [run["id"] for run in answer.json()["runs"]]
        url = answer.links["next"]["url"] if "next" in answer.links else None
        assert bool(url) == (answer.json()["next"] is not None)
    assert seen == ids[::-1]


def test_given_filters_when_listed_then_only_what_fits_comes(client: TestClient) -> None:
    started(client, tags=["filtered"])
    run = started(client, preset="w2", tags=["filtered"])
    client.post(f"{V1}/runs/{run['id']}/cancel")

    def found(query: str) -> list[str]:
        return [run["name"][:2] for run in client.get(f"{V1}/runs?tag=filtered&{query}").json()["runs"]]

    assert found("design=page_wait") == found("state=cancelled") == found("q=same+tasks") == ["W2"]
    assert found("q=100%25") == found("q=_") == []


@pytest.mark.parametrize(
    "query",
    [
        "state=gone",
        "design=rbtree",
        "_size=0",
        "_size=1001",
        "_size=1e3",
        "_next=zz",
        "_sort=a",
        "q=",
        "tag=" + "x" * 201,
    ],
)
def test_given_a_filter_that_is_none_when_listed_then_it_is_422(client: TestClient, query: str) -> None:
    assert client.get(f"{V1}/runs?{query}").status_code == 422


def test_given_a_queued_run_when_cancelled_twice_then_it_is_cancelled_once(client: TestClient) -> None:
    run = started(client)
    first, second = (client.post(f"{V1}/runs/{run['id']}/cancel") for _ in range(2))
    assert (first.json()["state"], first.json()["reason"]) == ("cancelled", "user")
    assert second.json() == first.json()


def test_given_a_deleted_run_when_asked_for_then_it_is_404_and_so_are_its_links(client: TestClient) -> None:
    run = started(client)
    share = client.post(f"{V1}/runs/{run['id']}/shares", json={}).json()
    assert client.delete(f"{V1}/runs/{run['id']}").status_code == 204
    assert client.get(f"{V1}/runs/{run['id']}").status_code == 404
    assert client.delete(f"{V1}/runs/{run['id']}").status_code == 404
    assert client.get(f"{V1}/shared/{share['token']}/runs/{run['id']}").status_code == 404


@pytest.fixture
def small(tmp_path: Path) -> Iterator[TestClient]:
    """A server that takes two runs and five cancels a minute."""
    settings = load_settings(data=tmp_path, ballast_bytes=0, queue_max=2)
    with closing(open_store(settings)) as store:
        yield TestClient(create_app(settings, store, Limits(cancels_per_minute=5)), base_url="http://127.0.0.1")


def test_given_a_full_queue_when_one_more_is_started_then_it_is_503_with_a_time_to_wait(small: TestClient) -> None:
    codes = [small.post(f"{V1}/runs", json={"preset": "demo"}).status_code for _ in range(3)]
    refused = small.post(f"{V1}/runs", json={"preset": "demo"})
    assert codes == [201, 201, 503]
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("queue_full", "2")


def test_given_a_storm_of_cancels_when_it_goes_on_then_it_is_429(small: TestClient) -> None:
    run = started(small)
    codes = [small.post(f"{V1}/runs/{run['id']}/cancel").status_code for _ in range(8)]
    assert codes == [200] * 5 + [429] * 3


def test_given_a_database_that_another_program_locks_when_started_then_it_is_503_and_reading_goes_on(
    tmp_path: Path,
) -> None:
    settings = load_settings(data=tmp_path, ballast_bytes=0)
    with closing(open_store(settings, busy_s=0.2)) as store:
        client = TestClient(create_app(settings, store), base_url="http://127.0.0.1")
        run = started(client)
        with closing(sqlite3.connect(tmp_path / "folioscope.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = client.post(f"{V1}/runs", json={"preset": "demo"})
            assert (refused.status_code, refused.json()["code"]) == (503, "store_busy")
            assert "retry-after" in refused.headers
            assert "locked" not in refused.text
            assert client.get(f"{V1}/runs/{run['id']}").status_code == 200
            other.execute("ROLLBACK")
        assert client.post(f"{V1}/runs", json={"preset": "demo"}).status_code == 201


def test_given_too_little_space_when_started_then_it_is_507_and_reading_goes_on(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, ballast_bytes=0, free_bytes_min=2**60)
    with closing(open_store(settings)) as store:
        client = TestClient(create_app(settings, store), base_url="http://127.0.0.1")
        refused = client.post(f"{V1}/runs", json={"preset": "demo"})
        assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
        assert client.get(f"{V1}/runs").json() == {"runs": [], "next": None}


@pytest.mark.parametrize("q", ["a\r\nX-Evil: 1", "é", "中", '">', "%0d%0a"])
def test_given_strange_words_when_listed_page_by_page_then_the_link_header_stays_one_line(
    client: TestClient, q: str
) -> None:
    scenario = shipped()["w1"].model_dump() | {"name": " ".join(q.split()) + " name"}
    for _ in range(2):
        assert client.post(f"{V1}/runs", json={"scenario": scenario}).status_code == 201
    answer = client.get(f"{V1}/runs", params={"q": q, "_size": 1})
    assert answer.status_code == 200
    assert "x-evil" not in answer.headers
    assert answer.headers["link"].isascii()
    assert client.get(answer.links["next"]["url"]).json()["runs"]


def test_given_a_store_that_cannot_be_read_when_asked_for_health_then_it_is_503_with_the_reason(tmp_path: Path) -> None:
    settings = load_settings(data=tmp_path, ballast_bytes=0)
    with closing(open_store(settings)) as store:
        client = TestClient(create_app(settings, store), base_url="http://127.0.0.1")
        assert client.get("/health").json() == client.get(f"{V1}/health").json() == {"status": "ok", "detail": None}
    (tmp_path / "folioscope.db").write_bytes(b"not a database at all" * 1_000)
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (503, "degraded")
    assert answer.json()["detail"]
    assert str(tmp_path) not in answer.text


def test_given_the_versions_when_asked_for_then_the_limits_are_told(client: TestClient) -> None:
    told = client.get(f"{V1}/version").json()
    assert told["limits"]["body_bytes"] == 1 << 20
    assert told["limits"]["streams_each"] == 20
    assert told["limits"]["scenario_pages"] == 2**22
