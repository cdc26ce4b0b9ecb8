"""OpenAPI: whole, with examples, stable names; and what it promises holds for requests that schemathesis makes up."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.api.event_models import Event
from app.api.models import Run
from app.api.requests import StartExploration, StartRun
from app.store import Store
from engine.scenarios import shipped
from tests.app.explored import asked

OPERATIONS = [
    "add_recording",
    "cancel_exploration",
    "cancel_run",
    "delete_exploration",
    "delete_recording",
    "delete_run",
    "explore_missing",
    "follow_run",
    "list_designs",
    "list_devices",
    "list_event_kinds",
    "list_events",
    "list_exploration_shares",
    "list_explorations",
    "list_layouts",
    "list_matrix_shares",
    "list_presets",
    "list_recordings",
    "list_runs",
    "list_shares",
    "read_cast",
    "read_exploration",
    "read_health",
    "read_history",
    "read_layout",
    "read_matrix",
    "read_preset",
    "read_queue",
    "read_recording",
    "read_run",
    "read_scenario_schema",
    "read_version",
    "read_window",
    "revoke_share",
    "share_run",
    "share_runs",
    "shared_follow_run",
    "shared_list_events",
    "shared_read_cast",
    "shared_read_history",
    "shared_read_queue",
    "shared_read_run",
    "shared_read_window",
    "start_exploration",
    "start_run",
]


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_given_the_description_when_read_then_its_operations_have_the_names_that_clients_know(
    document: dict[str, Any],
) -> None:
    assert sorted(operation["operationId"] for operation in operations(document)) == OPERATIONS


def test_given_the_description_when_read_then_every_operation_says_what_it_does_and_how_it_fails(
    document: dict[str, Any],
) -> None:
    for operation in operations(document):
        assert operation["description"].endswith("."), operation["operationId"]
        for status, answer in operation["responses"].items():
            if status >= "400" and status != "503":
                assert list(answer["content"]) == ["application/problem+json"], (operation["operationId"], status)


@pytest.mark.parametrize("model", [StartRun, StartExploration, Run, Event])
def test_given_a_model_when_its_examples_are_read_then_they_fit_it(model: Any) -> None:
    examples = model.model_json_schema()["examples"]
    assert examples
    for example in examples:
        assert model.model_validate(example)


LEFT_OUT = {"follow_run", "shared_follow_run", "add_recording"}
"""Streams may not end, and each upload is a process; both have tests of their own."""


ENDING = {"delete_run", "revoke_share", "cancel_run", "cancel_exploration", "delete_exploration", "delete_recording"}


@pytest.fixture(scope="module")
def api(client: TestClient) -> Any:
    return schemathesis.openapi.from_asgi("/openapi.json", client.app, headers={"Host": "127.0.0.1"})


@pytest.fixture(scope="module")
def known(store: Store) -> dict[str, str]:
    run, _ = store.start_run(shipped()["demo"])
    share, token = store.share([run.id], "")
    exploration, _ = store.explore(asked("peterson"))
    return {"exploration_id": exploration.id, "run_id": run.id, "token": token, "share_id": share.id, "name": "demo"}


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in LEFT_OUT])
def test_given_requests_that_fit_the_description_when_sent_then_so_do_the_answers(
    api: Any, known: dict[str, str], name: str
) -> None:
    operation = next(
        found.ok() for found in api.get_all_operations() if found.ok().definition.raw["operationId"] == name
    )

    @settings(
        max_examples=15,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=operation.as_strategy(), real=st.booleans())
    def check(case: Any, real: bool) -> None:
        for parameter in case.path_parameters or {}:
            if real and parameter in known and name not in ENDING:
                case.path_parameters[parameter] = known[parameter]
        # JSON Schema takes 7.0 for an integer and cannot say that t1 lies behind t0; this API does both.
        case.call_and_validate(
            excluded_checks=[positive_data_acceptance], headers={**(case.headers or {}), "Host": "127.0.0.1"}
        )

    check()
