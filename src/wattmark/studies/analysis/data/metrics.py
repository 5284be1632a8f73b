"""The metrics of a study, each defined once: unit, formula, source (docs/science/metrics.md says more).

"Study" in the sources is arXiv 2503.23934 and its forerunner 2406.14328; where those give a metric only by name, the
formula is the one in the authors' published code (github.com/ioannismavromatis/sustainable-ai, plots/plots.ipynb),
with its slips of unit put right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wattmark.statistics import Float64, finite
from wattmark.studies.analysis.data.columns import Columns, Frame, frame
from wattmark.studies.results import StudyResults, TrialResult
from wattmark.units import J_PER_WH

Table = dict[str, NDArray[Any]]

_STUDY = "arXiv 2503.23934, 2406.14328"
_CODE = f"{_STUDY}; authors' code, plots/plots.ipynb"
_OURS = "Wattmark"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``compute`` works on columns (see columns.py), one value per row, NaN where it is not known."""

    name: str
    unit: str
    formula: str
    source: str
    compute: Callable[[Columns], Float64]
    trial_only: bool = False

    def __call__(self, trial: TrialResult) -> float | None:
        """The metric of one trial; None where something it needs is missing."""
        return finite(float(self.of(frame([trial]).columns)[0]))

    def of(self, columns: Columns) -> Float64:
        """The metric of every row."""
        with np.errstate(divide="ignore", invalid="ignore"):
            values = self.compute(columns)
        return np.where(np.isfinite(values), values, np.nan)


def _column(name: str) -> Callable[[Columns], Float64]:
    return lambda c: c[name]


def _ratio(above: str, below: str, factor: float = 1.0) -> Callable[[Columns], Float64]:
    return lambda c: factor * c[above] / c[below]


def _power(component: str) -> Callable[[Columns], Float64]:
    return lambda c: c[f"{component}_j"] / c["duration_s"]


def _processors(c: Columns, cpu: Float64, gpu: Float64) -> Float64:
    """(cpu + gpu) / (cpu W + gpu W). A machine without a GPU has neither term of it; a half-known one gives NaN."""
    cpu_w, gpu_w = c["cpu_j"] / c["duration_s"], c["gpu_j"] / c["duration_s"]
    without_gpu = np.isnan(gpu) & np.isnan(gpu_w)
    return (cpu + np.where(without_gpu, 0.0, gpu)) / (cpu_w + np.where(without_gpu, 0.0, gpu_w))


def _memory_efficiency(c: Columns) -> Float64:
    host = 100 * c["host_memory_used"] / c["host_memory_total"]
    return _processors(c, host, 100 * c["gpu_memory_used"] / c["gpu_memory_total"])


def _work_done(c: Columns) -> Float64:
    return c["trainable_parameters"] / (c["duration_s"] / c["epochs"])


