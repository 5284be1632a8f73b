"""From a run to a trial's numbers: energies by stage, means of the side series, a thin profile of power."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from wattmark.documents import mapping, numbers
from wattmark.quantity import IntervalDict, Quantity, QuantityDict
from wattmark.runs.attribution import attributed, contention
from wattmark.runs.record import Float64, RunRecord
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView, SpanView
from wattmark.studies.results import Stage, TrialResult

PROFILE_POINTS = 400
MAX_STAGES = 5_000
"""Of a trial with more spans than this only the outer levels are kept as stages; its run in the store has all."""


def with_run(trial: TrialResult, view: RunView) -> TrialResult:
    """A trial with what its run measured."""
    record = view.record
    summary = summarise(view, spans=False)
    stages, warnings = _stages(view)
    tree = _tree(view)
    energies = {"total": summary.energy, **summary.energy_by_component}
    return replace(
        trial,
        run_id=record.run_id,
        started_at=summary.started_at,
        duration_s=record.duration_s,
        energy_j=None if summary.energy is None else _as_dicts(energies),
        methods={curve.curve.channel.component: curve.curve.channel.method for curve in view.counted},
        power_w={"mean": summary.mean_power_w, "peak": summary.peak_power_w},
        coverage=summary.coverage,
        stages=stages,
        series=_means(record, record.start_ns, record.end_ns),
        power_profile=_profile(view),
        contention=contention(record),
        tree_j=None if tree is None else _as_dicts(tree),
        recorder=numbers({key: record.recorder.get(key) for key in ("cpu_s", "over_s", "rss_bytes")}),
        host=record.host,
        warnings=[*trial.warnings, *(warning.as_dict() for warning in summary.warnings), *warnings],
    )


def environment_of(record: RunRecord) -> dict[str, object]:
    """What a report says of the machine; nothing of the one process."""
    left_out = ("process", "session")
    facts = {key: value for key, value in record.environment.items() if key not in left_out}
    process = mapping(record.environment.get("process"))
    channels = [
        {
            "id": c.id,
            "component": c.component,
            "source": c.source,
            "method": c.method,
            "counted": c.counted,
            "accuracy": c.accuracy._asdict(),
        }
        for c in (curve.channel for curve in record.curves)
    ]
    recorder = {key: record.recorder.get(key) for key in ("period_s", "version")}  # its cost differs by trial
    return {**facts, "python": process.get("python"), "channels": channels, "recorder": recorder}


def _stages(view: RunView) -> tuple[list[Stage], list[dict[str, str]]]:
    spans = view.spans()
    deepest = max((span.path.count("/") for span in spans), default=0)
    stages = spans
    while len(stages) > MAX_STAGES and deepest > 0:
        deepest -= 1
        stages = [span for span in spans if span.path.count("/") <= deepest]
    stages = stages[:MAX_STAGES]
    cut = [
        {"code": "stages-cut", "message": f"{len(spans)} spans, of which {len(stages)} are kept as stages"}
    ]
    return [_stage(view, span) for span in stages], cut if len(stages) < len(spans) else []


def _tree(
    view: RunView, start_ns: int | None = None, end_ns: int | None = None
) -> dict[str, Quantity] | None:
    """Energies of the process tree, ``total`` and by component."""
    share = attributed(view, start_ns, end_ns)
    return None if share is None else {"total": share.energy, **share.by_component}


def _stage(view: RunView, span: SpanView) -> Stage:
    record = view.record
    start_ns = record.start_ns + round(span.start_s * 1e9)
    tree = _tree(view, start_ns, start_ns + round(span.duration_s * 1e9))
    return Stage(
        name=span.name,
        path=span.path,
        start_s=span.start_s,
        duration_s=span.duration_s,
        energy_j=None if span.energy is None else _ends(span.energy),
        by_component_j={component: quantity.value for component, quantity in span.by_component.items()},
        counts=dict(span.counts),
        attrs=dict(span.attrs),
        series=_means(record, start_ns, start_ns + round(span.duration_s * 1e9)),
        tree_j=None if tree is None else {name: _ends(energy) for name, energy in tree.items()},
    )


def _as_dicts(energies: Mapping[str, Quantity | None]) -> dict[str, QuantityDict]:
    return {name: energy.as_dict() for name, energy in energies.items() if energy is not None}


def _ends(energy: Quantity) -> IntervalDict:
    """Without its terms: of thousands of stages they would fill the file."""
    low, high = energy.interval()
    return {"value": energy.value, "low": low, "high": high}


def _means(record: RunRecord, start_ns: int, end_ns: int) -> dict[str, float]:
    """Mean of every side series over [start, end]; a series without a reading in there is left out."""
    means: dict[str, float] = {}
    for item in record.series:
        first, last = np.searchsorted(item.t_ns, (start_ns, end_ns + 1))
        values = item.values[first:last]
        values = values[~np.isnan(values)]
        if len(values):
            means[item.series.id] = float(values.mean(dtype=np.float64))
    return means


def _profile(view: RunView) -> tuple[list[float], list[float]]:
    gap_s = min((curve.usual_gap_s for curve in view.counted if curve.usual_gap_s > 0), default=0.0)
    if gap_s <= 0:
        return [], []
    bins = int(np.clip(view.record.duration_s / gap_s, 1, PROFILE_POINTS))
    power = view.power(bins)
    t_s = power.pop("t_s")
    total: Float64 = np.sum(list(power.values()), axis=0)
    valid = ~np.isnan(total)
    return np.round(t_s[valid], 4).tolist(), np.round(total[valid], 4).tolist()
