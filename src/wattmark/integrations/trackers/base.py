"""What a tracker is told: numbers at the steps that they belong to while a training goes on, and its ending.

Names are grouped as trackers group them, by what stands before the slash: ``energy/total_j``, ``system/cpu_power_watts``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from wattmark.quantity import Quantity
from wattmark.runs.result import RunResult
from wattmark.runs.view import RunView

PREFIX = "energy"


@dataclass(frozen=True, slots=True)
class Point:
    """Numbers that belong to one step. wall_ns: nanoseconds since 1970; step: as the framework counts, None if it does
    not."""

    values: Mapping[str, float]
    step: int | None
    wall_ns: int


@dataclass(frozen=True, slots=True)
class Ending:
    """A run that is over. total: J of this run and of those that it went on from; earlier: how many those are."""

    view: RunView
    result: RunResult
    total: Quantity | None
    earlier: int = 0


class Tracker(Protocol):
    """Where numbers go. What it raises is told once and ends nothing but its own part."""

    def log(self, points: Sequence[Point]) -> None:
        """Numbers by step, each point once, mostly in the order of their times."""
        ...

    def finish(self, ending: Ending) -> None:
        """The work is over: what the tracker's tables, pages and files show of a whole run."""
        ...


def with_ends(name: str, quantity: Quantity) -> dict[str, float]:
    """``energy/total_j`` with the ends of its 95 % interval, ``energy/total_low_j`` and ``energy/total_high_j``."""
    head, _, unit = name.rpartition("_")
    return {
        f"{PREFIX}/{name}": quantity.value,
        f"{PREFIX}/{head}_low_{unit}": quantity.low,
        f"{PREFIX}/{head}_high_{unit}": quantity.high,
    }


def summary_values(ending: Ending) -> dict[str, float]:
    """The numbers of a run that a table of runs shows beside its accuracy; what is not known is not there."""
    result = ending.result
    values: dict[str, float] = {}
    if ending.total is not None:
        values |= with_ends("total_j", ending.total)
    if result.attributed is not None:
        values |= with_ends("process_tree_j", result.attributed.energy)
    if result.mean_power_w is not None:
        values[f"{PREFIX}/mean_power_w"] = result.mean_power_w
    if result.peak_power_w is not None:
        values[f"{PREFIX}/peak_power_w"] = result.peak_power_w
    if result.carbon is not None:
        values |= with_ends("carbon_g", result.carbon.grams)
    values[f"{PREFIX}/coverage"] = result.coverage
    values[f"{PREFIX}/duration_s"] = result.duration_s
    return values


def summary_words(ending: Ending) -> dict[str, str]:
    """Words about a run for a tracker's tags: the run, how its joules were got, where its carbon comes from."""
    result = ending.result
    methods = ", ".join(
        f"{component}: {' and '.join(sorted(names))}" for component, names in sorted(result.methods.items())
    )
    words = {"wattmark.run_id": result.run_id, "wattmark.status": result.status, "wattmark.methods": methods}
    if result.carbon is not None:
        words["wattmark.zone"] = result.carbon.zone
    return {name: text for name, text in words.items() if text}


def system_series(view: RunView, bins: int = 500) -> list[tuple[str, int, float]]:
    """Power by component over time as trackers keep system metrics: (name, nanoseconds since 1970, watts)."""
    power = view.power(bins) if view.record.duration_s * 10 > bins else view.power()
    times = power.pop("t_s")
    started_ns = view.record.started_wall_ns
    return [
        (f"system/{component}_power_watts", started_ns + round(t_s * 1e9), float(watts))
        for component, series in power.items()
        for t_s, watts in zip(times.tolist(), series.tolist(), strict=True)
        if watts == watts  # a hole is no zero
    ]


def active_trackers() -> list[Tracker]:
    """Those that this process has loaded and that have a run open: MLflow, Weights & Biases, Aim and ClearML say so."""
    trackers: list[Tracker] = []
    if "mlflow" in sys.modules:
        from wattmark.integrations.trackers.mlflow import MLflowTracker

        trackers += MLflowTracker.active()
    if "wandb" in sys.modules:
        from wattmark.integrations.trackers.wandb import WandbTracker

        trackers += WandbTracker.active()
    return trackers
