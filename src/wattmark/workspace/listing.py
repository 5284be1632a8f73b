"""Runs as a list shows them: the trials of one study as one line, their joules added by the rules of totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from wattmark.quantity import Quantity
from wattmark.runs.totals import without_parts
from wattmark.store import RunSummary, Store
from wattmark.workspace.runs import list_runs
from wattmark.workspace.totals import headline_part_of, totals

STUDY, TRIAL = "study", "trial"
"""The tags of a run that is a trial of a study: whose, and which."""


@dataclass(frozen=True, slots=True)
class StudyLine:
    """The trials of one study. started_at: of the newest; duration_s and energy (J, None where none is known) of all."""

    name: str
    trials: tuple[RunSummary, ...]
    started_at: datetime
    duration_s: float
    energy: Quantity | None

    @property
    def statuses(self) -> dict[str, int]:
        """How many trials ended how, the most frequent first."""
        counts: dict[str, int] = {}
        for trial in self.trials:
            counts[trial.status] = counts.get(trial.status, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: -pair[1]))

    @property
    def is_modelled(self) -> bool:
        """Whether half of the joules, or more, are of models."""
        return any(is_modelled(trial) for trial in self.trials)


def is_modelled(run: RunSummary) -> bool:
    """Whether half of the energy that a run is known by, or more, is a model's."""
    part, whole = headline_part_of(run, ("modelled",)), run.headline
    return part is not None and whole is not None and part.value >= whole.value / 2


def lines(
    store: Store,
    *,
    status: Sequence[str] = (),
    tags: Sequence[str] = (),
    name: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[RunSummary | StudyLine]:
    """At most ``limit`` lines, the newest first, of the runs that fit (as :func:`~wattmark.workspace.runs.list_runs` has
    them). A study's line has all its trials that fit, however many those are."""
    found: list[RunSummary | StudyLine] = []
    studies: set[str] = set()
    asked = limit
    while True:
        runs = list_runs(store, status=status, tags=tags, name=name, since=since, limit=asked)
        found.clear()
        studies.clear()
        for run in without_parts(runs):
            study = run.tags.get(STUDY) if TRIAL in run.tags else None
            if study is None:
                found.append(run)
            elif study not in studies:
                studies.add(study)
                of_study = [*tags, f"{STUDY}={study}", TRIAL]
                trials = list_runs(store, status=status, tags=of_study, name=name, since=since)
                found.append(_study(study, trials) if len(trials) > 1 else run)
        if limit is None or asked is None or len(found) >= limit or len(runs) < asked:
            return found[:limit]
        asked *= 4


def runs_of(listed: Sequence[RunSummary | StudyLine]) -> list[RunSummary]:
    """Each run of the lines, the trials of studies too, the newest first."""
    runs = [run for line in listed for run in ([line] if isinstance(line, RunSummary) else line.trials)]
    return sorted(runs, key=lambda run: run.started_at, reverse=True)


def _study(name: str, trials: Sequence[RunSummary]) -> StudyLine:
    added = totals(trials, by="name").all
    started = max(trial.started_at for trial in trials)
    return StudyLine(name, tuple(trials), started, sum(trial.duration_s for trial in trials), added.energy)
