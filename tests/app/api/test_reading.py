"""Reading a run that was played: events, windows, a page's history, and every strange question about them."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from app.runner import play_one
from app.store import Store
from engine.recordings.reading import read_file
from engine.scenario import Scenario
from tests.engine.recordings.samples import DATA

V1 = "/api/v1"
PAGES, TASKS, EVENTS = 6, 12, 3_000


@pytest.fixture(scope="module")
def run_id(store: Store) -> str:
    """A run of EVENTS events under page_wait, played to its end."""
    program = [
        {"op": "think", "mean_ns": 4_000},
        {"op": "pick"},
        {"op": "lock"},
        {"op": "hold", "mean_ns": 900},
        {"op": "unlock"},
    ]
    group = {"name": "locker", "tasks": TASKS, "program": program}
    asked = {
        "name": "read me",
        "wait": {"design": "page_wait"},
        "workload": {"kind": "tasks", "pages": PAGES, "first_pfn": 0x29B0, "groups": [group]},
        "limits": {"events": EVENTS},
    }
    started, _ = store.start_run(Scenario.model_validate(asked))
    while (claimed := store.run_jobs.claim("a test")) is not None:
        play_one(store, claimed)
    run = store.run(started.id)
    assert run is not None
    assert run.state == "done", run.detail
    return started.id


@pytest.fixture(scope="module")
def base(run_id: str) -> str:
    return f"{V1}/runs/{run_id}"


def all_events(client: TestClient, base: str, query: str = "") -> list[dict[str, Any]]:
    """Ask page by page until nothing follows."""
    found: list[dict[str, Any]] = []
    after: int | None = -1
    while after is not None:
        answer = client.get(f"{base}/events?_size=1000&after_seq={after}{query}").json()
        found += answer["events"]
        after = answer["next_after_seq"]
    return found


def test_given_a_run_when_its_events_are_read_page_by_page_then_all_come_once_in_order(
    client: TestClient, base: str
) -> None:
    events = all_events(client, base)
    assert [event["seq"] for event in events] == list(range(EVENTS))
    assert [event["time_ns"] for event in events] == sorted(event["time_ns"] for event in events)


def test_given_filters_when_events_are_read_then_they_are_those_that_fit(client: TestClient, base: str) -> None:
    events = all_events(client, base)
    kinds = {"mapping_swapped", "mapping_restored"}
    assert all_events(client, base, "&kind=mapping_swapped&kind=mapping_restored") == [
        event for event in events if event["kind"] in kinds
    ]
    assert all_events(client, base, "&task=3") == [event for event in events if event["task"] == 3]
    assert all_events(client, base, "&page=2&kind=page_locked") == [
        event for event in events if event["page"] == 2 and event["kind"] == "page_locked"
    ]
    t0, t1 = events[500]["time_ns"], events[900]["time_ns"]
    assert all_events(client, base, f"&t0={t0}&t1={t1}") == [event for event in events if t0 <= event["time_ns"] < t1]


def test_given_an_event_when_read_then_it_is_told_in_names_words_and_hex(client: TestClient, base: str) -> None:
    event = all_events(client, base, "&kind=mapping_swapped")[0]
    assert event["task_name"] == f"locker-{event['task']}"
    assert event["pfn"] == f"0x{0x29B0 + event['page']:x}"
    assert int(event["b"], 16) & 1 == 1
    assert int(event["a"], 16) & 1 == 0
    assert event["pfn"] in event["says"]


def test_given_a_window_when_read_then_its_sums_are_those_of_the_events(client: TestClient, base: str) -> None:
    events = all_events(client, base)
    t0, t1 = events[400]["time_ns"], events[2_500]["time_ns"]
    window = client.get(f"{base}/window?t0={t0}&t1={t1}&px=200&parts=series,heat,lanes&pages=list:0,3&queue=3").json()
    inside = [event for event in events if t0 <= event["time_ns"] < t1]
    assert window["events"] == sum(window["series"]["events"]["sum"]) == len(inside)
    assert sum(window["series"]["swaps_in"]["sum"]) == sum(event["kind"] == "mapping_swapped" for event in inside)
    assert (window["lanes"]["pages"], window["px"]) == ([0, 3], 200)
    rows, columns = map(int, window["lanes"]["z"]["shape"].split(","))
    assert len(base64.b64decode(window["lanes"]["z"]["bdata"])) == rows * columns
    heat = window["heat"]["z"]
    cells = np.frombuffer(base64.b64decode(heat["bdata"]), np.dtype(heat["dtype"]))
    assert cells.max() == window["heat"]["max"]
    assert len(window["series"]["queue"]["mean"]) == 200


def test_given_a_page_when_its_history_is_read_then_each_event_begins_where_the_one_before_ended(
    client: TestClient, base: str
) -> None:
    history = client.get(f"{base}/pages/2/history?_size=1000").json()
    assert (history["page"], history["pfn"]) == (2, "0x29b2")
    events = history["events"]
    assert [event["seq"] for event in events] == [event["seq"] for event in all_events(client, base, "&page=2")]
    for before, after in pairwise(events):
        assert before["after"] == after["before"]
    word = next(event["after"]["mapping"] for event in events if event["kind"] == "mapping_swapped")
    assert word["tag"] == "PAGE_MAPPING_WAIT"
    assert int("".join(map(str, word["bits"])), 2) == int(word["word"], 16)


def test_given_an_event_when_read_then_its_words_are_fields_with_names(client: TestClient, base: str) -> None:
    kinds = {kind["kind"]: kind for kind in client.get(f"{V1}/events").json()}
    for event in all_events(client, base):
        assert list(event["fields"]) == [field["name"] for field in kinds[event["kind"]]["fields"]]
        if event["kind"] == "waiter_queued":
            assert event["fields"]["bit"] == "PG_locked"
            assert event["fields"]["length"] == event["b"] & 0xFFFFFFFF
            assert event["fields"]["queue"] == event["a"]
        elif event["kind"] == "walk_ended":
            fields = event["fields"]
            assert fields["walked"] == fields["matched"] + fields["other_bit"] + fields["strangers"]
            assert fields["stop"] in ("end", "exclusive", "taken")
        elif event["kind"] == "mapping_swapped":
            assert event["fields"] == {"before": event["a"], "after": event["b"]}
        elif event["kind"] == "page_locked":
            assert "PG_locked" in event["fields"]["flags"]


def mappings(store: Store, client: TestClient, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Play a scenario; return every mapping word that the histories of its first pages show."""
    started, _ = store.start_run(Scenario.model_validate(asked))
    while (claimed := store.run_jobs.claim("a test")) is not None:
        play_one(store, claimed)
    pages = range(min(store.cast(started.id).page_count, 40))
    histories = [client.get(f"{V1}/runs/{started.id}/pages/{page}/history?_size=1000").json() for page in pages]
    return [
        event[when]["mapping"] for history in histories for event in history["events"] for when in ("before", "after")
    ]


