"""A run with its questions answered: the same whether it just ended, is still running, or comes from the store."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from wattmark.quantity import Quantity, total
from wattmark.runs.energy import CurveEnergy, Energies, edges_ns
from wattmark.runs.error_names import ErrorNames
from wattmark.runs.record import Float64, Int64, RunRecord, Spans

MAX_BINS = 2_000


@dataclass(frozen=True, slots=True)
class SpanView:
    """One span with its energy. ``path`` joins the names from the outermost span with ``/``; times in seconds from the
    run's start. ``energy`` is None where nothing was covered."""

    name: str
    path: str
    start_s: float
    duration_s: float
    energy: Quantity | None
    by_component: dict[str, Quantity]
    coverage: float
    counts: dict[str, float]
    attrs: dict[str, object]
    pid: int
    tid: int
    open: bool


@dataclass(frozen=True, slots=True)
class SpanGroup:
    """All spans of one path (names from the outermost span, joined with ``/``). energy: J, None if nothing was covered;
    counts: what they counted, added up."""

    path: str
    name: str
    depth: int
    times: int
    duration_s: float
    energy: Quantity | None
    counts: Mapping[str, float] = field(default_factory=dict[str, float])


class RunView:
    """Energies, powers and spans of a :class:`~wattmark.runs.record.RunRecord`."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    @property
    def id(self) -> str:
        """The run's id."""
        return self.record.run_id

    @property
    def name(self) -> str:
        """The run's name."""
        return self.record.name

    @cached_property
    def curves(self) -> tuple[CurveEnergy, ...]:
        """Every channel's curve, ready for questions."""
        names = ErrorNames.of_record(self.record)
        return tuple(CurveEnergy(curve, names=names) for curve in self.record.curves)

    @cached_property
    def counted(self) -> tuple[CurveEnergy, ...]:
        """The curves that make up the total."""
        return tuple(
            curve for curve in self.curves if curve.curve.channel.counted and len(curve.curve.t_ns) > 1
        )

    @property
    def components(self) -> list[str]:
        """Components that have a curve, counted or not."""
        return list(dict.fromkeys(curve.channel.component for curve in self.record.curves))

    @cached_property
    def energy_by_channel(self) -> dict[str, Quantity]:
        """Energy in joules of every channel that covered anything, counted or not."""
        start, end = self._bounds()
        by_channel: dict[str, Quantity] = {}
        for curve in self.curves:
            got = curve.between(start, end)
            if got.covered_s[0] > 0:
                channel = curve.curve.channel
                by_channel[channel.id] = got.quantity(0, f"{channel.source} ({channel.method})")
        return by_channel

    @cached_property
    def energy_by_component(self) -> dict[str, Quantity]:
        """Energy in joules by component. A component whose channels are all left out of the total is there too."""
        by_component: dict[str, list[Quantity]] = {}
        beside: dict[str, list[Quantity]] = {}
        for curve in self.curves:
            channel = curve.curve.channel
            quantity = self.energy_by_channel.get(channel.id)
            if quantity is None:
                continue
            if channel.counted:
                by_component.setdefault(channel.component, []).append(quantity)
            elif not channel.inside and not channel.copy_of:
                beside.setdefault(channel.component, []).append(quantity)
        for component, quantities in beside.items():
            by_component.setdefault(component, quantities[:1])
        sums = {component: total(parts) for component, parts in by_component.items()}
        return {component: quantity for component, quantity in sums.items() if quantity is not None}

    @cached_property
    def energy(self) -> Quantity | None:
        """Energy in joules of all that is counted, or None."""
        return total(
            [
                self.energy_by_channel[curve.curve.channel.id]
                for curve in self.counted
                if curve.curve.channel.id in self.energy_by_channel
            ]
        )

    @cached_property
    def coverage(self) -> float:
        """Share of the counted channels' time that is covered, 0 to 1; 0 where there is no channel."""
        expected = [curve for curve in self.curves if curve.curve.channel.counted]
        length = self.record.duration_s
        if not expected:
            return 0.0
        if length <= 0:
            return 1.0
        start, end = self._bounds()
        covered = {
            candidate.curve.channel: float(candidate.between(start, end).covered_s[0])
            for candidate in expected
        }
        own = {channel: seconds for channel, seconds in covered.items() if not channel.stands_in_for}
        for channel, seconds in own.items():  # what stood in for it speaks of the rest of its time
            others = [s for candidate, s in covered.items() if channel.id in candidate.stands_in_for]
            own[channel] = min(length, seconds + max(others, default=0.0))
        return float(np.clip(sum(own.values()) / (length * len(own)), 0.0, 1.0)) if own else 0.0

    @property
    def mean_power_w(self) -> float | None:
        """Mean power over the covered time, in watts; of a run over several hosts, over its whole length."""
        if (
            self.record.extra.get("hosts") and self.record.duration_s > 0
        ):  # not all of them were there all the time
            return None if self.energy is None else self.energy.value / self.record.duration_s
        start, end = self._bounds()
        power = 0.0
        for curve in self.counted:
            got = curve.between(start, end)
            if got.covered_s[0] > 0:
                power += float(got.value_j[0] / got.covered_s[0])
        return power if self.counted else None

    @property
    def peak_power_w(self) -> float | None:
        """The highest total power over one sampling interval, in watts."""
        if not self.counted or self.record.duration_s <= 0:
            return None
        slowest = max(curve.usual_gap_s for curve in self.counted)
        bins = max(1, min(100_000, int(self.record.duration_s / slowest))) if slowest > 0 else 1
        edges = edges_ns(self.record.start_ns, self.record.end_ns, bins)
        power = np.nansum([curve.mean_power_w(edges) for curve in self.counted], axis=0)
        return float(power.max())

    def between(self, start_ns: Int64, end_ns: Int64) -> dict[str, Energies]:
        """Energies of intervals by component, counted channels only; start_ns, end_ns: (k,) int64."""
        by_component: dict[str, Energies] = {}
        for curve in self.counted:
            component = curve.curve.channel.component
            got = curve.between(start_ns, end_ns)
            by_component[component] = by_component[component] + got if component in by_component else got
        return by_component

    def energy_between(self, start_s: float, end_s: float) -> Quantity | None:
        """Counted energy in J from one second of the run to another, as far as they lie in it; None where nothing is
        covered."""
        start, end = (
            self.record.start_ns + round(min(max(0.0, moment_s), self.record.duration_s) * 1e9)
            for moment_s in (start_s, end_s)
        )
        energies = self.between(np.array([start]), np.array([end])).values()
        return total([energy.quantity(0) for energy in energies if energy.covered_s[0] > 0])

    def span_energies(self) -> Energies:
        """Total energies of all spans, row by row as in ``record.spans``."""
        spans = self.record.spans
        result = Energies.zeros(spans.start_ns, spans.end_ns)
        for energies in self.between(spans.start_ns, spans.end_ns).values():
            result = result + energies
        return result

    @cached_property
    def _span_paths(self) -> tuple[list[str], list[int]]:
        return span_paths(self.record.spans)

    def span_groups(self) -> list[SpanGroup]:
        """Spans of one path together, in order of first appearance: edges of neighbours cancel in their energies."""
        return grouped(
            self.record.spans,
            lambda start_ns, end_ns: [curve.union(start_ns, end_ns) for curve in self.counted],
            math.inf if self.energy is None else self.energy.high,
        )

    def spans(self, most: int | None = None) -> list[SpanView]:
        """All spans (or the first of them) with their energies, outer ones before inner ones. None has more than the run."""
        spans = self.record.spans
        count = len(spans) if most is None else min(most, len(spans))
        by_component = self.between(spans.start_ns[:count], spans.end_ns[:count])
        channels = max(1, sum(not curve.curve.channel.stands_in_for for curve in self.counted))
        limit = math.inf if self.energy is None else self.energy.high
        paths, own = self._span_paths
        views: list[SpanView] = []
        for row in range(count):
            name = spans.names[int(spans.name_ids[row])]
            parts = {
                component: energies.quantity(row).bounded(at_most=max(limit, float(energies.value_j[row])))
                for component, energies in by_component.items()
                if energies.covered_s[row] > 0
            }
            energy = total(parts.values())
            length_s = float(spans.end_ns[row] - spans.start_ns[row]) / 1e9
            covered_s = sum(float(energies.covered_s[row]) for energies in by_component.values())
            detail = spans.details.get(row, {})
            views.append(
                SpanView(
                    name,
                    paths[own[row]],
                    float(spans.start_ns[row] - self.record.start_ns) / 1e9,
                    length_s,
                    None if energy is None else energy.bounded(at_most=max(limit, energy.value)),
                    parts,
                    min(1.0, covered_s / (length_s * channels)) if length_s > 0 else 1.0,
                    dict(detail.get("counts", {})),
                    dict(detail.get("attrs", {})),
                    int(spans.pids[row]),
                    int(spans.tids[row]),
                    bool(spans.open[row]),
                )
            )
        return views

    def power(self, bins: int | None = None) -> dict[str, Float64]:
        """Power over time: ``t_s`` (middle of each bin, from the run's start) and watts by component.

        bins: how many; by default one per sampling interval, at most 2,000. NaN where nothing is covered.
        """
        if bins is None:
            gap = min((curve.usual_gap_s for curve in self.counted if curve.usual_gap_s > 0), default=0.1)
            bins = int(np.clip(self.record.duration_s / gap, 1, MAX_BINS))
        edges = edges_ns(self.record.start_ns, max(self.record.end_ns, self.record.start_ns + 1), bins)
        middles = (edges[:-1] + edges[1:]) / 2 - self.record.start_ns
        result: dict[str, Float64] = {"t_s": middles / 1e9}
        for curve in self.counted:
            component = curve.curve.channel.component
            power = curve.mean_power_w(edges)
            result[component] = result[component] + power if component in result else power
        return result

    def table(self) -> list[dict[str, object]]:
        """The spans as flat dicts: ``energy_j``, ``energy_low_j``, ..., one column per count."""
        return [row_of(span) for span in self.spans()]

    def _bounds(self) -> tuple[Int64, Int64]:
        return np.array([self.record.start_ns]), np.array([self.record.end_ns])


