"""Every address and method: what is not defined is 405 with Allow, HEAD is GET without a body, no CORS anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.store import Store
from engine.scenarios import shipped
from tests.app.explored import asked

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")


@pytest.fixture(scope="module")
def names(store: Store) -> dict[str, str]:
    """Something real for each parameter of a path."""
    run, _ = store.start_run(shipped()["demo"])
    share, token = store.share([run.id], "")
    return {
        "run_id": run.id,
        "exploration_id": store.explore(asked("peterson"))[0].id,
        "token": token,
        "share_id": share.id,
        "page": "0",
        "queue": "0",
        "name": "demo",
        "layout": "4.16",
        "recording_id": "0" * 12,
    }


@pytest.fixture(scope="module")
def paths(client: TestClient, names: dict[str, str]) -> dict[str, list[str]]:
    """Each address that OpenAPI tells of, with its methods."""
    described: dict[str, dict[str, Any]] = client.get("/openapi.json").json()["paths"]
    return {path.format(**names): [method.upper() for method in item] for path, item in described.items()}


def test_given_any_address_when_a_method_is_not_defined_then_it_is_405_with_allow(
    client: TestClient, paths: dict[str, list[str]]
) -> None:
    for path, known in paths.items():
        allowed = set(known) | ({"HEAD"} if "GET" in known else set())
        for method in set(METHODS) - allowed:
            answer = client.request(method, path)
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) == allowed, (method, path)
            assert "access-control-allow-origin" not in answer.headers


def test_given_any_address_when_asked_by_head_then_it_answers_as_get_does(
    client: TestClient, paths: dict[str, list[str]]
) -> None:
    for path in [path for path, known in paths.items() if "GET" in known and not path.endswith("/stream")]:
        get, head = client.get(path), client.head(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers.get("content-length") == get.headers.get("content-length")


def test_given_a_stream_when_asked_by_head_then_it_ends(client: TestClient, names: dict[str, str]) -> None:
    answer = client.head(f"/api/v1/runs/{names['run_id']}/stream")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_given_any_address_when_asked_from_another_origin_then_nothing_is_allowed(
    client: TestClient, paths: dict[str, list[str]]
) -> None:
    for path in [path for path, known in paths.items() if "GET" in known and not path.endswith("/stream")]:
        headers = client.get(path, headers={"origin": "http://evil.example"}).headers
        assert not [name for name in headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs/",
        "//api/v1/runs",
        "/api/v1/runs.",
        "/API/v1/runs",
        "/api/v1",
        "/api/v1/runs/:id",
        "/api/v1/runs/%7Brun_id%7D",
        "/api/v1/runs/..%2f..%2fetc%2fpasswd",
        "/api/v1/runs/%00",
        "/static/..%2fapp%2fmain.py",
        "/static/%2e%2e/app/main.py",
        "/static//etc/passwd",
        "/static/js",
        "/static/.hidden",
        "/static/%00",
        "/static/" + "a" * 1_900,
        "/redoc",
        "/docs/",
    ],
)
def test_given_an_address_that_is_none_when_asked_then_it_is_404(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


def test_given_a_browser_when_an_address_is_none_then_it_gets_a_page(client: TestClient) -> None:
    page = client.get("/nothing", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    data = client.get("/api/v1/nothing", headers={"accept": "text/html"})
    assert data.headers["content-type"] == "application/problem+json"


def test_given_a_static_file_when_asked_twice_then_the_second_answer_is_304(client: TestClient) -> None:
    from app.files import asset

    for path, cached in ((asset("js/docs.js"), "immutable"), ("/static/js/docs.js", "no-cache")):
        for accepted in ("gzip", "identity"):
            first = client.get(path, headers={"accept-encoding": accepted})
            assert cached in first.headers["cache-control"]
            assert first.headers.get("content-encoding", "identity") == accepted
            tag = {"accept-encoding": accepted, "if-none-match": first.headers["etag"]}
            assert client.get(path, headers=tag).status_code == 304


def test_given_the_docs_page_when_read_then_all_it_loads_is_on_this_server(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "http://" not in page
    assert "https://" not in page
    loads = [part.split('"')[0] for part in page.replace('href="', 'src="').split('src="')[1:]]
    assert len(loads) == 5 + 2, "files of the page, and its two links"
    assert all(client.get(path).status_code == 200 for path in loads)
