"""A study's tables as plain columns, and as CSV and Parquet files."""

from __future__ import annotations

import csv
import importlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.errors import ConfigError, MissingExtra
from wattmark.statistics import finite
from wattmark.studies.analysis import Analysis, analyse
from wattmark.studies.analysis.correlate import CorrelationMap
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.reach import reaches, target_of
from wattmark.studies.results import StudyResults
from wattmark.text import inert

Table = Mapping[str, Sequence[Any]]
FORMATS = ("csv", "parquet")
_CELL_METRICS = (
    "total_energy", "training_energy_j", "inference_energy_j", "energy_per_sample", "inference_energy_per_sample",
    "power", "cpu_power", "gpu_power", "total_duration_s", "epoch_duration",
)  # fmt: skip


def tables(results: StudyResults, analysis: Analysis | None = None) -> dict[str, Table]:
    """Every table of a study by name; columns of one length, None where something is missing.

    trials: one row per trial, failed ones included. metrics: one row per completed trial, every metric of
    docs/science/metrics.md. epochs: one row per training epoch. cells: means with 95 % intervals per combination of levels.
    reach: joules of learning until the design's target. levels, effects, differences: what the factors do.
    predictors: what foretells energy. pareto: the cells and the front.
    correlations: a row per pair of metrics of each map. guidelines: the sentences. Raises MissingExtra without scipy.
    """
    findings = analyse(results) if analysis is None else analysis
    data = StudyData(results, findings.frame)
    return {
        "trials": _trials(results),
        "metrics": _plain(findings.trials),
        "epochs": _plain(findings.epochs),
        "cells": _cells(data),
        **_reach(data),
        **_findings(findings),
    }


def write(name: str, columns: Table, folder: Path, kind: str) -> Path:
    """One table as ``folder/name.kind``; raises MissingExtra where Parquet needs pyarrow."""
    path = folder / f"{name}.{kind}"
    if kind == "csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(map(inert, columns))
            writer.writerows(map(inert, row) for row in zip(*columns.values(), strict=True))
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
    table: dict[str, list[Any]] = {
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
        table[f"factor_{name}"] = [trial.factors.get(name) for trial in trials]
    for part in dict.fromkeys(key for trial in trials for key in trial.energy_j or {}):
        energies = [(trial.energy_j or {}).get(part) for trial in trials]
        for key, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
            table[f"energy_{part}_j{suffix}"] = [
                None if energy is None else energy[key] for energy in energies
            ]
        if part != "total":
            table[f"method_{part}"] = [trial.methods.get(part) for trial in trials]
    for name in dict.fromkeys(key for trial in trials for key in trial.metrics):
        table[f"metric_{name}"] = [trial.metrics.get(name) for trial in trials]
    return table


def _cells(data: StudyData) -> Table:
    table: dict[str, list[Any]] = {name: [cell.levels[name] for cell in data.cells] for name in data.factors}
    table["runs"] = [cell.count for cell in data.cells]
    table["joules"] = [data.method_words("total", cell) for cell in data.cells]
    table["beside_the_cheapest"] = [data.beside_cheapest(cell)[1] or None for cell in data.cells]
    for name in (*_CELL_METRICS, *((data.quality,) if data.quality else ())):
        means = [data.mean(cell, name) for cell in data.cells]
        if any(means):
            column = name if name not in table else f"metric_{name}"
            table[column] = [mean and mean.value for mean in means]
            table[f"{column}_low"] = [mean and mean.low for mean in means]
            table[f"{column}_high"] = [mean and mean.high for mean in means]
    return table


def _reach(data: StudyData) -> dict[str, Table]:
    """Joules of learning until the design's target, a row a cell; no table where there is none."""
    found = reaches(data)
    if not found:
        return {}
    table: dict[str, list[Any]] = {
        name: [entry.group.levels[name] for entry in found] for name in data.factors
    }
    table["quality_metric"] = [data.quality] * len(found)
    table["target"] = [target_of(data)] * len(found)
    table["runs"] = [entry.group.count for entry in found]
    table["reached"] = [entry.reached for entry in found]
    table["energy_j"] = [entry.energy and entry.energy.value for entry in found]
    table["energy_j_low"] = [entry.energy and entry.energy.low for entry in found]
    table["energy_j_high"] = [entry.energy and entry.energy.high for entry in found]
    table["spent_without_j"] = [entry.spent_j for entry in found]
    return {"reach": table}


def _findings(findings: Analysis) -> dict[str, Table]:
    """What the analysis found, one table for each kind; those without a row are left out."""
    named = [(effect, {"factor": effect.factor, "metric": effect.metric}) for effect in findings.effects]
    rows = {
        "effects": [_fields(effect, "levels", "differences") for effect in findings.effects],
        "levels": [{**name, **_fields(level)} for effect, name in named for level in effect.levels],
        "differences": [{**name, **_fields(pair)} for effect, name in named for pair in effect.differences],
        "predictors": [_fields(predictor) for predictor in findings.predictors],
        "pareto": [
            {**_fields(entry), "quality_metric": findings.quality and findings.quality.name}
            for entry in findings.pareto
        ],
        "correlations": [row for correlation in findings.correlations for row in _correlations(correlation)],
        "guidelines": [
            {
                "text": guideline.text,
                "strength": guideline.strength,
                "evidence": json.dumps(dict(guideline.evidence), default=str),
            }
            for guideline in findings.guidelines
        ],
    }
    return {name: {key: [row[key] for row in own] for key in own[0]} for name, own in rows.items() if own}


def _correlations(correlations: CorrelationMap) -> list[dict[str, Any]]:
    """Each pair of a map once."""
    matrices = {
        "r": correlations.r,
        "low": correlations.low,
        "high": correlations.high,
        "p_corrected": correlations.p_corrected,
    }
    return [
        {
            "kind": correlations.kind,
            "per": correlations.per,
            "scope": correlations.scope,
            "a": correlations.names[i],
            "b": correlations.names[j],
            **{name: finite(float(matrix[i, j])) for name, matrix in matrices.items()},
            "cells": int(correlations.cells[i, j]),
        }
        for i, j in combinations(range(len(correlations.names)), 2)
    ]


def _fields(item: Any, *without: str) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in fields(item) if field.name not in without}


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
