"""Power and energy of a window of a run: what the chart draws and what the brush reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel

from wattmark.dashboard.api.run.counts import BRUSHED_RULE, COUNT_RULE, SERVED_RULE, counts_between
from wattmark.dashboard.api.schemas import Moment, RunRef, Width, numbers
from wattmark.dashboard.context import Here
from wattmark.dashboard.run_cache import ComponentCurves, OneRun
from wattmark.errors import ConfigError
from wattmark.impact.emissions import carbon
from wattmark.quantity import Quantity, total
from wattmark.runs.attribution import Scope
from wattmark.runs.energy import edges_ns, overlaps
from wattmark.runs.metrics import served_costs
from wattmark.runs.record import Int64

router = APIRouter(prefix="/runs/{ref}", tags=["run"])
MAX_HOLES = 500


class PowerLine(BaseModel):
    """One line of the chart, in watts by column, null where nothing is known. low_w and high_w: the extremes of single
    readings inside a column (of several channels: the sums of their extremes, which bound the true ones)."""

    name: str
    component: str
    methods: list[str]
    channels: list[str]
    counted: bool
    mean_w: list[float | None]
    low_w: list[float | None]
    high_w: list[float | None]
    holes: list[tuple[float, float]]


class Power(BaseModel):
    """A window at the screen's resolution. t_s: the middles of the columns, in seconds from the run's start."""

    from_s: float
    to_s: float
    duration_s: float
    live: bool
    t_s: list[float]
    lines: list[PowerLine]
    energy: Quantity | None


class WindowComponent(BaseModel):
    """A component in a window. coverage: share of the window in which it is known, 0 to 1."""

    name: str
    energy: Quantity | None
    mean_power_w: float | None
    methods: list[str]
    counted: bool
    coverage: float


class Count(BaseModel):
    """Something that spans count. exact: no span was cut by the window's edges. per_joule: None without energy."""

    name: str
    value: float
    exact: bool
    per_joule: Quantity | None
    joules_per: Quantity | None


class Energy(BaseModel):
    """What a window used. scope: whose energy the run is known by; headline: that of the window, with its mean power.
    energy, mean_power_w, components: the whole machine's. carbon in grams CO2e, and what is made of counts: of the headline;
    carbon is None where the place is not known."""

    from_s: float
    to_s: float
    scope: Scope
    headline: Quantity | None
    headline_power_w: float | None
    energy: Quantity | None
    mean_power_w: float | None
    coverage: float
    carbon: Quantity | None
    components: list[WindowComponent]
    counts: list[Count]
    counts_rule: str


