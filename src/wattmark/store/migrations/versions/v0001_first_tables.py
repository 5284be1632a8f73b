"""The first tables: runs, their tags, their blocks.

Spelled out rather than taken from tables.py, which moves on while this stays as it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Text),
        sa.Column("started_wall_ns", sa.BigInteger, nullable=False),
        sa.Column("duration_s", sa.Float(53), nullable=False),
        sa.Column("energy_j", sa.Float(53)),
        sa.Column("energy_low_j", sa.Float(53)),
        sa.Column("energy_high_j", sa.Float(53)),
        sa.Column("energy_by_component", sa.Text, nullable=False),
        sa.Column("coverage", sa.Float(53)),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("stored_bytes", sa.BigInteger, nullable=False),
        sa.Column("header", sa.LargeBinary, nullable=False),
        sa.Column("summary", sa.LargeBinary),
    )
    op.create_index("runs_by_start", "runs", ["started_wall_ns"])
    op.create_index("runs_by_name", "runs", ["name"])
    run_id = sa.ForeignKey("runs.run_id", ondelete="CASCADE")
    op.create_table(
        "run_tags",
        sa.Column("run_id", sa.Text, run_id, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_index("run_tags_by_key", "run_tags", ["key", "value"])
    op.create_table(
        "run_blocks",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("column", sa.Text, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("run_blocks")
    op.drop_table("run_tags")
    op.drop_table("runs")
