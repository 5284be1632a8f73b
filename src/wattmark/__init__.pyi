"""What Wattmark promises: the names of ``import wattmark as wm``, with their types."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, overload

from wattmark import testing as testing
from wattmark._version import __version__ as __version__
from wattmark.advise.cap.question import advise_cap as advise_cap
from wattmark.advise.changes.question import Changes
from wattmark.advise.gate.question import gate as gate
from wattmark.advise.levers.script import levers as levers
from wattmark.advise.levers.trying import try_levers as try_levers
from wattmark.advise.recurring.job import recur as recur
from wattmark.errors import WattmarkError as WattmarkError
from wattmark.impact.emissions import Carbon as Carbon
from wattmark.impact.providers import CarbonProvider
from wattmark.impact.series import IntensitySeries, Signal
from wattmark.impact.series.emitted import CarbonOverTime
from wattmark.integrations.pipelines.stages import stage as stage
from wattmark.integrations.skill import skill as skill
from wattmark.lifecycle.cycle.question import cycle as cycle
from wattmark.lifecycle.fleet.question import fleet as fleet
from wattmark.plan.edge.study import edge as edge
from wattmark.plan.question import Plan, SeriesLike
from wattmark.predict.environment.question import predict_training as predict_training
from wattmark.predict.layers.question import predict_layers as predict_layers
from wattmark.predict.layers.question import predict_model as predict_model
from wattmark.predict.layers.question import predict_prune as predict_prune
from wattmark.predict.llm.question import predict_llm as predict_llm
from wattmark.predict.llm.usage import predict_api as predict_api
from wattmark.predict.question import what_if as what_if
from wattmark.predict.scores.question import fit_predictors as fit_predictors
from wattmark.predict.scores.question import score_predictions as score_predictions
from wattmark.quantity import Quantity as Quantity
from wattmark.report.cards import card as card
from wattmark.report.cards import check_card as check_card
from wattmark.report.disclosure.gather import disclose as disclose
from wattmark.report.files.writing import cite as cite
from wattmark.report.files.writing import export as export
from wattmark.serving.benchmark import benchmark as benchmark
from wattmark.serving.benchmark import benchmark_loads as benchmark_loads
from wattmark.sources.discovery import Selection
from wattmark.studies.execution.state import load_results as load_results
from wattmark.studies.handle import Study as Study
from wattmark.studies.handle import study as study
from wattmark.studies.results import StudyResults
from wattmark.tracker.measure import current_run as current_run
from wattmark.tracker.measure import span as span
from wattmark.tracker.run import Run as Run
from wattmark.workspace.calibration import calibrate as calibrate
from wattmark.workspace.comparing import compare as compare
from wattmark.workspace.configuration import Settings as Settings
from wattmark.workspace.impact import Costs
from wattmark.workspace.library import RunList as RunList
from wattmark.workspace.library import carbon as carbon
from wattmark.workspace.library import health as health
from wattmark.workspace.library import import_files as import_files
from wattmark.workspace.library import load as load
from wattmark.workspace.library import note as note
from wattmark.workspace.library import prune as prune
from wattmark.workspace.library import remove as remove
from wattmark.workspace.library import tag as tag
from wattmark.workspace.library import totals as totals
from wattmark.workspace.meters.calibration import at_plug as at_plug
from wattmark.workspace.meters.calibration import calibrate_wall as calibrate_wall

_P = ParamSpec("_P")
_R = TypeVar("_R")

_HOMES: dict[str, str]

@overload
def measure(name: Callable[_P, _R], /) -> Callable[_P, _R]: ...
@overload
def measure(
    name: str | None = None,
    *,
    tags: Mapping[str, object] | Iterable[object] | None = None,
    period_s: float | None = None,
    sources: list[str] | None = None,
    precise: bool = False,
    sync: bool = False,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Run: ...
def advise(
    source: Run | Study | StudyResults | str | None = None,
    *,
    tag: str | Iterable[str] | None = None,
    name: str | None = None,
) -> Changes: ...
def impact(
    run: Run | str,
    *,
    series: str | Path | IntensitySeries | None = None,
    provider: str | CarbonProvider | None = None,
    zone: str | None = None,
    region: str | None = None,
    pue: float | str | None = None,
    unit: str | None = None,
    signal: Signal | None = None,
    offline: bool = False,
    costs: Costs | None = None,
) -> CarbonOverTime | None: ...
def plan(
    duration: str | float,
    *,
    deadline: str | float,
    series: SeriesLike | Mapping[str, SeriesLike] | Sequence[SeriesLike] | None = None,
    zones: Sequence[str] = (),
    provider: str | CarbonProvider | None = None,
    signal: Signal | None = None,
    offline: bool = False,
    now: datetime | float | None = None,
    pausable: bool = False,
    checkpoint_s: float = 0.0,
    energy: Quantity | None = None,
    beside: SeriesLike | Mapping[str, SeriesLike] | Sequence[SeriesLike] | None = None,
) -> Plan: ...
def runs(
    *,
    tag: str | Iterable[str] | None = None,
    name: str | None = None,
    since: str | datetime | timedelta | None = None,
    status: str | Iterable[str] | None = None,
    limit: int | None = None,
) -> RunList: ...
def sources(names: Sequence[str] | None = None) -> Selection: ...
