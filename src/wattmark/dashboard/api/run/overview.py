"""One run: what it was, what it used, how that was computed, and what a reader of the numbers must know."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from wattmark.dashboard.api.schemas import Amount, RunRef
from wattmark.dashboard.context import Context, Here
from wattmark.dashboard.run_cache import OneRun
from wattmark.impact.emissions import Carbon, carbon
from wattmark.runs.result import ChannelResult, RunResult
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView

router = APIRouter(prefix="/runs/{ref}", tags=["run"])
DOCS = "https://wattmark.readthedocs.io/"


class ChannelOut(BaseModel):
    """A channel: what it is, what it gave, and how good it is. coverage in words is in the warnings."""

    id: str
    component: str
    source: str
    method: str
    scope: str
    label: str
    energy: Amount | None
    samples: int
    max_gap_s: float | None
    counted: bool
    citation: str
    relative_low: float
    relative_high: float
    absolute_w: float


class Warn(BaseModel):
    """A stable code and a sentence."""

    code: str
    message: str


class TermOut(BaseModel):
    """A factor of the equation. key: energy, pue or intensity; parts: what the factor itself is made of."""

    key: str
    name: str
    amount: Amount
    year: int | None
    url: str
    parts: list[TermOut]


class Equation(BaseModel):
    """How grams of CO2e come from joules, with every term's source. zone_from: how the place was found."""

    formula: str
    terms: list[TermOut]
    grams: Amount | None
    zone: str | None
    zone_name: str | None
    zone_from: str | None
    scope: str | None


class SideOut(BaseModel):
    """A side series that there is."""

    id: str
    unit: str
    label: str
    source: str


class Run(BaseModel):
    """Everything about a run but its curves and spans."""

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
    energy: Amount | None
    components: dict[str, Amount]
    above_idle: Amount | None
    attributed: Amount | None
    rules: dict[str, str]
    mean_power_w: float | None
    peak_power_w: float | None
    coverage: float
    measured: list[str]
    modelled: list[str]
    carbon: Amount | None
    equation: Equation
    channels: list[ChannelOut]
    series: list[SideOut]
    spans: int
    samples: int
    warnings: list[Warn]
    environment: dict[str, Any]
    recorder: dict[str, Any]


@router.get("")
def run(here: Here, ref: RunRef) -> Run:
    """The run: energies with intervals, carbon and its equation, channels, warnings, environment."""
    found = here.runs.get(ref)
    results = results_of(here, found)
    record = found.record
    zone, pue = found.place
    emitted = carbon(results.energy, zone, pue=pue)
    channels = [_channel(channel) for channel in results.channels]
    whole = Amount.of(results.energy)
    return Run(
        run_id=record.run_id,
        name=record.name,
        status=record.status,
        live=found.live,
        exit_code=record.exit_code,
        started_at=results.started_at,
        duration_s=record.duration_s,
        host=record.host,
        parent_id=record.parent_id,
        # what was looked at is kept in memory, and tags may change meanwhile
        tags=dict(record.tags) if found.going_on else here.store.part(record.run_id).tags,
        energy=whole,
        components={
            name: amount
            for name, energy in results.energy_by_component.items()
            if (amount := Amount.of(energy)) is not None
        },
        above_idle=Amount.of(results.above_idle.energy) if results.above_idle else None,
        attributed=Amount.of(results.attributed.energy) if results.attributed else None,
        rules={
            name: share.rule
            for name, share in (("above_idle", results.above_idle), ("attributed", results.attributed))
            if share is not None
        },
        mean_power_w=results.mean_power_w,
        peak_power_w=results.peak_power_w,
        coverage=results.coverage,
        measured=sorted({one.component for one in channels if one.counted and one.method != "modelled"}),
        modelled=sorted({one.component for one in channels if one.counted and one.method == "modelled"}),
        carbon=Amount.of(emitted.grams) if emitted else None,
        equation=_equation(whole, channels, emitted),
        channels=channels,
        series=[
            SideOut(id=one.id, unit=one.unit, label=one.label, source=one.source)
            for one in found.series_described
        ],
        spans=len(found.spans),
        samples=sum(one.samples for one in channels),
        warnings=[Warn(code=warning.code, message=warning.message) for warning in results.warnings],
        environment=plain(record.environment),
        recorder=plain(record.recorder),
    )


def results_of(here: Context, found: OneRun) -> RunResult:
    """The results as they are kept, or worked out for a run that goes on or was kept without."""
    kept = None if found.going_on else here.store.summary(found.record.run_id)
    if kept is not None and "channels" in kept and "started_at" in kept:
        return RunResult.from_dict(kept)
    return summarise(RunView(found.whole_record()), spans=False)


def plain(value: Any) -> Any:
    """Data that JSON can carry: numbers that are none become null."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, float) and value - value != 0:
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


def _channel(channel: ChannelResult) -> ChannelOut:
    accuracy = channel.accuracy
    return ChannelOut(
        id=channel.id,
        component=channel.component,
        source=channel.source,
        method=channel.method,
        scope=channel.scope,
        label=channel.label,
        energy=Amount.of(channel.energy),
        samples=channel.samples,
        max_gap_s=channel.max_gap_s,
        counted=channel.counted,
        citation=accuracy.citation,
        relative_low=accuracy.relative_low,
        relative_high=accuracy.relative_high,
        absolute_w=accuracy.absolute_w,
    )


def _equation(whole: Amount | None, channels: list[ChannelOut], emitted: Carbon | None) -> Equation:
    terms: list[TermOut] = []
    if whole is not None:
        parts = [
            TermOut(key=one.id, name=one.id, amount=one.energy, year=None, url="", parts=[])
            for one in channels
            if one.counted and one.energy is not None
        ]
        url = f"{DOCS}en/latest/science/how-joules-are-computed.html"
        terms.append(TermOut(key="energy", name="energy", amount=whole, year=None, url=url, parts=parts))
    if emitted is not None:
        for key, term in zip(("pue", "intensity"), emitted.terms[1:], strict=True):
            amount = Amount.of(term.quantity)
            if amount is not None:
                terms.append(
                    TermOut(key=key, name=term.name, amount=amount, year=term.year, url=term.url, parts=[])
                )
    return Equation(
        formula="energy of all counted channels ÷ 3.6e6 J/kWh × PUE × intensity = grams CO2e",
        terms=terms,
        grams=Amount.of(emitted.grams) if emitted else None,
        zone=emitted.zone.id if emitted else None,
        zone_name=emitted.zone.name if emitted else None,
        zone_from=emitted.zone_from if emitted else None,
        scope=emitted.intensity.source.scope if emitted else None,
    )