def row_of(span: SpanView) -> dict[str, object]:
    """A span as a flat dict: ``energy_j`` with its ends, joules by component, then its attributes and counts."""
    return {
        "name": span.name,
        "path": span.path,
        "start_s": span.start_s,
        "duration_s": span.duration_s,
        "energy_j": span.energy.value if span.energy else None,
        "energy_low_j": span.energy.low if span.energy else None,
        "energy_high_j": span.energy.high if span.energy else None,
        **{f"{component}_j": quantity.value for component, quantity in span.by_component.items()},
        "pid": span.pid,
        "tid": span.tid,
        **span.attrs,
        **span.counts,
    }


def span_paths(spans: Spans) -> tuple[list[str], list[int]]:
    """Every path of span names, in order of first appearance, and which of them each span has."""
    paths: list[str] = []
    numbers: dict[tuple[int, int], int] = {}
    own: list[int] = []
    parents: list[int] = spans.parents.tolist()
    names: list[int] = spans.name_ids.tolist()
    for row, (parent, name) in enumerate(zip(parents, names, strict=True)):
        above = own[parent] if 0 <= parent < row else -1
        number = numbers.setdefault((above, name), len(paths))
        if number == len(paths):
            paths.append(f"{paths[above]}/{spans.names[name]}" if above >= 0 else spans.names[name])
        own.append(number)
    return paths, own


