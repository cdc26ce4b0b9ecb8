"""One limit for one action: forms and API take from one bucket. Forms do all that they say, or nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from app.limits import Limits
from app.main import create_app
from app.store import Store, open_store
from engine.recordings.shipped import demo
from tests.app.explored import asked, settings_in

V1 = "/api/v1"
LOCAL = "http://127.0.0.1"


def ending(app: FastAPI) -> list[tuple[str, str]]:
    """Return method and path of every route that cancels or deletes a job or a recording."""
    routers: list[Any] = [route for route in app.routes if hasattr(route, "original_router")]
    return [
        (method, router.include_context.prefix + route.path)
        for router in routers
        for route in router.original_router.routes
        if isinstance(route, APIRoute)
        for method in (route.methods or set()) - {"HEAD"}
        if route.path.endswith(("/cancel", "/delete")) or (method == "DELETE" and "share" not in route.path)
    ]


def test_given_many_cancellations_when_sent_by_form_and_by_api_then_they_count_together(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with closing(open_store(settings)) as store:
        app = create_app(settings, store, Limits(cancels_per_minute=1))
        found = ending(app)
        assert len(found) == 10, found
        for method, path in found:
            client = TestClient(create_app(settings, store, Limits(cancels_per_minute=1)), base_url=LOCAL)
            client.post(f"{V1}/runs/{'0' * 12}/cancel")
            address = path.format(run_id="0" * 12, exploration_id="0" * 12, recording_id="0" * 12)
            answer = client.request(method, address)
            assert answer.status_code == 429, (method, path)
            assert int(answer.headers["retry-after"]) > 0


@pytest.fixture
def recording(store: Store) -> str:
    return store.add_recording(demo(), "demo").id


def runs(store: Store) -> int:
    return len(store.runs(1_000)[0])


def test_given_a_good_and_a_bad_design_when_played_under_both_then_nothing_is_started(
    client: TestClient, store: Store, recording: str
) -> None:
    before = runs(store)
    for designs in (["page_wait", "nonsense"], ["nonsense", "page_wait"]):
        form = {"key": "k" * 16, "design": designs, "pace": "0"}
        answer = client.post(f"/recordings/{recording}/play", data=form, follow_redirects=False)
        assert answer.status_code == 422
    assert runs(store) == before


def test_given_room_for_one_run_when_two_are_asked_for_in_one_form_then_none_is_started(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, queue_max=1)
    with closing(open_store(settings)) as store:
        client = TestClient(create_app(settings, store), base_url=LOCAL)
        recording = store.add_recording(demo(), "demo").id
        form = {"key": "k" * 16, "design": ["hashed", "page_wait"], "pace": "0"}
        answer = client.post(f"/recordings/{recording}/play", data=form, follow_redirects=False)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert runs(store) == 0
        one = client.post(f"/recordings/{recording}/play", data=form | {"design": ["hashed"]}, follow_redirects=False)
        assert one.status_code == 303


def test_given_a_recording_with_the_longest_name_of_unseen_characters_when_played_then_it_is(
    client: TestClient, store: Store
) -> None:
    from app.uploads import recording_name

    name = recording_name("\u202e" * 150)
    row = store.add_recording(demo()._replace(sha256="ab" * 32), name)
    form = {"key": "n" * 16, "design": ["hashed"], "pace": "0"}
    answer = client.post(f"/recordings/{row.id}/play", data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text


def test_given_a_recording_when_a_run_of_it_waits_then_it_is_kept_until_the_run_has_ended(
    client: TestClient, store: Store, recording: str
) -> None:
    form = {"key": "d" * 16, "design": ["hashed"], "pace": "0"}
    address = client.post(f"/recordings/{recording}/play", data=form, follow_redirects=False).headers["location"]
    refused = client.delete(f"{V1}/recordings/{recording}")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    for row in store.runs(1_000)[0]:
        store.cancel(row.id)
    assert client.post(f"/recordings/{recording}/delete", follow_redirects=False).headers["location"] == "/recordings"
    assert client.get(f"{V1}/recordings/{recording}").status_code == 404
    assert client.delete(f"{V1}/recordings/{recording}").status_code == 404
    assert client.get(address).status_code == 200, "what was played of it stays"


def test_given_a_run_and_an_exploration_when_deleted_by_form_then_they_are_gone(
    client: TestClient, store: Store
) -> None:
    exploration = store.explore(asked("peterson"))[0].id
    run = client.post(f"{V1}/runs", json={"preset": "w1"}).json()["id"]
    for path, then in ((f"/r/{run}", "/"), (f"/x/{exploration}", "/x")):
        assert client.get(path).status_code == 200
        assert client.post(f"{path}/delete", follow_redirects=False).headers["location"] == then
        assert client.get(path).status_code == 404