@router.get("/power")
def power(
    here: Here,
    ref: RunRef,
    from_s: Moment = None,
    to_s: Moment = None,
    width: Width = 1000,
    apart: Annotated[bool, Query(description="A line for each channel, not for each component.")] = False,
) -> Power:
    """Power over a window (default: the whole run): mean, lowest and highest in every column, and holes."""
    run = here.runs.get(ref)
    start, end = window_ns(run, from_s, to_s)
    edges = edges_ns(start, end, width)
    begin = run.record.start_ns
    middles = (edges[:-1] + (edges[1:] - edges[:-1]) // 2 - begin) / 1e9
    joules = total([q for q in _energies(run, start, end).values() if q])
    return Power(
        from_s=(start - begin) / 1e9,
        to_s=(end - begin) / 1e9,
        duration_s=run.record.duration_s,
        live=run.live,
        t_s=[round(value, 9) for value in middles.tolist()],
        lines=[_line(run, part, edges, apart) for part in _parts(run, apart)],
        energy=None if joules is None else run.within(joules),
    )


@router.get("/energy")
def energy(here: Here, ref: RunRef, from_s: Moment = None, to_s: Moment = None) -> Energy:
    """The energy of a window by component, its carbon, and what was done in it."""
    run = here.runs.get(ref)
    start, end = window_ns(run, from_s, to_s)
    length_s = (end - start) / 1e9
    components: list[WindowComponent] = []
    counted: list[Quantity] = []
    covered: list[float] = []
    powers: list[float] = []
    for part in run.parts:
        quantity, covered_s, power_w = _energy_of(part, start, end)
        if quantity is not None and part.counted:
            counted.append(quantity)
            powers.append(power_w or 0.0)
        share = min(1.0, covered_s / (length_s * len(part.curves))) if length_s > 0 else 0.0
        covered += [share] * len(part.curves) if part.counted else []
        components.append(
            WindowComponent(
                name=part.component,
                energy=run.within(quantity) if quantity is not None and part.counted else quantity,
                mean_power_w=power_w,
                methods=part.methods,
                counted=part.counted,
                coverage=share,
            )
        )
    joules = total(counted)
    whole = None if joules is None else run.within(joules)
    share = run.attributed(start, end) if run.scope == "tree" else None
    coverage = sum(covered) / len(covered) if covered else 0.0
    mean_w = sum(powers) if powers else None
    mine = whole if share is None else share.energy
    mine_w = (
        mean_w if share is None else mine.value / (length_s * coverage) if mine and coverage > 0 else None
    )
    zone, pue = run.place
    grams = carbon(mine, zone, pue=pue)
    served = served_costs(run.record)
    is_whole = start <= run.record.start_ns and end >= run.record.end_ns
    # The tree of a benchmark is the load client's, as a rule without the server.
    divided = whole if served else mine
    return Energy(
        from_s=(start - run.record.start_ns) / 1e9,
        to_s=(end - run.record.start_ns) / 1e9,
        scope="machine" if share is None else "tree",
        headline=mine,
        headline_power_w=mine_w,
        energy=whole,
        mean_power_w=mean_w,
        coverage=coverage,
        carbon=grams.grams if grams else None,
        components=components,
        counts=[
            _count(name, value, exact, divided, served if is_whole else None)
            for name, (value, exact) in counts_between(run, start, end).items()
        ],
        counts_rule=COUNT_RULE if not served else SERVED_RULE if is_whole else BRUSHED_RULE,
    )


def window_ns(run: OneRun, from_s: float | None, to_s: float | None) -> tuple[int, int]:
    """The window in monotonic ns, within the run and never empty. Raises ConfigError for one outside of it."""
    record = run.record
    start = record.start_ns if from_s is None else max(record.start_ns, run.moment_ns(from_s))
    last = max(record.end_ns, record.start_ns + 1)
    end = last if to_s is None else min(last, run.moment_ns(to_s))
    if end <= start:
        raise ConfigError(
            f"there is nothing of the run from {from_s} s to {to_s} s",
            hint=f"it lasts {record.duration_s:g} s; from_s must be below to_s",
        )
    return start, end


def _parts(run: OneRun, apart: bool) -> list[ComponentCurves]:
    if not apart:
        return list(run.parts)
    return [
        ComponentCurves(curve.channel.component, (curve,), curve.channel.counted)
        for curve in run.curves
        if curve
    ]


def _line(run: OneRun, part: ComponentCurves, edges: Int64, apart: bool) -> PowerLine:
    columns = [curve.columns(edges) for curve in part.curves]
    begin = run.record.start_ns
    holes = sorted(
        {
            (round((a - begin) / 1e9, 6), round((b - begin) / 1e9, 6))
            for curve in part.curves
            for a, b in overlaps(curve.holes, int(edges[0]), int(edges[-1])).tolist()
        }
    )
    mean, low, high = (
        np.sum([getattr(column, name) for column in columns], axis=0)
        for name in ("mean_w", "low_w", "high_w")
    )
    return PowerLine(
        name=part.curves[0].channel.id if apart else part.component,
        component=part.component,
        methods=part.methods,
        channels=[curve.channel.id for curve in part.curves],
        counted=part.counted,
        mean_w=numbers(mean.tolist()),
        low_w=numbers(low.tolist()),
        high_w=numbers(high.tolist()),
        holes=holes[:MAX_HOLES],
    )


def _energies(run: OneRun, start: int, end: int) -> dict[str, Quantity | None]:
    return {part.component: _energy_of(part, start, end)[0] for part in run.parts if part.counted}


def _energy_of(part: ComponentCurves, start: int, end: int) -> tuple[Quantity | None, float, float | None]:
    """Energy, seconds covered (summed over channels), and mean power over the covered time."""
    quantities: list[Quantity] = []
    covered_s = power_w = 0.0
    for curve in part.curves:
        got = curve.energies(np.array([start]), np.array([end]))
        if got.covered_s[0] > 0:
            quantities.append(got.quantity(0, f"{curve.channel.source} ({curve.channel.method})"))
            covered_s += float(got.covered_s[0])
            power_w += float(got.value_j[0] / got.covered_s[0])
    return total(quantities), covered_s, power_w if quantities else None


def _count(
    name: str, value: float, exact: bool, energy: Quantity | None, served: Mapping[str, Quantity] | None
) -> Count:
    """What was done, and its share of the energy. served: of a whole benchmark of a server, whose figures those are."""
    if served:
        each = served.get(name)
        return Count(
            name=name,
            value=value,
            exact=exact,
            per_joule=None if each is None else _per_joule(1.0, each),
            joules_per=each,
        )
    return Count(
        name=name,
        value=value,
        exact=exact,
        per_joule=_per_joule(value, energy),
        joules_per=(energy / value).with_unit(f"J/{name}") if energy and value > 0 else None,
    )


def _per_joule(value: float, energy: Quantity | None) -> Quantity | None:
    if energy is None or energy.low <= 0:
        return None
    return Quantity(value / energy.value, value / energy.high, value / energy.low, "1/J")
