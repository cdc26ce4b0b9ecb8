"""Explorations over REST: asked for, listed, read, cancelled, deleted; and all that is refused before a worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient

from app import stepping
from app.limits import Limits
from app.main import create_app
from app.plans import RequestedPlan
from app.searching import explore_one
from app.settings import Settings
from app.store import Store, open_store
from engine.explore.plan import REDUCTIONS, SEARCHES, Plan
from tests.app.explored import counters
from tests.explore.shelf import HERE, table

V1 = "/api/v1"
Change = Callable[[dict[str, Any]], Any]


def posted(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post(f"{V1}/explorations", json={"subject": table("peterson"), **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finish_all(store: Store) -> None:
    while (row := store.exploration_jobs.claim("test")) is not None:
        explore_one(store, row)


def test_given_a_table_when_asked_for_then_it_waits_and_has_an_address(client: TestClient) -> None:
    answer = client.post(f"{V1}/explorations", json={"subject": table("abba"), "reduction": "por"})
    told = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == told["links"]["self"] == f"{V1}/explorations/{told['id']}"
    assert (told["state"], told["kind"], told["verdict"], told["answer"]) == ("queued", "table", None, None)
    assert told["plan"]["reduction"] == "por"
    assert told["limits"] == {"states": 30_000_000, "memory_bytes": 1536 << 20, "seconds": 300}
    assert client.get(answer.headers["location"]).json() == told


def test_given_the_same_table_as_toml_and_as_json_when_asked_for_then_the_subject_is_the_same(
    client: TestClient,
) -> None:
    toml = (HERE / "tables" / "abba.toml").read_text()
    texts = [{"table": toml}, {"table": json.dumps(table("abba"), indent=1)}, {"subject": table("abba")}]
    found = [client.post(f"{V1}/explorations", json=body).json() for body in texts]
    assert len({one["subject_sha256"] for one in found}) == 1
    assert found[0]["subject"] == table("abba")


def test_given_an_exploration_when_it_is_done_then_the_answer_has_its_schedule_and_bounds(
    client: TestClient, store: Store
) -> None:
    told = posted(client, subject=table("lost_increment"), limits={"seconds": 30.0})
    finish_all(store)
    done = client.get(told["links"]["self"]).json()
    assert (done["state"], done["verdict"]) == ("done", "Sometimes")
    assert done["answer"]["shortest_error"] == len(list(_steps(done["answer"]["schedule"])))
    assert done["answer"]["bounds"]["limits"]["seconds"] == 30
    assert done["progress"]["states"] <= done["answer"]["states"]
    listed = client.get(f"{V1}/explorations?state=done&q=lost_increment").json()["explorations"]
    assert told["id"] in [one["id"] for one in listed]


def _steps(word: str) -> list[str]:
    steps = []
    for part in word.split("."):
        who = part.rstrip("0123456789") if "/" not in part else part
        steps += [who] * int(part[len(who) :] or 1)
    return steps


def test_given_a_key_when_sent_again_then_it_gives_the_same_exploration(client: TestClient) -> None:
    headers = {"Idempotency-Key": "explore-once"}
    body = {"subject": table("peterson")}
    first = client.post(f"{V1}/explorations", json=body, headers=headers)
    again = client.post(f"{V1}/explorations", json=body, headers=headers)
    other = client.post(f"{V1}/explorations", json={"subject": table("abba")}, headers=headers)
    assert (first.status_code, again.status_code, first.json()["id"]) == (201, 200, again.json()["id"])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


def test_given_an_exploration_when_cancelled_and_deleted_then_it_is_gone(client: TestClient) -> None:
    told = posted(client)
    assert client.post(told["links"]["self"] + "/cancel").json()["state"] == "cancelled"
    assert client.post(told["links"]["self"] + "/cancel").json()["state"] == "cancelled"
    assert client.delete(told["links"]["self"]).status_code == 204
    gone = client.get(told["links"]["self"])
    assert (gone.status_code, gone.json()["code"]) == (404, "no_exploration")


# --- refused ---------------------------------------------------------------------------------------------------------


def step(told: dict[str, Any], **more: Any) -> None:
    told["procs"][0]["steps"][0] |= more


REFUSED: list[tuple[str, Change, str, str]] = [
    ("an unknown variable", lambda t: step(t, guard="wat == 0"), "procs[0].steps[0].guard", "wat"),
    ("a division by zero", lambda t: step(t, guard="1 / 0"), "procs[0].steps[0].guard", "zero"),
    ("a missing target", lambda t: step(t, to="nowhere"), "procs[0].steps[0].to", "nowhere"),
    ("an element that is not there", lambda t: step(t, do=["c[9] = 1"]), "procs[0].steps[0].do[0]", "0 to 1"),
    ("an unknown key", lambda t: step(t, gaurd="1"), "procs[0].steps[0].gaurd", "did you mean 'guard'"),
    ("no processes", lambda t: t.update(procs=[]), "procs", "too few"),
    ("too many processes", lambda t: t.update(procs=t["procs"] * 500), "procs", "at most 64"),
    ("a number too large", lambda t: t["vars"].update(c=1 << 63), "vars.c", "9223372036854775808"),
    ("a number with a point", lambda t: t["vars"].update(c=1.0), "vars.c", "integer"),
    ("a word for a number", lambda t: t["vars"].update(c="1"), "vars.c", "integer"),
    ("a range of three", lambda t: t.update(ranges={"c": [0, 1, 2]}), "ranges.c", "at most 2"),
    ("another format", lambda t: t.update(format="protocol-table/2"), "format", "protocol-table/1"),
    ("no format", lambda t: t.pop("format"), "format", "missing"),
    ("a name that turns", lambda t: t.update(name="a\u202eb"), "name", "U+202E"),
    ("half a character", lambda t: t.update(name="\ud800"), "name", "surrogate"),
    ("a control character", lambda t: step(t, at="a\x00"), "procs[0].steps[0].at", "U+0000"),
    ("brackets without end", lambda t: step(t, guard="(" * 900 + "1" + ")" * 900), "procs[0].steps[0].guard", ""),
    ("two equal names", lambda t: t["procs"][1].update(name="p0"), "procs[1].name", "p0"),
]


@pytest.mark.parametrize(("change", "field", "says"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_given_a_table_that_is_wrong_when_sent_then_it_is_refused_with_its_place_and_nothing_is_queued(
    client: TestClient, store: Store, change: Change, field: str, says: str
) -> None:
    told = counters(2, 3)
    change(told)
    before = len(store.explorations(1_000)[0])
    body = json.dumps({"subject": told})
    answer = client.post(f"{V1}/explorations", content=body, headers={"Content-Type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, problem["field"]) == (422, field), problem
    assert says in problem["detail"]
    assert len(problem["detail"]) <= 420
    assert len(store.explorations(1_000)[0]) == before


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ('at = "a", to = "-", dp = []', "dp"),
        ('at = "a", to = "-", guard = "wat"', "wat"),
        ('at = "a", to = "-", guard = "1 % 0"', "zero"),
        ('at = "a", to = "nowhere"', "nowhere"),
        ('at = "a", to = "-", guard = 7', "string"),
        ('at = = "a"', "TOML"),
    ],
)
def test_given_a_toml_table_that_is_wrong_when_sent_then_the_line_is_named(
    client: TestClient, step: str, says: str
) -> None:
    lines = ['format = "protocol-table/1"', 'name = "x"', "[[procs]]", 'name = "p"', 'start = "a"', "steps = ["]
    text = "\n".join([*lines, f"  {{ {step} }},", "]"])
    answer = client.post(f"{V1}/explorations", json={"table": text})
    assert answer.status_code == 422
    assert "line 7" in answer.json()["detail"]
    assert says in answer.json()["detail"]


def test_given_a_counter_without_end_when_sent_then_it_is_refused_before_any_worker(
    client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CHECK_S", "LATE_S"):  # the child may have to compile the engine first
        monkeypatch.setattr(stepping, name, 240.0)
    told = counters(2, 3)
    told["procs"][0]["steps"] = [{"at": "n", "do": ["c[0] = c[0] + 1"], "to": "n"}]
    told["ranges"] = {}
    before = len(store.explorations(1_000)[0])
    answer = client.post(f"{V1}/explorations", json={"subject": told})
    assert (answer.status_code, answer.json()["field"]) == (422, "vars.c"), answer.text
    assert len(store.explorations(1_000)[0]) == before


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"search": "bsf"}, "unknown_value", "search"),
        ({"reduction": "some"}, "unknown_value", "reduction"),
        ({"preemptions": 3, "reduction": "por"}, "bad_plan", "preemptions"),
        ({"preemptions": 3, "search": "pct"}, "bad_plan", "preemptions"),
        ({"search": "random", "reduction": "all"}, "bad_plan", "reduction"),
        ({"compact": True, "search": "dfs"}, "bad_plan", "compact"),
        ({"preemptions": 201}, "too_large", "preemptions"),
        ({"walks": 0}, "too_small", "walks"),
        ({"walks": 1e9}, "wrong_type", "walks"),
        ({"depth": 17}, "too_large", "depth"),
        ({"seed": -1}, "too_small", "seed"),
        ({"limits": {"states": 30_000_001}}, "too_large", "limits.states"),
        ({"limits": {"memory_bytes": 1}}, "too_small", "limits.memory_bytes"),
        ({"limits": {"seconds": 301.0}}, "too_large", "limits.seconds"),
        ({"limits": {"second": 1.0}}, "unknown_key", "limits.second"),
        ({"table": "x"}, "invalid", None),
        ({"subject": None}, "invalid", None),
        ({"subject": [1]}, "wrong_type", "subject"),
        ({"subject": None, "table": " "}, "too_short", "table"),
        ({"subject": None, "table": "a." * 5_000 + "a = 1"}, "too_deep", "table"),
        ({"subject": None, "table": "a = [" * 5_000}, None, None),
        ({"subject": None, "table": '{"a": NaN}'}, "not_finite", "a"),
        ({"subject": None, "table": '{"a": 1, "a": 2}'}, "duplicate_key", "a"),
        ({"subject": None, "table": "a = 1979-05-27"}, "unknown_value", "format"),
    ],
)
def test_given_a_plan_or_a_text_that_is_wrong_when_sent_then_it_is_refused(
    client: TestClient, fields: dict[str, Any], code: str | None, field: str | None
) -> None:
    answer = client.post(f"{V1}/explorations", json={"subject": table("peterson"), **fields})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if code is not None:
        assert (answer.json()["code"], answer.json().get("field")) == (code, field), answer.json()


def test_given_a_million_processes_when_sent_then_the_body_is_too_large(client: TestClient) -> None:
    body = '{"subject": {"format": "protocol-table/1", "procs": [' + "{}," * 1_000_000 + "{}]}}"
    answer = client.post(f"{V1}/explorations", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_given_the_engines_plan_when_compared_then_the_api_takes_the_same() -> None:
    told = RequestedPlan().model_dump()
    assert {name: told[name] for name in Plan._fields} == Plan()._asdict()
    assert get_args(RequestedPlan.model_fields["search"].annotation) == SEARCHES
    assert get_args(RequestedPlan.model_fields["reduction"].annotation) == REDUCTIONS


def test_given_a_full_queue_when_one_more_is_sent_then_it_is_503_with_a_time_to_wait(
    tmp_path: Path, server_settings: Settings
) -> None:
    settings = server_settings.model_copy(update={"data": tmp_path, "queue_max": 1})
    store = open_store(settings)
    with TestClient(create_app(settings, store, Limits()), base_url="http://127.0.0.1:8340") as client:
        posted(client)
        answer = client.post(f"{V1}/explorations", json={"subject": table("abba")})
        assert (answer.status_code, answer.json()["code"]) == (503, "queue_full")
        assert int(answer.headers["retry-after"]) > 0
    store.close()
