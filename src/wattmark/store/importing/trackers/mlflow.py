"""``mlflow.db``, the SQLite store of MLflow: system metrics such as ``system/gpu_0_power_usage_watts`` of its runs.

Tables as MLflow's migrations make them (mlflow/store/tracking/dbmodels/models.py, versions 2 and 3). Runs that Wattmark
measured are not taken a second time: it left the tag ``wattmark.run_id``. The file is opened for reading only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from wattmark.errors import ImportFileError
from wattmark.store.importing.reading import Problem, Reading
from wattmark.store.importing.trackers.series import TrackedRun, is_power, reading

_RUNS = """
select run_uuid, coalesce(name, ''), experiment_id,
  exists(select 1 from tags where tags.run_uuid = runs.run_uuid and tags.key = 'wattmark.run_id')
from runs where lifecycle_stage is null or lifecycle_stage != 'deleted' order by start_time
"""
_POINTS = "select timestamp, value, is_nan from metrics where run_uuid = ? and key = ? order by timestamp"


def recognises(head: bytes) -> bool:
    """By SQLite's first bytes."""
    return head.startswith(b"SQLite format 3\0")


def runs(path: str) -> Reading:
    """The runs that have powers. Raises ImportFileError for a database of something else, or without any."""
    problems: list[Problem] = []
    try:
        with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("pragma trusted_schema = off")
            tracked = list(_tracked(db, problems))
    except (sqlite3.Error, OverflowError) as error:
        raise ImportFileError(f"{path} is no store of MLflow that can be read: {error}") from error
    return reading(path, "mlflow", "MLflow", tracked, problems)


def _tracked(db: sqlite3.Connection, problems: list[Problem]) -> Iterator[TrackedRun]:
    for run_id, name, experiment, ours in db.execute(_RUNS).fetchall():
        keys = [
            key for (key,) in db.execute("select distinct key from metrics where run_uuid = ?", (run_id,))
        ]
        powers = [key for key in keys if is_power(str(key))]
        if powers and ours:
            problems.append(
                Problem(None, f"{name or run_id} was measured by Wattmark; its own run has the joules")
            )
            continue
        run = TrackedRun(
            str(run_id), str(name) or str(run_id), facts={"run_id": run_id, "experiment_id": experiment}
        )
        for key in powers:
            for stamp, value, is_nan in db.execute(_POINTS, (run_id, key)):
                if isinstance(stamp, int) and isinstance(value, int | float):
                    run.add(str(key), stamp * 1_000_000, float("nan") if is_nan else float(value))
        yield run
