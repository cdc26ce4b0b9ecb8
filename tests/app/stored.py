"""Stored runs for tests: logs put into a store as a worker does it, and players that play a log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle

from app.store import RunRow, Store
from app.store.events import cast_block
from app.writing import Writer
from engine.cast import Cast
from engine.events import Batch
from engine.recordings.moves import Recording
from engine.runs.w1 import scenario
from engine.scenario import Scenario
from tests.app.synthetic import Log


class LogPlayer:
    """Plays a log as if it were a run; for app.runner.play_one(open_run=...)."""

    def __init__(self, cast: Cast, batches: Sequence[Batch]) -> None:
        self.cast, self._batches = cast, batches
        self.total: int | None = sum(len(batch) for batch in batches)
        self.end_ns: int | None = None
        self._played = 0

    @property
    def progress(self) -> float:
        return self._played / max(len(self._batches), 1)

    def batches(self) -> Iterator[Batch]:
        for batch in self._batches:
            self._played += 1
            yield batch

    def open(self, _: Scenario, __: Recording | None) -> LogPlayer:
        return LogPlayer(self.cast, self._batches)


def play_log(store: Store, log: Log, sizes: Sequence[int]) -> RunRow:
    """Store a log as a done run, in chunks of these sizes by turns."""
    run, _ = store.start_run(scenario(events=len(log.rows)))
    claimed = store.run_jobs.claim("test")
    assert claimed is not None
    assert claimed.id == run.id
    store.set_cast(run.id, claimed.attempt, cast_block(run.id, log.cast))
    writer = Writer(store, run.id, claimed.attempt, log.cast, [])
    whole, at, size = log.batch(), 0, cycle(sizes)
    while at < len(whole):
        batch = whole.cut(at, min(at + next(size), len(whole)))
        writer.add(batch, 0.5, flush=True)
        at += len(batch)
    seal, known = writer.finish()
    store.finish(run.id, claimed.attempt, "done", seal=seal, known=known)
    done = store.run(run.id)
    assert done is not None
    return done


def flip(store: Store, run_id: str, what: str, number: int, place: int, level: int = 0) -> None:
    """Change one bit of a stored block. what: chunks, keyframes (number counts sixteen chunks), or a part of nodes."""
    wheres = {"chunks": f"number = {number}", "keyframes": f"chunk = {16 * number}"}
    table, column = (what, "data") if what in wheres else ("nodes", what)
    where = f"run_id = '{run_id}' AND " + wheres.get(what, f"level = {level} AND number = {number}")
    with store.db.write() as connection:
        block = bytearray(connection.exec_driver_sql(f"SELECT {column} FROM {table} WHERE {where}").scalar() or b"")
        block[place % len(block)] ^= 1 << place % 8
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = ? WHERE {where}", (bytes(block),))
