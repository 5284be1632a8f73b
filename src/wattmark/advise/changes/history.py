"""A study of runs that are kept: what differs between them is a factor, runs that differ in nothing are repeats.

Factors are the tags that vary, the name, and of benchmarks of a server its model, options and load. Nobody shuffled such
runs: what else changed meanwhile is in their differences, and the advice says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from wattmark.documents import mapping, number
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.runs.comparison import accuracy_of
from wattmark.runs.metrics import metrics_of, served_costs
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.studies.execution.measured import with_run
from wattmark.studies.results import StudyResults, TrialResult

FEWEST = 2
NOT_SHUFFLED = "the runs were not made for this comparison, nor in a shuffled order"
_OF_ONE_RUN = ("try-round", "try-stage", "gate", "try", "repeat", "seed", "trial")
"""Tags that number runs instead of saying what differs."""
_COSTS = {"output_tokens": "j_per_token", "requests": "j_per_request"}
AS_IT_IS = "as it is"


def study_of(views: Iterable[RunView], name: str) -> StudyResults:
    """Kept runs as the trials of a study. Raises ConfigError where there are too few, or where nothing differs."""
    trials = [_trial(view, number) for number, view in enumerate(views)]
    trials = [trial for trial in trials if trial.energy_j is not None]
    if len(trials) < FEWEST:
        raise ConfigError(
            f"{len(trials)} completed run(s) with energies fit: advice takes {FEWEST} at least",
            hint="wattmark ls; or try the levers: wattmark try -- CMD",
        )
    varying = _varying(trials)
    if not varying:
        raise ConfigError(
            "these runs differ in nothing that is known, so there is nothing to choose",
            hint="tag what differs: wattmark run --tag batch=64 -- CMD",
        )
    kept = [
        replace(trial, factors={name: trial.factors.get(name, "none") for name in varying})
        for trial in trials
    ]
    design: dict[str, object] = {"name": name}
    if any(trial.factors.get("lever") == AS_IT_IS for trial in kept):
        design["reference"] = {"lever": AS_IT_IS}
    return StudyResults(name, name, design, kept).in_scope()


def _varying(trials: Sequence[TrialResult]) -> list[str]:
    """Factors with several levels, at least one of which was repeated or which are few."""
    names = dict.fromkeys(name for trial in trials for name in trial.factors)
    found: list[str] = []
    for name in names:
        levels = {str(trial.factors.get(name, "none")) for trial in trials}
        if 1 < len(levels) < len(trials):
            found.append(name)
    if found:
        return found
    return [name for name in names if len({str(trial.factors.get(name)) for trial in trials}) > 1][:1]


def _trial(view: RunView, place: int) -> TrialResult:
    record = view.record
    bare = TrialResult(
        record.run_id,
        place,
        0,
        _factors(record),
        "completed",
        metrics=_metrics(record),
    )
    return with_run(bare, view)


def _factors(record: RunRecord) -> dict[str, object]:
    tags: dict[str, object] = {
        key: value or "yes" for key, value in record.tags.items() if key not in _OF_ONE_RUN
    }
    serving = mapping(record.extra.get("serving"))
    if not serving:
        return {"name": record.name, **tags} if "lever" not in tags else tags
    server, load = mapping(serving.get("server")), mapping(serving.get("load"))
    arrivals = mapping(load.get("arrivals"))
    loads = {
        name: value for name in ("concurrency", "rate") if (value := number(arrivals.get(name))) is not None
    }
    options = {
        name: value
        for name, value in mapping(server.get("options")).items()
        if isinstance(value, bool | int | float | str)
    }
    kept = {key: value for key, value in tags.items() if key not in ("kind", "workload")}
    return {**kept, "model": str(server.get("model") or server.get("description") or ""), **options, **loads}


def _metrics(record: RunRecord) -> dict[str, float]:
    values = {name: metric.last for name, metric in metrics_of(record).items()}
    accuracy = accuracy_of(record)
    told: Mapping[str, float | None] = {**({} if accuracy is None else {"accuracy": accuracy}), **values}
    metrics = {name: float(value) for name, value in told.items() if value is not None}
    for counted, cost in served_costs(record).items():
        metrics.update(_ends(_COSTS.get(counted, counted), cost))
    share = number(mapping(mapping(record.extra.get("serving")).get("energy")).get("idle_share"))
    return metrics if share is None else {**metrics, "idle_share": share}


def _ends(name: str, cost: Quantity) -> dict[str, float]:
    low, high = cost.interval()
    return {name: cost.value, f"{name}_low": low, f"{name}_high": high}
