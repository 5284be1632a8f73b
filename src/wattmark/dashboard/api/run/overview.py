"""One run: what it was, what it used, how that was computed, and what a reader of the numbers must know."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from wattmark.dashboard.api.live import RunForecast, forecast
from wattmark.dashboard.api.schemas import RunRef
from wattmark.dashboard.context import Context, Here
from wattmark.dashboard.run_cache import OneRun
from wattmark.impact.emissions import Carbon, carbon
from wattmark.quantity import KINDS, Quantity
from wattmark.runs.attribution import Scope
from wattmark.runs.record import RunWarning
from wattmark.runs.result import ChannelResult, RunResult
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView

router = APIRouter(prefix="/runs/{ref}", tags=["run"])
DOCS = "https://wattmark.readthedocs.io/"


class ChannelSummary(BaseModel):
    """A channel: what it is, what it gave, and how good it is. coverage in words is in the warnings."""

    id: str
    component: str
    source: str
    method: str
    scope: str
    label: str
    energy: Quantity | None
    samples: int
    max_gap_s: float | None
    counted: bool
    citation: str
    relative_low: float
    relative_high: float
    absolute_w: float


class CarbonTerm(BaseModel):
    """A factor of the equation. key: energy, pue or intensity; parts: what the factor itself is made of."""

    key: str
    name: str
    amount: Quantity
    year: int | None
    url: str
    parts: list[CarbonTerm]


class Equation(BaseModel):
    """How grams of CO2e come from joules, with every term's source. zone_from: how the place was found."""

    formula: str
    terms: list[CarbonTerm]
    grams: Quantity | None
    zone: str | None
    zone_name: str | None
    zone_from: str | None
    scope: str | None


class Headline(BaseModel):
    """The energy that the run is known by, and its mean power. scope: whose they are, the machine's or this process
    tree's."""

    scope: Scope
    energy: Quantity | None
    mean_power_w: float | None


class ErrorRow(BaseModel):
    """Where uncertainty comes from. below, above: how far this error alone puts the ends, in J; remedy: what shrinks it."""

    kind: str
    words: str
    below: float
    above: float
    remedy: str


class SideSeries(BaseModel):
    """A side series that there is."""

    id: str
    unit: str
    label: str
    source: str


class Run(BaseModel):
    """Everything about a run but its curves and spans.

    energy, components and powers: the whole machine's. carbon and its equation: of the headline. others_busy: share of
    the machine's CPU time that other processes used, 0..1. budget: of the headline, the largest error first. prediction:
    of the whole run, while it goes on.
    """

    run_id: str
    name: str
    status: str
    live: bool
    exit_code: int | None
    started_at: str
    duration_s: float
    host: str
    parent_id: str | None
    tags: dict[str, str]
    headline: Headline
    others_busy: float | None
    budget: list[ErrorRow]
    energy: Quantity | None
    components: dict[str, Quantity]
    above_idle: Quantity | None
    attributed: Quantity | None
    rules: dict[str, str]
    mean_power_w: float | None
    peak_power_w: float | None
    coverage: float
    measured: list[str]
    modelled: list[str]
    carbon: Quantity | None
    equation: Equation
    prediction: RunForecast | None
    channels: list[ChannelSummary]
    series: list[SideSeries]
    spans: int
    samples: int
    warnings: list[RunWarning]
    environment: dict[str, Any]
    recorder: dict[str, Any]


