"""Trials and epochs as columns of numbers: what every metric is computed from, NaN where something is missing.

One row is an interval: a training epoch, or all training epochs of a trial. The training of a trial without ``epoch``
stages is its ``train`` stage; a trial that has neither is taken as a whole (``command`` studies).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wattmark.quantity import IntervalDict
from wattmark.statistics import Float64, Int64
from wattmark.studies.results import Stage, TrialResult

Columns = dict[str, Float64]
_NOTHING: Mapping[str, float] = {}

_SERIES = (
    (re.compile(r"cpu\d*/utili[sz]ation"), "cpu_util"),
    (re.compile(r"(amd)?gpu\d+/utili[sz]ation"), "gpu_util"),
    (re.compile(r"cpu\d*/temperature"), "cpu_temp"),
    (re.compile(r"(amd)?gpu\d+/temperature"), "gpu_temp"),
    (re.compile(r"memory/used"), "host_memory_used"),
    (re.compile(r"memory/total"), "host_memory_total"),
    (re.compile(r"(amd)?gpu\d+/memory_used"), "gpu_memory_used"),
    (re.compile(r"(amd)?gpu\d+/memory_total"), "gpu_memory_total"),
)
SERIES_COLUMNS = tuple(column for _, column in _SERIES)
ENERGY_COLUMNS = ("energy_j", "energy_low_j", "energy_high_j", "cpu_j", "gpu_j", "dram_j")
COUNT_COLUMNS = ("samples", "steps")
MODEL_COLUMNS = ("parameters", "trainable_parameters", "macs", "model_bytes")


@dataclass(frozen=True, slots=True)
class Frame:
    """Trials as columns, read once. owner: for each row of epochs, its trial's place in ``trials``."""

    trials: Sequence[TrialResult]
    columns: Columns
    epochs: Columns
    owner: Int64


def frame(trials: Sequence[TrialResult]) -> Frame:
    """The columns of all trials and of all their epochs."""
    epochs, owner = epoch_columns(trials)
    return Frame(trials, trial_columns(trials, epochs, owner), epochs, owner)


def epoch_columns(trials: Sequence[TrialResult]) -> tuple[Columns, Int64]:
    """One row per training epoch of every trial, and the trial's place in ``trials`` for each row."""
    stages: list[Stage] = []
    tested: list[Any] = []
    lengths: list[int] = []
    for trial in trials:
        epochs = trial.stages_named("epoch")
        tests = trial.stages_named("evaluation")
        stages += epochs
        lengths.append(len(epochs))
        paired = len(tests) == len(epochs)
        tested += [test.attrs.get("accuracy") for test in tests] if paired else [None] * len(epochs)
    owner = np.repeat(np.arange(len(trials), dtype=np.int64), lengths)
    columns = _interval_columns(stages)
    accuracy = _floats(tested)
    columns["accuracy"] = np.where(np.isfinite(accuracy), accuracy, columns["accuracy"])
    columns["epochs"] = np.ones(len(owner))
    models = _model_columns(trials)
    columns.update({name: models[name][owner] for name in MODEL_COLUMNS})
    return columns, owner


def trial_columns(trials: Sequence[TrialResult], epochs: Columns, owner: Int64) -> Columns:
    """One row per trial: its training, its inference and its whole. epochs, owner: of :func:`epoch_columns`."""
    count = len(trials)
    number = np.bincount(owner, minlength=count)
    columns = {
        name: _sums(epochs[name], owner, count) for name in (*ENERGY_COLUMNS, "duration_s", *COUNT_COLUMNS)
    }
    for name in SERIES_COLUMNS:
        columns[name] = _means(epochs[name], epochs["duration_s"], owner, count)
    columns["epochs"] = np.where(number > 0, number, np.nan)
    columns["training_j"] = columns["energy_j"].copy()
    for index, trial in enumerate(trials):
        if number[index] == 0:
            _fill_without_epochs(columns, index, trial)
    columns.update(_model_columns(trials))
    columns.update(_stage_columns(trials, "inference"))
    columns.update(_stage_columns(trials, "data"))
    columns.update(_total_columns(trials))
    for name in ("accuracy", "loss"):
        last = np.full(count, np.nan)
        last[owner] = epochs[name]  # later epochs overwrite earlier ones
        reported = _floats(trial.metrics.get(name) for trial in trials)
        columns[name] = np.where(np.isfinite(reported), reported, last)
    return columns


