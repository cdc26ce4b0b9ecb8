"""Runs, their events, recordings and links."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.store.database import APPLICATION_ID

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _column(name: str, kind: Any = sa.String, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind(), nullable=more.pop("nullable", False), **more)


def _of_run(**more: Any) -> sa.Column[Any]:
    return sa.Column("run_id", sa.String(), sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, **more)


def upgrade() -> None:
    op.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    op.create_table(
        "runs",
        _column("number", sa.Integer, primary_key=True, autoincrement=True),
        _column("id", unique=True),
        _column("name"),
        _column("scenario_json"),
        _column("scenario_sha256"),
        _column("design"),
        _column("kernel"),
        _column("workload_kind"),
        _column("recording_id", nullable=True),
        _column("seed", sa.BigInteger),
        _column("pace_ms_per_s", sa.Integer, nullable=True),
        _column("engine_version"),
        _column("event_format", sa.Integer),
        _column("created_ns", sa.BigInteger),
        _column("state"),
        _column("reason", nullable=True),
        _column("detail", nullable=True),
        _column("attempt", sa.Integer),
        _column("losses", sa.Integer),
        _column("worker", nullable=True),
        _column("lease_until", sa.BigInteger, nullable=True),
        _column("cancel_requested", sa.Boolean),
        _column("deleted", sa.Boolean),
        _column("started_ns", sa.BigInteger, nullable=True),
        _column("ended_ns", sa.BigInteger, nullable=True),
        _column("chunks", sa.Integer),
        _column("events", sa.BigInteger),
        _column("time_ns", sa.BigInteger),
        _column("progress", sa.Double),
        _column("figures_json", nullable=True),
        _column("hot_json", nullable=True),
        _column("seal", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("runs_by_state", "runs", ["state", "number"])
    op.create_table("tags", _of_run(primary_key=True), _column("tag", primary_key=True))
    op.create_index("tags_by_tag", "tags", ["tag"])
    op.create_table(
        "keys",
        _column("key", primary_key=True),
        _column("body_sha256"),
        _of_run(),
        _column("created_ns", sa.BigInteger),
    )
    op.create_index("keys_by_run", "keys", ["run_id"])
    op.create_index("keys_by_age", "keys", ["created_ns"])
    op.create_table("casts", _of_run(primary_key=True), _column("data", sa.LargeBinary))
    op.create_table(
        "chunks",
        _of_run(primary_key=True),
        _column("number", sa.Integer, primary_key=True),
        _column("first_seq", sa.BigInteger),
        _column("events", sa.Integer),
        _column("t0", sa.BigInteger),
        _column("t1", sa.BigInteger),
        _column("checksum", sa.LargeBinary),
        _column("data", sa.LargeBinary),
    )
    op.create_table(
        "nodes",
        _of_run(primary_key=True),
        _column("level", sa.Integer, primary_key=True),
        _column("number", sa.Integer, primary_key=True),
        _column("series", sa.LargeBinary),
        _column("cells", sa.LargeBinary),
        _column("folded", sa.LargeBinary, nullable=True),
    )
    op.create_table(
        "keyframes",
        _of_run(primary_key=True),
        _column("chunk", sa.Integer, primary_key=True),
        _column("data", sa.LargeBinary),
    )
    op.create_table(
        "recordings",
        _column("id", primary_key=True),
        _column("name"),
        _column("sha256", unique=True),
        _column("bytes", sa.BigInteger),
        _column("moves", sa.Integer),
        _column("kernel"),
        _column("report_json"),
        _column("created_ns", sa.BigInteger),
        _column("data", sa.LargeBinary),
    )
    op.create_table(
        "shares",
        _column("id", primary_key=True),
        _column("token_sha256", unique=True),
        _column("run_ids"),
        _column("view"),
        _column("created_ns", sa.BigInteger),
        _column("expires_ns", sa.BigInteger, nullable=True),
        _column("revoked_ns", sa.BigInteger, nullable=True),
    )


def downgrade() -> None:
    for table in ("shares", "recordings", "keyframes", "nodes", "chunks", "casts", "keys", "tags", "runs"):
        op.drop_table(table)
