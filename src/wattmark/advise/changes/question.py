"""``wm.advise(...)``: what to change, from a study, from kept runs, or from one run and those like it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace

from wattmark.advise.changes.advice import Advice, Marginal, advice_of, marginals
from wattmark.advise.changes.history import NOT_SHUFFLED, study_of
from wattmark.errors import ConfigError
from wattmark.runs.view import RunView
from wattmark.store import Store
from wattmark.studies.analysis import analyse
from wattmark.studies.execution.state import load_results, study_names
from wattmark.studies.handle import Study
from wattmark.studies.results import StudyResults
from wattmark.tracker.run import Run
from wattmark.workspace.library import RunLike, view_of
from wattmark.workspace.runs import store_here

MOST_RUNS = 500


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change. source: what it was read from; advice: the strongest first; levels: every factor's levels beside the
    cheapest; notes: what must be known with it."""

    source: str
    trials: int
    factors: tuple[str, ...]
    metric: str
    advice: tuple[Advice, ...]
    levels: tuple[Marginal, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The object of ``wattmark advise --json``."""
        return {
            "source": self.source,
            "trials": self.trials,
            "factors": list(self.factors),
            "metric": self.metric,
            "advice": [one.to_dict() for one in self.advice],
            "levels": [one.to_dict() for one in self.levels],
            "notes": list(self.notes),
        }


def advise(
    source: RunLike | Study | StudyResults | None = None,
    *,
    tag: str | Iterable[str] | None = None,
    name: str | None = None,
) -> Changes:
    """What to change: from a study (its name, or itself), from runs with a tag or a name, or from one run, beside the other
    runs of its name.

    Says what the data carry and nothing else; a list without advice says that they carry none. Raises ConfigError where
    there is too little to compare, RunNotFound, MissingExtra without scipy.
    """
    if isinstance(source, Study):
        return _of_study(source.results)
    if isinstance(source, StudyResults):
        return _of_study(source)
    if isinstance(source, str) and tag is None and name is None and source in study_names():
        return _of_study(load_results(source))
    if source is not None and (tag is not None or name is not None):
        raise ConfigError(
            "a run and a choice of runs exclude each other", hint="wattmark advise --tag project=a"
        )
    with store_here() as store:
        if source is not None:
            view = source.view if isinstance(source, Run) else view_of(source)
            serving = "serving" in view.record.extra
            views = _completed(store, None if serving else view.name, "kind=serving" if serving else ())
            asked = "benchmarks of a server" if serving else f"runs named {view.name}"
        elif tag is not None or name is not None:
            words = [tag] if isinstance(tag, str) else list(tag or ())
            views = _completed(store, name, words)
            asked = f"runs with {' '.join([*words, *([f'name {name}'] if name else [])])}"
        else:
            raise ConfigError(
                "advice on what?",
                hint="name a study or a run (last), or runs by --tag: wattmark advise --tag project=a",
            )
    results = study_of(views, asked)
    return _of_runs(results)


def _completed(store: Store, name: str | None, tag: str | Iterable[str]) -> list[RunView]:
    words = tag if isinstance(tag, str) else tuple(tag)
    kept = store.summaries(status="completed", name=name, tag=words, limit=MOST_RUNS)
    return [RunView(store.get(one.run_id)) for one in kept]


def _of_study(results: StudyResults) -> Changes:
    analysis = analyse(results)
    return Changes(
        f"the study {results.name}",
        len(results.completed),
        analysis.factors,
        analysis.pareto_metric,
        tuple(advice_of(results, analysis)),
        tuple(marginals(analysis)),
        _notes(results),
    )


def _of_runs(results: StudyResults) -> Changes:
    analysis = analyse(results)
    found = [_with_command(one, results) for one in advice_of(results, analysis, "")]
    return Changes(
        results.name,
        len(results.completed),
        analysis.factors,
        analysis.pareto_metric,
        tuple(found),
        tuple(marginals(analysis)),
        (NOT_SHUFFLED, *_notes(results)) if "reference" not in results.design else _notes(results),
    )


def _with_command(advice: Advice, results: StudyResults) -> Advice:
    first = next(iter(results.factors), "name")
    levels = list(dict.fromkeys(str(trial.factors.get(first)) for trial in results.completed))[:2]
    words = " ".join(shlex.quote(level) for level in levels)
    return replace(advice, command=f"wattmark compare --by {shlex.quote(first)} {words}")


def _notes(results: StudyResults) -> tuple[str, ...]:
    methods = {method for trial in results.completed for method in trial.methods.values()}
    notes: list[str] = []
    if methods == {"modelled"}:
        notes.append("the joules are modelled (CPU time times a curve)")
    elif "modelled" in methods:
        notes.append("some of the joules are modelled")
    if results.scope == "tree":
        notes.append("other work kept the machine busy: the joules are those of the process trees")
    return tuple(notes)
