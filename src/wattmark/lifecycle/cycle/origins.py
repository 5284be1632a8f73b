"""Where the joules of a stage come from: runs by name or tag, studies, and what the user states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wattmark.errors import ConfigError
from wattmark.lifecycle.cycle.amounts import stated
from wattmark.lifecycle.cycle.stages import INFERENCE, Stage
from wattmark.quantity import Quantity, total
from wattmark.runs.attribution import headline_of
from wattmark.runs.differences import counts_of
from wattmark.runs.metrics import served_costs
from wattmark.runs.view import RunView
from wattmark.studies.analysis.data.study_data import ENERGY, StudyData
from wattmark.studies.results import StudyResults
from wattmark.workspace.library import list_runs, view_of

KINDS = "run:REF, tag:K=V, study:NAME, or an energy (12 kWh, 10-12 kWh, 2 W x 30 d)"
MOST_RUNS = 2_000
SYNONYMS = {"sample": "samples", "request": "requests", "token": "tokens", "use": "uses"}


@dataclass(frozen=True, slots=True)
class Library:
    """Doors to what is kept: a run by its words, runs that have a tag, a study by its name."""

    run: Callable[[str], RunView]
    tagged: Callable[[str], Sequence[RunView]]
    study: Callable[[str], StudyResults]


def library_here() -> Library:
    """The store that the settings name, and the studies beside it."""
    from wattmark.studies.execution.state import load_results

    def tagged(word: str) -> list[RunView]:
        return [
            run.view
            for run in list_runs(tag=word, status=("completed", "failed", "interrupted"), limit=MOST_RUNS)
        ]

    return Library(view_of, tagged, load_results)


def stage_of(model: str, stage: str, words: str, library: Library) -> Stage:
    """The stage that ``words`` mean (:data:`KINDS`).

    Raises ConfigError, RunNotFound.
    """
    of_use = stage == INFERENCE
    unit = "J/use" if of_use else "J"
    kind, colon, rest = words.strip().partition(":")
    if not colon or kind not in ("run", "tag", "study"):
        energy = stated(words, f"{model}/{stage}", unit)
        if energy is None:
            raise ConfigError(f"{model}.{stage}: {words!r} is not understood", hint=KINDS)
        return Stage(stage, energy, f"stated: {words.strip()}", False)
    if kind == "study":
        return Stage(stage, _of_study(rest, of_use, library).with_unit(unit), words.strip(), True)
    ref, slash, count = rest.partition("/")
    if slash and not of_use:
        raise ConfigError(f"{model}.{stage} is spent once: {words!r} divides it", hint=f"{kind}:{ref}")
    views = [library.run(ref)] if kind == "run" else library.tagged(ref)
    if not views:
        raise ConfigError(f"no run has the tag {ref}", hint="wattmark ls --tag ...")
    energy = per_use(views, count) if of_use else energy_of(views)
    return Stage(stage, energy.with_unit(unit), f"{words.strip()} ({_names(views)})", True)


def energy_of(views: Iterable[RunView]) -> Quantity:
    """The joules of runs together; of a run within another one only that one counts. Raises ConfigError without any."""
    known = _outermost(views)
    energies = [(view, headline_of(view)[1]) for view in known]
    missing = [view.name for view, energy in energies if energy is None]
    if missing:
        raise ConfigError(f"no energy of {missing[0]} was measured", hint="wattmark sources")
    whole = total(energy for _, energy in energies if energy is not None)
    if whole is None:
        raise ConfigError("no energy was measured", hint="wattmark sources")
    return whole


def per_use(views: Sequence[RunView], count: str) -> Quantity:
    """Joules of a use: the runs' energy by what their spans counted, or what a benchmark of a server says of its requests.

    Raises ConfigError where nothing, or more than one thing, was counted.
    """
    wanted = SYNONYMS.get(count, count)
    known = _outermost(views)
    served = [served_costs(view.record) for view in known]
    if len(known) == 1 and served[0]:
        name = wanted or "requests"
        if name in served[0]:
            return served[0][name]
    sums: dict[str, float] = {}
    for view in known:
        for name, number in counts_of(view.record).items():
            sums[name] = sums.get(name, 0.0) + number
    sums = {name: number for name, number in sums.items() if number > 0}
    if not wanted and len(sums) == 1:
        (wanted,) = sums
    if wanted not in sums:
        names = sorted({*sums, *(name for costs in served for name in costs)})
        raise ConfigError(
            f"what is a use of {_names(known)}? It counts {', '.join(names) if names else 'nothing'}",
            hint=f"run:REF/{names[0]}" if names else "count it: with wm.span('serve', samples=n)",
        )
    return energy_of(known) / sums[wanted]


def _of_study(words: str, of_use: bool, library: Library) -> Quantity:
    """``NAME[?factor=level[&...]][/METRIC]``: of all its trials together, or the mean of a metric over them."""
    place, slash, metric = words.partition("/")
    name, _, levels = place.partition("?")
    results = library.study(name).in_scope()
    wanted = [pair.partition("=") for pair in levels.split("&") if pair]
    if of_use and not slash:
        metric, slash = "inference_energy_per_sample", "/"
    if not slash:  # what failed was spent too
        trials = [
            trial for trial in results.trials
            if all(str(trial.factors.get(key)) == level for key, _, level in wanted)
        ]  # fmt: skip
        from wattmark.studies.analysis.data.errors import energy_of as energy_of_trial

        energies = [energy for trial in trials if (energy := energy_of_trial(trial)) is not None]
        whole = total(energies)
        if whole is None:
            raise ConfigError(f"study {name} has no trial of {levels or 'any kind'} with an energy")
        return whole
    data = StudyData(results)
    rows = [
        row for row, trial in enumerate(data.trials)
        if all(str(trial.factors.get(key)) == level for key, _, level in wanted)
    ]  # fmt: skip
    if not rows:
        raise ConfigError(f"study {name} has no completed trial of {levels or 'any kind'}")
    if metric not in (*data.metric_names, ENERGY):
        raise ConfigError(f"study {name} has no metric {metric}", hint="wattmark study show lists them")
    mean = data.mean(data.group({}, rows), metric)
    if mean is None:
        raise ConfigError(f"{metric} of study {name} is not known there")
    if mean.unit not in ("J", "Wh"):
        raise ConfigError(f"{metric} of study {name} is in {mean.unit or 'no unit'}, which is no energy")
    return mean if mean.unit == "J" else (mean * 3600.0).with_unit("J")


def _outermost(views: Iterable[RunView]) -> list[RunView]:
    once = {view.id: view for view in views}
    return [view for view in once.values() if view.record.parent_id not in once]


def _names(views: Sequence[RunView]) -> str:
    names = list(dict.fromkeys(view.name for view in views))
    more = f" and {len(names) - 2} more" if len(names) > 3 else ""
    return f"{', '.join(names[: 2 if more else 3])}{more}"
