"""Damaged, cut, exchanged and missing blocks: found on read and by verify(), named, and the rest is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app import windows
from app.settings import load_settings
from app.store import RunRow, Store, open_store
from app.windows.cache import cache_of
from engine.errors import Damaged, UserError
from tests.app.stored import flip, play_log
from tests.app.synthetic import Log


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, RunRow, Log]]:
    """A run of 40 chunks, with nodes of two levels and two keyframes; each test mends what it breaks."""
    settings = load_settings(data=tmp_path_factory.mktemp("sound"), free_bytes_min=0, ballast_bytes=0)
    store, log = open_store(settings), Log(7, 4_000)
    run = play_log(store, log, [100])
    assert store.verify(run.id).sound
    yield store, run, log
    store.close()


@pytest.mark.parametrize("table", ["chunks", "series", "cells", "folded", "keyframes"])
def test_every_flipped_bit_is_found(sound: tuple[Store, RunRow, Log], table: str) -> None:
    store, run, _ = sound
    random = np.random.default_rng(5)
    for place in random.integers(0, 10_000, 8).tolist():
        number = 2 if table == "keyframes" else int(random.integers(0, 40))
        flip(store, run.id, table, number, place)
        assert len(store.verify(run.id).damaged) == 1
        flip(store, run.id, table, number, place)
    assert store.verify(run.id).sound


def test_swapped_cut_and_missing_chunks_are_found_and_the_rest_is_shown(sound: tuple[Store, RunRow, Log]) -> None:
    store, run, log = sound
    columns = "data, checksum"

    def read(number: int) -> Any:
        with store.db.read() as connection:
            return connection.exec_driver_sql(f"SELECT {columns} FROM chunks WHERE number = {number}").one()

    def put(number: int, data: bytes, checksum: bytes) -> None:
        with store.db.write() as connection:
            connection.exec_driver_sql(
                f"UPDATE chunks SET data = ?, checksum = ? WHERE number = {number}", (data, checksum)
            )

    three, nine = read(3), read(9)
    put(3, *nine)
    put(9, *three)
    assert [said.split()[1] for said in store.verify(run.id).damaged] == ["3", "9"]
    put(3, *three)
    put(9, nine.data[:-1], nine.checksum)
    assert [said.split()[1] for said in store.verify(run.id).damaged] == ["9"]

    cache_of(store).clear()
    rows = store.chunk_rows(run.id)
    t0, t1 = rows[9].t0, rows[9].t1
    told = windows.window(store, run, t0, t1 + 1, 2_000, ("series", "heat", "lanes"), 1, "list:0,1")
    assert [gap["why"] for gap in told["gaps"]] == [f"chunk 9 of run {run.id} does not match its checksum"]
    assert None not in told["series"]["waiters"]["max"], "the summary stands in"
    with pytest.raises(Damaged):
        windows.events(store, run.id, after_seq=rows[9].first_seq - 1, limit=10)
    assert len(windows.events(store, run.id, after_seq=rows[10].first_seq - 1, limit=50)) == 50
    whole = windows.window(store, run, 0, run.time_ns + 1, 10, ("series", "heat", "lanes"), None, "list:0,1")
    assert whole["events"] == len(log.rows)
    assert None not in whole["series"]["waiters"]["max"]

    with store.db.write() as connection:
        gone = connection.exec_driver_sql("SELECT * FROM chunks WHERE number = 9").one()
        connection.exec_driver_sql("DELETE FROM chunks WHERE number = 9")
    cache_of(store).clear()
    damaged = store.verify(run.id).damaged
    assert any("lacks chunks: 39 of 40" in said for said in damaged)
    assert windows.window(store, run, t0, t1 + 1, 2_000)["gaps"][0]["why"] == f"chunk 9 of run {run.id} is missing"
    with store.db.write() as connection:
        marks = ", ".join("?" * len(gone))
        connection.exec_driver_sql(f"INSERT INTO chunks VALUES ({marks})", tuple(gone))
    put(9, *nine)
    assert store.verify(run.id).sound


def test_a_damaged_summary_is_told_from_below(sound: tuple[Store, RunRow, Log]) -> None:
    store, run, _ = sound
    asked: tuple[Any, ...] = (0, run.time_ns + 1, 4, ("series", "heat", "lanes"), 1, "list:0,1,2")
    before = windows.window(store, run, *asked)
    assert before["level"] == 1
    for column in ("series", "cells"):
        flip(store, run.id, column, 1, 999, level=1)
    cache_of(store).clear()
    after = windows.window(store, run, *asked)
    assert after["gaps"] == []
    assert after["series"]["wakes"] == before["series"]["wakes"]
    assert all(
        a >= b for a, b in zip(before["series"]["waiters"]["max"], after["series"]["waiters"]["max"], strict=True)
    )
    for column in ("series", "cells"):
        flip(store, run.id, column, 1, 999, level=1)
    cache_of(store).clear()
    assert windows.window(store, run, *asked) == before


def test_reading_a_run_that_is_not_there_is_refused(sound: tuple[Store, RunRow, Log]) -> None:
    store, _, _ = sound
    with pytest.raises(UserError):
        store.verify("0" * 12)
    with pytest.raises(UserError):
        store.cast("0" * 12)
