"""Predictions in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from wattmark.runs.result import counts_of_groups, span_groups_in
from wattmark.store import tables
from wattmark.store.portable import storable, strict
from wattmark.store.predictions.rows import StoredPrediction
from wattmark.text import singular

TAG = "prediction"
"""The tag of a run that names the prediction that was made of it."""

_P = tables.predictions.c


def insert(connection: sa.Connection, predictions: Sequence[StoredPrediction]) -> None:
    """Keep predictions; one whose id is kept already takes the place of that one."""
    for one in predictions:
        values = one.as_dict()
        values |= {name: storable(values[name]) for name in ("predictor", "host", "subject")}
        values["details"] = json.dumps(strict(dict(one.details)))
        connection.execute(sa.delete(tables.predictions).where(_P.prediction_id == one.prediction_id))
        connection.execute(sa.insert(tables.predictions).values(**values))


def settle(
    connection: sa.Connection,
    row: Mapping[str, Any],
    tags: Mapping[str, str],
    summary: Mapping[str, Any] | None,
) -> None:
    """Write what came of a run (its row of the table of runs, its summary) to the predictions that are about it.

    What was predicted for one of several (``per``: requests), for a part of the machine (``component``: gpu) or for the
    process tree (``component``: tree) is held
    against that; where the run does not say it, the prediction has no outcome to be held against.
    """
    if row["status"] == "running":
        return
    run_id = row["run_id"]
    named = [word for word in tags.get(TAG, "").replace(",", " ").split() if word]
    if named:
        connection.execute(
            sa.update(tables.predictions)
            .where(_P.prediction_id.in_(named), _P.run_id.is_(None))
            .values(run_id=run_id)
        )
    about = sa.select(_P.prediction_id, _P.details).where(_P.run_id == run_id)
    for prediction_id, details in connection.execute(about).all():
        energy_j, time_s = _came(json.loads(details), row, summary or {})
        connection.execute(
            sa.update(tables.predictions)
            .where(_P.prediction_id == prediction_id)
            .values(actual_status=row["status"], actual_energy_j=energy_j, actual_time_s=time_s)
        )


def _came(
    details: Mapping[str, Any], row: Mapping[str, Any], summary: Mapping[str, Any]
) -> tuple[float | None, float | None]:
    """Joules and seconds of what was predicted."""
    energy_j: float | None = row["energy_j"]
    component = details.get("component")
    if component is not None:
        energies: Mapping[str, Any] = summary.get("energy_j") or {}
        tree: Mapping[str, Any] | None = summary.get("energy_attributed_j")
        part: Mapping[str, Any] = (tree if component == "tree" else energies.get(component)) or {}
        energy_j = part.get("value")
    per = details.get("per")
    if per is None:
        return energy_j, row["duration_s"]
    groups = span_groups_in(summary) if "spans" in summary else ()
    one = singular(str(per))
    number = sum(group.times for group in groups if group.name == one) or counts_of_groups(groups).get(per, 0)
    return (energy_j / number if number and energy_j is not None else None), None


def forget(connection: sa.Connection, run_ids: Sequence[str]) -> None:
    """Remove what was predicted of runs that someone removed."""
    if run_ids:
        gone = sa.delete(tables.predictions).where(_P.run_id == sa.bindparam("gone"))
        connection.execute(gone, [{"gone": run_id} for run_id in run_ids])


def select(
    connection: sa.Connection,
    *,
    predictor: str | None = None,
    host: str | None = None,
    run_id: str | None = None,
    limit: int | None = None,
) -> list[StoredPrediction]:
    """The predictions that fit all of these, the newest first."""
    query = sa.select(tables.predictions).order_by(_P.made_wall_ns.desc(), _P.prediction_id)
    for column, value in ((_P.predictor, predictor), (_P.host, host), (_P.run_id, run_id)):
        if value is not None:
            query = query.where(column == value)
    rows = connection.execute(query.limit(limit)).mappings()
    return [StoredPrediction(**{**row, "details": json.loads(row["details"])}) for row in rows]
