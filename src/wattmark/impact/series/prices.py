"""Money over time: a flat price, a table by the time of day, or a spot series, each integrated with the run's power.

A table is a CSV of ``from,to,price`` (``22:00,06:00,0.21``), with ``days`` where it differs (``mon-fri``, ``sat,sun``),
in local time of a zone; a day that changes its clocks has 23 or 25 hours. A spot series is a file of times and prices;
they may be below zero.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from wattmark.errors import ConfigError
from wattmark.impact.pue import Pue
from wattmark.impact.ranges import as_price
from wattmark.impact.series.cells import per_kwh
from wattmark.impact.series.readers import read_table
from wattmark.impact.series.series import IntensitySeries, Piece
from wattmark.impact.stages import Stage
from wattmark.quantity import Quantity
from wattmark.runs.attribution import headline_of
from wattmark.runs.energy import Energies
from wattmark.runs.view import RunView
from wattmark.units import J_PER_KWH

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS: Mapping[str, float] = {"kWh": 1.0, "MWh": 1e-3}
"""What a price is per, and how many prices per kWh that is."""
_TITLES = ("marketprice", "day-ahead price", "spot", "price", "tariff", "cost", "value")


@dataclass(frozen=True, slots=True)
class Rule:
    """A price from one local time to another (past midnight, where it ends before it begins), on these weekdays (0 is
    Monday)."""

    begins: time
    ends: time
    price: float
    days: frozenset[int]

    def holds(self, moment: datetime) -> bool:
        """Whether it holds at a local moment; after midnight the day that it began on counts."""
        at = moment.time()
        if self.begins < self.ends:
            return self.begins <= at < self.ends and moment.weekday() in self.days
        if at >= self.begins:
            return moment.weekday() in self.days
        return at < self.ends and (moment.weekday() - 1) % 7 in self.days


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices by the time of day, in a time zone. The first rule that holds counts."""

    rules: tuple[Rule, ...]
    zone: ZoneInfo

    def pieces(self, start_s: float, end_s: float) -> list[Piece]:
        """What lies in [start, end) of Unix time, as pieces that tile it; None where no rule holds."""
        first = datetime.fromtimestamp(start_s, self.zone).date() - timedelta(days=1)
        last = datetime.fromtimestamp(end_s, self.zone).date() + timedelta(days=1)
        edges = {start_s, end_s}
        day = first
        while day <= last:
            for at in {time(0), *(rule.begins for rule in self.rules), *(rule.ends for rule in self.rules)}:
                edges.update(_moments(day, at, self.zone))
            day += timedelta(days=1)
        inside = sorted(edge for edge in edges if start_s <= edge <= end_s)
        return [Piece(a, b, self._at((a + b) / 2)) for a, b in pairwise(inside) if b > a]

    def _at(self, moment_s: float) -> float | None:
        local = datetime.fromtimestamp(moment_s, self.zone)
        return next((rule.price for rule in self.rules if rule.holds(local)), None)


def _moments(day: date, at: time, zone: ZoneInfo) -> list[float]:
    """When a local time is on a day: twice, where clocks are put back, and where they are put forward the moment of that."""
    local = datetime.combine(day, at, zone)
    return [local.replace(fold=fold).astimezone(timezone.utc).timestamp() for fold in (0, 1)]


def read_tariff(path: str | Path, zone: str = "UTC") -> Tariff | None:
    """A table by the time of day; None for a file that is no such table. Raises ConfigError for one that is wrong."""
    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"there is no time zone {zone!r}", hint="such as UTC or Europe/Paris") from error
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file.read(2**20).splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a table of prices") from error
    if not rows or not {"from", "to", "price"} <= set(rows[0]):
        return None
    rules: list[Rule] = []
    for number, row in enumerate(rows, 2):
        begins, ends = _clock(row["from"]), _clock(row["to"])
        days = _days(row.get("days") or "")
        try:
            price = float(row["price"])
        except (TypeError, ValueError):
            price = float("nan")
        if begins is None or ends is None or days is None or not abs(price) < 1e6:
            if number == 2 and begins is None:
                return None  # a series of times
            raise ConfigError(
                f"{path}, line {number}: no times and price",
                hint="from,to,price,days: 22:00,06:00,0.21,mon-fri",
            )
        rules.append(Rule(begins, ends, price, days))
    return Tariff(tuple(rules), place)


