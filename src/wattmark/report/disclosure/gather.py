"""Runs of any selection as one :class:`Footprint`: no joule counted twice, what one of them lacks is not known of the
whole."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from wattmark.documents import items, mapping, number, text
from wattmark.errors import ConfigError
from wattmark.impact import as_pue, intensity_of
from wattmark.quantity import Quantity, total
from wattmark.report.disclosure import formats
from wattmark.report.disclosure.footprint import FACTS, Component, Disclosure, Footprint
from wattmark.runs.attribution import attributed, headline_of
from wattmark.runs.comparison import methods_of
from wattmark.runs.record import Spans
from wattmark.runs.totals import pieces
from wattmark.runs.view import RunView
from wattmark.tracker.run import Run
from wattmark.workspace import totals as sums
from wattmark.workspace.impact import Costs, Sought, carbon_by_time
from wattmark.workspace.library import RunLike, view_of
from wattmark.workspace.runs import place_of, summary_of

GIB = 2**30


def disclose(
    runs: RunLike | Iterable[RunLike],
    format: str = "md",
    *,
    zone: str | None = None,
    series: str | None = None,
    provider: str | None = None,
    region: str | None = None,
    pue: float | str | None = None,
    offline: bool = False,
    per: str | None = None,
    facts: Mapping[str, object] | None = None,
    name: str | None = None,
    costs: Costs | None = None,
) -> Disclosure:
    """``wm.disclose()``: runs in a format that others ask for (:data:`FORMATS`), with what the data could not fill.

    zone, series, provider, region, pue, offline: as of :func:`wattmark.impact`. per: the functional unit, a count of the
    runs' spans (``"requests"``). facts: what only people know (:data:`FACTS`); tags of that name count as such. name: of
    the whole.

    costs: water, money and making (:class:`wattmark.workspace.impact.Costs`). Raises ConfigError for a format or fact
    that is not known, RunNotFound.
    """
    sought = Sought(
        series=series, provider=provider, zone=zone, region=region, pue=pue, offline=offline, costs=costs
    )
    given = {key: str(value) for key, value in (facts or {}).items()}
    unknown = sorted(set(given) - set(FACTS) - {"project"})
    if unknown:
        raise ConfigError(f"no format asks for {', '.join(unknown)}", hint=f"facts: {', '.join(FACTS)}")
    chosen = [runs] if isinstance(runs, Run | RunView | str) else runs
    views = [view_of(run) for run in chosen]
    return formats.disclose(footprint_of(views, sought, given, per, name), format)


def footprint_of(
    views: Sequence[RunView],
    sought: Sought,
    facts: Mapping[str, str] | None = None,
    per: str | None = None,
    name: str | None = None,
    *,
    group: bool = True,
) -> Footprint:
    """These runs added up. Raises ConfigError without a run, or for what :func:`carbon_by_time` refuses."""
    unique = list({view.id: view for view in views}.values())
    if not unique:
        raise ConfigError("no run fits", hint="wattmark ls shows what is there")
    lines = sums.lines([summary_of(view) for view in unique])
    shares = {
        run_id: round(math.fsum(piece.share for piece in own), 9) for run_id, own in pieces(lines).items()
    }
    own_time = {line.run_id: line.duration_s for line in lines}
    counted = [view for view in unique if shares[view.id] > 0 or own_time[view.id] <= 0] or unique
    parts = [_Part(view, shares[view.id] or 1.0, sought) for view in counted]
    by_line = {line.run_id: line for line in lines}
    energies = [part.energy for part in parts]
    carbons = [part.carbon for part in parts]
    energy = _sum(energies, "J")
    shared = {
        key: value
        for key, value in parts[0].view.record.tags.items()
        if all(part.view.record.tags.get(key) == value for part in parts)
    }
    known = {key: value for key, value in shared.items() if key in FACTS or key == "project"}
    begins = [view.record.started_wall_ns / 1e9 for view in unique]
    ends = [view.record.started_wall_ns / 1e9 + view.record.duration_s for view in unique]
    whole = Footprint(
        name or (unique[0].name if len(unique) == 1 else f"{len(unique)} runs"),
        tuple(view.id for view in unique),
        _iso(min(begins)),
        _iso(max(ends)),
        math.fsum(part.view.record.duration_s * part.share for part in parts),
        energy,
        _sum_known([_of(by_line[part.view.id].measured, part.share) for part in parts]),
        _sum_known([_of(by_line[part.view.id].modelled, part.share) for part in parts]),
        _by_component(parts),
        _words(parts, methods=True),
        _words(parts, methods=False),
        _sum(carbons, "g"),
        tuple(dict.fromkeys(part.zone for part in parts if part.zone)),
        tuple(dict.fromkeys(part.zone_name for part in parts if part.zone_name)),
        "; ".join(dict.fromkeys(part.grid for part in parts if part.grid)),
        _only(part.scope for part in parts),
        "marginal" if any(part.signal == "marginal" for part in parts) else "average",
        _pue(parts),
        _counts(counted, [view for view in unique if view not in counted]),
        _hardware(counted),
        tuple(dict.fromkeys(view.record.host for view in counted if view.record.host)),
        _only(text(view.record.environment.get("os")) or "" for view in counted),
        _only(text(mapping(view.record.environment.get("process")).get("python")) or "" for view in counted),
        per,
        {**known, **(facts or {})},
        tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )
    whole = replace(whole, stages=_stages(parts))
    models = dict.fromkeys(view.record.tags.get("model", "") for view in unique)
    if not group or len(models) < 2:
        return whole
    groups = tuple(
        footprint_of(
            [view for view in unique if view.record.tags.get("model", "") == model],
            sought,
            {**(facts or {}), **({"model": model} if model else {})},
            per,
            model or "no model named",
            group=False,
        )
        for model in models
    )
    return replace(whole, groups=groups)


class _Part:
    """One run's share of the whole."""

    def __init__(self, view: RunView, share: float, sought: Sought) -> None:
        self.view, self.share = view, share
        scope, energy = headline_of(view)
        self.energy = _of(energy, share)
        over = carbon_by_time(view, sought)
        self.carbon = None if over is None else _of(over.grams, share)
        self.stages = {} if over is None else {stage.name: stage.amount * share for stage in over.stages}
        self.notes = () if over is None else over.notes
        self.signal = "average" if over is None else over.series.signal
        tree = attributed(view) if scope == "tree" else None
        self.by_component = view.energy_by_component if tree is None else tree.by_component
        self.zone, self.zone_name, self.grid, self.scope = "", "", "", ""
        try:
            place, ratio = place_of(view.record, sought.zone, sought.pue)
        except ConfigError:  # a place in a provider's own words
            place, (_, ratio) = None, place_of(view.record, None, sought.pue)
        self.pue = as_pue(ratio).ratio
        if place is not None:
            yearly = intensity_of(place.zone)
            self.zone, self.zone_name = place.zone.id, place.zone.name
            self.grid, self.scope = f"{yearly.source.title}, {yearly.year}", yearly.source.scope
        if over is not None and over.series.starts:
            self.zone = over.series.zone or self.zone
            self.grid, self.scope = over.series.source, ""
            with_name = self.zone_name or self.zone
            self.zone_name = with_name


