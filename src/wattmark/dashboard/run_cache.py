"""One run as the page asks about it: long curves are read in parts, short ones and those that go on stay in memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np

from wattmark.dashboard.cache import Cache
from wattmark.dashboard.live_hub import LiveHub
from wattmark.impact.emissions import PueLike
from wattmark.impact.locate import FoundZone
from wattmark.quantity import Quantity, total
from wattmark.runs import health
from wattmark.runs.attribution import Counted, Scope, Share, attributed_of, contention, headline_scope
from wattmark.runs.display.overview import BIN, Columns, Steps, columns_of, steps_of
from wattmark.runs.energy import CurveEnergy, Energies
from wattmark.runs.error_names import ErrorNames
from wattmark.runs.record import Int64, RunRecord, SeriesData, Spans
from wattmark.runs.view import RunView, SpanGroup, grouped
from wattmark.sources.base import Series
from wattmark.store import Store
from wattmark.store.lookup import Candidate
from wattmark.store.partial import StoredRun
from wattmark.workspace.runs import place_of

Derived = TypeVar("Derived")
LONG = 400_000
"""Runs with more samples than this are read in parts."""
_BINS_PER_COLUMN = 4
"""Drawn means are exact but for the bins at the edges of columns, which is less than a pixel of time."""
_KEPT_RUNS = 12
_KEPT_VIEWS = 60


class ChannelCurve(health.ChannelCurve, Protocol):
    """One channel's curve, ready to be drawn as well."""

    def union(self, start_ns: Int64, end_ns: Int64) -> Energies:
        """Energy of intervals together, one row."""
        ...

    def columns(self, edges_ns: Int64) -> Columns:
        """Power in the columns of a chart."""
        ...

    def __bool__(self) -> bool: ...


class WholeCurve:
    """A curve in memory."""

    def __init__(self, energy: CurveEnergy) -> None:
        self.channel = energy.curve.channel
        self._energy = energy

    def __bool__(self) -> bool:
        return bool(self._energy)

    @property
    def holes(self) -> Int64:
        """Where nothing is known."""
        return self._energy.curve.holes

    @cached_property
    def _steps(self) -> Steps:
        return steps_of(self._energy.curve, self._energy.usual_gap_s)

    def energies(self, start_ns: Int64, end_ns: Int64) -> Energies:
        """Energies of intervals."""
        return self._energy.between(start_ns, end_ns)

    def union(self, start_ns: Int64, end_ns: Int64) -> Energies:
        """Energy of intervals together."""
        return self._energy.union(start_ns, end_ns)

    def columns(self, edges_ns: Int64) -> Columns:
        """Power in columns."""
        return columns_of(self._steps, self.holes, edges_ns, self._energy.usual_gap_s)


class StoredCurve:
    """A curve of the store, read in parts; one that was stored without an overview is read whole, once."""

    def __init__(self, run: StoredRun, number: int) -> None:
        self.channel = run.channels[number]
        self._run = run
        self._number = number
        self._names = ErrorNames.of_record(run.record)

    def __bool__(self) -> bool:
        return self._run.samples(self._number) > 1

    @property
    def holes(self) -> Int64:
        """Where nothing is known."""
        return self._holes

    @cached_property
    def _holes(self) -> Int64:
        return self._run.holes(self._number)

    @cached_property
    def _whole(self) -> WholeCurve:
        return WholeCurve(CurveEnergy(self._run.curve(self._number), names=self._names))

    @cached_property
    def _overview(self) -> Steps | None:
        return self._run.overview(self._number)

    def energies(self, start_ns: Int64, end_ns: Int64) -> Energies:
        """Energies of intervals, exactly as from the whole curve."""
        around = self._around(start_ns, end_ns)
        return self._whole.energies(start_ns, end_ns) if around is None else around.between(start_ns, end_ns)

    def union(self, start_ns: Int64, end_ns: Int64) -> Energies:
        """Energy of intervals together, exactly as from the whole curve: only sampling intervals with an edge matter."""
        around = self._around(start_ns, end_ns)
        return self._whole.union(start_ns, end_ns) if around is None else around.union(start_ns, end_ns)

    def _around(self, start_ns: Int64, end_ns: Int64) -> CurveEnergy | None:
        """The curve at the edges of intervals; None for one that was stored without its facts."""
        facts = self._run.facts(self._number)
        if facts is None:
            return None
        part = self._run.around(self._number, np.concatenate((start_ns, end_ns)))
        return CurveEnergy(part, facts, self._names)

    def columns(self, edges_ns: Int64) -> Columns:
        """Power in columns: from the samples where there are few in the window, else from the bins."""
        facts = self._run.facts(self._number)
        overview = self._overview
        if facts is None or overview is None:
            return self._whole.columns(edges_ns)
        start, end = int(edges_ns[0]), int(edges_ns[-1])
        share = (end - start) / max(1.0, facts.usual_gap_s * 1e9)
        if share > _BINS_PER_COLUMN * BIN * (len(edges_ns) - 1):
            return columns_of(overview, self.holes, edges_ns, facts.usual_gap_s)
        part = self._run.between(self._number, start, end)
        return columns_of(steps_of(part, facts.usual_gap_s), self.holes, edges_ns, facts.usual_gap_s)


