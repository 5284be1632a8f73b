"""What lists show beside the plain columns (joules by method, where the power came from), and runs that were removed.

Tables of their own rather than columns of ``runs``: SQLite puts new columns behind the blobs, and would read through those.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables, and fill the first from the summaries and headers that are there."""
    facts = op.create_table(
        "run_facts",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("facts", sa.Text, nullable=False),
    )
    op.create_table(
        "run_removed",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("removed_wall_ns", sa.BigInteger, nullable=False),
    )
    runs = sa.table("runs", sa.column("run_id"), sa.column("header"), sa.column("summary"))
    connection = op.get_bind()
    for run_id in connection.execute(sa.select(runs.c.run_id)).scalars().all():
        row = connection.execute(
            sa.select(runs.c.header, runs.c.summary).where(runs.c.run_id == run_id)
        ).one()
        written = _facts(_read(row.header), _read(row.summary))
        connection.execute(sa.insert(facts).values(run_id=run_id, facts=json.dumps(written)))


def downgrade() -> None:
    """Drop the tables; what was removed is back."""
    op.drop_table("run_removed")
    op.drop_table("run_facts")


def _read(data: bytes | None) -> dict[str, Any]:
    """Compressed JSON; a damaged run has no facts, and must not keep the others from being read."""
    try:
        return json.loads(zlib.decompress(data or b""))
    except (zlib.error, ValueError):
        return {}


def _facts(header: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    """As store/facts.py had it when this was written."""
    methods: dict[str, dict[str, float]] = {}
    for channel in summary.get("channels") or ():
        ends = {"value": channel["energy_j"], "low": channel["low"], "high": channel["high"]}
        if not channel["counted_in_total"] or any(
            end is None or not math.isfinite(end) for end in ends.values()
        ):
            continue
        sums = methods.setdefault(channel["method"], {"value": 0.0, "low": 0.0, "high": 0.0})
        for key, end in ends.items():
            sums[key] += end
    chosen: dict[str, Any] = header.get("record", {}).get("extra", {}).get("settings") or {}
    settings = {key: chosen[key] for key in ("zone", "pue") if chosen.get(key) is not None}
    return {"methods": methods, "settings": settings}
