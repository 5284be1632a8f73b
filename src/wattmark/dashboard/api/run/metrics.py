"""What a run reported (a loss, an accuracy) beside the joules that it had used by then."""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel

from wattmark.dashboard.api.schemas import RunRef
from wattmark.dashboard.context import Here
from wattmark.dashboard.run_cache import OneRun
from wattmark.runs.metrics import metrics_of

router = APIRouter(prefix="/runs/{ref}", tags=["run"])
MOST_POINTS = 2000


class MetricSeries(BaseModel):
    """One metric. t_s: from the run's start; step: None where none was said; energy_j: the machine's joules up to then, None
    where nothing was covered. Of more than 2,000 points every so manyth is here, and the last."""

    name: str
    t_s: list[float]
    step: list[float | None]
    value: list[float | None]
    energy_j: list[float | None]


class Metrics(BaseModel):
    """All metrics of a run, as they were first reported."""

    metrics: list[MetricSeries]


@router.get("/metrics")
def metrics(here: Here, ref: RunRef) -> Metrics:
    """The run's metrics over time, step and joules."""
    return metrics_with_energy(here.runs.get(ref))


def metrics_with_energy(run: OneRun) -> Metrics:
    """Every metric with the joules up to each of its moments."""
    series: list[MetricSeries] = []
    for metric in metrics_of(run.record).values():
        count = len(metric.t_s)
        rows = list(range(0, count, -(-count // MOST_POINTS))) if count else []
        rows += [count - 1] if rows and rows[-1] != count - 1 else []
        times = [metric.t_s[row] for row in rows]
        series.append(
            MetricSeries(
                name=metric.name,
                t_s=times,
                step=[metric.step[row] for row in rows],
                value=[metric.value[row] for row in rows],
                energy_j=_energy_until(run, times),
            )
        )
    return Metrics(metrics=series)


def _energy_until(run: OneRun, times_s: list[float]) -> list[float | None]:
    ends = run.record.start_ns + np.round(np.array(times_s) * 1e9).astype(np.int64)
    starts = np.full_like(ends, run.record.start_ns)
    parts = [curve.energies(starts, ends) for part in run.parts if part.counted for curve in part.curves]
    if not parts:
        return [None] * len(times_s)
    total = np.sum([part.value_j for part in parts], axis=0)
    covered = np.sum([part.covered_s for part in parts], axis=0) > 0
    return [float(value) if known else None for value, known in zip(total, covered, strict=True)]