@pytest.mark.parametrize(
    ("wait", "tag_bits", "structure"),
    [
        ({"design": "page_wait", "encoding": "E1"}, "001", "page_wait "),
        ({"design": "page_wait", "encoding": "E3"}, "100", "page_wait "),
        ({"design": "page_waiter"}, "001", "page_waiter of task "),
    ],
    ids=["E1", "E3", "page_waiter"],
)
def test_given_a_swapped_mapping_when_shown_then_the_structure_behind_it_is_named(
    store: Store, client: TestClient, wait: dict[str, Any], tag_bits: str, structure: str
) -> None:
    ops = ({"op": "think", "mean_ns": 900}, {"op": "pick"}, {"op": "lock"}, {"op": "hold", "mean_ns": 900})
    group = {"name": "locker", "tasks": 8, "program": [*ops, {"op": "unlock"}]}
    workload = {"kind": "tasks", "pages": 2, "groups": [group]}
    asked = {"name": "named", "wait": wait, "workload": workload, "limits": {"events": 300}}
    found = mappings(store, client, asked)
    swapped = [word for word in found if word["tag"] == "PAGE_MAPPING_WAIT"]
    assert swapped
    for word in swapped:
        assert word["means"].startswith(f"PAGE_MAPPING_WAIT + {structure}")
        assert "".join(map(str, word["bits"][-3:])) == tag_bits
        assert int(word["pointer"], 16) == int(word["word"], 16) & ~7
        assert word["tag_bits"] == 3
    for word in found:
        if word["tag"] == "none":
            assert word["means"] in ("NULL: in no file", "struct address_space (file)")


