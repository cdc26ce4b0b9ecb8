"""Reading of requests: each row of the list of bad input is refused with a status, a code and the field."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Path, Query
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app import problems
from app.api.requests import StartRun
from app.problems import MEDIA_TYPE
from app.refusals import SHOWN
from app.strict import DEPTH, LAST, StrictRoute, Whole

PROGRAM = [{"op": "think", "mean_ns": 100}, {"op": "lock"}, {"op": "unlock"}]
SCENARIO: dict[str, Any] = {
    "name": "two tasks on one page",
    "workload": {"kind": "tasks", "pages": 4, "groups": [{"name": "g", "tasks": 2, "program": PROGRAM}]},
}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client() -> TestClient:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/runs")
    def start(body: StartRun) -> str:
        return body.scenario.name if body.scenario else "preset"

    @router.get("/runs/{run_id}")
    def read(
        run_id: Annotated[str, Path(pattern=r"^[0-9a-f]{12}$")],
        t0: Annotated[Whole, Query(ge=0, le=LAST)] = 0,
        kind: Annotated[list[str] | None, Query()] = None,
    ) -> list[str]:
        return kind or []

    app = FastAPI(redirect_slashes=False)
    app.include_router(router)
    problems.install(app)
    return TestClient(app)


def send(client: TestClient, body: bytes | str, headers: dict[str, str] = JSON) -> dict[str, Any]:
    """Post a body and return the problem, after checking its shape."""
    answer = client.post("/runs", content=body, headers=headers)
    problem: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert problem["status"] == answer.status_code
    assert {"type", "title", "status", "code", "detail"} <= problem.keys()
    return problem


def scenario(change: Callable[[dict[str, Any]], Any]) -> str:
    """Return a body whose scenario was changed."""
    changed = copy.deepcopy(SCENARIO)
    change(changed)
    return json.dumps({"scenario": changed})


def test_given_a_scenario_that_fits_when_sent_then_it_is_read(client: TestClient) -> None:
    assert client.post("/runs", json={"scenario": SCENARIO}).json() == SCENARIO["name"]


NESTED = '{"scenario": {"workload": {"pages": %s}}}'


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (NESTED % "NaN", 422, "not_finite", "scenario.workload.pages"),
        (NESTED % "Infinity", 422, "not_finite", "scenario.workload.pages"),
        (NESTED % "-Infinity", 422, "not_finite", "scenario.workload.pages"),
        (NESTED % "1e999", 422, "not_finite", "scenario.workload.pages"),
        (NESTED % "-1e999", 422, "not_finite", "scenario.workload.pages"),
        ("[NaN]", 422, "not_finite", "[0]"),
        (NESTED % ("9" * 5_000), 422, "too_large", "scenario.workload.pages"),
        (NESTED % ("-" + "9" * 200_000), 422, "too_large", "scenario.workload.pages"),
        ('{"preset": "a", "preset": "b"}', 422, "duplicate_key", "preset"),
        ('{"scenario": {"wait": [{"bits": 1, "bits": 2}]}}', 422, "duplicate_key", "scenario.wait[0].bits"),
        ("[" * 900 + "]" * 900, 422, "too_deep", "[0]" * (DEPTH)),
        ("[" * 100_000, 400, "too_deep", None),
        ('{"a":' * 100_000, 400, "too_deep", None),
        (b"\xff\xfe{}", 400, "not_utf8", None),
        ("{}".encode("utf-16"), 400, "not_utf8", None),
        ("\ufeff{}".encode(), 400, "not_utf8", None),
        (b'{"preset": "\xed\xa0\x80"}', 400, "not_utf8", None),
        ("", 422, "missing", None),
        ("null", 422, "wrong_type", None),
        ("[]", 422, "wrong_type", None),
        ("{}", 422, "invalid", None),
        ("{", 400, "not_json", None),
        ('{"preset": "a\nb"}', 400, "not_json", None),
        ('{"preset": "demo"} x', 400, "not_json", None),
        ('{"preset": 7}', 422, "wrong_type", "preset"),
        ('{"presets": "demo"}', 422, "unknown_key", "presets"),
        ('{"preset": "demo", "tags": ["a b"]}', 422, "bad_form", "tags[0]"),
        ('{"preset": "demo", "pace_ms_per_s": 0}', 422, "too_small", "pace_ms_per_s"),
    ],
)
def test_given_a_body_that_is_no_json_of_ours_when_sent_then_it_is_refused(
    client: TestClient, body: bytes | str, status: int, code: str, field: str | None
) -> None:
    problem = send(client, body)
    assert (problem["status"], problem["code"], problem.get("field")) == (status, code, field)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        (lambda s: s["workload"].update(pages=0), "too_small", "workload.pages"),
        (lambda s: s["workload"].update(pages=10**12), "too_large", "workload.pages"),
        (lambda s: s["workload"].update(pages=2**63), "too_large", "workload.pages"),
        (lambda s: s["workload"].update(pages=-1), "too_small", "workload.pages"),
        (lambda s: s["workload"].update(pages="7"), "wrong_type", "workload.pages"),
        (lambda s: s["workload"].update(pages=7.0), "wrong_type", "workload.pages"),
        (lambda s: s["workload"].update(pages=True), "wrong_type", "workload.pages"),
        (lambda s: s["workload"].update(pags=7), "unknown_key", "workload.pags"),
        (lambda s: s["workload"]["groups"][0].update(tasks=10**7), "too_large", "workload.groups[0].tasks"),
        (lambda s: s["workload"].update(groups=s["workload"]["groups"] * 65), "too_long", "workload.groups"),
        (
            lambda s: s["workload"]["groups"][0].update(program=[{"op": "lock"}] * 10**4),
            "too_long",
            "workload.groups[0].program",
        ),
        (
            lambda s: s["workload"]["groups"][0]["program"].append({"op": "lok"}),
            "unknown_value",
            "workload.groups[0].program[3].op",
        ),
        (
            lambda s: s["workload"]["groups"][0]["program"].append({"op": "pick", "zip": 1.0}),
            "unknown_key",
            "workload.groups[0].program[3].zip",
        ),
        (
            lambda s: s["workload"]["groups"][0]["program"].append({"op": "pick", "zipf": -0.5}),
            "too_small",
            "workload.groups[0].program[3].zipf",
        ),
        (lambda s: s["workload"]["groups"][0]["program"].append({"op": "pick", "first": 9}), "invalid", ""),
        (lambda s: s.update(limits={"time_ns": 10**18}), "too_large", "limits.time_ns"),
        (lambda s: s.update(limits={"events": 10**12}), "too_large", "limits.events"),
        (lambda s: s.update(wait={"design": "foo"}), "unknown_value", "wait.design"),
        (lambda s: s.update(wait={"bits": 64}), "too_large", "wait.bits"),
        (lambda s: s.update(kernel="4.17"), "unknown_value", "kernel"),
        (lambda s: s.pop("workload"), "missing", "workload"),
        (lambda s: s.update(workload={"kind": "recording", "recording": "../etc"}), "bad_form", "workload.recording"),
        (lambda s: s.update(name="\ud800"), "not_text", "name"),
        (lambda s: s.update(name="a\x00b"), "invalid", "name"),
        (lambda s: s.update(name="a\u202eb"), "invalid", "name"),
        (lambda s: s.update(name="a\u200bb"), "invalid", "name"),
        (lambda s: s.update(name=""), "too_short", "name"),
        (lambda s: s.update(name="   "), "invalid", "name"),
        (lambda s: s.update(name="x" * 201), "too_long", "name"),
        (lambda s: s.update(name="x" * 900_000), "too_long", "name"),
    ],
)
def test_given_a_scenario_out_of_bounds_when_sent_then_field_and_limit_are_named(
    client: TestClient, change: Callable[[dict[str, Any]], Any], code: str, field: str
) -> None:
    problem = send(client, scenario(change))
    where = f"scenario.{field}" if field else "scenario"
    assert (problem["status"], problem["code"], problem["field"]) == (422, code, where)
    assert len(problem["detail"]) <= 500
    if code in {"too_large", "too_small", "too_long", "too_short"}:
        assert str(problem["limit"]) in problem["detail"]


def test_given_a_misspelt_key_when_sent_then_the_nearest_known_name_is_told(client: TestClient) -> None:
    problem = send(client, scenario(lambda s: s["workload"].update(pags=7)))
    assert "did you mean 'pages'?" in problem["detail"]


def test_given_several_faults_when_sent_then_each_is_told(client: TestClient) -> None:
    problem = send(client, scenario(lambda s: (s.update(seed=-1), s.pop("name"))))
    assert [error["field"] for error in problem["errors"]] == ["scenario.name", "scenario.seed"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {},
    ],
)
def test_given_another_media_type_when_sent_then_it_is_415(client: TestClient, headers: dict[str, str]) -> None:
    assert send(client, '{"preset": "demo"}', headers)["status"] == 415


@pytest.mark.parametrize(
    ("query", "code"),
    [
        *[(f"t0={text}", "wrong_type") for text in ("nan", "inf", "1e400", "7.0", "1_000", "%207", "", "0x10")],
        *[(f"t0={'9' * digits}", code) for digits, code in ((20, "too_large"), (5_000, "wrong_type"))],
        ("t0=-1", "too_small"),
        ("t0=1&t0=2", "repeated"),
        ("t0=1&T0=2", "unknown_parameter"),
        ("t=1", "unknown_parameter"),
        ("&".join(f"kind={n}" for n in range(1_000)), "too_long"),
    ],
)
def test_given_a_strange_query_when_asked_then_it_is_422(client: TestClient, query: str, code: str) -> None:
    answer = client.get(f"/runs/{'0' * 12}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_given_a_parameter_that_may_be_repeated_when_asked_then_all_values_count(client: TestClient) -> None:
    assert client.get(f"/runs/{'0' * 12}?kind=a&kind=b").json() == ["a", "b"]


@pytest.mark.parametrize(
    "run_id",
    [
        "9" * 20,
        "-1",
        "0",
        "1e3",
        "%00",
        "1%2f..",
        "7" * 5_000,
        "..%2f..%2fetc%2fpasswd",
        ":id",
        "{run_id}",
        "ABCDEF012345",
    ],
)
def test_given_an_id_that_is_none_when_asked_then_it_is_404(client: TestClient, run_id: str) -> None:
    answer = client.get(f"/runs/{run_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_given_a_method_that_no_route_has_when_asked_then_allow_names_those_it_has(client: TestClient) -> None:
    answer = client.patch("/runs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def spots(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return every place inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] + [spot for key, inner in items for spot in spots(inner, (*place, key))]


@settings(max_examples=200, deadline=None)
@given(value=json_values, place=st.sampled_from(spots(SCENARIO)))
def test_given_anything_anywhere_in_a_scenario_when_sent_then_it_is_read_or_refused(
    client: TestClient, value: Any, place: tuple[Any, ...]
) -> None:
    changed = {"scenario": copy.deepcopy(SCENARIO)}
    node: Any = changed
    *way, last = ("scenario", *place)
    for step in way:
        node = node[step]
    node[last] = value
    answer = client.post("/runs", content=json.dumps(changed), headers=JSON)
    assert answer.status_code in {200, 422}
    if answer.status_code == 422:
        longest = max((len(text) for text in _strings(value)), default=0)
        assert longest <= SHOWN or max(_strings(value), key=len) not in answer.text


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for inner in items for text in _strings(inner)]


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200))
def test_given_any_bytes_when_sent_then_they_are_refused(client: TestClient, body: bytes) -> None:
    assert send(client, body)["status"] in {400, 422}


@settings(max_examples=200, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(["t0", "kind", "x"]) | st.text(max_size=5), st.text(max_size=30)), max_size=5
    )
)
def test_given_any_query_when_asked_then_it_is_answered_or_refused(
    client: TestClient, pairs: list[tuple[str, str]]
) -> None:
    answer = client.get(f"/runs/{'0' * 12}", params=[(a, b.encode("utf-8", "replace").decode()) for a, b in pairs])
    assert answer.status_code in {200, 422}
