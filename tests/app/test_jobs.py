"""One life for jobs: what holds of a run's lease, fence and end holds of an exploration's; parents and children."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from app.settings import load_settings
from app.store import Fenced, Store, open_store
from app.store.jobs import BEAT_S, KINDS, LEASE_S, LOSSES_MAX, RECOVER_S
from app.store.tables import Exploration, Run
from engine.runs.w1 import scenario
from tests.app.explored import asked

TABLES: dict[str, Any] = {"run": Run, "exploration": Exploration}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(load_settings(data=tmp_path, free_bytes_min=0, ballast_bytes=0), busy_s=30)
    yield opened
    opened.close()


def queued(store: Store, kind: str, parent: str | None = None) -> str:
    if kind == "run":
        return store.start_run(scenario(events=1_000), parent_id=parent)[0].id
    row, _ = store.explore(asked("peterson"))
    if parent:
        change(store, kind, row.id, parent_id=parent)
    return row.id


def jobs_of(store: Store, kind: str) -> Any:
    return {"run": store.run_jobs, "exploration": store.exploration_jobs}[kind]


def change(store: Store, kind: str, job: str, **values: Any) -> None:
    with store.db.write() as connection:
        connection.execute(update(TABLES[kind]).where(TABLES[kind].id == job).values(**values))


def state(store: Store, kind: str, job: str) -> tuple[Any, ...]:
    of = TABLES[kind]
    with store.db.read() as connection:
        columns = select(of.state, of.attempt, of.losses, of.reason, of.cancel_requested)
        return tuple(connection.execute(columns.where(of.id == job)).one())


def test_the_kinds_are_those_of_the_tables() -> None:
    assert {kind.name: kind.table for kind in KINDS} == TABLES


@pytest.mark.parametrize("kind", TABLES)
def test_given_a_lease_when_it_runs_out_then_the_job_is_another_workers_and_the_first_is_fenced_off(
    store: Store, kind: str
) -> None:
    job, jobs = queued(store, kind), jobs_of(store, kind)
    row = jobs.claim("first")
    assert row is not None
    assert (row.id, row.attempt) == (job, 1)
    assert (jobs.beat(job, 1), jobs.look(job, 1), jobs.recover()) == ("held", "held", 0)
    change(store, kind, job, lease_until=1)
    assert jobs.recover() == 1
    assert state(store, kind, job) == ("queued", 2, 1, None, False)
    again = jobs.claim("second")
    assert again is not None
    assert again.attempt == 2
    assert (jobs.beat(job, 1), jobs.look(job, 1)) == ("lost", "lost")
    with pytest.raises(Fenced, match=f"{kind} {job} no longer belongs to attempt 1"):
        jobs.end(job, 1, "done", None, None, {})
    jobs.release(job, 1)
    assert state(store, kind, job)[:2] == ("running", 2)


@pytest.mark.parametrize("kind", TABLES)
def test_given_a_worker_that_died_when_that_is_known_then_its_jobs_alone_are_queued_again_at_once(
    store: Store, kind: str
) -> None:
    lost, kept = queued(store, kind), queued(store, kind)
    for worker in ("dead", "alive"):
        assert jobs_of(store, kind).claim(worker) is not None
    assert store.abandon("dead") == 1
    assert state(store, kind, lost)[:3] == ("queued", 2, 1)
    assert state(store, kind, kept)[:3] == ("running", 1, 0)


def test_given_a_lease_then_its_end_is_noticed_within_ten_seconds_of_the_last_sign_of_life() -> None:
    assert LEASE_S + RECOVER_S <= 8.5, "the rest is for a busy machine"
    assert LEASE_S > 3 * BEAT_S


@pytest.mark.parametrize("kind", TABLES)
def test_given_a_job_that_costs_worker_after_worker_then_it_is_given_up(store: Store, kind: str) -> None:
    job, jobs = queued(store, kind), jobs_of(store, kind)
    for _ in range(LOSSES_MAX):
        assert jobs.claim("one") is not None
        change(store, kind, job, lease_until=None)
        assert jobs.recover() == 1
    assert state(store, kind, job) == ("failed", LOSSES_MAX, LOSSES_MAX, "interrupted", False)
    assert jobs.claim("another") is None


@pytest.mark.parametrize("kind", TABLES)
def test_given_a_lease_from_before_a_reboot_then_it_has_run_out(store: Store, kind: str) -> None:
    job, jobs = queued(store, kind), jobs_of(store, kind)
    jobs.claim("one")
    change(store, kind, job, lease_until=(1 << 62) + int(LEASE_S))
    assert jobs.recover() == 1


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("child", TABLES)
def test_given_a_parent_when_cancelled_then_its_children_that_have_not_ended_are_cancelled_too(
    store: Store, kind: str, child: str
) -> None:
    parent, jobs = queued(store, kind), jobs_of(store, child)
    done, running, waiting = (queued(store, child, parent) for _ in range(3))
    other = queued(store, child)
    change(store, child, done, state="done")
    change(store, child, running, state="running")
    jobs_of(store, kind).cancel(parent)
    assert state(store, kind, parent)[0] == "cancelled"
    assert [state(store, child, job)[0] for job in (done, running, waiting)] == ["done", "running", "cancelled"]
    assert jobs.look(running, 1) == "cancel"
    assert state(store, child, other)[0] == "queued"
    assert jobs.cancel("0" * 12) is None
