"""Database: the SQLite file, its connections, and the translation of its errors.

Readers and the one writer of a process are kept apart. A reader sees one state for as long as its `with` lasts, and
nothing outlives that `with`: an idle reader would keep the write-ahead log from shrinking. The writer takes the write
lock when it begins (BEGIN IMMEDIATE): SQLite does not wait for a lock that a transaction asks for half-way.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine.url import make_url

from app.limits import RECEIVED_AT
from app.settings import Settings
from engine.errors import Damaged, FolioscopeError, UserError

try:
    import fcntl
except ImportError:  # not a Unix: one worker only
    fcntl = None  # type: ignore[assignment]

APPLICATION_ID = 0x464F4C49
"""PRAGMA application_id of our files: "FOLI"."""
PAGE_SIZE = 16_384
"""Of new files. Rows are blobs of kilobytes: with SQLite's 4,096, a commit and a checkpoint cost 1.6 times as much."""
CHECKPOINT_AT = 4 << 20
"""Size of the write-ahead log, in bytes, above which it is checkpointed."""
WAL_LIMIT = 32 << 20
"""Size to which SQLite cuts it when it begins it anew."""
EMPTY_AT = 16 << 20
"""Size above which it is also emptied. Readers that follow each other without a gap would let it grow for ever:
SQLite begins it anew only when nobody reads from it."""
READERS = 4
"""Connections that are kept open for reading; further ones are closed after use."""
READER_CACHE_KIB = 1024
"""Page cache of each of them: what is read often is cached decoded (app.windows.cache)."""
EMPTY_S = 0.5
"""How long emptying the log waits for readers; writers wait too."""