def test_given_an_anonymous_page_under_hashed_when_shown_then_it_is_no_wait_structure(
    store: Store, client: TestClient
) -> None:
    recording = store.add_recording(read_file(DATA / "waits-6.1.trace.txt.gz"), "waits")
    asked = {"name": "waits", "workload": {"kind": "recording", "recording": recording.id}}
    tags = {word["tag"]: word for word in mappings(store, client, asked)}
    assert "PAGE_MAPPING_ANON" in tags
    assert "PAGE_MAPPING_WAIT" not in tags
    word = tags["PAGE_MAPPING_ANON"]
    assert word["means"] == f"PAGE_MAPPING_ANON + pointer {word['pointer']}"
    assert int(word["pointer"], 16) == int(word["word"], 16) - 1


def test_given_a_cast_when_read_then_rows_have_their_names(client: TestClient, base: str) -> None:
    cast = client.get(f"{base}/cast").json()
    assert [task["name"] for task in cast["tasks"]] == [f"locker-{n}" for n in range(TASKS)]
    assert (cast["first_pfn"], cast["page_count"], cast["queues"]) == (0x29B0, PAGES, PAGES)


def test_given_a_run_that_is_done_when_read_then_its_figures_and_seal_are_told(client: TestClient, base: str) -> None:
    run = client.get(base).json()
    assert (run["state"], run["events"], run["progress"]) == ("done", EVENTS, 1.0)
    assert len(run["seal"]) == 64
    assert run["figures"]["events"] == EVENTS
    assert run["figures"]["swaps_in"] > 0


@pytest.mark.parametrize(
    "question",
    [
        *[f"window?t0={text}" for text in ("nan", "inf", "1e400", "-1", "9" * 30, "9" * 5_000, "0x1", "1.0", "")],
        *[f"window?px={text}" for text in ("0", "-5", "5001", "100000000000000000000", "1e3", "nan")],
        "window?px=10&px=20",
        "window?t0=5&t1=5",
        "window?t0=6&t1=5",
        "window?parts=",
        "window?parts=series,secrets",
        "window?parts=series,series,series,series",
        "window?pages=hot:1000",
        "window?pages=hot:999&parts=lanes",
        "window?pages=list:0,99&parts=lanes",
        "window?pages=list:" + ",".join(["1"] * 1_000),
        "window?pages=file:x",
        "window?queue=99",
        "window?queue=-1",
        "window?bins=20",
        "events?kind=page_eaten",
        "events?kind=" + "&kind=".join(["page_locked"] * 31),
        "events?task=-1",
        "events?task=4294967296",
        "events?page=1.5",
        "events?after_seq=-2",
        "events?after_seq=99999999999999999999",
        "events?_size=0",
        "events?_size=1001",
        "events?_sort=time",
        "events?t0=1;drop",
        "pages/0/history?t0=9&t1=3",
        "stream?events=2",
        "stream?events=true",
        "cast?x=1",
    ],
)
def test_given_a_strange_question_when_asked_then_it_is_422_and_names_the_field(
    client: TestClient, base: str, question: str
) -> None:
    answer = client.get(f"{base}/{question}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"].split("[")[0] in question
    assert len(answer.text) < 2_000


