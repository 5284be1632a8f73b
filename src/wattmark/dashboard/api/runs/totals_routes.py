"""Sums over runs, and over time: no joule counted twice, intervals added, what is not known said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from wattmark.dashboard.api.runs.table import MEASURED, Places, RunId, energy_of, part_of, stored
from wattmark.dashboard.context import Here
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.store import RunSummary

router = APIRouter(tags=["runs"])

_LONGEST_S = 20 * 365 * 86_400.0
"""What is said to have lasted longer than this is not spread over its days."""
Period = Literal["day", "week", "month"]
RULES = (
    "Intervals are added end to end, as errors of one kind of sensor usually go together.",
    "A run inside another one of these is not added again.",
    "Where runs of one machine overlapped, the shared time is divided evenly between them: each of them measured it whole.",
    "Over time, a run's energy is spread evenly over its length.",
)


class Ask(BaseModel):
    """Which runs (all by default), and by what.

    by: ``project`` (the tag of that name), ``host``, ``name``, ``day`` (of the start) or ``tag:KEY``. period: sums over
    time as well. timezone: where days begin.
    """

    ids: Annotated[list[RunId], Field(max_length=100_000)] | None = None
    by: Annotated[str, StringConstraints(pattern=r"^(project|host|name|day|tag:[^\x00]{1,200})$")] = "project"
    period: Period | None = None
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")] = "UTC"


class Amount(BaseModel):
    """A sum with its interval."""

    value: float
    low: float
    high: float
    unit: str


class Sum(BaseModel):
    """A group's runs added up. Null where no run of it is known in that respect; ``unknown``: runs without energy."""

    runs: int
    unknown: int
    duration_s: float
    energy: Amount | None
    measured: Amount | None
    modelled: Amount | None
    carbon: Amount | None
    no_zone: int
    overlapping: int


class Group(BaseModel):
    """The sum of one group. key: null for runs that have no such tag."""

    key: str | None
    sum: Sum


class Slice(BaseModel):
    """What a group used in one period, which begins on the day ``start``."""

    key: str | None
    start: str
    energy: Amount
    measured: Amount | None
    modelled: Amount | None
    carbon: Amount | None


