"""What if: runs to ask about, scenarios and their outcomes, and profiles of EnergyVis as runs."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Query

from wattmark.dashboard.api.whatif import profiles as whatif_profiles
from wattmark.dashboard.api.whatif.answers import differences, side_out
from wattmark.dashboard.api.whatif.lines import line_of, started_at
from wattmark.dashboard.api.whatif.runs import run_view, stated
from wattmark.dashboard.api.whatif.schemas import (
    Account,
    AlternativeOut,
    Answer,
    Asked,
    Cap,
    Factor,
    InstalledOut,
    RunHead,
    RunLine,
    WhatIf,
)
from wattmark.dashboard.context import Context, Here
from wattmark.errors import ConfigError
from wattmark.impact import named_pues
from wattmark.predict import Outcome, Scenario, evaluate
from wattmark.predict.whatif.energyvis import recorded
from wattmark.predict.whatif.scenario import HardwareChoice
from wattmark.runs.view import RunView
from wattmark.studies.execution.state import DESIGN, TRIALS, StudyFolder, studies_dir
from wattmark.studies.results import StudyResults
from wattmark.workspace.runs import carbon_of, running

router = APIRouter(tags=["what if"])
router.include_router(whatif_profiles.router)


@router.post("/whatif")
def what_if(asked: WhatIf, here: Here) -> Answer:
    """A run as it was, and as it would be in each scenario."""
    view = stated(run_view(here, asked.run), asked.original.hardware)
    study = _study(here, asked.study or view.record.tags.get("study"))
    home, how = _home(view, asked.original)
    first = evaluate(view, Scenario(), study, original=home)
    alternatives: list[AlternativeOut] = []
    for one in asked.alternatives:
        other, told, group, accounted = view, how, study, home
        if one.run is not None and one.run != asked.run:
            other = run_view(here, one.run)
            group = _study(here, other.record.tags.get("study"))
            accounted, told = _home(
                other, Account(**asked.original.model_dump(include={"price_per_kwh", "currency"}))
            )
        outcome = evaluate(other, _scenario(one.scenario), group, original=accounted)
        alternatives.append(
            AlternativeOut(
                run=_head(other, outcome, accounted, told, group),
                side=side_out(outcome.alternative, outcome.notes),
                difference=differences(first, outcome),
            )
        )  # fmt: skip
    return Answer(
        run=_head(view, first, home, how, study),
        original=side_out(first.original, first.notes),
        alternatives=alternatives,
    )


@router.get("/whatif/runs")
def runs_to_ask(
    here: Here,
    q: Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")] = "",
    study: Annotated[str, Query(max_length=64, pattern=r"^[^\x00]*$")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 30,
) -> list[RunLine]:
    """Runs whose name or id holds ``q`` (any case), those that go on first, then the newest; of one study if asked."""
    words = q.casefold().split()
    living = [line_of(view) for view in running(here.store)]
    stored = [
        RunLine(
            id=run.run_id,
            name=run.name,
            status=run.status,
            started_at=run.started_at.isoformat(),
            energy_j=run.energy_j,
            imported=run.tags.get("imported"),
            study=run.tags.get("study"),
        )
        for run in here.store.summaries(tag=f"study={study}" if study else None)
    ]
    fitting = [
        run
        for run in (*living, *stored)
        if (not study or run.study == study)
        and all(word in f"{run.name} {run.id} {run.study or ''}".casefold() for word in words)
    ]
    return fitting[:limit]


def _scenario(asked: Asked) -> Scenario:
    return Scenario(
        zone=asked.zone,
        year=asked.year,
        pue=asked.pue,
        hardware=tuple(HardwareChoice(id=one.id, quantity=one.quantity) for one in asked.hardware) or None,
        epochs=asked.epochs,
        power_cap_w=asked.power_cap_w,
        levels={**asked.levels} or None,
        price_per_kwh=asked.price_per_kwh,
        currency=asked.currency,
    )


def _home(view: RunView, said: Account) -> tuple[Scenario, str | None]:
    """How the original is accounted, and who said where it was: the user here, the imported file, or the run itself."""
    known: dict[str, Any] = {}
    how: str | None = None
    noted = recorded(view.record)
    if view.record.tags.get("imported") == "energyvis":
        known, how = {"zone": noted.zone, "pue": noted.pue}, "the imported profile"
    else:
        try:
            emitted = carbon_of(view)
        except ConfigError:  # of a zone in its settings that this version does not know
            emitted = None
        if emitted is not None:
            name = emitted.pue.name
            known = {
                "zone": emitted.zone.id,
                "pue": name if name in named_pues() else emitted.pue.ratio.value,
            }
            how = emitted.zone_from
    given = said.model_dump(exclude_none=True, exclude={"hardware"})
    return Scenario.model_validate({**known, **given}), "you" if said.zone else how


def _head(
    view: RunView, outcome: Outcome, home: Scenario, how: str | None, study: StudyResults | None
) -> RunHead:
    machine, options = outcome.machine, outcome.options
    own = next((trial for trial in study.trials if trial.run_id == view.id), None) if study else None
    cap: Any = options["power_cap_w"]
    return RunHead(
        id=view.id,
        name=view.name,
        status=view.record.status,
        started_at=started_at(view.record),
        imported=view.record.tags.get("imported"),
        epochs=options["epochs"] or 0,
        accelerators=[InstalledOut(**one.as_dict()) for one in machine.accelerators],
        cpus=[InstalledOut(**one.as_dict()) for one in machine.cpus],
        unknown_hardware=[*machine.unknown_accelerators, *machine.unknown_cpus],
        zone=home.zone,
        zone_from=how,
        pue=str(1 if home.pue is None else home.pue),
        study=study.name if study else None,
        factors=[
            Factor(name=name, levels=[str(level) for level in levels], own=str(own.factors.get(name)))
            for name, levels in options["levels"].items()
            if own is not None and len(levels) > 1
        ],
        power_cap=None if cap is None else Cap.model_validate(cap),
    )


def _study(here: Context, name: str | None) -> StudyResults | None:
    """The results of a study that is kept; a name is no path."""
    if not name:
        return None
    for path in (here.options.studies or studies_dir()).glob(f"*/{DESIGN}"):
        if path.parent.name == name:
            try:
                found = (path.parent / TRIALS).stat()
                stamp = (found.st_size, found.st_mtime_ns)
            except FileNotFoundError:
                stamp = (0, 0)
            return _results(str(path.parent), stamp)
    return None


@lru_cache(maxsize=4)
def _results(folder: str, stamp: tuple[int, int]) -> StudyResults:
    """Kept until the study grows: ``stamp`` is of the file of its trials."""
    from pathlib import Path

    return StudyFolder(Path(folder)).results()