def grouped(
    spans: Spans,
    unions: Callable[[Int64, Int64], Iterable[Energies]],
    at_most_j: float,
    longest: int | None = None,
) -> list[SpanGroup]:
    """Spans of one path together, in order of first appearance.

    unions: the energy of intervals together, one row for each counted curve (:meth:`CurveEnergy.union`). at_most_j: what
    the whole run may have used; no part has more. longest: only so many, those that took the most time.
    """
    paths, numbers = span_paths(spans)
    own = np.asarray(numbers, np.int64)
    order = np.argsort(own, kind="stable")
    counts = np.bincount(own, minlength=len(paths))
    ends = np.cumsum(counts)
    times_s = np.bincount(own, (spans.end_ns - spans.start_ns) / 1e9, len(paths))
    chosen: list[int] = sorted(np.argsort(-times_s, kind="stable")[:longest].tolist())
    counted = _counts_by_path(spans, numbers)
    groups: list[SpanGroup] = []
    for number in chosen:
        rows = order[ends[number] - counts[number] : ends[number]]
        energies = unions(spans.start_ns[rows], spans.end_ns[rows])
        energy = total([union.quantity(0) for union in energies if union.covered_s[0] > 0])
        depth, row = 0, int(spans.parents[rows[0]])
        while row >= 0:
            depth, row = depth + 1, int(spans.parents[row])
        groups.append(
            SpanGroup(
                paths[number], spans.names[int(spans.name_ids[rows[0]])], depth, len(rows), float(times_s[number]),
                None if energy is None else energy.bounded(at_most=max(at_most_j, energy.value)),
                counted.get(number, {}),
            )
        )  # fmt: skip
    return groups


def _counts_by_path(spans: Spans, numbers: list[int]) -> dict[int, dict[str, float]]:
    """What the spans of each path counted, by the number of the path."""
    sums: dict[int, dict[str, float]] = {}
    for row, detail in spans.details.items():
        counts = detail.get("counts")
        if counts:
            own = sums.setdefault(numbers[row], {})
            for name, value in counts.items():
                own[name] = own.get(name, 0.0) + value
    return sums
