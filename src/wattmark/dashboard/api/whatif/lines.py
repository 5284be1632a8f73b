"""A run in a line, for lists to choose from."""

from __future__ import annotations

from datetime import datetime, timezone

from wattmark.dashboard.api.whatif.schemas import RunLine
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView


def line_of(view: RunView) -> RunLine:
    """A run that was read whole."""
    record = view.record
    return RunLine(
        id=view.id,
        name=view.name,
        status=record.status,
        started_at=started_at(record),
        energy_j=None if view.energy is None else view.energy.value,
        imported=record.tags.get("imported"),
        study=record.tags.get("study"),
    )


def started_at(record: RunRecord) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(record.started_wall_ns / 1e9, timezone.utc).isoformat()