def _clock(text: str | None) -> time | None:
    match = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*", text or "")
    if match is None or int(match[1]) > 24 or int(match[2]) > 59:
        return None
    return time(int(match[1]) % 24, int(match[2]))


def _days(text: str) -> frozenset[int] | None:
    if not text.strip():
        return frozenset(range(7))
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first[:3] not in DAYS or (last and last[:3] not in DAYS):
            return None
        a, b = DAYS.index(first[:3]), DAYS.index((last or first)[:3])
        found.update((a + step) % 7 for step in range((b - a) % 7 + 1))
    return frozenset(found)


def money(
    view: RunView,
    price: float | str | Path,
    pue: Pue,
    *,
    currency: str = "",
    per: str | None = None,
    timezone: str = "UTC",
) -> tuple[Stage | None, str]:
    """What a run's electricity cost, PUE included, and what is not known of it (an empty text: nothing).

    price: of a kWh (a number, a range), or a file: a table by the time of day, or times and prices per ``per`` (default:
    what the file says, else kWh).

    Raises ConfigError for what is no price.
    """
    scope, energy = headline_of(view)
    if energy is None or view.energy is None:
        return None, "no energy was measured"
    is_file = isinstance(price, Path) or (
        isinstance(price, str) and Path(price).suffix != "" and Path(price).is_file()
    )
    if (
        not is_file
        and isinstance(price, str)
        and re.search(r"[a-z/\\]", price.replace(" to ", ""), re.IGNORECASE)
    ):
        raise ConfigError(
            f"{price!r:.80} is no price, and there is no such file",
            hint="0.30, 0.25-0.35, or a CSV of prices",
        )
    if not is_file:
        each = as_price(price if not isinstance(price, Path) else str(price))
        cost = (energy / J_PER_KWH).with_unit("") * pue.ratio * each.with_unit("")
        return Stage("electricity", cost.with_unit(currency), f"kWh x PUE x {price}", "given"), ""
    if per is not None and per not in UNITS:
        raise ConfigError(f"a price per {per!r} is not known", hint=f"per {' or '.join(UNITS)}")
    record = view.record
    start_s = record.started_wall_ns / 1e9
    tariff = read_tariff(str(price), timezone)
    scale = UNITS[per or "kWh"]
    if tariff is not None:
        pieces = tariff.pieces(start_s, start_s + record.duration_s)
    else:
        spot, scale = _spot(str(price), per)
        pieces = spot.pieces(start_s, start_s + record.duration_s)
    if any(piece.g_per_kwh is None for piece in pieces):
        return None, f"{Path(str(price)).name} has no price for a part of the run's time"
    rates = np.array([(piece.g_per_kwh or 0.0) * scale for piece in pieces])
    cost = _integral(view, pieces, rates)
    if scope == "tree" and view.energy.value > 0:
        cost = (cost * (energy / view.energy)).with_unit("")
    cost = (cost * pue.ratio).with_unit(currency)
    kind = "a table by the time of day" if tariff is not None else "a series"
    return Stage("electricity", cost, f"sum of kWh x PUE x price, {kind}", Path(str(price)).name), ""


def _spot(path: str, per: str | None) -> tuple[IntensitySeries, float]:
    """A series of prices in its own unit, and what makes it one per kWh. Raises ConfigError where the file says another unit
    than is stated."""
    name = Path(path).name
    table = read_table(path, words=_TITLES)
    told = per_kwh(table.title)
    if told is not None and per is not None and abs(told - UNITS[per]) > 1e-9:
        raise ConfigError(f"{name} says itself what its prices are per ({table.title!r:.60}): not {per}")
    scale = UNITS[per] if per is not None else 1.0 if told is None else told
    return IntensitySeries.of(table.points, source=name), scale


def _integral(
    view: RunView, pieces: Sequence[Piece], rates: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Quantity:
    record = view.record
    start_s = record.started_wall_ns / 1e9
    edges = (
        np.array([0, *(round((piece.end_s - start_s) * 1e9) for piece in pieces)], np.int64) + record.start_ns
    )
    edges[-1] = record.end_ns
    energies = Energies.zeros(edges[:-1], edges[1:])
    for got in view.between(edges[:-1], edges[1:]).values():
        energies = energies + got
    paid = energies.weighted(np.maximum(rates, 0.0) / J_PER_KWH).with_unit("")
    if (rates < 0).any():
        return paid - energies.weighted(np.maximum(-rates, 0.0) / J_PER_KWH).with_unit("")
    return paid
