"""The worker: what it plays is stored whole and sealed, whatever becomes of it on the way."""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text, update

from app.children import environment
from app.chunks import decode
from app.runner import OpenRun, play_one
from app.settings import Settings
from app.store import RunRow, Store, open_store
from app.store.tables import Run
from engine.errors import BadScenario
from engine.events import BATCH, Batch, Kind
from engine.runs.play import open_run, seal
from engine.runs.w1 import scenario
from engine.scenario import Scenario
from engine.scenarios import shipped
from tests.app.explored import settings_in, until
from tests.app.stored import LogPlayer, flip
from tests.app.synthetic import Log

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(settings_in(tmp_path, ballast_bytes=1 << 16), busy_s=30)
    yield opened
    opened.close()


def get(store: Store, run_id: str) -> RunRow:
    run = store.run(run_id)
    assert run is not None
    return run


def claimed(store: Store, asked: Scenario | None = None, **more: Any) -> RunRow:
    started, _ = store.start_run(asked or scenario(events=1_000), **more)
    run = store.run_jobs.claim("test")
    assert run is not None
    assert run.id == started.id
    return run


def sealed(batches: list[Batch]) -> str:
    return hashlib.sha256(b"".join(batch.records().tobytes() for batch in batches)).hexdigest()


def stored_events(store: Store, run_id: str) -> list[Batch]:
    return [decode(store.chunk(run_id, row.number)) for row in store.chunk_rows(run_id)]


