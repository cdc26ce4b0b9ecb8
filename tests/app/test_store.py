"""The store: starting, listing, claiming, ending, deleting; its fence and its errors."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select, text, update

from app.store import Fenced, Store, open_store
from app.store.tables import Recording, Run
from app.store.work import NewChunk, NewNode, Progress
from engine.errors import Damaged, UserError
from engine.recordings.shipped import demo
from engine.runs.w1 import scenario
from engine.scenario import Scenario
from tests.app.explored import settings_in
from tests.app.stored import play_log
from tests.app.synthetic import Log


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(settings_in(tmp_path))
    yield opened
    opened.close()


def named(name: str, design: str = "hashed") -> Scenario:
    return Scenario.model_validate(scenario(design, events=1_000).model_dump() | {"name": name})


def expire(store: Store) -> None:
    """Let every lease run out."""
    with store.db.write() as connection:
        connection.execute(update(Run).values(lease_until=0))


def chunk(number: int, first_seq: int, events: int = 10) -> NewChunk:
    return NewChunk(number, first_seq, events, 0, 0, b"-", b"-")


KNOWN = Progress(0, 0.5, "{}", None)


# --- starting -------------------------------------------------------------------------------------------------------


def test_given_the_same_key_and_body_many_times_at_once_then_one_run_is_started(tmp_path: Path) -> None:
    stores = [open_store(settings_in(tmp_path)) for _ in range(8)]
    found: list[tuple[str, bool]] = []
    barrier = threading.Barrier(8)

    def start(store: Store) -> None:
        barrier.wait()
        for _ in range(3):
            row, created = store.start_run(named("w"), key="k", body_sha256="b")
            found.append((row.id, created))

    threads = [threading.Thread(target=start, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 24
    assert len({run_id for run_id, _ in found}) == 1
    assert sum(created for _, created in found) == 1
    assert len(stores[0].runs()[0]) == 1
    for store in stores:
        store.close()


def test_a_key_with_another_body_is_refused_and_starts_nothing(store: Store) -> None:
    store.start_run(named("w"), key="k", body_sha256="b")
    with pytest.raises(UserError) as refused:
        store.start_run(named("v"), key="k", body_sha256="c")
    assert (refused.value.code, refused.value.status) == ("idempotency_mismatch", 422)
    assert len(store.runs()[0]) == 1


@pytest.mark.parametrize("more", [{"tags": ["x"]}, {"pace_ms_per_s": 5}])
def test_a_key_with_a_body_that_another_version_hashed_gives_the_run_only_if_it_asks_for_that_run(
    store: Store, more: dict[str, Any]
) -> None:
    row, _ = store.start_run(named("w"), key="k", body_sha256="b")
    assert store.start_run(named("w"), key="k", body_sha256="c") == (row, False)
    with pytest.raises(UserError, match="another body"):
        store.start_run(named("w"), key="k", body_sha256="c", **more)
    assert len(store.runs()[0]) == 1


def test_a_key_outlives_the_process(tmp_path: Path) -> None:
    first = open_store(settings_in(tmp_path))
    row, _ = first.start_run(named("w"), key="k", body_sha256="b")
    first.close()
    second = open_store(settings_in(tmp_path))
    assert second.start_run(named("w"), key="k", body_sha256="b") == (row, False)
    second.close()


def test_a_full_queue_refuses_but_still_answers_a_known_key(tmp_path: Path) -> None:
    store = open_store(settings_in(tmp_path, queue_max=2))
    row, _ = store.start_run(named("a"), key="k", body_sha256="b")
    store.start_run(named("b"))
    with pytest.raises(UserError) as refused:
        store.start_run(named("c"))
    assert (refused.value.code, refused.value.status) == ("queue_full", 503)
    assert store.start_run(named("a"), key="k", body_sha256="b") == (row, False)
    store.cancel(row.id)
    assert store.start_run(named("c"))[1]
    store.close()


def test_too_little_free_space_refuses_a_run(tmp_path: Path) -> None:
    store = open_store(settings_in(tmp_path, free_bytes_min=2**60))
    with pytest.raises(UserError) as refused:
        store.start_run(named("a"))
    assert (refused.value.code, refused.value.status) == ("storage_full", 507)
    assert store.runs() == ([], None)
    store.close()


def test_a_run_of_a_recording_that_is_not_there_is_refused(store: Store) -> None:
    asked: dict[str, Any] = {"name": "r", "workload": {"kind": "recording", "recording": "0123456789ab"}}
    with pytest.raises(UserError) as refused:
        store.start_run(Scenario.model_validate(asked))
    assert (refused.value.code, refused.value.field) == ("no_recording", "scenario.workload.recording")
    asked["workload"]["recording"] = "demo"
    row, _ = store.start_run(Scenario.model_validate(asked))
    assert (row.workload_kind, row.recording_id) == ("recording", "demo")


# --- listing --------------------------------------------------------------------------------------------------------


def test_pages_of_the_list_hold_every_run_once_newest_first_while_others_are_started(store: Store) -> None:
    started = [store.start_run(named(f"run {i}"))[0].id for i in range(13)]
    seen, after = [], None
    while True:
        rows, after = store.runs(4, after)
        seen += [row.id for row in rows]
        store.start_run(named("late"))
        if after is None:
            break
    assert seen == started[::-1]


def test_filters_of_the_list(store: Store) -> None:
    a, _ = store.start_run(named("100% of Queues", "page_wait"), tags=["x", "y", "x"])
    b, _ = store.start_run(named("100 of queues"), tags=["y"])
    store.cancel(b.id)

    def ids(**asked: str) -> list[str]:
        return [row.id for row in store.runs(10, **asked)[0]]

    assert ids(tag="y") == [b.id, a.id]
    assert ids(tag="x") == [a.id]
    assert ids(design="page_wait") == [a.id]
    assert ids(state="cancelled") == [b.id]
    assert ids(q="queues 100") == [b.id, a.id]
    assert ids(q="100%") == [a.id]
    assert ids(q="1_0") == []
    found = store.run(a.id)
    assert found is not None
    assert found.tags == ("x", "y")
    assert store.counts() == {"queued": 1, "running": 0, "done": 0, "failed": 0, "cancelled": 1}


@pytest.mark.parametrize("token", ["", "-1", "zz", "1" * 16, "0x1", "1;drop"])
def test_a_token_that_no_page_gave_is_refused(store: Store, token: str) -> None:
    with pytest.raises(UserError) as refused:
        store.runs(10, token)
    assert refused.value.code == "bad_token"


# --- states ---------------------------------------------------------------------------------------------------------


class Transitions(RuleBasedStateMachine):
    """Users and workers do anything in any order; a run only ever moves as the table of states allows."""

    LEGAL = frozenset(
        {
            ("queued", "running"),
            ("queued", "cancelled"),
            ("running", "done"),
            ("running", "failed"),
            ("running", "cancelled"),
            ("running", "queued"),
        }
    )

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(settings_in(Path(self.folder.name)))
        self.claims: list[tuple[str, int]] = []
        self.seen: dict[str, Any] = {}

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @initialize()
    def begin(self) -> None:
        self.start()

    @precondition(lambda self: len(self.seen) < 3)
    @rule()
    def start(self) -> None:
        row, _ = self.store.start_run(named("s"))
        self.seen[row.id] = row

    @rule()
    def claim(self) -> None:
        row = self.store.run_jobs.claim("w")
        if row is not None:
            self.claims.append((row.id, row.attempt))

    def _held(self, claim: tuple[str, int]) -> bool:
        row = self.store.run(claim[0])
        return row is not None and row.state == "running" and row.attempt == claim[1]

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), state=st.sampled_from(["done", "failed", "cancelled"]))
    def finish(self, data: st.DataObject, state: Any) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        if self._held(claim):
            self.store.finish(*claim, state, reason="user" if state == "cancelled" else None)
        else:
            with pytest.raises(Fenced):
                self.store.finish(*claim, state)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        row = self.store.run(claim[0])
        assert row is not None
        chunks, nodes = [chunk(row.chunks, row.events)], [NewNode(0, row.chunks, b"-", b"-", None)]
        if self._held(claim):
            self.store.append(*claim, chunks, nodes, [], KNOWN)
        else:
            with pytest.raises(Fenced):
                self.store.append(*claim, chunks, nodes, [], KNOWN)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        held = self._held(claim)
        assert (self.store.run_jobs.beat(*claim) != "lost") == held
        assert (self.store.run_jobs.look(*claim) != "lost") == held

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        self.store.run_jobs.release(*data.draw(st.sampled_from(self.claims)))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.store.cancel(data.draw(st.sampled_from(sorted(self.seen))))

    @rule()
    def die(self) -> None:
        expire(self.store)
        self.store.run_jobs.recover()

    @rule()
    def recover_the_living(self) -> None:
        assert self.store.run_jobs.recover() == 0, "a lease that holds is left alone"

    @invariant()
    def only_legal_moves(self) -> None:
        for run_id, before in self.seen.items():
            now = self.store.run(run_id)
            assert now is not None
            if before.state in ("done", "failed", "cancelled"):
                assert now == before, "what has ended does not change"
            elif now.state != before.state:
                assert (before.state, now.state) in self.LEGAL
                if (before.state, now.state) == ("running", "queued"):
                    assert now.attempt == before.attempt + 1
            if now.state in ("failed", "cancelled") and before.state == "queued":
                assert now.reason == "user"
            self.seen[run_id] = now


TestTransitions = Transitions.TestCase
TestTransitions.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


def test_chunks_that_do_not_follow_what_is_stored_are_refused_whole(store: Store) -> None:
    row, _ = store.start_run(named("a"))
    store.run_jobs.claim("w")
    store.append(row.id, 1, [chunk(0, 0), chunk(1, 10)], [], [], KNOWN)
    for wrong in ([chunk(0, 0)], [chunk(1, 10)], [chunk(3, 20)], [chunk(2, 19)]):
        with pytest.raises(Fenced):
            store.append(row.id, 1, wrong, [], [], KNOWN)
    with pytest.raises(UserError) as refused:  # the second chunk is there already: nothing of the two is kept
        store.append(row.id, 1, [chunk(2, 20), chunk(1, 30)], [], [], KNOWN)
    assert refused.value.code == "conflict"
    assert [(c.number, c.first_seq) for c in store.chunk_rows(row.id)] == [(0, 0), (1, 10)]
    stored = store.run(row.id)
    assert stored is not None
    assert (stored.chunks, stored.events) == (2, 20)


# --- deleting and sharing -------------------------------------------------------------------------------------------


def test_a_deleted_run_leaves_nothing_and_gives_its_space_back(store: Store) -> None:
    kept = play_log(store, Log(1, 400), [200])
    gone = play_log(store, Log(2, 30_000, truth=False), [16_384])
    store.share([gone.id], "v=1")
    store.db._alone("PRAGMA wal_checkpoint(TRUNCATE)")
    size = store.db.path.stat().st_size
    store.delete(gone.id)
    store.db._alone("PRAGMA wal_checkpoint(TRUNCATE)")
    assert store.run(gone.id) is None
    assert store.db.path.stat().st_size < size - 100_000
    with store.db.read() as connection:
        for table in ("chunks", "nodes", "keyframes", "casts", "tags", "keys"):
            rows = connection.scalar(text(f"SELECT count(*) FROM {table} WHERE run_id = :id"), {"id": gone.id})
            assert rows == 0, table
    assert store.verify(kept.id).sound
    with pytest.raises(UserError) as refused:
        store.delete(gone.id)
    assert refused.value.status == 404


def test_the_log_stays_short_while_a_large_run_is_deleted(store: Store) -> None:
    claimed = []
    for name in "ab":
        store.start_run(named(name))
        claimed.append(store.run_jobs.claim("w"))
    for number in range(0, 256, 64):  # by turns, so that what stays must be moved when the space is given back
        for run in claimed:
            assert run is not None
            some = [NewChunk(n, 10 * n, 10, n, n, b"", os.urandom(1 << 16)) for n in range(number, number + 64)]
            store.append(run.id, 1, some, [], [], KNOWN)
            store.checkpoint()
    seen, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            seen.append(store.db.log_bytes)

    watching = threading.Thread(target=watch)
    watching.start()
    size = store.db.path.stat().st_size
    assert claimed[0] is not None
    store.delete(claimed[0].id)
    over.set()
    watching.join()
    assert max(seen) <= 20 << 20, "a slice and what is emptied at, not all that was moved"
    assert store.db.path.stat().st_size < 0.6 * size
    assert store.db.log_bytes == 0


def test_a_log_that_grew_under_a_reader_is_emptied_when_he_has_left(store: Store) -> None:
    run, _ = store.start_run(named("a"))
    store.run_jobs.claim("w")
    with store.db.read() as connection:
        connection.execute(select(Run.id)).all()
        for number in range(0, 320, 64):
            some = [NewChunk(n, 10 * n, 10, n, n, b"", os.urandom(1 << 16)) for n in range(number, number + 64)]
            store.append(run.id, 1, some, [], [], KNOWN)
            store.checkpoint()
        assert store.db.log_bytes > 20 << 20
    store.checkpoint()
    assert store.db.log_bytes == 0


def test_deleting_a_run_fences_its_worker_off(store: Store) -> None:
    row, _ = store.start_run(named("a"))
    store.run_jobs.claim("w")
    store.append(row.id, 1, [chunk(0, 0)], [], [], KNOWN)
    store.delete(row.id)
    assert store.run_jobs.look(row.id, 1) == "lost"
    with pytest.raises(Fenced):
        store.append(row.id, 1, [chunk(1, 10)], [], [], KNOWN)


def test_a_deletion_that_was_cut_short_is_finished_later(store: Store) -> None:
    row = play_log(store, Log(1, 400), [100])
    with store.db.write() as connection:
        connection.execute(update(Run).where(Run.id == row.id).values(deleted=True))
    assert store.run(row.id) is None
    store.clear_deleted()
    with store.db.read() as connection:
        assert connection.scalar(text("SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM chunks)")) == 0


def test_a_share_link_opens_until_it_is_withdrawn_and_its_token_is_not_kept(store: Store) -> None:
    a, b = (store.start_run(named(name))[0].id for name in "ab")
    share, token = store.share([a, b], "v=1&t0=0")
    other, other_token = store.share([b], "")
    assert len(token) >= 32
    assert store.by_token(token) == share
    for wrong in ("", token[:-1], token + "A", token.swapcase(), "\udc80", "x" * 10_000, share.id):
        assert store.by_token(wrong) is None
    assert [s.id for s in store.shares(b)] == [other.id, share.id]
    assert [s.id for s in store.shares(a)] == [share.id]
    assert store.revoke(share.id).revoked_ns == store.revoke(share.id).revoked_ns
    assert store.by_token(token) is None
    assert store.by_token(other_token) == other
    store.delete(b)
    assert store.by_token(other_token) is None
    with store.db.read() as connection:
        kept = str(connection.execute(text("SELECT * FROM shares")).all())
    assert token not in kept
    assert other_token not in kept
    with pytest.raises(UserError):
        store.share([b], "")


def test_a_share_link_ends_when_it_was_to_end(store: Store) -> None:
    run, _ = store.start_run(named("a"))
    _, past = store.share([run.id], "", expires_ns=1)
    _, future = store.share([run.id], "", expires_ns=2**62)
    assert store.by_token(past) is None
    assert store.by_token(future) is not None


def test_a_recording_comes_back_as_it_was(store: Store) -> None:
    recording = demo()
    row = store.add_recording(recording, "first")
    assert store.add_recording(recording, "second") == row
    assert (row.id, row.name, row.moves) == (recording.sha256[:12], "first", len(recording.moves))
    assert [r.id for r in store.recordings()] == [row.id]
    back = store.load_recording(row.id)
    assert (back.moves == recording.moves).all()
    assert back.tasks == recording.tasks
    with pytest.raises(UserError) as refused:
        store.load_recording("0" * 12)
    assert refused.value.status == 404
    with store.db.write() as connection:
        data = bytearray(connection.scalar(select(Recording.data)) or b"")
        data[len(data) // 2] ^= 1
        connection.execute(update(Recording).values(data=bytes(data)))
    with pytest.raises(Damaged):
        store.load_recording(row.id)


# --- the database ---------------------------------------------------------------------------------------------------


def test_a_poll_tells_of_what_any_process_stored(tmp_path: Path) -> None:
    one, other = open_store(settings_in(tmp_path)), open_store(settings_in(tmp_path))
    before = one.changed()
    assert one.changed() == before
    other.start_run(named("a"))
    changed = one.changed()
    assert changed != before
    one.start_run(named("b"))
    assert one.changed() != changed
    one.close()
    other.close()


def test_the_database_is_opened_as_it_must_be(store: Store) -> None:
    def asked(engine: Any) -> list[Any]:
        with engine.connect() as connection:
            how = ("journal_mode", "synchronous", "foreign_keys", "query_only")
            names = (*how, "journal_size_limit", "auto_vacuum", "page_size")
            return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert asked(store.db.writer) == ["wal", 2, 1, 0, 32 << 20, 2, 16_384]
    assert asked(store.db.readers)[:4] == ["wal", 2, 1, 1]


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(UserError), store.db.read() as connection:
        connection.execute(text("DELETE FROM runs"))


def test_a_locked_database_is_told_in_our_words(tmp_path: Path) -> None:
    store = open_store(settings_in(tmp_path), busy_s=0.05)
    other = sqlite3.connect(store.db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UserError) as refused:
        store.start_run(named("a"))
    assert (refused.value.code, refused.value.status) == ("store_busy", 503)
    assert "locked" not in str(refused.value)
    assert store.runs() == ([], None), "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    assert store.start_run(named("a"))[1]
    store.close()


def test_no_read_is_left_open_behind_a_call(store: Store) -> None:
    run = play_log(store, Log(1, 300), [100])
    store.runs()
    store.chunk(run.id, 0)
    store.verify(run.id)
    blocked, _, _ = store.db._alone("PRAGMA wal_checkpoint(TRUNCATE)")[0]
    assert blocked == 0
    assert Path(f"{store.db.path}-wal").stat().st_size == 0
