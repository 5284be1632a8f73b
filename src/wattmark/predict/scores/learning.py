"""Predictors that learn from this machine's own runs: fitted on demand, and when enough new runs came.

Never in a measured process: ``wattmark predict fit`` does it, and ``wattmark run --predict`` once its run is stored. Models
are kept in the data folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict.early import Trace, WarmUp
from wattmark.predict.live.model import kept_model, model_path
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.store import Store

FEWEST, NEW, MOST = 20, 0.25, 200
"""Runs that a fit needs, by which share there must be more of them before it is done again, and how many are looked at."""
POINTS = 256
SHORTEST_S = 5.0
_WORK = {"epoch", "epochs", "step", "steps"}


@dataclass(frozen=True, slots=True)
class Learned:
    """What was fitted. runs: on how many; saved: where it is kept."""

    model: WarmUp
    runs: int
    saved: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {"predictor": "early", "runs": self.runs, "basis": self.model.basis, "saved": self.saved}


def learn(store: Store) -> Learned:
    """Fit on this machine's own runs that completed and said how far they were. Raises ConfigError for too few."""
    named = list(_traces(store))
    traces = [trace for _, trace in named]
    if len(traces) < FEWEST:
        raise ConfigError(
            f"{len(traces)} runs of this machine tell how far they were; a fit needs {FEWEST}",
            hint="measure more with `wattmark run --predict`; until then the model that comes with Wattmark predicts",
        )
    model = WarmUp.fit(traces, f"{len(traces)} runs of this machine", kinds=[name for name, _ in named])
    path = model_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(json.dumps({**asdict(model), "runs": len(traces)}), encoding="utf-8")
    new.replace(path)
    return Learned(model, len(traces), str(path))


def is_due(store: Store) -> bool:
    """Whether enough new runs came since the last fit; a small question, without reading a run."""
    known = {one.run_id for one in store.predictions(predictor="early", host=os.uname().nodename)}
    kept = kept_model()
    return len(known) >= (FEWEST if kept is None else max(FEWEST, kept[1] * (1 + NEW)))


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
