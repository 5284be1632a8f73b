"""Sums over runs, and over time: no joule counted twice, intervals added, what is not known said.

Whoever asks gives lines (:class:`RunLine`) of stored runs or of running ones; carbon comes with them, since places are
a later stage (``workspace.totals`` makes the lines of a store).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Literal, Protocol, TypeVar, get_args

from wattmark.errors import ConfigError
from wattmark.quantity import EDGES, OWN, Quantity, total
from wattmark.runs.hosts import PART_OF

Period = Literal["day", "week", "month"]
Part = Literal["energy", "measured", "modelled", "carbon"]
PARTS: tuple[Part, ...] = get_args(Part)
RULES = (
    "What errs alike in several runs (the scale of a sensor, the grid of a zone) is added; other errors are independent.",
    "A run inside another one of these is not added again.",
    "A run beside which others used more than a tenth of the machine counts with what its own process tree used.",
    "Where other runs of one machine overlapped, the shared time is divided evenly between them: each measured it whole.",
    "Over time, a run's energy is spread evenly over its length.",
)
_LONGEST_S = 20 * 365 * 86_400.0
"""What is said to have lasted longer than this is not spread over its days."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """What a sum needs of a run. Energies in J (``measured`` and ``modelled`` are the parts of ``energy`` by how they
    were got), carbon in g CO2e; None where nothing is known. own: they are those of its process tree, in which no other run
    has a part."""

    run_id: str
    name: str
    host: str
    parent_id: str | None
    started_at: datetime
    duration_s: float
    tags: Mapping[str, str]
    energy: Quantity | None
    measured: Quantity | None = None
    modelled: Quantity | None = None
    carbon: Quantity | None = None
    own: bool = False

    def part(self, name: Part) -> Quantity | None:
        """One of the four quantities."""
        return {
            "energy": self.energy,
            "measured": self.measured,
            "modelled": self.modelled,
            "carbon": self.carbon,
        }[name]


@dataclass(frozen=True, slots=True)
class Sum:
    """Runs added up. None where no run of them is known in that respect.

    unknown: runs without energy; no_zone: with energy but without carbon; overlapping: counted with a share of their
    time only; trees: counted with their process tree's energy.
    """

    runs: int
    unknown: int
    no_zone: int
    overlapping: int
    duration_s: float
    energy: Quantity | None
    measured: Quantity | None
    modelled: Quantity | None
    carbon: Quantity | None
    trees: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """The sum of one group. key: None for runs that have no such tag."""

    key: str | None
    sum: Sum


@dataclass(frozen=True, slots=True)
class Slice:
    """What a group used in one period, which begins on the day ``start``."""

    key: str | None
    start: date
    energy: Quantity
    measured: Quantity | None
    modelled: Quantity | None
    carbon: Quantity | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Everything, the groups (the largest energy first), and the groups over time."""

    all: Sum
    groups: tuple[Group, ...]
    slices: tuple[Slice, ...]
    rules: tuple[str, ...] = RULES


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
    trees: int = 0
    duration_s: float = 0.0
    parts: dict[Part, list[Quantity]] = field(default_factory=dict[Part, list[Quantity]])

    def add(self, run: RunLine, share: float) -> None:
        for name in PARTS:
            quantity = run.part(name)
            if quantity is not None and share > 0:
                self.parts.setdefault(name, []).append(quantity * share)

    def count(self, run: RunLine, share: float) -> None:
        self.runs += 1
        self.unknown += run.energy is None
        self.no_zone += run.energy is not None and run.carbon is None
        self.overlapping += 0 < share < 1 - 1e-6
        self.trees += run.own
        self.duration_s += run.duration_s

    @property
    def energy_j(self) -> float:
        return sum(part.value for part in self.parts.get("energy", ()))

    def total(self, name: Part) -> Quantity | None:
        parts = self.parts.get(name, ())
        whole = total(parts, parts[0].unit) if parts else None
        return None if whole is None else whole.folded(EDGES, OWN)

    def sum(self) -> Sum:
        return Sum(
            self.runs,
            self.unknown,
            self.no_zone,
            self.overlapping,
            self.duration_s,
            self.total("energy"),
            self.total("measured"),
            self.total("modelled"),
            self.total("carbon"),
            self.trees,
        )


class _Listed(Protocol):
    @property
    def run_id(self) -> str: ...
    @property
    def parent_id(self) -> str | None: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


R = TypeVar("R", bound=_Listed)


def without_parts(runs: Sequence[R]) -> list[R]:
    """These runs less those that are one host's part of another one of them: a job counts, and is shown, once."""
    ids = {run.run_id for run in runs}
    return [run for run in runs if PART_OF not in run.tags or run.parent_id not in ids]