@dataclass(frozen=True, slots=True)
class ComponentCurves:
    """What belongs to one component. counted: whether it is in the total."""

    component: str
    curves: tuple[ChannelCurve, ...]
    counted: bool

    @property
    def methods(self) -> list[str]:
        """How its joules were got."""
        return sorted({curve.channel.method for curve in self.curves})


class OneRun:
    """A run that is looked at. live: it still goes on, and this is how it stood."""

    def __init__(
        self,
        record: RunRecord,
        curves: tuple[ChannelCurve, ...],
        sides: Callable[[], tuple[SeriesData, ...]],
        live: bool = False,
    ) -> None:
        self.record = record
        self.curves = curves
        self.live = live
        self.running = False
        self.whole_record: Callable[[], RunRecord] = lambda: record
        self.series_described: tuple[Series, ...] = ()
        self._sides = sides
        self._derived: dict[Callable[[OneRun], Any], Any] = {}

    @classmethod
    def of_view(cls, view: RunView, *, running: bool) -> OneRun:
        """A run in memory. running: it is not in the store yet."""
        curves = tuple(WholeCurve(curve) for curve in view.curves)
        instance = cls(view.record, curves, lambda: view.record.series, view.record.status == "running")
        instance.running = running
        instance.whole_record = lambda: view.record
        instance.series_described = tuple(line.series for line in view.record.series)
        return instance

    @classmethod
    def of_stored(cls, run: StoredRun) -> OneRun:
        """A run of the store, read in parts."""
        curves = tuple(StoredCurve(run, number) for number in range(len(run.channels)))
        instance = cls(run.record, curves, lambda: tuple(run.side(i) for i in range(len(run.series))))
        instance.whole_record = lambda: dataclasses.replace(
            run.record, curves=tuple(run.curve(i) for i in range(len(run.channels)))
        )
        instance.series_described = run.series
        return instance

    @property
    def spans(self) -> Spans:
        """All spans."""
        return self.record.spans

    @cached_property
    def series(self) -> tuple[SeriesData, ...]:
        """Side series."""
        return self._sides()

    @property
    def place(self) -> tuple[FoundZone | None, PueLike]:
        """Zone and PUE for its carbon."""
        return place_of(self.record)

    @cached_property
    def parts(self) -> tuple[ComponentCurves, ...]:
        """Components with their curves; one that is not counted is there by its first channel, as in summaries."""
        components: list[ComponentCurves] = []
        usable = [curve for curve in self.curves if curve]
        for component in dict.fromkeys(curve.channel.component for curve in usable):
            own = [curve for curve in usable if curve.channel.component == component]
            counted = tuple(curve for curve in own if curve.channel.counted)
            beside = [curve for curve in own if not curve.channel.inside and not curve.channel.copy_of]
            if counted:
                components.append(ComponentCurves(component, counted, True))
            elif beside:
                components.append(ComponentCurves(component, (beside[0],), False))
        return tuple(components)

    @cached_property
    def energy(self) -> Quantity | None:
        """Energy in J of all that is counted, as :attr:`RunView.energy` has it."""
        start, end = np.array([self.record.start_ns]), np.array([self.record.end_ns])
        wholes = [curve.energies(start, end) for part in self.parts if part.counted for curve in part.curves]
        return total([whole.quantity(0) for whole in wholes if whole.covered_s[0] > 0])

    @cached_property
    def scope(self) -> Scope:
        """Whose energy the run is known by (:func:`headline_scope`)."""
        return headline_scope(contention(self.record), self.attributed() is not None)

    def attributed(self, start_ns: int | None = None, end_ns: int | None = None) -> Share | None:
        """The process tree's energy in the run or a part of it, as :func:`wattmark.runs.attribution.attributed` has it."""
        counted = [
            Counted(curve.channel, curve.energies)
            for part in self.parts
            if part.counted
            for curve in part.curves
        ]
        return attributed_of(self.record, counted, start_ns, end_ns) if counted else None

    def within(self, energy: Quantity) -> Quantity:
        """The energy of a part of the run: it has no more than the whole may have."""
        return energy if self.energy is None else energy.bounded(at_most=max(self.energy.high, energy.value))

    def span_groups(self, longest: int) -> list[SpanGroup]:
        """Spans of one path together (:meth:`RunView.span_groups`); of many paths those that took the most time."""
        curves = [curve for part in self.parts if part.counted for curve in part.curves]
        return grouped(
            self.spans,
            lambda start_ns, end_ns: [curve.union(start_ns, end_ns) for curve in curves],
            math.inf if self.energy is None else self.energy.high,
            longest,
        )

    def derived(self, make: Callable[[OneRun], Derived]) -> Derived:
        """What ``make`` works out of the run, kept as long as the run is."""
        if make not in self._derived:
            self._derived[make] = make(self)
        return self._derived[make]

    def moment_ns(self, seconds: float) -> int:
        """Seconds from the run's start as monotonic ns."""
        return self.record.start_ns + round(seconds * 1e9)


