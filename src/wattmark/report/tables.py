"""A study's tables as plain columns, and as CSV and Parquet files."""

from __future__ import annotations

import csv
import importlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.errors import ConfigError, MissingExtra
from wattmark.report.data import StudyData
from wattmark.studies.analysis.metrics import table
from wattmark.studies.results import StudyResults

Table = Mapping[str, Sequence[Any]]
FORMATS = ("csv", "parquet")
_CELL_METRICS = (
    "total_energy", "e_tr", "e_in", "energy_per_sample", "inference_energy_per_sample",
    "power", "cpu_power", "gpu_power", "total_duration_s", "epoch_duration",
)  # fmt: skip


def tables(results: StudyResults) -> dict[str, Table]:
    """Every table of a study by name; columns of one length, None where something is missing.

    trials: one row per trial, failed ones included. metrics: one row per completed trial, every metric of
    docs/science/metrics.md. epochs: one row per training epoch. cells: means with 95 % intervals per combination of levels.
    """
    return {
        "trials": _trials(results),
        "metrics": _plain(table(results, "trial")),
        "epochs": _plain(table(results, "epoch")),
        "cells": _cells(StudyData(results)),
    }


def write(name: str, columns: Table, folder: Path, kind: str) -> Path:
    """One table as ``folder/name.kind``; raises MissingExtra where Parquet needs pyarrow."""
    path = folder / f"{name}.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(zip(*columns.values(), strict=True))
    elif kind == "parquet":
        try:
            arrow: Any = importlib.import_module("pyarrow")
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ImportError as error:
            raise MissingExtra("pyarrow", "study") from error
        parquet.write_table(arrow.table({key: _one_type(column) for key, column in columns.items()}), path)
    else:
        raise ConfigError(f"a table cannot be written as {kind!r}", hint=f"one of {', '.join(FORMATS)}")
    return path


def _trials(results: StudyResults) -> Table:
    trials = results.trials
    found: dict[str, list[Any]] = {
        "trial_id": [trial.trial_id for trial in trials],
        "index": [trial.index for trial in trials],
        "repeat": [trial.repeat for trial in trials],
        "status": [trial.status for trial in trials],
        "run_id": [trial.run_id for trial in trials],
        "host": [trial.host for trial in trials],
        "started_at": [trial.started_at for trial in trials],
        "duration_s": [trial.duration_s for trial in trials],
        "coverage": [trial.coverage for trial in trials],
        "contention": [trial.contention for trial in trials],
        "outlier": [trial.outlier for trial in trials],
        "error": [trial.error for trial in trials],
    }
    for name in dict.fromkeys(key for trial in trials for key in trial.factors):
        found[f"factor_{name}"] = [trial.factors.get(name) for trial in trials]
    for part in dict.fromkeys(key for trial in trials for key in trial.energy_j or {}):
        energies = [(trial.energy_j or {}).get(part) for trial in trials]
        for key, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            found[f"energy_{part}_j{suffix}"] = [
                None if energy is None else energy[key] for energy in energies
            ]
        if part != "total":
            found[f"method_{part}"] = [trial.methods.get(part) for trial in trials]
    for name in dict.fromkeys(key for trial in trials for key in trial.metrics):
        found[f"metric_{name}"] = [trial.metrics.get(name) for trial in trials]
    return found


def _cells(data: StudyData) -> Table:
    found: dict[str, list[Any]] = {name: [cell.levels[name] for cell in data.cells] for name in data.factors}
    found["runs"] = [cell.count for cell in data.cells]
    found["joules"] = [data.how("total", cell) for cell in data.cells]
    for name in (*_CELL_METRICS, *((data.quality,) if data.quality else ())):
        means = [data.mean(cell, name) for cell in data.cells]
        if any(means):
            column = name if name not in found else f"metric_{name}"
            found[column] = [mean and mean.value for mean in means]
            found[f"{column}_low"] = [mean and mean.low for mean in means]
            found[f"{column}_high"] = [mean and mean.high for mean in means]
    return found


def _plain(columns: Mapping[str, np.ndarray[Any, Any]]) -> Table:
    """Python values, None for NaN."""
    return {
        name: [None if isinstance(value, float) and math.isnan(value) else value for value in column.tolist()]
        for name, column in columns.items()
    }


def _one_type(column: Sequence[Any]) -> Sequence[Any]:
    """Levels of one factor may be words and numbers; a Parquet column has one type, so such a column becomes JSON."""
    kinds: set[type] = {type(value) for value in column if value is not None}
    if kinds <= {int, float}:
        return (
            [None if value is None else float(value) for value in column] if kinds == {int, float} else column
        )
    return column if len(kinds) <= 1 else [None if value is None else json.dumps(value) for value in column]
