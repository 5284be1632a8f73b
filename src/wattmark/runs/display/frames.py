"""A run as rows: its spans with their joules, and what the work reported beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from wattmark.documents import number
from wattmark.errors import MissingExtra
from wattmark.runs.metrics import metrics_of
from wattmark.runs.view import RunView

if TYPE_CHECKING:
    import pandas as pd


def rows_of(view: RunView) -> list[dict[str, object]]:
    """One row for each span (as :meth:`RunView.table` has them) and one for each moment at which metrics were logged, by
    time. Rows of metrics have ``t_s`` as ``start_s``, their ``step``, and ``energy_so_far_j``: the run's joules up to then.
    """
    metrics = metrics_of(view.record)
    if not metrics:
        return view.table()
    logged: dict[tuple[float, float | None], dict[str, float | None]] = {}
    for metric in metrics.values():
        for t_s, step, value in zip(metric.t_s, metric.step, metric.value, strict=True):
            logged.setdefault((t_s, step), {})[metric.name] = value
    so_far = _energy_so_far(view, [t_s for t_s, _ in logged])
    rows: list[dict[str, object]] = [
        {"kind": "metrics", "start_s": t_s, "step": step, "energy_so_far_j": energy_j, **values}
        for ((t_s, step), values), energy_j in zip(logged.items(), so_far, strict=True)
    ]
    rows += [{"kind": "span", **row} for row in view.table()]
    return sorted(rows, key=lambda row: number(row["start_s"]) or 0.0)


def data_frame(rows: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Rows as a pandas data frame. Raises MissingExtra without pandas."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra("pandas", "pandas") from error
    return pd.DataFrame(list(rows))


def _energy_so_far(view: RunView, moments_s: list[float]) -> list[float | None]:
    """Joules from the run's start to each moment; None where nothing was covered."""
    ends = view.record.start_ns + np.round(np.array(moments_s) * 1e9).astype(np.int64)
    energies = view.between(np.full_like(ends, view.record.start_ns), ends).values()
    if not energies:
        return [None] * len(moments_s)
    total = np.sum([energy.value_j for energy in energies], axis=0)
    covered = np.sum([energy.covered_s for energy in energies], axis=0) > 0
    return [float(value) if is_covered else None for value, is_covered in zip(total, covered, strict=True)]
