"""Beside a run's plain columns: what lists show, worked out once when the run comes into the store, and its revision.

A revision is a number that is another one after every write to the run, so that a cache knows when it is old.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from wattmark.documents import mapping
from wattmark.quantity import SCALE, Quantity, total
from wattmark.runs.metrics import metrics_of
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.store import tables, trash

_SETTINGS = ("zone", "pue")
COURSE = 24
MOST_METRICS = 30
_R = tables.revisions.c
_REVISION_BITS = 40
"""So few that the sum over a million runs fits into 64 bits, so many that two never meet."""


def facts_of(record: RunRecord, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """``methods``: the counted joules by method, as ``{"value", "low", "high"}``; ``settings``: the run's zone and PUE;
    ``headline``: the process tree's energy where others kept the machine busy; ``metrics``: the last number of each that the
    run reported; ``course_w``: its power in :data:`COURSE` even parts."""
    sums: dict[str, list[Quantity]] = {}
    for channel in (summary or {}).get("channels") or ():
        ends = (channel["energy_j"], channel["low"], channel["high"])
        if not channel["counted_in_total"] or any(end is None or not math.isfinite(end) for end in ends):
            continue
        value = {"value": channel["energy_j"], "low": channel["low"], "high": channel["high"]}
        error = f"{SCALE}/{record.host or record.run_id}/{channel.get('id', channel['method'])}"
        part = Quantity.from_dict({**value, "terms": channel.get("terms")}, error=error)
        sums.setdefault(channel["method"], []).append(part)
    chosen = mapping(record.extra.get("settings"))
    headline: Mapping[str, Any] = (summary or {}).get("headline") or {}
    return {
        "headline": headline if headline.get("scope") == "tree" else None,
        "methods": {method: whole.as_dict() for method, parts in sums.items() if (whole := total(parts))},
        "metrics": last_metrics(record),
        "course_w": course_w(RunView(record)),
        "settings": {key: chosen[key] for key in _SETTINGS if chosen.get(key) is not None},
    }


def last_metrics(record: RunRecord) -> dict[str, float]:
    """The last number of each metric, of the first :data:`MOST_METRICS`."""
    metrics = list(metrics_of(record).values())[:MOST_METRICS]
    return {metric.name: metric.last for metric in metrics if metric.last is not None}


def course_w(view: RunView) -> list[float | None]:
    """The run's power in :data:`COURSE` even parts, three digits each; None where not covered, empty without curves."""
    if not view.counted or view.record.duration_s <= 0:
        return []
    power = view.power(bins=COURSE)
    watts = sum(values for name, values in power.items() if name != "t_s")
    return [float(f"{value:.3g}") if math.isfinite(value) else None for value in np.asarray(watts).tolist()]


def renew_revision(connection: sa.Connection, run_id: str) -> None:
    """Give a run that was written to a new number."""
    connection.execute(sa.delete(tables.revisions).where(_R.run_id == run_id))
    number = random.getrandbits(_REVISION_BITS)
    connection.execute(sa.insert(tables.revisions).values(run_id=run_id, revision=number))


def revision_of(connection: sa.Connection, run_id: str) -> int:
    """The number of a run that is there."""
    return connection.execute(sa.select(_R.revision).where(_R.run_id == run_id)).scalar_one()


def revision_of_all(connection: sa.Connection) -> str:
    """A word that is another one after every write to any run, and after every run that comes or goes."""
    present = tables.revisions.join(tables.runs, tables.runs.c.run_id == _R.run_id)
    counted = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_R.revision), 0)).select_from(present)
    count, total = connection.execute(counted.where(trash.kept(connection))).one()
    return f"{count}-{int(total):x}"