def _fill_without_epochs(columns: Columns, index: int, trial: TrialResult) -> None:
    stages = trial.stages_named("train")
    if len(stages) == 1:
        for name, values in _interval_columns(stages).items():
            if name in columns:
                columns[name][index] = values[0]
        columns["training_j"][index] = columns["energy_j"][index]
        return
    energy = trial.energy_j or {}
    total = energy.get("total")
    columns["energy_j"][index], columns["energy_low_j"][index], columns["energy_high_j"][index] = _bounds(
        total
    )
    for name in ("cpu", "gpu", "dram"):
        part = energy.get(name)
        columns[f"{name}_j"][index] = np.nan if part is None else part["value"]
    columns["duration_s"][index] = trial.duration_s
    for name in COUNT_COLUMNS:
        columns[name][index] = _float(trial.metrics.get(name))
    for name, values in _series_columns([trial.series]).items():
        columns[name][index] = values[0]


def _interval_columns(stages: Sequence[Stage]) -> Columns:
    """Energies, duration, counts, series, accuracy and loss of intervals, one row each."""
    energies = [stage.energy_j or _NOTHING for stage in stages]
    columns = {
        f"energy{end}_j": _floats([energy.get(key) for energy in energies])
        for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    for name in ("cpu", "gpu", "dram"):
        columns[f"{name}_j"] = _floats([stage.by_component_j.get(name) for stage in stages])
    columns["duration_s"] = _floats([stage.duration_s for stage in stages])
    for name in COUNT_COLUMNS:
        columns[name] = _floats([stage.counts.get(name) for stage in stages])
    columns |= _series_columns([stage.series for stage in stages])
    for name in ("accuracy", "loss"):
        columns[name] = _floats([stage.attrs.get(name) for stage in stages])
    return columns


def _series_columns(series: Sequence[Mapping[str, float]]) -> Columns:
    """Means over the boards of a kind; memory is summed. Rows with the same series are read together."""
    columns = {name: np.full(len(series), np.nan) for name in SERIES_COLUMNS}
    alike: dict[tuple[str, ...], list[int]] = {}
    for row, one in enumerate(series):
        alike.setdefault(tuple(one), []).append(row)
    for names, rows in alike.items():
        values = np.array([list(series[row].values()) for row in rows], np.float64)
        for pattern, column in _SERIES:
            own = [place for place, name in enumerate(names) if pattern.fullmatch(name)]
            if own:
                part = values[:, own]
                columns[column][rows] = part.sum(axis=1) if "memory" in column else part.mean(axis=1)
    return columns


def _stage_columns(trials: Sequence[TrialResult], name: str) -> Columns:
    """``<name>_j`` with bounds and ``<name>_samples``: sums over the trial's stages of that name."""
    found = [trial.stages_named(name) for trial in trials]
    owner = np.repeat(np.arange(len(trials), dtype=np.int64), [len(stages) for stages in found])
    columns = _interval_columns([stage for stages in found for stage in stages])
    names = {
        "energy_j": "j",
        "energy_low_j": "low_j",
        "energy_high_j": "high_j",
        "gpu_j": "gpu_j",
        "samples": "samples",
    }
    return {f"{name}_{new}": _sums(columns[old], owner, len(trials)) for old, new in names.items()}


def _total_columns(trials: Sequence[TrialResult]) -> Columns:
    rows = np.array([_bounds((trial.energy_j or {}).get("total")) for trial in trials]).reshape(-1, 3)
    gpu = [(trial.energy_j or {}).get("gpu") for trial in trials]
    return {
        "total_j": rows[:, 0],
        "total_low_j": rows[:, 1],
        "total_high_j": rows[:, 2],
        "total_gpu_j": _floats(None if part is None else part["value"] for part in gpu),
        "total_duration_s": _floats(trial.duration_s for trial in trials),
    }


def _model_columns(trials: Sequence[TrialResult]) -> Columns:
    return {name: _floats(trial.metrics.get(name) for trial in trials) for name in MODEL_COLUMNS}


def _sums(values: Float64, owner: Int64, count: int) -> Float64:
    """Sums by owner; NaN where a part is missing or there is none (a sum with a hole is not known)."""
    sums = np.bincount(owner, values, minlength=count)
    return np.where(np.bincount(owner, minlength=count) > 0, sums, np.nan)


def _means(values: Float64, weights: Float64, owner: Int64, count: int) -> Float64:
    """Weighted means by owner over the rows that have a value."""
    known = np.isfinite(values) & np.isfinite(weights)
    weight = np.bincount(owner[known], weights[known], minlength=count)
    total = np.bincount(owner[known], (values * weights)[known], minlength=count)
    return np.divide(total, weight, out=np.full(count, np.nan), where=weight > 0)


def _bounds(energy: IntervalDict | None) -> tuple[float, float, float]:
    if energy is None:
        return np.nan, np.nan, np.nan
    return _float(energy["value"]), _float(energy["low"]), _float(energy["high"])


def _floats(values: Iterable[Any]) -> Float64:
    """Numbers as they are, None and words as NaN."""
    values = list(values)
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError):
        return np.array([_float(value) for value in values], np.float64)


def _float(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else np.nan
