"""Predictions in the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from wattmark.store import tables
from wattmark.store.portable import storable, strict
from wattmark.store.predictions.rows import StoredPrediction

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


def settle(connection: sa.Connection, row: Mapping[str, Any], tags: Mapping[str, str]) -> None:
    """Write what came of a run (its row of the table of runs) to the predictions that are about it."""
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
    came = {
        "actual_status": row["status"],
        "actual_energy_j": row["energy_j"],
        "actual_time_s": row["duration_s"],
    }
    connection.execute(sa.update(tables.predictions).where(_P.run_id == run_id).values(**came))


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