class Database:
    """The connections of one process to the database file."""

    def __init__(self, settings: Settings, *, busy_s: float) -> None:
        self.path = file_of(settings)
        self._busy_s = busy_s
        self.readers = self._engine(settings.url, "BEGIN", pool_size=READERS, max_overflow=32 - READERS)
        self.writer = self._engine(settings.url, "BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
        self._turn = threading.Lock()
        """Held by the thread that has the writer's connection; the pool's own wait has one length for all."""
        self._watch: sqlite3.Connection | None = None
        self._watch_lock = threading.Lock()

    def _engine(self, url: str, begin: str, **pool: int) -> Engine:
        engine = create_engine(url, connect_args={"timeout": self._busy_s}, pool_timeout=self._busy_s, **pool)
        reads = begin == "BEGIN"

        @event.listens_for(engine, "connect")
        def prepare(connection: sqlite3.Connection, _: Any) -> None:
            connection.isolation_level = None  # sqlite3 itself would begin late, and without the lock
            if reads:
                connection.execute("PRAGMA query_only=ON")
                connection.execute(f"PRAGMA cache_size=-{READER_CACHE_KIB}")
            elif connection.execute("PRAGMA page_count").fetchone()[0] == 0:  # all three stay with the file
                connection.execute(f"PRAGMA page_size={PAGE_SIZE}")
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
                connection.execute("PRAGMA journal_mode=WAL")
            # Some builds of SQLite write zeros over all that is deleted, through the log; ours goes back to the disk.
            connection.execute("PRAGMA secure_delete=FAST")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}")
            connection.execute("PRAGMA wal_autocheckpoint=0")  # see checkpoint()

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    def open_readers(self) -> None:
        """Open the connections for reading ahead: the descriptors of a server are then the same at rest as at first."""
        with _in_our_words(), contextlib.ExitStack() as opened:
            for _ in range(READERS):
                opened.enter_context(self.readers.connect())

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a read-only connection with a consistent snapshot."""
        with _in_our_words(), self.readers.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield the writer's connection under the write lock; commit at the end, roll back on an exception.

        Raises UserError (store_busy) when the lock is not had in busy_s, counted from the arrival of the request if
        there is one: whoever has waited for a thread, or for this connection, waits less for the lock.
        """
        ends = (RECEIVED_AT.get() or time.monotonic()) + self._busy_s
        with _in_our_words(), self._turn_to_write(ends) as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def _turn_to_write(self, ends: float) -> Iterator[Connection]:
        """Yield the writer's connection, which waits for the lock until `ends` (time.monotonic())."""
        if not self._turn.acquire(timeout=max(0.0, ends - time.monotonic())):
            raise _busy()
        try:
            with self.writer.connect() as connection:
                _raw(connection).execute(f"PRAGMA busy_timeout={max(0, int(1000 * (ends - time.monotonic())))}")
                yield connection
        finally:
            self._turn.release()

    def changed(self) -> int:
        """Return a number that changes whenever another connection, of any process, commits."""
        with _in_our_words(), self._watch_lock:
            if self._watch is None:
                self._watch = sqlite3.connect(
                    self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
                )
            version: int = self._watch.execute("PRAGMA data_version").fetchone()[0]
            return version

    @property
    def log_bytes(self) -> int:
        """Size of the write-ahead log's file."""
        try:
            return Path(f"{self.path}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def checkpoint(self, above: int = CHECKPOINT_AT, *, empty: int = EMPTY_AT) -> None:
        """Checkpoint the log if it has grown, as far as readers permit; empty it if it has grown much.

        above, empty: its sizes from which that is done. One process at a time does this: SQLite from 3.7.0 to 3.51.2
        can lose pages when two connections checkpoint at the same time.
        """
        with contextlib.suppress(BlockingIOError):
            if self.log_bytes >= max(above, 1):
                with _only_one(Path(f"{self.path}-checkpoint")):
                    self._alone("PRAGMA wal_checkpoint(PASSIVE)")
                    if self.log_bytes >= empty:
                        self._alone("PRAGMA wal_checkpoint(TRUNCATE)", EMPTY_S)

    def give_back(self, pages: int) -> int:
        """Release up to `pages` free pages of the file to the disk; return the number of free pages left."""
        self._alone(f"PRAGMA incremental_vacuum({int(pages)})")
        return self._alone("PRAGMA freelist_count")[0][0]  # type: ignore[no-any-return]

    def _alone(self, pragma: str, busy_s: float | None = None) -> list[Any]:
        """Run a PRAGMA outside any transaction on the writer's connection."""
        ends = time.monotonic() + (self._busy_s if busy_s is None else busy_s)
        with _in_our_words(), self._turn_to_write(ends) as connection:
            rows: list[Any] = _raw(connection).execute(pragma).fetchall()
            return rows

    def close(self) -> None:
        self.readers.dispose()
        self.writer.dispose()
        if self._watch is not None:
            self._watch.close()


def _raw(connection: Connection) -> sqlite3.Connection:
    """Return sqlite3's connection, for a PRAGMA outside any transaction."""
    raw: Any = connection.connection.dbapi_connection
    assert raw is not None, "a connection that is checked out is open"
    return raw  # type: ignore[no-any-return]


def file_of(settings: Settings) -> Path:
    """Return the path of the database's file."""
    return Path(make_url(settings.url).database or "folioscope.db")


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the lock on this file; it ends with the process. Raises BlockingIOError while another process holds it."""
    with path.open("ab") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    """Translate the database's errors: their text is SQL, which must not reach users."""
    try:
        yield
    except exc.TimeoutError:
        raise _busy() from None
    except exc.DBAPIError as error:
        raise _translated(error.orig) from error
    except sqlite3.Error as error:
        raise _translated(error) from error


def _busy() -> UserError:
    return UserError("the database is busy: try again in a moment", code="store_busy", status=503)


def _translated(error: BaseException | None) -> FolioscopeError | AssertionError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _busy()
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return UserError(
            "the disk of the data folder is full or failing: free some space", code="storage_full", status=507
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return UserError("the data folder is not writable: check its owner and mode", code="bad_data", status=503)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Damaged("the database file is damaged")
    if code == sqlite3.SQLITE_CONSTRAINT:
        return UserError("the request conflicts with stored data", code="conflict", status=409)
    return AssertionError(f"the database refused a statement: {type(error).__name__}")
