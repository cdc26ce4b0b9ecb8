"""Jobs can have a parent: the exploration whose finding a run plays."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("runs", "explorations"):
        op.add_column(table, sa.Column("parent_id", sa.String(), nullable=True))
        op.create_index(f"{table}_by_parent", table, ["parent_id"])


def downgrade() -> None:
    for table in ("runs", "explorations"):
        op.drop_index(f"{table}_by_parent", table)
        op.drop_column(table, "parent_id")