@pytest.mark.parametrize("row", ["-1", "6", "4294967295", "1e3", "x", "9" * 5_000, "%00", "0.0"])
def test_given_a_page_that_the_run_has_not_when_asked_for_then_it_is_404(
    client: TestClient, base: str, row: str
) -> None:
    assert client.get(f"{base}/pages/{row}/history").status_code == 404


def test_given_a_run_that_has_not_begun_when_read_then_its_window_is_empty(client: TestClient, store: Store) -> None:
    waiting = client.post(f"{V1}/runs", json={"preset": "w1"}).json()["id"]
    window = client.get(f"{V1}/runs/{waiting}/window?px=10&parts=series,heat,lanes").json()
    assert (window["state"], window["events"]) == ("queued", 0)
    assert client.get(f"{V1}/runs/{waiting}/events").json() == {"events": [], "next_after_seq": None}
    assert client.get(f"{V1}/runs/{waiting}/cast").status_code == 404
    store.cancel(waiting)


def test_given_a_share_link_when_used_then_every_reading_answer_is_that_of_the_run(
    client: TestClient, base: str
) -> None:
    run_id = base.rpartition("/")[2]
    token = client.post(f"{V1}/shares", json={"runs": [run_id]}).json()["token"]
    for question in (
        "",
        "/events?_size=5",
        "/window?px=50",
        "/cast",
        "/pages/1/history",
        "/stream",
        "/stream?events=1",
    ):
        open_answer, shared = client.get(base + question), client.get(f"{V1}/shared/{token}/runs/{run_id}{question}")
        assert (shared.status_code, shared.content) == (200, open_answer.content), question


@settings(max_examples=100, deadline=None)
@given(
    t0=st.integers(0, 3_000_000),
    span=st.integers(1, 3_000_000),
    px=st.integers(1, 5_000),
    parts=st.sets(st.sampled_from(["series", "heat", "lanes"]), min_size=1),
)
def test_given_any_window_when_asked_for_then_it_is_answered_within_its_bounds(
    client: TestClient, base: str, t0: int, span: int, px: int, parts: set[str]
) -> None:
    answer = client.get(f"{base}/window", params={"t0": t0, "t1": t0 + span, "px": px, "parts": ",".join(parts)})
    assert answer.status_code == 200, answer.text
    window = answer.json()
    assert 1 <= window["px"] <= px
    assert parts == {part for part in ("series", "heat", "lanes") if window.get(part)} | (parts & {"lanes"})


def test_given_a_flipped_byte_in_a_chunk_when_read_then_it_is_409_and_the_window_names_the_gap(
    client: TestClient, store: Store
) -> None:
    from sqlalchemy import text

    asked = client.post(f"{V1}/runs", json={"scenario": json.loads(store.runs(1)[0][0].scenario_json)}).json()
    while (claimed := store.run_jobs.claim("a test")) is not None:
        play_one(store, claimed)
    where = {"run": asked["id"]}
    with store.db.write() as connection:
        data = bytearray(connection.scalar(text("SELECT data FROM chunks WHERE run_id = :run AND number = 0"), where))
        data[len(data) // 2] ^= 1
        flip = text("UPDATE chunks SET data = :data WHERE run_id = :run AND number = 0")
        connection.execute(flip, where | {"data": bytes(data)})
    damaged = client.get(f"{V1}/runs/{asked['id']}/events")
    assert (damaged.status_code, damaged.json()["code"]) == (409, "chunk_corrupt")
    window = client.get(f"{V1}/runs/{asked['id']}/window?t0=0&t1=20000&px=100")
    assert window.status_code == 200
    assert window.json()["gaps"]
    stream = client.get(f"{V1}/runs/{asked['id']}/stream?events=1")
    assert "event: damaged" in stream.text
    assert stream.text.endswith('event: end\ndata: {"why":"damaged"}\n\n')