@pytest.mark.parametrize("size", [1, 97, 5_000, BATCH])
def test_given_batches_of_any_size_when_played_then_all_is_stored_and_sealed(store: Store, size: int) -> None:
    log = Log(1, 20_000 if size > 1 else 300, truth=False)
    run = claimed(store)
    play_one(store, run, open_run=LogPlayer(log.cast, log.batches(size)).open)
    done = get(store, run.id)
    assert (done.state, done.events, done.progress) == ("done", len(log.rows), 1.0)
    assert done.seal == sealed([log.batch()])
    assert done.time_ns == log.rows[-1][0]
    assert sealed(stored_events(store, run.id)) == done.seal
    assert store.verify(run.id).sound
    if size > 1:
        assert all(row.events > BATCH // 2 for row in store.chunk_rows(run.id)[:-1]), "chunks are full"


def test_given_a_real_scenario_when_played_then_its_seal_is_the_engines(store: Store) -> None:
    asked = scenario("page_wait", events=60_000)
    run = claimed(store, asked)
    play_one(store, run)
    assert get(store, run.id).seal == seal(open_run(asked).batches())
    assert store.verify(run.id).sound


def test_given_the_demo_when_played_then_its_figures_are_those_of_its_events(store: Store) -> None:
    run = claimed(store, shipped()["demo"])
    play_one(store, run)
    figures = json.loads(get(store, run.id).figures_json or "{}")
    events = Batch(0, *(np.concatenate(c) for c in zip(*(b[1:] for b in stored_events(store, run.id)), strict=True)))
    walks = events.b[events.kind == Kind.walk_ended]
    assert figures["wakes"] == len(walks) > 0
    assert figures["walked"] == (walks & 0x1FFFFF).sum()
    assert figures["longest_walk"] == (walks & 0x1FFFFF).max()
    waits: dict[int, int] = {}
    lengths, queued, peak, now = [], 0, 0, 0
    for at, kind, task in zip(events.time.tolist(), events.kind.tolist(), events.task.tolist(), strict=True):
        if kind == Kind.waiter_queued:
            waits[task], queued, now = at, queued + 1, now + 1
            peak = max(peak, now)
        elif kind in (Kind.waiter_woken, Kind.waiter_left):
            lengths.append(at - waits.pop(task))
            now -= 1
    lengths.sort()
    assert figures["waits"] == queued
    assert figures["waiters_max"] == peak
    assert figures["wait_ns_max"] == lengths[-1]
    assert figures["wait_ns_mean"] == pytest.approx(sum(lengths) / len(lengths), abs=1e-3)
    for name, share in (("wait_ns_p50", 0.5), ("wait_ns_p99", 0.99)):
        true = lengths[max(0, -(-int(100 * share) * len(lengths) // 100) - 1)]
        assert figures[name] == pytest.approx(true, rel=1 / 128, abs=1), name


# --- resumed ---------------------------------------------------------------------------------------------------------


def half_played(store: Store, log: Log, size: int, chunks: int) -> RunRow:
    """Play the beginning of a log, and let the worker die behind so many chunks; return the run, claimed again."""
    run = claimed(store)
    stop = threading.Event()

    class Dying(LogPlayer):
        def batches(self) -> Iterator[Batch]:
            yield from super().batches()
            stop.set()

    play_one(store, run, open_run=lambda *_: Dying(log.cast, log.batches(size)[:chunks]), stop=stop)
    released = store.run_jobs.claim("test")
    assert released is not None
    assert (released.id, released.attempt, released.losses) == (run.id, 2, 0)
    return released


@pytest.mark.parametrize("size", [40, 777])
def test_given_a_run_that_was_left_when_played_on_then_its_seal_is_that_of_an_undisturbed_one(
    store: Store, size: int
) -> None:
    log = Log(2, 6_000, queues=None, truth=False)
    run = half_played(store, log, size, 5)
    before = store.chunk_rows(run.id)
    assert before
    assert sum(row.events for row in before) == 5 * size
    play_one(store, run, open_run=LogPlayer(log.cast, log.batches(333)).open)
    done = get(store, run.id)
    assert (done.state, done.seal) == ("done", sealed([log.batch()]))
    assert store.chunk_rows(run.id)[: len(before)] == before
    assert store.verify(run.id).sound


def test_given_a_run_that_plays_differently_when_resumed_then_it_fails_with_a_reference(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    run = half_played(store, Log(2, 3_000, truth=False), 100, 10)
    other = Log(3, 3_000, truth=False)
    with caplog.at_level(logging.ERROR):
        play_one(store, run, open_run=LogPlayer(other.cast, other.batches(100)).open)
    failed = get(store, run.id)
    assert (failed.state, failed.reason) == ("failed", "error")
    assert failed.detail is not None
    reference = failed.detail.removeprefix("internal error: see ").split()[0]
    assert reference in caplog.text
    assert "played differently" in caplog.text
    assert "Traceback" not in failed.detail


def test_given_a_damaged_chunk_when_resumed_then_the_run_ends_and_verify_names_the_chunk(store: Store) -> None:
    log = Log(2, 3_000, truth=False)
    run = half_played(store, log, 100, 10)
    flip(store, run.id, "chunks", 0, 30)
    play_one(store, run, open_run=LogPlayer(log.cast, log.batches(100)).open)
    done = get(store, run.id)
    assert (done.state, done.seal) == ("done", sealed([log.batch()]))
    verdict = store.verify(run.id)
    assert not verdict.sound
    assert verdict.damaged == [f"chunk 0 of run {run.id} does not match its checksum"]


# --- ended otherwise -------------------------------------------------------------------------------------------------


def failing(error: Exception, log: Log) -> OpenRun:
    class Failing(LogPlayer):
        def batches(self) -> Iterator[Batch]:
            yield from super().batches()
            raise error

    return lambda *_: Failing(log.cast, log.batches(500))


def test_what_the_user_can_mend_is_told_and_what_was_played_stays(store: Store) -> None:
    log = Log(4, 1_000, truth=False)
    run = claimed(store)
    play_one(store, run, open_run=failing(BadScenario("time stands still: add a think"), log))
    failed = get(store, run.id)
    assert (failed.state, failed.reason) == ("failed", "error")
    assert failed.detail == "time stands still: add a think"
    assert (failed.events, failed.seal) == (1_000, None)
    assert store.verify(run.id).sound


def test_a_fault_of_ours_is_told_by_its_reference_and_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    log = Log(4, 1_000, truth=False)
    run = claimed(store)
    with caplog.at_level(logging.ERROR):
        play_one(store, run, open_run=failing(AssertionError("the heap is upside down"), log))
    failed = get(store, run.id)
    assert (failed.state, failed.reason, failed.events) == ("failed", "error", 1_000)
    assert failed.detail is not None
    assert "upside down" not in failed.detail
    assert "upside down" in caplog.text


def test_an_event_that_the_cast_does_not_have_is_a_fault_of_ours(store: Store) -> None:
    log = Log(4, 1_000, truth=False)
    batch = log.batch()
    batch.page[700] = 10_000
    run = claimed(store)
    play_one(store, run, open_run=LogPlayer(log.cast, [batch]).open)
    assert get(store, run.id).state == "failed"


def test_given_a_full_disk_then_the_run_fails_the_ballast_goes_and_the_next_run_works(store: Store) -> None:
    log = Log(4, 40_000, truth=False)
    run = claimed(store)
    with store.db.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {int(pages or 0) + 5}")
    play_one(store, run, open_run=LogPlayer(log.cast, log.batches()).open)
    failed = get(store, run.id)
    assert (failed.state, failed.reason) == ("failed", "disk_full")
    assert (store.settings.data / "ballast").stat().st_size == 1 << 15, "the other half is for deletions"
    with store.db.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")
    again = claimed(store)
    play_one(store, again, open_run=LogPlayer(log.cast, log.batches()).open)
    assert get(store, again.id).state == "done"


@pytest.mark.parametrize(
    ("limit", "reason", "remedy"),
    [
        ({"run_seconds_max": 1}, "limit_time", "lower limits.events"),
        ({"run_bytes_max": 1 << 20}, "limit_memory", "use fewer pages or tasks"),
    ],
)
def test_a_run_beyond_a_limit_fails_and_keeps_what_it_had(
    tmp_path: Path, limit: dict[str, int], reason: str, remedy: str
) -> None:
    store = open_store(settings_in(tmp_path, **limit))
    run = claimed(store, scenario(events=1_000_000), pace_ms_per_s=5)
    play_one(store, run)
    failed = get(store, run.id)
    assert (failed.state, failed.reason) == ("failed", reason)
    assert failed.detail is not None
    assert remedy in failed.detail
    assert store.verify(run.id).sound
    store.close()


def played_in_a_thread(store: Store, run: RunRow) -> threading.Thread:
    thread = threading.Thread(target=play_one, args=(store, run))
    thread.start()
    return thread


def test_a_cancelled_run_stops_soon_and_keeps_what_it_had(store: Store) -> None:
    run = claimed(store, scenario(events=2_000_000), pace_ms_per_s=5)
    thread = played_in_a_thread(store, run)
    until(lambda: get(store, run.id).events, "the first events")
    began = time.monotonic()
    assert store.cancel(run.id).cancel_requested
    thread.join(PATIENCE_S)
    assert time.monotonic() - began < 2.0
    ended = get(store, run.id)
    assert (ended.state, ended.reason) == ("cancelled", "user")
    assert store.verify(run.id).sound


def test_a_deleted_run_is_let_go_of(store: Store) -> None:
    run = claimed(store, scenario(events=2_000_000), pace_ms_per_s=5)
    thread = played_in_a_thread(store, run)
    until(lambda: get(store, run.id).events, "the first events")
    store.delete(run.id)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert store.run(run.id) is None
    with store.db.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM chunks")) == 0


def test_a_paced_run_takes_its_time_and_shows_itself_on_the_way(store: Store) -> None:
    log = Log(5, 3_000, gap=400_000, truth=False)
    total_ms = log.rows[-1][0] / 1e6
    run = claimed(store, pace_ms_per_s=int(total_ms))
    began = time.monotonic()
    play_one(store, run, open_run=LogPlayer(log.cast, log.batches()).open)
    assert time.monotonic() - began > 0.9
    done = get(store, run.id)
    assert (done.state, done.seal) == ("done", sealed([log.batch()]))
    assert done.chunks >= 3


# --- processes -------------------------------------------------------------------------------------------------------


def worker(settings: Settings) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "app.runner"], cwd=ROOT, env=environment(settings))


def test_given_workers_killed_in_mid_run_then_the_run_ends_with_the_seal_of_an_undisturbed_one(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    store = open_store(settings, busy_s=30)
    asked = scenario(events=400_000)
    run, _ = store.start_run(asked, pace_ms_per_s=100)
    held = 0
    for kill in range(2):
        process = worker(settings)
        until(lambda: get(store, run.id).chunks > held, "events of this worker")  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.wait()
        held = get(store, run.id).chunks
        kept = [store.chunk(run.id, row.number) for row in store.chunk_rows(run.id)]
        assert len(kept) == held, "nothing that was told of is lost"
        if kill == 0:  # the first death is found out by the clock, the second one at once
            began = time.monotonic()
            until(lambda: store.run_jobs.recover() == 1, "the lease to run out")
            assert time.monotonic() - began < 10
        else:
            with store.db.write() as connection:
                connection.execute(update(Run).values(lease_until=0))
    with store.db.write() as connection:
        connection.execute(update(Run).values(pace_ms_per_s=None))
    process = worker(settings)
    until(lambda: get(store, run.id).state not in ("queued", "running"), "the end")
    process.terminate()
    assert process.wait(20) == 0
    done = get(store, run.id)
    assert (done.state, done.attempt, done.losses) == ("done", 3, 2)
    assert done.seal == seal(open_run(asked).batches())
    assert store.verify(run.id).sound
    store.close()


def test_given_two_workers_and_many_runs_then_each_is_played_once(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    store = open_store(settings, busy_s=30)
    runs = [store.start_run(scenario(events=50_000))[0].id for _ in range(5)]
    runs.append(store.start_run(scenario(events=10_000_000), pace_ms_per_s=10)[0].id)
    processes = [worker(settings), worker(settings)]
    until(lambda: all(get(store, run_id).state == "done" for run_id in runs[:5]), "the short runs")
    until(lambda: get(store, runs[5]).events, "the long run to begin")
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(20) for process in processes] == [0, 0]
    assert len({get(store, run_id).seal for run_id in runs[:5]}) == 1
    assert all(get(store, run_id).attempt == 1 for run_id in runs[:5])
    assert all(store.verify(run_id).sound for run_id in runs)
    left = get(store, runs[5])
    assert (left.state, left.attempt, left.losses) == ("queued", 2, 0)
    store.close()


def test_a_worker_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    variables = environment(settings_in(tmp_path)) | {"FOLIOSCOPE_DATA": str(tmp_path / "data")}
    done = subprocess.run(
        [sys.executable, "-m", "app.runner"], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "set FOLIOSCOPE_DATA" in done.stderr
