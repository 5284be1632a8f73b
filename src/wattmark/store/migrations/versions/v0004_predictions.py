"""Predictions that were made, and what came of the runs that they were about."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "predictions",
        sa.Column("prediction_id", sa.Text, primary_key=True),
        sa.Column("made_wall_ns", sa.BigInteger, nullable=False),
        sa.Column("predictor", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("share", sa.Float(53)),
        sa.Column("energy_j", sa.Float(53), nullable=False),
        sa.Column("energy_low_j", sa.Float(53), nullable=False),
        sa.Column("energy_high_j", sa.Float(53), nullable=False),
        sa.Column("time_s", sa.Float(53)),
        sa.Column("time_low_s", sa.Float(53)),
        sa.Column("time_high_s", sa.Float(53)),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("actual_status", sa.Text),
        sa.Column("actual_energy_j", sa.Float(53)),
        sa.Column("actual_time_s", sa.Float(53)),
    )
    op.create_index("predictions_by_run", "predictions", ["run_id"])
    op.create_index("predictions_by_time", "predictions", ["made_wall_ns"])


def downgrade() -> None:
    """Drop the table; what was predicted is gone."""
    op.drop_table("predictions")
