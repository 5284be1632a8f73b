"""Runs to choose from, in a line each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

from wattmark.dashboard.api.whatif.schemas import RunChoice
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.store import RunSummary


def choices(
    running: Iterable[RunView], stored: Iterable[RunSummary], words: str, study: str, limit: int
) -> list[RunChoice]:
    """Runs whose name, id or study hold all of these words (any case), running ones first; of one study if given."""
    wanted = words.casefold().split()
    fitting = [
        run
        for run in (*map(choice_of, running), *map(_choice_of_summary, stored))
        if (not study or run.study == study)
        and all(word in f"{run.name} {run.id} {run.study or ''}".casefold() for word in wanted)
    ]
    return fitting[:limit]


def choice_of(view: RunView) -> RunChoice:
    """A run that was read whole."""
    record = view.record
    return RunChoice(
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


def _choice_of_summary(run: RunSummary) -> RunChoice:
    return RunChoice(
        id=run.run_id,
        name=run.name,
        status=run.status,
        started_at=run.started_at.isoformat(),
        energy_j=run.energy_j,
        imported=run.tags.get("imported"),
        study=run.tags.get("study"),
    )