_ALL = (
    Metric("total_energy", "J", "energy of the whole trial", _OURS, _column("total_j"), trial_only=True),
    Metric("training_energy_j", "J", "E_tr: joules of the training epochs", _STUDY, _column("training_j"), trial_only=True),
    Metric("training_energy_wh", "Wh", "E_tr / 3600", _STUDY, lambda c: c["training_j"] / J_PER_WH, trial_only=True),
    Metric("inference_energy_j", "J", "E_in: joules of the inferences", _STUDY, _column("inference_j"), trial_only=True),
    Metric("inference_energy_wh", "Wh", "E_in / 3600", _STUDY, lambda c: c["inference_j"] / J_PER_WH, trial_only=True),
    Metric("epoch_energy", "J", "training energy / epochs", _STUDY, _ratio("energy_j", "epochs")),
    Metric("epoch_duration", "s", "training time / epochs", _STUDY, _ratio("duration_s", "epochs")),
    Metric("energy_per_sample", "J", "training energy / samples seen", _STUDY, _ratio("energy_j", "samples")),
    Metric(
        "inference_energy_per_sample", "J", "E_in / samples", _STUDY,
        _ratio("inference_j", "inference_samples"), trial_only=True,
    ),
    Metric("energy_per_step", "J", "training energy / optimiser steps", _CODE, _ratio("energy_j", "steps")),
    Metric("power", "W", "training energy / training time", _STUDY, _power("energy")),
    Metric("cpu_power", "W", "CPU energy / training time", _STUDY, _power("cpu")),
    Metric("gpu_power", "W", "GPU energy / training time", _STUDY, _power("gpu")),
    Metric("dram_power", "W", "DRAM energy / training time", _STUDY, _power("dram")),
    Metric("cpu_utilisation", "%", "mean over the training", _STUDY, _column("cpu_util")),
    Metric("gpu_utilisation", "%", "mean over the training and over the GPUs", _STUDY, _column("gpu_util")),
    Metric("gpu_memory", "B", "mean over the training, summed over the GPUs", _STUDY, _column("gpu_memory_used")),
    Metric("parameters", "1", "parameters of the model", _STUDY, _column("parameters")),
    Metric("trainable_parameters", "1", "trainable parameters of the model", _STUDY, _column("trainable_parameters")),
    Metric("model_bytes", "B", "bytes of parameters and buffers", _STUDY, _column("model_bytes")),
    Metric("macs", "1", "multiply-accumulates of one sample's forward pass", _STUDY, _column("macs")),
    Metric("macs_param", "1", "macs / trainable parameters", _CODE, _ratio("macs", "trainable_parameters")),
    Metric("work_done", "1/s", "trainable parameters / epoch duration", _CODE, _work_done),
    Metric(
        "work_per_unit_energy", "1/(s J)", "work_done / epoch energy", _CODE,
        lambda c: _work_done(c) / (c["energy_j"] / c["epochs"]),
    ),
    Metric("cpu_efficiency", "W/%", "cpu_power / cpu_utilisation", _CODE, lambda c: _power("cpu")(c) / c["cpu_util"]),
    Metric("gpu_efficiency", "W/%", "gpu_power / gpu_utilisation", _CODE, lambda c: _power("gpu")(c) / c["gpu_util"]),
    Metric(
        "system_efficiency", "%/W", "(cpu_utilisation + gpu_utilisation) / (cpu_power + gpu_power)", _CODE,
        lambda c: _processors(c, c["cpu_util"], c["gpu_util"]),
    ),
    Metric(
        "memory_efficiency", "%/W", "(host memory in use % + GPU memory in use %) / (cpu_power + gpu_power)",
        f"{_CODE}, units put right", _memory_efficiency,
    ),
    Metric(
        "cpu_thermal_efficiency", "°C/W", "CPU temperature / cpu_power", _CODE,
        lambda c: c["cpu_temp"] / _power("cpu")(c),
    ),
    Metric(
        "gpu_thermal_efficiency", "°C/W", "GPU temperature / gpu_power", _CODE,
        lambda c: c["gpu_temp"] / _power("gpu")(c),
    ),
    Metric(
        "overall_efficiency", "samples/J", "accuracy * samples / training energy",
        f"{_OURS}: the study names it, its definition could not be found",
        lambda c: c["accuracy"] * c["samples"] / c["energy_j"],
    ),
    Metric("accuracy", "1", "on the test set, 0..1 (an epoch's own where none was tested)", _STUDY, _column("accuracy")),
    Metric("loss", "1", "as the workload reports it", _STUDY, _column("loss")),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}


def metric_columns(columns: Columns, *, per_epoch: bool = False) -> Columns:
    """Every metric of every row; those of whole trials are left out of epochs."""
    return {name: m.of(columns) for name, m in METRICS.items() if not (per_epoch and m.trial_only)}


def gpu_only(columns: Columns) -> Columns:
    """The same intervals with the GPUs' energy alone: all energies and the power are theirs, the CPU's are missing."""
    missing = np.full(len(columns["energy_j"]), np.nan)
    own = dict(columns)
    own["energy_j"] = columns["gpu_j"]
    own["cpu_j"] = own["dram_j"] = own["cpu_util"] = own["cpu_temp"] = missing
    if "training_j" in columns:
        own["training_j"] = np.where(np.isfinite(columns["training_j"]), columns["gpu_j"], np.nan)
        own["inference_j"], own["total_j"] = columns["inference_gpu_j"], columns["total_gpu_j"]
    return own


def table(results: StudyResults, per: Literal["trial", "epoch"] = "trial") -> Table:
    """Completed trials, or their epochs, as columns of one length: who, the varying factors, every metric.

    Numbers are float64 with NaN where something is missing; ``pandas.DataFrame(table(...))`` works as it is. A factor
    that has the name of a column here gets ``factor_`` before it.
    """
    return table_of(frame(results.completed), results.factors, per)


def table_of(data: Frame, factors: Sequence[str], per: Literal["trial", "epoch"]) -> Table:
    """:func:`table` of columns that are at hand already."""
    trials = data.trials
    if per == "trial":
        rows, columns = np.arange(len(trials)), data.columns
    else:
        rows, columns = data.owner, data.epochs
    found: Table = {
        "trial_id": np.array([trial.trial_id for trial in trials], object)[rows],
        "repeat": np.array([trial.repeat for trial in trials], np.int64)[rows],
        "host": np.array([trial.host for trial in trials], object)[rows],
    }
    if per == "epoch":
        found["epoch"] = _numbers_within(data.owner)
    metrics = metric_columns(columns, per_epoch=per == "epoch")
    taken = {*found, *metrics, "duration_s", "epochs"}
    for name in factors:
        levels = np.array([trial.factors.get(name) for trial in trials], object)
        found[f"factor_{name}" if name in taken else name] = levels[rows]
    found["duration_s"], found["epochs"] = columns["duration_s"], columns["epochs"]
    return {**found, **metrics}


def _numbers_within(owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2 ... restarting with each owner (rows of one owner are neighbours)."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    lengths = np.diff(np.append(starts, len(owner)))
    return np.arange(len(owner)) - np.repeat(starts, lengths)
