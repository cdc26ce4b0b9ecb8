"""Explorations."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _column(name: str, kind: Any = sa.String, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind(), nullable=more.pop("nullable", False), **more)


def upgrade() -> None:
    op.create_table(
        "explorations",
        _column("number", sa.Integer, primary_key=True, autoincrement=True),
        _column("id", unique=True),
        _column("name"),
        _column("kind"),
        _column("subject_json"),
        _column("subject_sha256"),
        _column("asked_sha256"),
        _column("plan_json"),
        _column("limits_json"),
        _column("engine_version"),
        _column("key", nullable=True, unique=True),
        _column("body_sha256", nullable=True),
        _column("created_ns", sa.BigInteger),
        _column("state"),
        _column("reason", nullable=True),
        _column("detail", nullable=True),
        _column("attempt", sa.Integer),
        _column("losses", sa.Integer),
        _column("worker", nullable=True),
        _column("lease_until", sa.BigInteger, nullable=True),
        _column("cancel_requested", sa.Boolean),
        _column("started_ns", sa.BigInteger, nullable=True),
        _column("ended_ns", sa.BigInteger, nullable=True),
        _column("progress_json", nullable=True),
        _column("checkpoint", nullable=True),
        _column("verdict", nullable=True),
        _column("answer_json", nullable=True),
        _column("story_json", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("explorations_by_state", "explorations", ["state", "number"])
    op.create_index("explorations_by_asked", "explorations", ["asked_sha256", "number"])


def downgrade() -> None:
    op.drop_table("explorations")
