"""The tables. Times are nanoseconds: of the wall clock (UTC, since 1970) where named *_ns, of the run for t0 and t1.

runs ── tags, keys, casts            a run is what was asked, its state, and its figures
  ├──── chunks                       its events, 16,384 a row (app.chunks)
  ├──── nodes                        the summary tree above them (app.nodes); level 0 stands beside the chunks
  └──── keyframes                    all pages and queues, every so many chunks
recordings                           imported recordings
shares                               read-only links; a token is kept as its hash only
explorations                         what was explored, how far it is, and the answer
"""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from engine.errors import FolioscopeError

Bytes: TypeAlias = bytes
"""Under another name, because recordings have a column of that one."""
STATES = ("queued", "running", "done", "failed", "cancelled")
"""queued -> running -> done | failed | cancelled; queued -> cancelled; running -> queued only with attempt + 1."""


class Fenced(FolioscopeError):
    """The run is not this worker's any more: it was cancelled, deleted, or given to another one."""


class Base(DeclarativeBase):
    pass


class Run(Base):
    __tablename__ = "runs"
    __table_args__ = (
        Index("runs_by_state", "state", "number"),
        Index("runs_by_parent", "parent_id"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    scenario_json: Mapped[str]
    scenario_sha256: Mapped[str]
    design: Mapped[str]
    kernel: Mapped[str]
    workload_kind: Mapped[str]
    recording_id: Mapped[str | None]
    seed: Mapped[int] = mapped_column(BigInteger)
    pace_ms_per_s: Mapped[int | None]
    engine_version: Mapped[str]
    event_format: Mapped[int]
    created_ns: Mapped[int] = mapped_column(BigInteger)

    state: Mapped[str]
    reason: Mapped[str | None]
    """Why it failed or was cancelled: error, interrupted, limit_time, limit_memory, disk_full, user."""
    detail: Mapped[str | None]
    attempt: Mapped[int]
    """Rises each time the run is taken from a worker; what an older attempt writes is refused."""
    losses: Mapped[int]
    """Workers that died while they played it."""
    worker: Mapped[str | None]
    lease_until: Mapped[int | None] = mapped_column(BigInteger)
    """On the machine's monotonic clock, which no one sets: see app.store.jobs."""
    cancel_requested: Mapped[bool]
    parent_id: Mapped[str | None]
    """Job that this one belongs to: the exploration whose finding a run plays."""
    deleted: Mapped[bool]
    started_ns: Mapped[int | None] = mapped_column(BigInteger)
    ended_ns: Mapped[int | None] = mapped_column(BigInteger)

    chunks: Mapped[int]
    events: Mapped[int] = mapped_column(BigInteger)
    time_ns: Mapped[int] = mapped_column(BigInteger)
    """The run's time at its last stored event."""
    progress: Mapped[float]
    figures_json: Mapped[str | None]
    hot_json: Mapped[str | None]
    """[[page, waits, events], ..]: the pages most waited for, then most used."""
    seal: Mapped[str | None]


def _of_run(primary: bool = True) -> Mapped[str]:
    column: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=primary)
    return column


class Tag(Base):
    __tablename__ = "tags"
    __table_args__ = (Index("tags_by_tag", "tag"),)
    run_id: Mapped[str] = _of_run()
    tag: Mapped[str] = mapped_column(primary_key=True)


class Key(Base):
    """An Idempotency-Key and the run that it started."""

    __tablename__ = "keys"
    __table_args__ = (Index("keys_by_run", "run_id"), Index("keys_by_age", "created_ns"))
    key: Mapped[str] = mapped_column(primary_key=True)
    body_sha256: Mapped[str]
    run_id: Mapped[str] = _of_run(primary=False)
    created_ns: Mapped[int] = mapped_column(BigInteger)


class Cast(Base):
    """Who plays in a run: a table of its own, because a run's row is written with every append."""

    __tablename__ = "casts"
    run_id: Mapped[str] = _of_run()
    data: Mapped[Bytes] = mapped_column(LargeBinary)


class Chunk(Base):
    """first_seq and t1 rise with number; t0 is the t1 of the chunk before (0 for the first)."""

    __tablename__ = "chunks"
    run_id: Mapped[str] = _of_run()
    number: Mapped[int] = mapped_column(primary_key=True)
    first_seq: Mapped[int] = mapped_column(BigInteger)
    events: Mapped[int]
    t0: Mapped[int] = mapped_column(BigInteger)
    t1: Mapped[int] = mapped_column(BigInteger)
    checksum: Mapped[Bytes] = mapped_column(LargeBinary)
    data: Mapped[Bytes] = mapped_column(LargeBinary)


class StoredNode(Base):
    """Node `number` of level k summarises the chunks from number * 16^k on, 16^k of them; blocks of app.packing."""

    __tablename__ = "nodes"
    run_id: Mapped[str] = _of_run()
    level: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    series: Mapped[Bytes] = mapped_column(LargeBinary)
    cells: Mapped[Bytes] = mapped_column(LargeBinary)
    folded: Mapped[Bytes | None] = mapped_column(LargeBinary)
    """Level 0 only: what the chunk left of the pages and queues that it touched."""


class Keyframe(Base):
    """The state before chunk `chunk`."""

    __tablename__ = "keyframes"
    run_id: Mapped[str] = _of_run()
    chunk: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[Bytes] = mapped_column(LargeBinary)


class Recording(Base):
    __tablename__ = "recordings"
    __table_args__ = (UniqueConstraint("sha256"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    """Of text, after decompression."""
    moves: Mapped[int]
    kernel: Mapped[str]
    report_json: Mapped[str]
    created_ns: Mapped[int] = mapped_column(BigInteger)
    data: Mapped[Bytes] = mapped_column(LargeBinary)


class Share(Base):
    __tablename__ = "shares"
    __table_args__ = (UniqueConstraint("token_sha256"),)
    id: Mapped[str] = mapped_column(primary_key=True)
    token_sha256: Mapped[str]
    run_ids: Mapped[str]
    """JSON list."""
    view: Mapped[str]
    created_ns: Mapped[int] = mapped_column(BigInteger)
    expires_ns: Mapped[int | None] = mapped_column(BigInteger)
    revoked_ns: Mapped[int | None] = mapped_column(BigInteger)


class Exploration(Base):
    """States and reasons are those of runs; one that met a limit is done, and its answer says what was covered."""

    __tablename__ = "explorations"
    __table_args__ = (
        UniqueConstraint("id"),
        UniqueConstraint("key"),
        Index("explorations_by_state", "state", "number"),
        Index("explorations_by_asked", "asked_sha256", "number"),
        Index("explorations_by_parent", "parent_id"),
        {"sqlite_autoincrement": True},
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    """table or scenario."""
    subject_json: Mapped[str]
    subject_sha256: Mapped[str]
    asked_sha256: Mapped[str]
    """Of subject and plan: equal ones have equal answers, but for their limits."""
    plan_json: Mapped[str]
    limits_json: Mapped[str]
    engine_version: Mapped[str]
    key: Mapped[str | None]
    """An Idempotency-Key, and below the hash of the body that came with it."""
    body_sha256: Mapped[str | None]
    created_ns: Mapped[int] = mapped_column(BigInteger)

    state: Mapped[str]
    reason: Mapped[str | None]
    detail: Mapped[str | None]
    attempt: Mapped[int]
    losses: Mapped[int]
    worker: Mapped[str | None]
    lease_until: Mapped[int | None] = mapped_column(BigInteger)
    cancel_requested: Mapped[bool]
    parent_id: Mapped[str | None]
    started_ns: Mapped[int | None] = mapped_column(BigInteger)
    ended_ns: Mapped[int | None] = mapped_column(BigInteger)

    progress_json: Mapped[str | None]
    checkpoint: Mapped[str | None]
    """Name of a file in the data folder from which a search can be taken up."""
    verdict: Mapped[str | None]
    answer_json: Mapped[str | None]
    story_json: Mapped[str | None]
    """The shortest error, step by step."""
