"""Tokens of projects, rules of retention, and batches of samples that nodes send."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "tokens",
        sa.Column("token_hash", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("project", sa.Text),
        sa.Column("rights", sa.Text, nullable=False),
        sa.Column("made_wall_ns", sa.BigInteger, nullable=False),
        sa.Column("ends_wall_ns", sa.BigInteger),
    )
    op.create_table(
        "retention",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("runs_s", sa.Float(53)),
        sa.Column("curves_s", sa.Float(53)),
        sa.Column("period_s", sa.Float(53)),
    )
    op.create_table(
        "node_batches",
        sa.Column("node_id", sa.Text, primary_key=True),
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("start_wall_ns", sa.BigInteger, nullable=False),
        sa.Column("end_wall_ns", sa.BigInteger, nullable=False),
        sa.Column("samples", sa.Integer, nullable=False),
        sa.Column("energy_uj", sa.BigInteger, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_index("node_batches_by_time", "node_batches", ["start_wall_ns"])


def downgrade() -> None:
    """Drop the tables; tokens are void then, and what nodes sent is gone."""
    for name in ("node_batches", "retention", "tokens"):
        op.drop_table(name)
