"""Presets varied in one request, for runs and for explorations; and what the answer to a start tells."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

V1 = "/api/v1"


def start(client: TestClient, **asked: Any) -> dict[str, Any]:
    answer = client.post(f"{V1}/runs", json=asked)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == answer.json()["links"]["self"]
    found: dict[str, Any] = answer.json()
    return found


def test_given_a_preset_when_varied_in_one_request_then_the_rest_is_as_it_was(client: TestClient) -> None:
    plain = start(client, preset="colliding-pages")["scenario"]
    changes = {"wait.design": "page_wait", "workload.groups[0].tasks": 7, "limits.events": 10, "name": "Varied"}
    varied = start(client, preset="colliding-pages", set=changes)["scenario"]
    assert varied["wait"]["design"] == "page_wait"
    assert varied["workload"]["groups"][0]["tasks"] == 7
    assert (varied["limits"]["events"], varied["name"]) == (10, "Varied")
    again = varied | {"name": plain["name"], "wait": plain["wait"], "limits": plain["limits"]}
    again["workload"]["groups"][0]["tasks"] = plain["workload"]["groups"][0]["tasks"]
    assert again == plain


def test_given_a_preset_with_options_when_another_design_is_chosen_then_those_it_lacks_are_left_out(
    client: TestClient,
) -> None:
    asked = {"wait.design": "hashed", "wait.bits": 4}
    assert start(client, preset="w1", set=asked)["scenario"]["wait"] == {"design": "hashed", "bits": 4}
    assert "bits" not in start(client, preset="colliding-pages", set={"wait.design": "page_wait"})["scenario"]["wait"]


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"wait.design": "pagewait"}, "unknown_value", "did you mean 'page_wait'?"),
        ({"wiat.design": "page_wait"}, "unknown_key", "did you mean 'wait'?"),
        ({"workload.groups[9].tasks": 1}, "no_field", "numbered from 0"),
        ({"name.x": 1}, "no_field", "x is not in an object"),
        ({"seed": "7"}, "wrong_type", "seed must be an integer"),
        ({"a b": 1}, "no_field", "write it as wait.design"),
        ({"__class__.x": 1}, "unknown_key", "not a known field"),
        ({"": 1}, "too_short", "too short"),
    ],
)
def test_given_a_change_that_does_not_fit_then_it_is_422_and_says_what_would(
    client: TestClient, changes: dict[str, Any], code: str, says: str
) -> None:
    answer = client.post(f"{V1}/runs", json={"preset": "w1", "set": changes})
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert says in answer.json()["detail"]


def test_given_changes_without_a_preset_then_they_are_refused(client: TestClient) -> None:
    scenario = client.get(f"{V1}/presets/w1").json()["scenario"]
    answer = client.post(f"{V1}/runs", json={"scenario": scenario, "set": {"seed": 2}})
    assert (answer.status_code, "set changes a preset" in answer.json()["detail"]) == (422, True)


def test_given_a_table_or_a_small_preset_by_name_when_explored_then_it_is(client: TestClient) -> None:
    for asked, name in (({"preset": "lost_increment"}, "lost_increment"), ({"preset": "peterson"}, "peterson")):
        answer = client.post(f"{V1}/explorations", json=asked)
        assert answer.status_code == 201, answer.text
        assert answer.json()["name"] == name
        assert client.get(answer.json()["links"]["page"]).status_code == 200
    refused = client.post(f"{V1}/explorations", json={"preset": "lost_increments"})
    assert (refused.status_code, refused.json()["code"]) == (422, "no_preset")
    assert "did you mean 'lost_increment'?" in refused.json()["detail"]
    both = client.post(f"{V1}/explorations", json={"preset": "peterson", "table": "x"})
    assert both.status_code == 422
    table = client.post(f"{V1}/explorations", json={"preset": "peterson", "set": {"seed": 1}})
    assert (table.status_code, table.json()["field"]) == (422, "set")


def test_given_a_start_when_answered_then_it_names_the_page(client: TestClient) -> None:
    run = start(client, preset="w1")
    assert client.get(run["links"]["page"]).status_code == 200
    assert client.get(run["links"]["txt"]).status_code == 200
