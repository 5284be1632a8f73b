"""Metrics of a run with the joules up to each of their moments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fakes.records import rapl_record
from wattmark.dashboard.api.run.metrics import MOST_POINTS, metrics_with_energy
from wattmark.dashboard.context import Context, Options
from wattmark.store import open_store
from wattmark.workspace.runs import keep


def logged(count: int) -> dict[str, dict[str, list[float]]]:
    times = np.linspace(0, 10, count).tolist()
    return {
        "loss": {"t_s": times, "step": list(range(count)), "value": [1 / (row + 1) for row in range(count)]}
    }


@pytest.mark.parametrize("count", [1, 11, 5 * MOST_POINTS + 7])
def test_each_moment_has_the_joules_up_to_it(count: int) -> None:
    base = rapl_record(2)
    t_ns = np.arange(0, 11, dtype=np.int64) * 10**9
    curve = replace(base.curves[0], t_ns=t_ns, energy_uj=t_ns // 1000 * 50)
    record = replace(base, start_ns=0, end_ns=10**10, curves=(curve,), extra={"metrics": logged(count)})
    with open_store() as store:
        keep(store, record)
        (metric,) = metrics_with_energy(Context(store, Options()).runs.get(record.run_id)).metrics
    assert metric.name == "loss"
    assert len(metric.t_s) == len(metric.energy_j) <= MOST_POINTS + 1
    assert metric.t_s[-1] == logged(count)["loss"]["t_s"][-1]
    known = [(t, energy) for t, energy in zip(metric.t_s, metric.energy_j, strict=True) if energy is not None]
    assert [energy for _, energy in known] == pytest.approx([50 * t for t, _ in known])
    assert metric.energy_j[0] is None  # nothing is covered at the very start


def test_a_run_without_metrics_has_none() -> None:
    with open_store() as store:
        keep(store, rapl_record(5))
        assert metrics_with_energy(Context(store, Options()).runs.get("last")).metrics == []