class Totals(BaseModel):
    """Everything, the groups (the largest energy first), and the groups over time."""

    all: Sum
    groups: list[Group]
    slices: list[Slice]
    rules: list[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a run's time with the share of the run's energy that is its own there."""

    start_s: float
    end_s: float
    share: float


@dataclass(slots=True)
class _Adder:
    runs: int = 0
    unknown: int = 0
    no_zone: int = 0
    overlapping: int = 0
    duration_s: float = 0.0
    sums: dict[str, Quantity] = field(default_factory=dict[str, Quantity])

    def add(self, name: str, quantity: Quantity | None, share: float) -> None:
        if quantity is not None and share > 0:
            part = Quantity(
                quantity.value * share, quantity.low * share, quantity.high * share, quantity.unit
            )
            self.sums[name] = self.sums[name] + part if name in self.sums else part

    def amount(self, name: str) -> Amount | None:
        found = self.sums.get(name)
        return (
            None
            if found is None
            else Amount(value=found.value, low=found.low, high=found.high, unit=found.unit)
        )

    def sum(self) -> Sum:
        parts = {name: self.amount(name) for name in ("energy", "measured", "modelled", "carbon")}
        return Sum(
            runs=self.runs, unknown=self.unknown, duration_s=self.duration_s, no_zone=self.no_zone,
            overlapping=self.overlapping, **parts,
        )  # fmt: skip


@router.post("/runs/totals")
def totals(here: Here, ask: Ask) -> Totals:
    """Sums of energy and carbon by project, tag, machine, name or day, and over time."""
    zone = _zone(ask.timezone)
    runs = stored(here.store)
    if ask.ids is not None:
        wanted = set(ask.ids)
        runs = [run for run in runs if run.run_id in wanted]
    return add_up(runs, ask.by, ask.period, zone)


def add_up(
    runs: Sequence[RunSummary],
    by: str = "project",
    period: Period | None = None,
    zone: ZoneInfo | timezone = timezone.utc,
) -> Totals:
    """The totals of these runs, by :data:`RULES`."""
    places, shares = Places(), pieces(runs)
    everything, groups = _Adder(), dict[str | None, _Adder]()
    slices: dict[tuple[str | None, date], _Adder] = {}
    for run in runs:
        key = key_of(run, by, zone)
        own = shares[run.run_id]
        share = sum(piece.share for piece in own)
        quantities = _quantities(run, places)
        for adder in (everything, groups.setdefault(key, _Adder())):
            adder.runs += 1
            adder.unknown += quantities["energy"] is None
            adder.no_zone += quantities["energy"] is not None and quantities["carbon"] is None
            adder.overlapping += 0 < share < 1 - 1e-6
            adder.duration_s += run.duration_s
            for name, quantity in quantities.items():
                adder.add(name, quantity, share)
        if period is not None:
            for start, part in _by_period(own, period, zone):
                adder = slices.setdefault((key, start), _Adder())
                for name, quantity in quantities.items():
                    adder.add(name, quantity, part)
    ordered = sorted(groups.items(), key=lambda pair: (-_energy(pair[1]), pair[0] or ""))
    return Totals(
        all=everything.sum(),
        groups=[Group(key=key, sum=adder.sum()) for key, adder in ordered],
        slices=[
            Slice(
                key=key, start=start.isoformat(), energy=energy, measured=adder.amount("measured"),
                modelled=adder.amount("modelled"), carbon=adder.amount("carbon"),
            )
            for (key, start), adder in sorted(slices.items(), key=lambda pair: (pair[0][1], pair[0][0] or ""))
            if (energy := adder.amount("energy")) is not None
        ],
        rules=list(RULES),
    )  # fmt: skip


def pieces(runs: Iterable[RunSummary]) -> dict[str, list[Piece]]:
    """The time of each run in pieces, each with the share of the run's energy that is to be added.

    A run inside another of these adds nothing. In a time that n runs of a host share, each adds one n-th of what it
    drew on average: each has measured the whole machine. Runs without a host are alone; a run without length is one piece.
    """
    runs = list(runs)
    known = {run.run_id for run in runs}
    found: dict[str, list[Piece]] = {run.run_id: [] for run in runs}
    by_host: dict[str, list[RunSummary]] = {}
    for run in runs:
        if run.parent_id in known and run.parent_id != run.run_id:
            continue
        start = run.started_at.timestamp()
        if not run.host or run.duration_s <= 0:
            found[run.run_id].append(Piece(start, start + max(0.0, run.duration_s), 1.0))
        else:
            by_host.setdefault(run.host, []).append(run)
    for some in by_host.values():
        _sweep(some, found)
    return found


def _sweep(runs: Sequence[RunSummary], found: dict[str, list[Piece]]) -> None:
    edges: list[tuple[float, int, str]] = []
    lengths = {run.run_id: run.duration_s for run in runs}
    for run in runs:
        start = run.started_at.timestamp()
        edges += [(start, 1, run.run_id), (start + run.duration_s, 0, run.run_id)]
    active: dict[str, None] = {}
    before = 0.0
    for moment, begins, run_id in sorted(edges):
        if moment > before:
            for one in active:
                share = (moment - before) / lengths[one] / len(active)
                found[one].append(Piece(before, moment, share))
        if begins:
            active[run_id] = None
        else:
            active.pop(run_id, None)
        before = moment


def key_of(run: RunSummary, by: str, zone: ZoneInfo | timezone) -> str | None:
    """The group that a run belongs to."""
    if by == "host":
        return run.host or None
    if by == "name":
        return run.name
    if by == "day":
        return run.started_at.astimezone(zone).date().isoformat()
    return run.tags.get(by.removeprefix("tag:"))


def _quantities(run: RunSummary, places: Places) -> dict[str, Quantity | None]:
    return {
        "energy": energy_of(run),
        "measured": part_of(run, MEASURED),
        "modelled": part_of(run, ("modelled",)),
        "carbon": places.carbon(run)[1],
    }


def _by_period(own: Iterable[Piece], period: Period, zone: ZoneInfo | timezone) -> list[tuple[date, float]]:
    """The shares of a run by the first day of their period."""
    found: dict[date, float] = {}
    for piece in own:
        at = piece.start_s
        if piece.end_s - at > _LONGEST_S:
            first = _first_day(datetime.fromtimestamp(at, zone).date(), period)
            found[first] = found.get(first, 0.0) + piece.share
            continue
        while True:
            first = _first_day(datetime.fromtimestamp(at, zone).date(), period)
            following = _following(first, period)
            edge = datetime(following.year, following.month, following.day, tzinfo=zone).timestamp()
            end = min(edge, piece.end_s)
            length = piece.end_s - piece.start_s
            found[first] = found.get(first, 0.0) + piece.share * ((end - at) / length if length > 0 else 1.0)
            if edge >= piece.end_s:
                break
            at = edge
    return list(found.items())


def _first_day(day: date, period: Period) -> date:
    if period == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if period == "week" else day


def _following(first: date, period: Period) -> date:
    if period == "month":
        return (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first + timedelta(days=7 if period == "week" else 1)


def _energy(adder: _Adder) -> float:
    energy = adder.sums.get("energy")
    return energy.value if energy else 0.0


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"there is no time zone {name!r}", hint="such as UTC or Europe/Paris") from error