def _of(quantity: Quantity | None, share: float) -> Quantity | None:
    return None if quantity is None else quantity if share == 1 else quantity * share


def _sum(parts: Iterable[Quantity | None], unit: str) -> Quantity | None:
    """None where one of them is not known: the sum is not."""
    told = list(parts)
    return None if any(part is None for part in told) else total([p for p in told if p is not None], unit)


def _sum_known(parts: Iterable[Quantity | None]) -> Quantity | None:
    return total([part for part in parts if part is not None])


def _by_component(parts: Sequence[_Part]) -> dict[str, Quantity]:
    found: dict[str, list[Quantity]] = {}
    for part in parts:
        for name in methods_of(part.view):
            if name in part.by_component:
                found.setdefault(name, []).append(part.by_component[name] * part.share)
    sums_of = {name: total(told) for name, told in found.items()}
    return {name: quantity for name, quantity in sums_of.items() if quantity is not None}


def _stages(parts: Sequence[_Part]) -> dict[str, Quantity]:
    """Those that every run has, added."""
    found: dict[str, Quantity] = {}
    for name, first in parts[0].stages.items():
        told = [part.stages[name] for part in parts if name in part.stages]
        added = total(told, first.unit) if len(told) == len(parts) else None
        if added is not None:
            found[name] = added
    return found


def _words(parts: Sequence[_Part], *, methods: bool) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for part in parts:
        for curve in part.view.counted:
            channel = curve.curve.channel
            word = channel.method if methods else channel.source
            found.setdefault(channel.component, {})[word] = None
    return {component: tuple(words) for component, words in found.items()}


def _pue(parts: Sequence[_Part]) -> Quantity:
    ratios = [part.pue for part in parts]
    if all(ratio == ratios[0] for ratio in ratios):
        return ratios[0]
    energy = total([part.energy for part in parts if part.energy is not None])
    facility = total([part.energy * part.pue for part in parts if part.energy is not None])
    if energy is None or facility is None or energy.value <= 0:
        return ratios[0]
    return (facility / energy).with_source("of the runs' own, by energy")


def _counts(counted: Sequence[RunView], inner: Sequence[RunView]) -> dict[str, float]:
    """What the runs counted; of runs inside others only what those do not count themselves."""
    found = _added(counted)
    return {**_added(inner), **found}


def _added(views: Sequence[RunView]) -> dict[str, float]:
    found: dict[str, float] = {}
    for view in views:
        for key, value in counts_of(view.record.spans).items():
            found[key] = found.get(key, 0.0) + value
    return found


def counts_of(spans: Spans) -> dict[str, float]:
    """What the outermost spans that count it counted: an epoch's samples are not those of its steps once more."""
    found: dict[str, float] = {}
    for row, details in spans.details.items():
        for key, value in details.get("counts", {}).items():
            above = int(spans.parents[row])
            while above >= 0 and key not in spans.details.get(above, {}).get("counts", {}):
                above = int(spans.parents[above])
            if above < 0:
                found[key] = found.get(key, 0.0) + value
    return found


def _hardware(views: Sequence[RunView]) -> tuple[Component, ...]:
    found: dict[tuple[str, str, float | None], int] = {}
    for record in {view.record.host or view.id: view.record for view in views}.values():
        cpu = mapping(record.environment.get("cpu"))
        model = ", ".join(str(word) for word in items(cpu.get("model")))
        sockets = number(cpu.get("sockets"))
        if model or sockets:
            key = ("cpu", model, None)
            found[key] = found.get(key, 0) + int(sockets or 1)
        memory = number(record.environment.get("memory_bytes"))
        if memory:
            key = ("memory", "", round(memory / GIB, 1))
            found[key] = found.get(key, 0) + 1
        devices = {
            curve.channel.id.partition("/")[0]: curve.channel.label or curve.channel.source
            for curve in record.curves
            if curve.channel.component == "gpu"
        }
        for label in devices.values():
            key = ("gpu", label, None)
            found[key] = found.get(key, 0) + 1
    return tuple(Component(kind, name, count, memory) for (kind, name, memory), count in found.items())


def _only(words: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(word for word in words if word))


def _iso(moment_s: float) -> str:
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (epoch + timedelta(seconds=round(moment_s))).strftime("%Y-%m-%dT%H:%M:%S")
