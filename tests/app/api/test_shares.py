"""Share links: what a token opens, what it does not, and how it ends."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.store import Store
from engine.scenarios import shipped

V1 = "/api/v1"


def run_of(store: Store) -> str:
    return store.start_run(shipped()["demo"])[0].id


def shared(client: TestClient, *run_ids: str, **fields: Any) -> dict[str, Any]:
    answer = client.post(f"{V1}/shares", json={"runs": run_ids, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_given_a_link_when_opened_then_it_reads_what_the_run_reads(client: TestClient, store: Store) -> None:
    run_id = run_of(store)
    made = shared(client, run_id, view="v=1&t0=5")
    assert made["path"] == f"/s/{made['token']}?v=1&t0=5"
    mirror = f"{V1}/shared/{made['token']}/runs/{run_id}"
    assert client.get(mirror).json() == client.get(f"{V1}/runs/{run_id}").json()


def test_given_a_link_when_listed_then_its_secret_is_not_told(client: TestClient, store: Store) -> None:
    run_id = run_of(store)
    made = client.post(f"{V1}/runs/{run_id}/shares", json={"expires_s": 3600}).json()
    listed = client.get(f"{V1}/runs/{run_id}/shares")
    assert [share["id"] for share in listed.json()["shares"]] == [made["id"]]
    assert made["token"] not in listed.text
    assert made["expires_ns"] - made["created_ns"] == pytest.approx(3600e9, abs=1e9)


def test_given_a_token_when_used_anywhere_else_then_it_opens_and_changes_nothing(
    client: TestClient, store: Store
) -> None:
    mine, other = run_of(store), run_of(store)
    token = shared(client, mine)["token"]
    before = [store.run(run_id) for run_id in (mine, other)]
    described = client.get("/openapi.json").json()["paths"]
    tails = {path.removeprefix(V1) for path in described if "{token}" not in path}
    names = {
        "run_id": mine,
        "exploration_id": "0" * 12,
        "share_id": "0" * 12,
        "recording_id": "0" * 12,
        "page": 0,
        "queue": 0,
        "name": "demo",
        "layout": "4.16",
    }
    opened = []
    for tail in sorted(tails):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            path = f"{V1}/shared/{token}{tail.format(**names)}"
            if path.endswith("/stream") and method == "GET":
                continue
            answer = client.request(method, path)
            assert answer.status_code in {404, 405} or method == "GET", (method, path)
            if answer.status_code == 200:
                opened.append(tail)
    assert set(opened) <= {
        f"/runs/{{run_id}}{part}" for part in ("", "/events", "/window", "/cast", "/pages/{page}/history")
    }
    assert "/runs/{run_id}" in opened
    assert client.get(f"{V1}/shared/{token}/runs/{other}").status_code == 404
    assert [store.run(run_id) for run_id in (mine, other)] == before


def test_given_a_link_to_two_runs_when_opened_then_it_opens_both_and_no_third(client: TestClient, store: Store) -> None:
    first, second, third = (run_of(store) for _ in range(3))
    token = shared(client, first, second)["token"]
    codes = [client.get(f"{V1}/shared/{token}/runs/{run_id}").status_code for run_id in (first, second, third)]
    assert codes == [200, 200, 404]


def test_given_tokens_that_open_nothing_when_tried_then_all_get_the_same_answer(
    client: TestClient, store: Store
) -> None:
    run_id = run_of(store)
    made, withdrawn = shared(client, run_id), shared(client, run_id)
    _, outlived = store.share([run_id], "", time.time_ns() - 1)
    client.delete(f"{V1}/shares/{withdrawn['id']}")
    token = made["token"]
    wrong = [
        "x",
        token[:-1],
        token + "x",
        token.swapcase(),
        withdrawn["token"],
        outlived,
        "a" * 43,
        "%00",
        "a" * 1_900,
        "é" * 9,
    ]
    answers = [client.get(f"{V1}/shared/{each}/runs/{run_id}") for each in wrong]
    answers.append(client.get(f"{V1}/shared/{token}/runs/{'0' * 12}"))
    told = {(answer.status_code, answer.text, answer.headers["cache-control"]) for answer in answers}
    assert len(told) == 1
    assert told.pop()[0] == 404
    assert client.get(f"{V1}/runs/{run_id}?token={token}").status_code == 422
    assert client.get(f"{V1}/shared/{token}/runs/{run_id}").status_code == 200


def test_given_a_shared_answer_when_looked_at_then_no_cache_and_no_referrer_keeps_it(
    client: TestClient, store: Store
) -> None:
    run_id = run_of(store)
    answer = client.get(f"{V1}/shared/{shared(client, run_id)['token']}/runs/{run_id}")
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_given_a_token_when_measured_then_it_holds_at_least_128_bits(client: TestClient, store: Store) -> None:
    tokens = {shared(client, run_of(store))["token"] for _ in range(5)}
    assert len(tokens) == 5
    assert all(len(token) * 6 >= 128 for token in tokens)


def test_given_a_link_when_withdrawn_twice_then_it_is_gone_and_a_wrong_one_is_404(
    client: TestClient, store: Store
) -> None:
    made = shared(client, run_of(store))
    assert [client.delete(f"{V1}/shares/{made['id']}").status_code for _ in range(2)] == [204, 204]
    assert client.delete(f"{V1}/shares/{'0' * 12}").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"runs": []},
        {"runs": ["0" * 12] * 3},
        {"runs": ["nope"]},
        {"runs": "0" * 12},
        {"view": "a b"},
        {"view": "\x00"},
        {"view": "x" * 2_001},
        {"expires_s": 0},
        {"expires_s": 10**12},
        {"expires_s": True},
    ],
)
def test_given_a_link_that_cannot_be_when_asked_for_then_it_is_422(
    client: TestClient, store: Store, body: dict[str, Any]
) -> None:
    answer = client.post(f"{V1}/shares", json={"runs": [run_of(store)], **body})
    assert (answer.status_code, answer.json()["field"].split("[")[0]) == (422, next(iter(body)))


def test_given_a_link_to_a_run_that_is_none_when_asked_for_then_it_is_404(client: TestClient) -> None:
    assert client.post(f"{V1}/shares", json={"runs": ["0" * 12]}).status_code == 404
