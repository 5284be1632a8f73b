"""A run's results as one immutable tree: worked out once, kept, shown and served as it is.

:meth:`RunResult.to_dict` is the documented ``--json`` object (JSON Schema: docs/reference/run.schema.json), and what the
store keeps; :meth:`RunResult.from_dict` reads it back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattmark.quantity import Quantity, QuantityDict, total
from wattmark.runs.attribution import Scope, headline_scope
from wattmark.runs.metrics import Metric
from wattmark.runs.record import RunWarning
from wattmark.runs.view import SpanGroup
from wattmark.runs.wall.model import WallResult
from wattmark.sources.base import Accuracy


@dataclass(frozen=True, slots=True)
class ChannelResult:
    """One channel: what it is, what it gave and how good it is. energy: J, None where nothing was covered; samples: of the
    run's time; counted: whether it is part of the total."""

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
    accuracy: Accuracy

    def to_dict(self) -> dict[str, object]:
        """An item of ``channels``."""
        energy = self.energy
        return {
            "id": self.id,
            "component": self.component,
            "source": self.source,
            "method": self.method,
            "scope": self.scope,
            "label": self.label,
            "energy_j": energy.value if energy else None,
            "low": energy.low if energy else None,
            "high": energy.high if energy else None,
            "terms": energy.as_dict()["terms"] if energy else None,
            "samples": self.samples,
            "max_gap_s": self.max_gap_s,
            "counted_in_total": self.counted,
            "accuracy": self.accuracy._asdict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ChannelResult:
        """The inverse of :meth:`to_dict`."""
        energy = {**data, "value": data["energy_j"]}
        return cls(
            id=data["id"],
            component=data["component"],
            source=data["source"],
            method=data["method"],
            scope=data["scope"],
            label=data["label"],
            energy=_quantity(energy, f"{data['source']} ({data['method']})"),
            samples=data["samples"],
            max_gap_s=data["max_gap_s"],
            counted=data["counted_in_total"],
            accuracy=Accuracy.from_dict(data["accuracy"]),
        )


@dataclass(frozen=True, slots=True)
class SpanResult:
    """One span. path: names from the outermost span, joined with ``/``; start_s: from the run's start; energy: J, None
    where nothing was covered."""

    name: str
    path: str
    start_s: float
    duration_s: float
    energy: Quantity | None
    counts: Mapping[str, float] = field(default_factory=dict[str, float])
    attrs: Mapping[str, object] = field(default_factory=dict[str, object])

    def to_dict(self) -> dict[str, object]:
        """An item of ``spans``."""
        return {
            "name": self.name,
            "path": self.path,
            "start_s": self.start_s,
            "duration_s": self.duration_s,
            "energy_j": _dict(self.energy),
            "counts": dict(self.counts),
            "attrs": dict(self.attrs),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SpanResult:
        """The inverse of :meth:`to_dict`."""
        return cls(
            name=data["name"],
            path=data["path"],
            start_s=data["start_s"],
            duration_s=data["duration_s"],
            energy=_quantity(data["energy_j"]),
            counts=data["counts"],
            attrs=data["attrs"],
        )


@dataclass(frozen=True, slots=True)
class CarbonResult:
    """Grams of CO2e of the energy that the run is known by, at its place, PUE included. details: how they were worked
    out, as JSON has it."""

    grams: Quantity
    zone: str
    intensity_g_per_kwh: float
    source: str
    year: int | None
    details: Mapping[str, object] = field(default_factory=dict[str, object])

    def to_dict(self) -> dict[str, object]:
        """The object ``carbon_g``."""
        grams = self.grams.as_dict()
        return {
            **grams,
            "errors": grams["terms"],
            "zone": self.zone,
            "intensity_g_per_kwh": self.intensity_g_per_kwh,
            "source": self.source,
            "year": self.year,
            **self.details,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CarbonResult:
        """The inverse of :meth:`to_dict`."""
        grams = Quantity.from_dict({**data, "terms": data.get("errors")}, "g")
        own = {*grams.as_dict(), "errors", "zone", "intensity_g_per_kwh", "source", "year"} - {"terms"}
        details = {key: value for key, value in data.items() if key not in own}
        return cls(grams, data["zone"], data["intensity_g_per_kwh"], data["source"], data["year"], details)


@dataclass(frozen=True, slots=True)
class ShareResult:
    """A part of the run's energy in J, in words how it was taken, and where it is known the same by method."""

    energy: Quantity
    rule: str
    by_method: Mapping[str, Quantity] = field(default_factory=dict[str, Quantity])


@dataclass(frozen=True, slots=True)
class RunResult:
    """What is known of a run once its curves have been read. Energies in J, powers in W, times in s; missing is None.

    started_at: ISO 8601, UTC. energy: the total of the counted channels; energy_by_component also has components of
    which no channel is counted. above_idle: less the idle baseline; attributed: of the measured process tree.
    others_busy: the share of the machine's CPU time that other processes used. coverage: share of the counted channels'
    time, 0..1. mean_power_w, peak_power_w: the machine's. carbon: of the headline. recorder: the recorder's settings
    and cost. wall: at the plug, where that is known. spans: the first of them, where there are many.
    hosts: of a run over several, what each host's part is, as JSON has it; mean powers are then over the whole length.
    """

    run_id: str
    name: str
    status: str
    exit_code: int | None
    started_at: str
    duration_s: float
    host: str
    tags: Mapping[str, str]
    coverage: float
    energy: Quantity | None
    energy_by_component: Mapping[str, Quantity]
    above_idle: ShareResult | None
    attributed: ShareResult | None
    others_busy: float | None
    mean_power_w: float | None
    peak_power_w: float | None
    channels: tuple[ChannelResult, ...]
    carbon: CarbonResult | None
    spans: tuple[SpanResult, ...]
    span_groups: tuple[SpanGroup, ...]
    warnings: tuple[RunWarning, ...]
    recorder: Mapping[str, object]
    metrics: Mapping[str, Metric] = field(default_factory=dict[str, Metric])
    wall: WallResult | None = None
    hosts: tuple[Mapping[str, Any], ...] = ()

    @property
    def counts(self) -> dict[str, float]:
        """What all spans counted; a span inside one that has the same count adds nothing."""
        return counts_of_groups(self.span_groups)

    @property
    def scope(self) -> Scope:
        """Whose joules the headline has: the machine's, or this process tree's where others kept the machine busy."""
        return headline_scope(self.others_busy, self.attributed is not None)

    @property
    def headline(self) -> Quantity | None:
        """The energy that the run is known by, in J; a neighbour's joules are not in it."""
        return self.attributed.energy if self.scope == "tree" and self.attributed else self.energy

    @property
    def headline_power_w(self) -> float | None:
        """The mean power over the covered time of what the run is known by, in watts."""
        if self.scope == "machine":
            return self.mean_power_w
        covered_s = self.duration_s * (1.0 if self.hosts else self.coverage)
        return self.headline.value / covered_s if self.headline and covered_s > 0 else None

    @property
    def methods(self) -> dict[str, frozenset[str]]:
        """Component -> methods of its counted channels (of all its channels if none is counted)."""
        counted = {channel.component for channel in self.channels if channel.counted}
        methods: dict[str, set[str]] = {}
        for channel in self.channels:
            if channel.counted or channel.component not in counted:
                methods.setdefault(channel.component, set()).add(channel.method)
        return {component: frozenset(names) for component, names in methods.items()}

    def to_dict(self) -> dict[str, object]:
        """The documented object: plain data."""
        shares = {"above_idle": self.above_idle, "attributed": self.attributed}
        return {
            "run_id": self.run_id,
            "name": self.name,
            "status": self.status,
            "exit_code": self.exit_code,
            "started_at": self.started_at,
            "duration_s": self.duration_s,
            "host": self.host,
            "tags": dict(self.tags),
            "coverage": self.coverage,
            "energy_j": {
                "total": _dict(self.energy),
                **{name: energy.as_dict() for name, energy in self.energy_by_component.items()},
            },
            **{f"energy_{name}_j": _dict(share and share.energy) for name, share in shares.items()},
            "others_busy": self.others_busy,
            "headline": {
                "scope": self.scope,
                "energy_j": _dict(self.headline),
                "power_w": self.headline_power_w,
                "by_method": {
                    method: part.as_dict()
                    for method, part in (self.attributed.by_method.items() if self.attributed else ())
                    if self.scope == "tree"
                },
            },
            "rules": {name: share.rule for name, share in shares.items() if share},
            "power_w": {"mean": self.mean_power_w, "peak": self.peak_power_w},
            "channels": [channel.to_dict() for channel in self.channels],
            "carbon_g": None if self.carbon is None else self.carbon.to_dict(),
            "wall": None if self.wall is None else self.wall.to_dict(),
            "metrics": {name: metric.as_dict() for name, metric in self.metrics.items()},
            "spans": [span.to_dict() for span in self.spans],
            "span_groups": [
                {
                    "path": group.path,
                    "name": group.name,
                    "depth": group.depth,
                    "times": group.times,
                    "duration_s": group.duration_s,
                    "energy_j": _dict(group.energy),
                    "counts": dict(group.counts),
                }
                for group in self.span_groups
            ],
            "warnings": [warning.as_dict() for warning in self.warnings],
            "recorder": dict(self.recorder),
            **({"hosts": [dict(host) for host in self.hosts]} if self.hosts else {}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunResult:
        """The inverse of :meth:`to_dict`. Raises KeyError for an object that is none of those."""
        energies = {name: _quantity(energy) for name, energy in data["energy_j"].items()}
        carbon: Mapping[str, Any] | None = data["carbon_g"]
        return cls(
            run_id=data["run_id"],
            name=data["name"],
            status=data["status"],
            exit_code=data["exit_code"],
            started_at=data["started_at"],
            duration_s=data["duration_s"],
            host=data.get("host", ""),
            tags=data.get("tags", {}),
            coverage=data["coverage"],
            energy=energies.pop("total", None),
            energy_by_component={name: energy for name, energy in energies.items() if energy is not None},
            above_idle=_share(data, "above_idle"),
            attributed=_share(data, "attributed"),
            others_busy=data.get("others_busy"),
            mean_power_w=data["power_w"]["mean"],
            peak_power_w=data["power_w"]["peak"],
            channels=tuple(ChannelResult.from_dict(channel) for channel in data["channels"]),
            carbon=None if carbon is None else CarbonResult.from_dict(carbon),
            spans=tuple(SpanResult.from_dict(span) for span in data["spans"]),
            span_groups=span_groups_in(data),
            warnings=tuple(RunWarning(warning["code"], warning["message"]) for warning in data["warnings"]),
            recorder=data.get("recorder", {}),
            metrics={name: Metric.of(name, series) for name, series in data.get("metrics", {}).items()},
            wall=None if data.get("wall") is None else WallResult.from_dict(data["wall"]),
            hosts=tuple(data.get("hosts", ())),
        )


def counts_of_groups(groups: Sequence[SpanGroup]) -> dict[str, float]:
    """Sums of the counts of spans by path; a path inside one that has the same count adds nothing."""
    paths: dict[str, list[str]] = {}
    for group in groups:
        for name in group.counts:
            paths.setdefault(name, []).append(f"{group.path}/")
    sums: dict[str, float] = {}
    for group in groups:
        for name, value in group.counts.items():
            if not any(
                f"{group.path}/".startswith(outer) for outer in paths[name] if outer != f"{group.path}/"
            ):
                sums[name] = sums.get(name, 0.0) + value
    return sums


def span_groups_in(data: Mapping[str, Any]) -> tuple[SpanGroup, ...]:
    """Spans by path, out of a result as it is kept; results that were kept without them are added up from the spans."""
    if "span_groups" in data:
        return tuple(
            SpanGroup(
                group["path"],
                group["name"],
                group["depth"],
                group["times"],
                group["duration_s"],
                _quantity(group["energy_j"]),
                group.get("counts", {}),
            )
            for group in data["span_groups"]
        )
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for span in data["spans"]:
        rows.setdefault(span["path"], []).append(span)
    return tuple(
        SpanGroup(
            path,
            spans[0]["name"],
            path.count("/") - str(spans[0]["name"]).count("/"),
            len(spans),
            sum(span["duration_s"] for span in spans),
            total(energy for span in spans if (energy := _quantity(span["energy_j"])) is not None),
            _sums(span.get("counts") or {} for span in spans),
        )
        for path, spans in rows.items()
    )


def _sums(counts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for some in counts:
        for name, value in some.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _dict(quantity: Quantity | None) -> QuantityDict | None:
    return None if quantity is None else quantity.as_dict()


def _quantity(data: Mapping[str, Any] | None, source: str = "") -> Quantity | None:
    """None also where strict JSON made null of what was no finite number."""
    if data is None:
        return None
    ends: list[float | None] = [data[end] for end in ("value", "low", "high")]
    if any(end is None or not math.isfinite(end) for end in ends):
        return None
    return Quantity.from_dict(data, "J", source)


def _share(data: Mapping[str, Any], name: str) -> ShareResult | None:
    energy = _quantity(data[f"energy_{name}_j"])
    if energy is None:
        return None
    parts: Mapping[str, Any] = data.get("headline", {}).get("by_method", {}) if name == "attributed" else {}
    by_method = {method: part for method, told in parts.items() if (part := _quantity(told)) is not None}
    return ShareResult(energy, data.get("rules", {}).get(name, ""), by_method)