class RunCache:
    """Runs that were looked at lately, whole or in parts; one that changed in the store is read again."""

    def __init__(self, store: Store, live: LiveHub) -> None:
        self._store = store
        self._live = live
        self._views: Cache[RunView] = Cache(_KEPT_VIEWS)
        self._runs: Cache[OneRun] = Cache(_KEPT_RUNS)

    def resolve(self, ref: str) -> str:
        """The id of the run that is meant, of the store or one that still runs. Raises RunNotFound."""
        return self._resolve(ref)[0]

    def get(self, ref: str) -> OneRun:
        """The run that is meant, of the store or one that still runs. Raises RunNotFound."""
        place = self._place(ref)
        if isinstance(place, RunRecord):
            return OneRun.of_view(RunView(place), running=True)
        run_id, revision = place
        return self._runs.get(run_id, revision, lambda: self._open(run_id, revision))

    def view(self, ref: str) -> RunView:
        """The same run in memory. Raises RunNotFound."""
        place = self._place(ref)
        return RunView(place) if isinstance(place, RunRecord) else self._whole(*place)

    def _place(self, ref: str) -> tuple[str, int] | RunRecord:
        """Id and revision of a run of the store, or one that still runs."""
        run_id, live = self._resolve(ref)
        return live[run_id] if run_id in live else self._store.revision(run_id)

    def _resolve(self, ref: str) -> tuple[str, dict[str, RunRecord]]:
        live: dict[str, RunRecord] = {}

        def candidates() -> list[Candidate]:
            live.update((record.run_id, record) for record in self._live.records())
            return [Candidate(run.run_id, run.name, run.started_wall_ns) for run in live.values()]

        return self._store.resolve(ref, candidates), live

    def _whole(self, run_id: str, revision: int) -> RunView:
        return self._views.get(run_id, revision, lambda: RunView(self._store.get(run_id)))

    def _open(self, run_id: str, revision: int) -> OneRun:
        part = self._store.part(run_id)
        if sum(part.samples(number) for number in range(len(part.channels))) > LONG:
            return OneRun.of_stored(part)
        return OneRun.of_view(self._whole(run_id, revision), running=False)
