"""Predictors that learn from this machine's own runs: fitted on demand, and when enough new runs came.

Never in a measured process: ``wattmark predict fit`` does it, and ``wattmark run --predict`` once its run is stored. Models
are kept in the data folder.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict.early import Trace, WarmUp
from wattmark.predict.live.model import last_fit, model_here, model_path
from wattmark.predict.live.ongoing import EARLY
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.store import Store
from wattmark.store.predictions.rows import StoredPrediction

FEWEST, NEW, MOST = 20, 0.25, 200
"""Runs that a fit needs, by which share there must be more of them before it is done again, and how many are looked at."""
SCORED = 10
"""Scored runs of a stage from which on its intervals are made wider or narrower by how often they held."""
NARROWEST, WIDEST = 0.5, 20.0
POINTS = 256
SHORTEST_S = 5.0
_WORK = {"epoch", "epochs", "step", "steps"}


@dataclass(frozen=True, slots=True)
class Learned:
    """What was fitted. runs: on how many; saved: where it is kept; widths: by stage, what intervals are multiplied by."""

    model: WarmUp
    runs: int
    saved: str
    widths: dict[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "predictor": "early",
            "runs": self.runs,
            "basis": self.model.basis,
            "widths": {f"{stage:g}": factor for stage, factor in self.widths.items()},
            "saved": self.saved,
        }


def learn(store: Store) -> Learned:
    """Fit on this machine's own runs that completed and said how far they were; set the widths by what was scored.

    Raises ConfigError where there are too few for either.
    """
    named = list(_traces(store))
    traces = [trace for _, trace in named]
    widths = widths_of(store.predictions(predictor=EARLY, host=os.uname().nodename))
    if len(traces) < FEWEST and not widths:
        raise ConfigError(
            f"{len(traces)} runs of this machine tell how far they were; a fit needs {FEWEST}, "
            f"or {SCORED} that were predicted",
            hint="measure more with `wattmark run --predict`; until then the model that comes with Wattmark predicts",
        )
    if len(traces) < FEWEST:
        model = model_here()
    else:
        kinds = [name for name, _ in named]
        model = WarmUp.fit(traces, f"{len(traces)} runs of this machine", kinds=kinds)
    path = model_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    said = {
        **asdict(model),
        "runs": len(traces),
        "widths": [[stage, factor] for stage, factor in widths.items()],
        "wall_ns": time.time_ns(),
    }
    new.write_text(json.dumps(said), encoding="utf-8")
    new.replace(path)
    return Learned(model, len(traces), str(path), widths)


def is_due(store: Store) -> bool:
    """Whether enough new runs came since the last fit; a small question, without reading a run."""
    runs, since_ns = last_fit()
    new = {
        one.run_id
        for one in store.predictions(predictor=EARLY, host=os.uname().nodename)
        if one.made_wall_ns > since_ns
        and one.actual_status == "completed"
        and (one.actual_time_s or 0.0) >= SHORTEST_S
    }
    return len(new) >= max(SCORED, NEW * runs)


def widths_of(predictions: Sequence[StoredPrediction]) -> dict[float, float]:
    """By stage, the factor that makes 90 % of the intervals hold: the conformal quantile of how far each would have had to
    reach, in units of how far it reached before any factor; stages with fewer than :data:`SCORED` runs have none."""
    ratios: dict[float, list[float]] = {}
    for one in predictions:
        came = one.actual_energy_j
        if one.stage is None or one.actual_status != "completed" or came is None or came <= 0:
            continue
        end = one.energy_high_j if came > one.energy_j else one.energy_low_j
        reach = abs(end - one.energy_j) / float(one.details.get("widened") or 1.0)
        if reach > 0:
            ratios.setdefault(one.stage, []).append(abs(came - one.energy_j) / reach)
    widths: dict[float, float] = {}
    for stage, values in sorted(ratios.items()):
        place = math.ceil(0.9 * (len(values) + 1))
        if len(values) >= SCORED:
            ordered = sorted(values)
            factor = ordered[place - 1] if place <= len(values) else ordered[-1]
            widths[stage] = min(max(factor, NARROWEST), WIDEST)
    return widths


def trace_of(record: RunRecord) -> Trace | None:
    """A run's power over time in equal pieces; None where it was not measured throughout."""
    view = RunView(record)
    if record.duration_s <= 0 or not view.energy_by_component or view.coverage < 0.95:
        return None
    edges = np.linspace(record.start_ns, record.end_ns, POINTS + 1).astype(np.int64)
    energies = view.between(edges[:-1], edges[1:])
    joules = np.sum([one.value_j for one in energies.values()], axis=0)
    watts = joules / (np.diff(edges) / 1e9)
    if not np.isfinite(watts).all() or not (watts > 0).any():
        return None
    return Trace((edges[1:] - edges[0]) / 1e9, watts)


def _traces(store: Store) -> Iterator[tuple[str, Trace]]:
    """Names and traces of the runs that a fit may take."""
    for summary in store.summaries(status="completed", host=os.uname().nodename, limit=MOST):
        if summary.duration_s < SHORTEST_S or summary.energy_j is None:
            continue
        record = store.get(summary.run_id)
        said = {"expected", "predictions"} & record.extra.keys()
        if said or _WORK & {name.casefold() for name in record.spans.names}:
            trace = trace_of(record)
            if trace is not None:
                yield record.name, trace