@router.get("")
def run(here: Here, ref: RunRef) -> Run:
    """The run: energies with intervals, carbon and its equation, channels, warnings, environment."""
    current = here.runs.get(ref)
    results = results_of(here, current)
    record = current.record
    zone, pue = current.place
    emitted = carbon(results.headline, zone, pue=pue)
    channels = [_channel(channel) for channel in results.channels]
    whole = results.energy
    return Run(
        run_id=record.run_id,
        name=record.name,
        status=record.status,
        live=current.live,
        exit_code=record.exit_code,
        started_at=results.started_at,
        duration_s=record.duration_s,
        host=record.host,
        parent_id=record.parent_id,
        tags=dict(record.tags),
        headline=Headline(
            scope=results.scope, energy=results.headline, mean_power_w=results.headline_power_w
        ),
        others_busy=results.others_busy,
        budget=_budget(results.headline),
        energy=whole,
        components=dict(results.energy_by_component),
        above_idle=results.above_idle.energy if results.above_idle else None,
        attributed=results.attributed.energy if results.attributed else None,
        rules={
            name: share.rule
            for name, share in (("above_idle", results.above_idle), ("attributed", results.attributed))
            if share is not None
        },
        mean_power_w=results.mean_power_w,
        peak_power_w=results.peak_power_w,
        coverage=results.coverage,
        measured=sorted(
            {channel.component for channel in channels if channel.counted and channel.method != "modelled"}
        ),
        modelled=sorted(
            {channel.component for channel in channels if channel.counted and channel.method == "modelled"}
        ),
        carbon=emitted.grams if emitted else None,
        equation=_equation(results, channels, emitted),
        prediction=forecast(record) if current.live else None,
        channels=channels,
        series=[
            SideSeries(id=side.id, unit=side.unit, label=side.label, source=side.source)
            for side in current.series_described
        ],
        spans=len(current.spans),
        samples=sum(channel.samples for channel in channels),
        warnings=list(results.warnings),
        environment=plain(record.environment),
        recorder=plain(record.recorder),
    )


def _budget(headline: Quantity | None) -> list[ErrorRow]:
    rows: list[ErrorRow] = []
    for kind, below, above in headline.budget() if headline else ():
        words, remedy = KINDS.get(kind, (kind, ""))
        rows.append(ErrorRow(kind=kind, words=words, below=below, above=above, remedy=remedy))
    return rows


def results_of(here: Context, run: OneRun) -> RunResult:
    """The results as they are kept, or worked out for a run that goes on or was kept without."""
    stored = None if run.running else here.store.summary(run.record.run_id)
    if stored is not None and "channels" in stored and "started_at" in stored:
        return RunResult.from_dict(stored)
    return summarise(RunView(run.whole_record()), spans=False)


def plain(value: Any) -> Any:
    """Data that JSON can carry: numbers that are none become null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and value - value != 0:
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _channel(channel: ChannelResult) -> ChannelSummary:
    accuracy = channel.accuracy
    return ChannelSummary(
        id=channel.id,
        component=channel.component,
        source=channel.source,
        method=channel.method,
        scope=channel.scope,
        label=channel.label,
        energy=channel.energy,
        samples=channel.samples,
        max_gap_s=channel.max_gap_s,
        counted=channel.counted,
        citation=accuracy.citation,
        relative_low=accuracy.relative_low,
        relative_high=accuracy.relative_high,
        absolute_w=accuracy.absolute_w,
    )


def _equation(results: RunResult, channels: list[ChannelSummary], emitted: Carbon | None) -> Equation:
    terms: list[CarbonTerm] = []
    whole, tree = results.headline, results.scope == "tree"
    whose = "this process tree" if tree else "all counted channels"
    if whole is not None:
        parts = [
            CarbonTerm(key=channel.id, name=channel.id, amount=channel.energy, year=None, url="", parts=[])
            for channel in channels
            if channel.counted and channel.energy is not None and not tree
        ]
        url = f"{DOCS}en/latest/science/how-joules-are-computed.html"
        terms.append(CarbonTerm(key="energy", name="energy", amount=whole, year=None, url=url, parts=parts))
    if emitted is not None:
        for key, term in zip(("pue", "intensity"), emitted.terms[1:], strict=True):
            terms.append(
                CarbonTerm(
                    key=key, name=term.name, amount=term.quantity, year=term.year, url=term.url, parts=[]
                )
            )
    return Equation(
        formula=f"energy of {whose} ÷ 3.6e6 J/kWh × PUE × intensity = grams CO2e",
        terms=terms,
        grams=emitted.grams if emitted else None,
        zone=emitted.zone.id if emitted else None,
        zone_name=emitted.zone.name if emitted else None,
        zone_from=emitted.zone_from if emitted else None,
        scope=emitted.intensity.source.scope if emitted else None,
    )