def add_up(
    runs: Sequence[RunLine],
    by: str = "project",
    period: Period | None = None,
    zone: tzinfo = timezone.utc,
) -> Totals:
    """The totals of these runs, by :data:`RULES`.

    by: ``project`` (the tag of that name), ``host``, ``name``, ``day`` (of the start) or ``tag:KEY``. period: sums over
    time as well. zone: where days begin. Raises ConfigError for a ``by`` or ``period`` that does not exist.
    """
    _check(by, period)
    runs = without_parts(runs)
    shares = pieces(runs)
    everything, groups = _Adder(), dict[str | None, _Adder]()
    slices: dict[tuple[str | None, date], _Adder] = {}
    for run in runs:
        key, own = _key(run, by, zone), shares[run.run_id]
        share = sum(piece.share for piece in own)
        for adder in (everything, groups.setdefault(key, _Adder())):
            adder.count(run, share)
            adder.add(run, share)
        if period is not None:
            for start, part in _by_period(own, period, zone):
                slices.setdefault((key, start), _Adder()).add(run, part)
    ordered = sorted(groups.items(), key=lambda pair: (-pair[1].energy_j, pair[0] or ""))
    return Totals(
        everything.sum(),
        tuple(Group(key, adder.sum()) for key, adder in ordered),
        tuple(
            Slice(
                key,
                start,
                energy,
                adder.total("measured"),
                adder.total("modelled"),
                adder.total("carbon"),
            )
            for (key, start), adder in sorted(slices.items(), key=lambda pair: (pair[0][1], pair[0][0] or ""))
            if (energy := adder.total("energy")) is not None
        ),
    )


def pieces(runs: Iterable[RunLine]) -> dict[str, list[Piece]]:
    """The time of each run in pieces, each with the share of the run's energy that is to be added.

    A run inside another of these adds nothing. In a time that n runs of a host share, each adds one n-th of what it
    drew on average: each has measured the whole machine, but for those that are known by what is their own, which add all of
    it. Runs without a host are alone; a run without length is one piece.
    """
    runs = list(runs)
    ids = {run.run_id for run in runs}
    result: dict[str, list[Piece]] = {run.run_id: [] for run in runs}
    by_host: dict[str, list[RunLine]] = {}
    for run in runs:
        if run.parent_id in ids and run.parent_id != run.run_id:
            continue
        start = run.started_at.timestamp()
        if not run.host or run.duration_s <= 0:
            result[run.run_id].append(Piece(start, start + max(0.0, run.duration_s), 1.0))
        else:
            by_host.setdefault(run.host, []).append(run)
    for neighbours in by_host.values():
        _sweep(neighbours, result)
    return result


def _sweep(runs: Sequence[RunLine], result: dict[str, list[Piece]]) -> None:
    edges: list[tuple[float, int, str]] = []
    lengths = {run.run_id: run.duration_s for run in runs}
    own = {run.run_id for run in runs if run.own}
    for run in runs:
        start = run.started_at.timestamp()
        edges += [(start, 1, run.run_id), (start + run.duration_s, 0, run.run_id)]
    active: dict[str, None] = {}
    before = 0.0
    for moment, begins, run_id in sorted(edges):
        if moment > before:
            for sharer in active:
                share = (moment - before) / lengths[sharer] / (1 if sharer in own else len(active))
                result[sharer].append(Piece(before, moment, share))
        if begins:
            active[run_id] = None
        else:
            active.pop(run_id, None)
        before = moment


def _check(by: str, period: str | None) -> None:
    if by not in ("project", "host", "name", "day") and not (by.startswith("tag:") and by != "tag:"):
        raise ConfigError(f"runs cannot be grouped by {by!r}", hint="project, host, name, day or tag:KEY")
    if period is not None and period not in get_args(Period):
        raise ConfigError(f"there is no period {period!r}", hint="day, week or month")


def _key(run: RunLine, by: str, zone: tzinfo) -> str | None:
    """The group that a run belongs to."""
    if by == "host":
        return run.host or None
    if by == "name":
        return run.name
    if by == "day":
        return run.started_at.astimezone(zone).date().isoformat()
    return run.tags.get(by.removeprefix("tag:"))


def _by_period(own: Iterable[Piece], period: Period, zone: tzinfo) -> list[tuple[date, float]]:
    """The shares of a run by the first day of their period."""
    shares: dict[date, float] = {}
    for piece in own:
        at = piece.start_s
        length = piece.end_s - at
        while True:
            first = _first_day(datetime.fromtimestamp(at, zone).date(), period)
            following = _following(first, period)
            edge = datetime(following.year, following.month, following.day, tzinfo=zone).timestamp()
            end = piece.end_s if length > _LONGEST_S else min(edge, piece.end_s)
            shares[first] = shares.get(first, 0.0) + piece.share * (
                (end - at) / length if length > 0 else 1.0
            )
            if end >= piece.end_s:
                break
            at = edge
    return list(shares.items())


def _first_day(day: date, period: Period) -> date:
    if period == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if period == "week" else day


def _following(first: date, period: Period) -> date:
    if period == "month":
        return (first.replace(day=28) + timedelta(days=4)).replace(day=1)
    return first + timedelta(days=7 if period == "week" else 1)
