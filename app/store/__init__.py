"""The store: all code that speaks SQL. One Store per process; every call is one short transaction."""

from __future__ import annotations

import contextlib

from sqlalchemy import text

from app.settings import Settings
from app.store.database import Database
from app.store.events import ChunkRow
from app.store.explorations import Explorations
from app.store.folder import REVISIONS, drop_ballast, keep_ballast, make_room, prepare, short_of_space
from app.store.jobs import EXPLORATIONS, RUNS, Jobs
from app.store.recordings import Recordings
from app.store.rows import ExplorationRow, RecordingRow, RunRow, ShareRow
from app.store.runs import Runs
from app.store.shares import Shares
from app.store.tables import Fenced
from app.store.verifying import Verdict, Verifying
from app.store.work import Work
from engine.errors import UserError

__all__ = [
    "ChunkRow",
    "ExplorationRow",
    "Fenced",
    "RecordingRow",
    "RunRow",
    "ShareRow",
    "Store",
    "Verdict",
    "open_store",
]


BUSY_S = 4.0
"""How long a request waits for another process's write: those that wait in vain are answered within 6 s."""


class Store(Runs, Work, Explorations, Recordings, Shares, Verifying):
    """Runs, their events, explorations, recordings and links, in one database."""

    def __init__(self, settings: Settings, *, busy_s: float) -> None:
        self.settings = settings
        self.db = Database(settings, busy_s=busy_s)
        self.clearing: set[str] = set()
        self.run_jobs, self.exploration_jobs = Jobs(self.db, RUNS), Jobs(self.db, EXPLORATIONS)

    def changed(self) -> int:
        """Return a number that changes with every commit of any process: a cheap poll."""
        return self.db.changed()

    def ping(self) -> None:
        """Check that the database can be read; raises the error of a read."""
        with self.db.read() as connection:
            connection.execute(text("SELECT 1 FROM runs LIMIT 1"))

    def drop_ballast(self, *, half: bool = False) -> None:
        """Delete the ballast file, or half of it: the disk is full, and a final state must still be stored."""
        drop_ballast(self.settings, half=half)

    def keep_ballast(self) -> None:
        """Recreate the ballast file if there is room."""
        keep_ballast(self.settings)

    def recover(self) -> int:
        """Requeue jobs whose lease expired; return their number."""
        return self.run_jobs.recover() + self.exploration_jobs.recover()

    def abandon(self, worker: str) -> int:
        """Requeue the jobs of a worker that died, without waiting for their leases to expire; return their number."""
        return self.run_jobs.recover(worker) + self.exploration_jobs.recover(worker)

    def tidy(self) -> None:
        """Do what a server does every second: take jobs from dead workers, finish deletions, keep the log short and the
        disk's reserve filled. What fails now (a locked database, a full disk) is tried again the next time."""
        for work in (self.recover, self.clear_deleted, self.checkpoint, self.keep_ballast):
            with contextlib.suppress(UserError):
                work()
        make_room(self.db, self.settings)

    def trouble(self) -> str:
        """Return why runs cannot be read or started, in one line; "" if they can. Raises the error of a read."""
        self.ping()
        return short_of_space(self.settings)

    def checkpoint(self) -> None:
        """Checkpoint the write-ahead log if it has grown. Workers call this after each commit and when idle."""
        self.db.checkpoint()

    def close(self) -> None:
        """Close all connections."""
        self.db.close()


def open_store(settings: Settings, *, busy_s: float = BUSY_S) -> Store:
    """Open the store, creating or upgrading its database if necessary.

    busy_s: how long to wait for another process's write. Raises UserError if the data folder is unusable.
    """
    if prepare(settings) != REVISIONS[-1]:
        from app.store.schema import upgrade

        upgrade(settings)
    keep_ballast(settings)
    return Store(settings, busy_s=busy_s)
