"""A number for each run that changes with every write to it, so that whoever keeps what he read knows when it is old."""

from __future__ import annotations

import random

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table, with a number for each run that is there."""
    revisions = op.create_table(
        "run_revisions",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    runs = sa.table("runs", sa.column("run_id"))
    connection = op.get_bind()
    run_ids = connection.execute(sa.select(runs.c.run_id)).scalars().all()
    rows = [{"run_id": run_id, "revision": random.getrandbits(40)} for run_id in run_ids]
    if rows:
        connection.execute(sa.insert(revisions), rows)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("run_revisions")
