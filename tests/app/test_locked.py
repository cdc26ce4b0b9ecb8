"""Another process holds the write lock: whoever wants to write is told so in time, however many they are."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from app.main import create_app
from app.store import open_store
from tests.app.explored import settings_in, until
from tests.app.serving import Started, served

V1 = "/api/v1"
BUSY_S, MANY = 1.0, 100
"""The store's patience here, and more clients than the server has threads."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock of a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_given_a_lock_that_stays_when_many_want_to_write_then_all_are_told_in_time_to_come_back(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    with closing(open_store(settings, busy_s=BUSY_S)) as store, served(create_app(settings, store)) as port:

        def start(_: int) -> tuple[int, str | None, float, str]:
            from http.client import HTTPConnection

            began = time.monotonic()
            with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as client:
                client.request("POST", f"{V1}/runs", '{"preset": "w1"}', {"Content-Type": "application/json"})
                answer = client.getresponse()
                text = answer.read().decode()
                return answer.status, answer.getheader("retry-after"), time.monotonic() - began, text

        with ThreadPoolExecutor(MANY) as pool:
            with locked(store.db.path):
                answers = list(pool.map(start, range(MANY)))
            assert {status for status, *_ in answers} == {503}
            assert all(int(later or 0) > 0 for _, later, *_ in answers)
            assert not [text for *_, text in answers if "locked" in text or "sqlite" in text.lower()]
            assert max(seconds for _, _, seconds, _ in answers) < 2.5 * BUSY_S, "one wait, not one after the other"
            assert start(0)[0] == 201
        assert len(store.runs(10)[0]) == 1


def test_given_a_lock_that_ends_in_time_when_some_want_to_write_then_none_is_told(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with closing(open_store(settings, busy_s=20)) as store, served(create_app(settings, store)) as port:
        up = Started(None, port)  # type: ignore[arg-type]
        with ThreadPoolExecutor(8) as pool:
            with locked(store.db.path):
                waiting = [pool.submit(up.ask, "POST", f"{V1}/runs", {"preset": "w1"}) for _ in range(8)]
                assert up.ask("GET", f"{V1}/runs")[0] == 200, "reading goes on"
                until(lambda: store.db.writer.pool.checkedout() == 1, "a request that waits for the lock")  # type: ignore[attr-defined]
            assert [each.result()[0] for each in waiting] == [201] * 8
