"""Explorations in the store and in the worker: answered once and whole, whatever becomes of the worker on the way."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app import searching
from app.searching import OUTCOMES_MAX, explore_one, shortened
from app.store import ExplorationRow, Fenced, Store, open_store
from app.store.tables import Exploration
from engine.errors import UserError
from engine.explore.plan import Limits, Plan
from engine.explore.search.answers import answer
from engine.explore.search.explorer import Explorer
from engine.explore.tables.checking import checked
from engine.identity import engine_words
from engine.runs.w1 import scenario
from tests.app.explored import HASTY, PATIENCE_S, answered, asked, asked_of, counters, get, settings_in, until, worker
from tests.explore.shelf import KNOWN


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(settings_in(tmp_path), busy_s=30)
    yield opened
    opened.close()


def claimed(store: Store, name: str = "peterson", **more: Any) -> ExplorationRow:
    started, _ = store.explore(asked(name, **more))
    row = store.exploration_jobs.claim("test")
    assert row is not None
    assert row.id == started.id
    return row


# --- answered --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["peterson", "lost_increment", "abba", "peterson_broken_order"])
def test_given_a_table_when_explored_then_the_answer_is_what_is_known_of_it(store: Store, name: str) -> None:
    row = claimed(store, name)
    explore_one(store, row)
    done = get(store, row.id)
    found = answered(done)
    assert (done.state, done.verdict, done.live) == ("done", found["verdict"], False)
    known = KNOWN[name]
    breaks = any(known[what] for what in ("deadlocks", "asserts", "final_broken"))
    assert done.verdict == ("Sometimes" if breaks else "Never")
    assert (found["schedule"] is not None) == breaks
    assert (found["deadlock_states"] > 0, found["final_violations"] > 0) == (known["deadlocks"], known["final_broken"])


def test_given_a_limit_when_it_is_met_then_the_answer_says_what_was_covered(store: Store) -> None:
    row, _ = store.explore(asked_of(counters(4, 60), store.settings, {"states": 100_000}))
    assert store.exploration_jobs.claim("test") is not None
    explore_one(store, row)
    done = get(store, row.id)
    found = answered(done)
    assert (done.state, done.verdict) == ("done", "not explored")
    assert (found["bounds"]["stopped_by"], found["bounds"]["limits"]["states"]) == ("states", 100_000)
    assert found["states"] >= 100_000
    assert done.progress_json is not None


def test_given_little_memory_when_it_is_used_up_then_the_exploration_ends_and_says_so(store: Store) -> None:
    row, _ = store.explore(asked_of(counters(4, 90), store.settings, {"memory_bytes": 8 << 20}))
    assert store.exploration_jobs.claim("test") is not None
    explore_one(store, row)
    found = answered(get(store, row.id))
    assert (found["verdict"], found["bounds"]["stopped_by"]) == ("not explored", "memory")


def test_given_more_outcomes_than_are_kept_when_stored_then_the_rest_is_counted(store: Store) -> None:
    told = counters(1, 1)
    steps = [{"at": "x", "do": [f"c[0] = {n}"], "to": "-"} for n in range(OUTCOMES_MAX + 7)]
    told["procs"][0] |= {"start": "x", "steps": steps}
    row, _ = store.explore(asked_of(told | {"outcomes": ["c"], "ranges": {}}, store.settings))
    assert store.exploration_jobs.claim("test") is not None
    explore_one(store, row)
    found = answered(get(store, row.id))
    assert (len(found["outcomes"]), found["outcomes_left_out"]) == (OUTCOMES_MAX, 7)


def test_given_a_table_without_end_when_explored_then_the_reason_is_told(store: Store) -> None:
    told = counters(1, 1) | {"ranges": {}}
    told["procs"][0]["steps"] = [{"at": "n", "do": ["c[0] = c[0] + 1"], "to": "n"}]
    row, _ = store.explore(asked_of(told, store.settings))
    assert store.exploration_jobs.claim("test") is not None
    explore_one(store, row)
    failed = get(store, row.id)
    assert (failed.state, failed.reason, failed.answer_json) == ("failed", "error", None)
    assert "c" in (failed.detail or "")
    assert "internal error" not in (failed.detail or "")


def test_a_fault_of_ours_is_told_by_its_reference_and_logged(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    row = claimed(store)
    with store.db.write() as connection:
        connection.execute(update(Exploration).values(limits_json='{"memory_bytes": 1}'))
    with caplog.at_level(logging.ERROR):
        explore_one(store, get(store, row.id))
    failed = get(store, row.id)
    assert (failed.state, failed.reason) == ("failed", "error")
    assert (failed.detail or "").removeprefix("internal error: see ").split()[0] in caplog.text


# --- kept and fenced -------------------------------------------------------------------------------------------------


def test_given_a_key_when_asked_again_then_it_is_the_same_exploration(store: Store) -> None:
    first, fresh = store.explore(asked("peterson"), key="once", body_sha256="a")
    again, second = store.explore(asked("peterson"), key="once", body_sha256="a")
    assert (first.id, fresh, second) == (again.id, True, False)
    with pytest.raises(UserError, match="another body"):
        store.explore(asked("abba"), key="once", body_sha256="b")


def test_given_a_full_queue_when_one_more_is_asked_for_then_it_is_refused(tmp_path: Path) -> None:
    store = open_store(settings_in(tmp_path, queue_max=2))
    assert store.explore_all([asked("peterson"), asked("abba"), asked("ticket_lock")]) == [asked("ticket_lock")]
    assert store.explore_all([asked("peterson")]) == []
    with pytest.raises(UserError, match="are waiting for a worker") as refused:
        store.explore(asked("abba"))
    assert refused.value.status == 503
    store.close()


def test_given_an_older_attempt_when_it_writes_then_it_is_refused(store: Store) -> None:
    row = claimed(store)
    store.exploration_jobs.release(row.id, row.attempt)
    taken = store.exploration_jobs.claim("other")
    assert taken is not None
    assert taken.attempt == row.attempt + 1
    with pytest.raises(Fenced):
        store.note_exploration(row.id, row.attempt, progress_json="{}")
    with pytest.raises(Fenced):
        store.finish_exploration(row.id, row.attempt, "done")
    assert store.exploration_jobs.beat(row.id, row.attempt) == "lost"
    assert store.exploration_jobs.beat(taken.id, taken.attempt) == "held"
    store.finish_exploration(taken.id, taken.attempt, "done")
    with pytest.raises(Fenced):
        store.finish_exploration(taken.id, taken.attempt, "failed")


def test_given_explorations_when_listed_then_newest_come_first_and_words_find_them(store: Store) -> None:
    ids = [store.explore(asked(name))[0].id for name in ("peterson", "abba", "abba_ordered", "peterson_broken_order")]
    seen, after = [], None
    while True:
        rows, after = store.explorations(3, after)
        seen += [row.id for row in rows]
        if after is None:
            break
    assert seen == ids[::-1]
    assert [row.name for row in store.explorations(q="order peterson")[0]] == ["peterson_broken_order"]
    assert store.explorations(q="%")[0] == []
    store.delete_exploration(ids[0])
    assert store.exploration(ids[0]) is None
    with pytest.raises(UserError):
        store.delete_exploration(ids[0])


def test_given_equal_explorations_when_looked_up_then_the_one_that_was_answered_comes_first(store: Store) -> None:
    one = claimed(store)
    explore_one(store, one)
    store.explore(asked("peterson"))
    store.cancel_exploration(store.explorations(1)[0][0].id)
    found = store.explored([one.asked_sha256, "0" * 64])
    assert [row.id for row in found.values()] == [one.id]


# --- stopped ---------------------------------------------------------------------------------------------------------


def explored_in_a_thread(store: Store, row: ExplorationRow, stop: threading.Event | None = None) -> threading.Thread:
    thread = threading.Thread(target=explore_one, args=(store, row), kwargs={"stop": stop})
    thread.start()
    return thread


def long_one(store: Store) -> ExplorationRow:
    """Claim an exploration that takes minutes."""
    store.explore(asked_of(counters(5, 60), store.settings))
    row = store.exploration_jobs.claim("test")
    assert row is not None
    return row


def test_given_an_exploration_when_cancelled_then_it_stops_soon_and_tells_what_it_covered(store: Store) -> None:
    row = long_one(store)
    thread = explored_in_a_thread(store, row)
    until(lambda: get(store, row.id).progress_json, "its first progress")
    told = json.loads(get(store, row.id).progress_json or "{}")
    assert {"states", "edges", "frontier", "depth", "seconds", "memory"} <= set(told)
    began = time.monotonic()
    assert store.cancel_exploration(row.id).cancel_requested
    thread.join(PATIENCE_S)
    assert time.monotonic() - began < 2.5
    ended = get(store, row.id)
    assert (ended.state, ended.reason, ended.verdict) == ("cancelled", "user", "not explored")
    assert answered(ended)["states"] >= told["states"]


def test_given_an_exploration_when_deleted_then_its_worker_lets_go(store: Store) -> None:
    row = long_one(store)
    thread = explored_in_a_thread(store, row)
    until(lambda: get(store, row.id).progress_json, "its first progress")
    store.delete_exploration(row.id)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert store.exploration(row.id) is None


def test_given_a_worker_that_is_asked_to_stop_then_the_exploration_waits_for_the_next(store: Store) -> None:
    row, stop = long_one(store), threading.Event()
    thread = explored_in_a_thread(store, row, stop)
    until(lambda: get(store, row.id).progress_json, "its first progress")
    stop.set()
    thread.join(PATIENCE_S)
    left = get(store, row.id)
    assert (left.state, left.attempt, left.losses) == ("queued", 2, 0)


# --- processes -------------------------------------------------------------------------------------------------------


def _limits(row: ExplorationRow) -> dict[str, Any]:
    told = json.loads(row.limits_json)
    return {"states": told["states"], "memory": told["memory_bytes"], "seconds": told["seconds"]}


@pytest.mark.parametrize("hasty", [False, True])
def test_given_workers_killed_in_mid_search_then_the_answer_is_that_of_an_undisturbed_one(
    tmp_path: Path, hasty: bool
) -> None:
    settings = settings_in(tmp_path)
    store = open_store(settings, busy_s=30)
    told = counters(5, 20 if hasty else 14)
    row, _ = store.explore(asked_of(told, settings))
    for kill in range(2):
        process = worker(settings, HASTY if hasty else "")
        sign = "checkpoint" if hasty else "progress_json"
        until(lambda: (now := get(store, row.id)).state == "running" and getattr(now, sign), sign)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert get(store, row.id).state == "running", "it was killed in time"
        if kill == 0:  # the first death is found out by the clock, the second one at once
            began = time.monotonic()
            until(lambda: store.exploration_jobs.recover() == 1, "the lease to run out")
            assert time.monotonic() - began < 10
        else:
            with store.db.write() as connection:
                connection.execute(update(Exploration).values(lease_until=0))
    process = worker(settings)
    until(lambda: not get(store, row.id).live, "the end")
    process.terminate()
    assert process.wait(20) == 0
    done = get(store, row.id)
    assert (done.state, done.attempt, done.losses) == ("done", 3, 2)
    undisturbed, limits = Explorer(checked(told), Plan()), Limits(**_limits(done))
    found = answer(undisturbed, undisturbed.run(limits), limits)
    assert answered(done) == answered(
        replace(done, answer_json=json.dumps(shortened(found) | {"shrunk": None, "engine": engine_words()}))
    )
    assert not hasty or list((settings.data / "checkpoints").iterdir()) == []
    store.close()


def stopped_with_checkpoint(store: Store, monkeypatch: pytest.MonkeyPatch) -> ExplorationRow:
    """Let a worker be stopped in mid-search, and claim what it left."""
    monkeypatch.setattr(searching, "REPORT_S", 0.0)
    row, _ = store.explore(asked_of(counters(4, 25), store.settings))
    first = store.exploration_jobs.claim("test")
    assert first is not None
    stop = threading.Event()
    thread = explored_in_a_thread(store, first, stop)
    until(lambda: get(store, row.id).progress_json, "its first progress")
    stop.set()
    thread.join(PATIENCE_S)
    left = store.exploration_jobs.claim("test")
    assert left is not None
    assert (left.checkpoint, left.attempt) == (row.id, 2)
    return left


def test_given_a_checkpoint_when_taken_up_then_the_search_goes_on_from_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = stopped_with_checkpoint(store, monkeypatch)

    def never(*_: Any) -> None:
        raise AssertionError("it began anew")

    monkeypatch.setattr(searching, "Explorer", never)
    explore_one(store, left)
    done = get(store, left.id)
    assert (done.state, done.verdict, done.checkpoint) == ("done", "Never", None)
    assert answered(done)["states"] == 27**4, "each counts from 0 to 25, and ends"
    assert not store.checkpoint_path(left.id).exists()


def test_given_a_damaged_checkpoint_when_taken_up_then_the_search_begins_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = stopped_with_checkpoint(store, monkeypatch)
    path = store.checkpoint_path(left.id)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    explore_one(store, left)
    done = get(store, left.id)
    assert (done.state, done.verdict) == ("done", "Never")


def test_given_a_checkpoint_when_its_exploration_is_deleted_then_it_goes_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = stopped_with_checkpoint(store, monkeypatch)
    draft = store.checkpoint_path(left.id).with_name(f".{left.id}.77")
    draft.write_bytes(b"a draft that a killed worker left")
    store.delete_exploration(left.id)
    assert list(draft.parent.iterdir()) == []


def test_given_runs_and_explorations_when_both_wait_then_they_take_turns(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    store = open_store(settings, busy_s=30)
    rows = [store.explore(asked(name))[0] for name in ("peterson", "abba", "ticket_lock")]
    runs = [store.start_run(scenario(events=2_000))[0] for _ in range(3)]
    process = worker(settings)
    until(lambda: not any(get(store, row.id).live for row in rows), "the explorations")
    until(lambda: all((run := store.run(one.id)) and run.state == "done" for one in runs), "the runs")
    process.terminate()
    process.wait(20)
    began = [(get(store, row.id).started_ns, "x") for row in rows]
    for one in runs:
        run = store.run(one.id)
        assert run is not None
        began.append((run.started_ns, "r"))
    assert "".join(kind for _, kind in sorted(began)) == "rxrxrx"
    store.close()
