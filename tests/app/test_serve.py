"""The product as a user starts it: streams cut and resumed, links withdrawn, workers killed, and the stop."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from app.serving import DEMO_VIEW
from tests.app.serving import Message, Started, follow, started

V1 = "/api/v1"
OVER = ("done", "failed", "cancelled")
STREAMS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with started(tmp_path_factory.mktemp("data"), "--workers", "1", FOLIOSCOPE_STREAMS_PER_ADDRESS=str(STREAMS)) as up:
        yield up


def play(server: Started, preset: str = "demo", **fields: object) -> str:
    status, run = server.ask("POST", f"{V1}/runs", {"preset": preset, **fields})
    assert status == 201, run
    return str(run["id"])


def scenario(events: int) -> dict[str, object]:
    program = [{"op": "think", "mean_ns": 5_000}, {"op": "pick"}, {"op": "lock"}, {"op": "unlock"}]
    group = {"name": "g", "tasks": 20, "program": program}
    workload = {"kind": "tasks", "pages": 8, "groups": [group]}
    return {"name": f"{events} events", "workload": workload, "limits": {"events": events}}


def test_given_a_run_when_followed_then_frames_rise_and_the_last_is_what_is_stored(server: Started) -> None:
    run_id = play(server, pace_ms_per_s=400)
    told = [
        json.loads(each.data) for each in follow(server.port, f"{V1}/runs/{run_id}/stream") if each.event == "advance"
    ]
    assert [each["events"] for each in told] == sorted(each["events"] for each in told)
    assert len(told) > 4
    stored = server.get(f"{V1}/runs/{run_id}")
    assert {name: stored[name] for name in ("events", "time_ns", "state")} == {
        name: told[-1][name] for name in ("events", "time_ns", "state")
    }
    assert stored["state"] == "done"


def test_given_a_stream_of_events_when_cut_at_random_and_resumed_then_none_is_missing_or_doubled(
    server: Started,
) -> None:
    status, run = server.ask("POST", f"{V1}/runs", {"scenario": scenario(20_000)})
    assert status == 201
    path, draw = f"{V1}/runs/{run['id']}/stream?events=1", random.Random(7)
    got: list[int] = []
    last_id: str | None = None
    ended = False
    cuts = 0
    while not ended:
        stream = follow(server.port, path, last_id)
        for _ in range(draw.randrange(1, 9)):
            each = next(stream, Message("end", "", "", ""))
            if each.event == "events":
                got += [event["seq"] for event in json.loads(each.data)]
                last_id = each.id
            ended = each.event == "end"
            if ended:
                break
        stream.close()
        cuts += 1
    assert cuts > 3
    assert got == list(range(20_000))


def test_given_an_id_that_no_event_has_when_resumed_then_a_reset_comes_first(server: Started) -> None:
    run_id = play(server)
    server.until(f"{V1}/runs/{run_id}", lambda run: run["state"] in OVER)
    for query in ("", "?events=1"):
        stream = follow(server.port, f"{V1}/runs/{run_id}/stream{query}", "99999999")
        events = [each.event for each in stream if each.event]
        assert events[0] == "reset"
        assert events[-1] == "end"


def test_given_a_link_when_withdrawn_then_its_open_streams_end_within_a_second(server: Started) -> None:
    run_id = play(server, pace_ms_per_s=1)
    _, share = server.ask("POST", f"{V1}/shares", {"runs": [run_id]})
    stream = follow(server.port, f"{V1}/shared/{share['token']}/runs/{run_id}/stream")
    next(each for each in stream if each.event == "advance")
    assert server.ask("DELETE", f"{V1}/shares/{share['id']}")[0] == 204
    began = time.monotonic()
    events = [each.event for each in stream]
    assert time.monotonic() - began <= 1
    assert events[-2:] == ["gone", "end"]
    assert server.ask("POST", f"{V1}/runs/{run_id}/cancel")[0] == 200


def test_given_a_run_when_deleted_under_its_viewers_then_they_are_told(server: Started) -> None:
    run_id = play(server, pace_ms_per_s=1)
    stream = follow(server.port, f"{V1}/runs/{run_id}/stream")
    next(each for each in stream if each.event == "advance")
    assert server.ask("DELETE", f"{V1}/runs/{run_id}")[0] == 204
    assert [each.event for each in stream][-2:] == ["gone", "end"]
    assert server.ask("GET", f"{V1}/runs/{run_id}")[0] == 404


def test_given_a_running_run_when_cancelled_then_it_ends_within_two_seconds(server: Started) -> None:
    run_id = play(server, pace_ms_per_s=1)
    server.until(f"{V1}/runs/{run_id}", lambda run: run["state"] == "running")
    began = time.monotonic()
    server.ask("POST", f"{V1}/runs/{run_id}/cancel")
    ended = server.until(f"{V1}/runs/{run_id}", lambda run: run["state"] in OVER)
    assert time.monotonic() - began <= 2
    assert (ended["state"], ended["reason"]) == ("cancelled", "user")


def test_given_all_places_taken_when_one_more_viewer_comes_then_it_is_429_and_pages_still_load(server: Started) -> None:
    run_id = play(server, pace_ms_per_s=1)
    streams = [follow(server.port, f"{V1}/runs/{run_id}/stream") for _ in range(STREAMS)]
    for stream in streams:
        next(stream)
    client = HTTPConnection("127.0.0.1", server.port, timeout=10)
    client.request("GET", f"{V1}/runs/{run_id}/stream")
    refused = client.getresponse()
    assert (refused.status, refused.getheader("retry-after")) == (429, "10")
    client.close()
    began = time.monotonic()
    assert server.ask("GET", f"{V1}/runs")[0] == 200
    assert time.monotonic() - began < 1
    for stream in streams:
        stream.close()

    def free() -> bool:
        try:
            with closing(follow(server.port, f"{V1}/runs/{run_id}/stream")) as stream:
                next(stream)
        except AssertionError:
            return False
        return True

    end, pause = time.monotonic() + 20, threading.Event()
    while not free():
        assert time.monotonic() < end, "places of viewers that left are given away again"
        pause.wait(0.1)
    server.ask("POST", f"{V1}/runs/{run_id}/cancel")


def worker_of(server: Started) -> int:
    """Return the process that plays runs for this server."""
    for entry in Path("/proc").iterdir():
        ours = entry.name.isdigit() and f"\nPPid:\t{server.process.pid}\n" in _text(entry / "status")
        if ours and "app.runner" in _text(entry / "cmdline"):
            return int(entry.name)
    return 0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def test_given_a_worker_that_is_killed_when_it_played_then_another_goes_on_and_the_seal_is_the_same(
    server: Started,
) -> None:
    whole = play(server, pace_ms_per_s=500)
    seal = server.until(f"{V1}/runs/{whole}", lambda run: run["state"] in OVER)["seal"]
    killed = play(server, pace_ms_per_s=100)
    server.until(f"{V1}/runs/{killed}", lambda run: run["events"] > 100)
    os.kill(worker_of(server), signal.SIGKILL)
    server.until(f"{V1}/runs/{killed}", lambda run: run["attempt"] == 2, seconds=5)
    again = server.until(f"{V1}/runs/{killed}", lambda run: run["state"] in OVER)
    assert (again["state"], again["seal"], again["attempt"]) == ("done", seal, 2)


def test_given_open_streams_when_told_to_stop_then_all_get_a_last_message_and_it_ends_in_time(tmp_path: Path) -> None:
    with started(tmp_path, "--workers", "1", FOLIOSCOPE_STREAMS_PER_ADDRESS="60") as up:
        run_id = play(up, pace_ms_per_s=1)
        paths = [f"{V1}/runs/{run_id}/stream", f"{V1}/runs/{run_id}/stream?events=1"] * 25
        ready = threading.Barrier(len(paths) + 1)

        def read_all(path: str) -> list[Message]:
            stream = follow(up.port, path)
            seen = [next(stream)]
            ready.wait(30)
            return seen + list(stream)

        with ThreadPoolExecutor(len(paths)) as pool:
            reading = [pool.submit(read_all, path) for path in paths]
            ready.wait(30)
            began = time.monotonic()
            up.process.send_signal(signal.SIGTERM)
            _, errors = up.process.communicate(timeout=10)
            assert time.monotonic() - began <= 5
            last = [each.result()[-1] for each in reading]
        assert up.process.returncode == 0
        assert "Traceback" not in errors
        assert all(each.event == "stop" and int(each.retry) >= 1_000 for each in last)


def test_given_the_demo_when_served_then_both_designs_are_played_at_a_pace_and_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "app.cli", "serve", "--demo", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[1]
        said = []
        while "/c/" not in (line := process.stdout.readline()):
            assert line, "the server has ended"
            said.append(line)
        assert "engine ready" in "".join(said), "there is something to see when the address is told"
        pair, _, view = line.split()[-1].partition("?")
        assert pair.startswith(f"{address}/c/")
        assert view == DEMO_VIEW
        ids = pair.rpartition("/")[2].split(",")
        assert process.stdout.readline().split()[-1] == f"{address}/r/{ids[0]}"
        up = Started(process, int(address.rpartition(":")[2]))
        runs = [up.get(f"{V1}/runs/{run}") for run in ids]
        assert all(run["events"] > 0 for run in runs)
        assert [(run["state"], run["tags"], run["design"]) for run in runs] == [
            ("running", ["demo"], "hashed"),
            ("running", ["demo"], "page_wait"),
        ]
        assert all(0 < run["pace_ms_per_s"] < 1000 for run in runs)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == 0
