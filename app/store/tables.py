"""The tables. Times are nanoseconds: of the wall clock (UTC, since 1970) where named *_ns, of the run for t0 and t1.

runs ── tags, keys, casts            a run: its request, its state, its figures
  ├──── chunks                       its events, 16,384 per row (app.chunks)
  ├──── nodes                        the summary tree above them (app.nodes); level 0 stands beside the chunks
  └──── keyframes                    all pages and queues, at regular intervals of chunks
recordings                           imported recordings
shares                               read-only links; a token is kept as its hash only
explorations                         an exploration: its request, its progress, its answer
"""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from engine.errors import FolioscopeError

Bytes: TypeAlias = bytes
"""An alias, because recordings have a column named bytes."""
STATES = ("queued", "running", "done", "failed", "cancelled")
"""queued -> running -> done | failed | cancelled; queued -> cancelled; running -> queued only with attempt + 1."""


class Fenced(FolioscopeError):
    """The worker no longer holds the job: it was cancelled, deleted, or claimed by another worker."""


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
    """Why the run failed or was cancelled: error, interrupted, limit_time, limit_memory, disk_full, user."""
    detail: Mapped[str | None]
    attempt: Mapped[int]
    """The fencing token: incremented when a worker loses the run; writes of older attempts are rejected."""
    losses: Mapped[int]
    """Workers that died during the run."""
    worker: Mapped[str | None]
    lease_until: Mapped[int | None] = mapped_column(BigInteger)
    """Expiry on the machine's monotonic clock: see app.store.jobs."""
    cancel_requested: Mapped[bool]
    parent_id: Mapped[str | None]
    """Parent job: the exploration whose finding the run reproduces."""
    deleted: Mapped[bool]
    started_ns: Mapped[int | None] = mapped_column(BigInteger)
    ended_ns: Mapped[int | None] = mapped_column(BigInteger)

    chunks: Mapped[int]
    events: Mapped[int] = mapped_column(BigInteger)
    time_ns: Mapped[int] = mapped_column(BigInteger)
    """Run time of the last stored event."""
    progress: Mapped[float]
    figures_json: Mapped[str | None]
    hot_json: Mapped[str | None]
    """[[page, waits, events], ..]: the pages with the most waits, then the most events."""
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
    """The tasks, pages and files of a run; its own table, because the run's row is rewritten with every append."""

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
    """Level 0 only: the final state of the pages and queues that the chunk touched."""


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
    """Size of the text after decompression."""
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
    """JSON list of what it opens: ids of runs, or one x/ID (an exploration) or matrix/KERNEL."""
    view: Mapped[str]
    created_ns: Mapped[int] = mapped_column(BigInteger)
    expires_ns: Mapped[int | None] = mapped_column(BigInteger)
    revoked_ns: Mapped[int | None] = mapped_column(BigInteger)


class Exploration(Base):
    """States and reasons as for runs; one that reached a limit is done, and its answer states the coverage."""

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
    """SHA-256 of subject and plan: equal ones have equal answers, except for limits."""
    plan_json: Mapped[str]
    limits_json: Mapped[str]
    engine_version: Mapped[str]
    key: Mapped[str | None]
    """The Idempotency-Key; body_sha256 is the hash of the body sent with it."""
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
    """Name of the checkpoint file in the data folder."""
    verdict: Mapped[str | None]
    answer_json: Mapped[str | None]
    story_json: Mapped[str | None]
    """The shortest error, step by step."""
