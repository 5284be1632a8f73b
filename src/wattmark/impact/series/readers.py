"""Series of intensity from files: as Electricity Maps, WattTime, UK Carbon Intensity and the Carbon Aware SDK answer
(JSON), and CSV or Parquet of anybody's. Times without a zone are UTC. Each format is told by its shape, and nothing is
asked of the network. What a file says of its unit and signal counts; where that contradicts what is stated, it is refused.

Shapes: api-portal.electricitymaps.com (history, past-range, forecast), docs.watttime.org v3 (historical, forecast),
api.carbonintensity.org.uk (intensity, regional), Green Software Foundation carbon-aware-sdk web API.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from wattmark.documents import mapping
from wattmark.errors import ConfigError, MissingExtra
from wattmark.impact.series.cells import (
    decimal_comma,
    has_zone,
    intensity_unit,
    length_of,
    per_kwh,
    read_number,
    time_form,
    time_of,
)
from wattmark.impact.series.series import IntensitySeries, Signal

LARGEST_BYTES = 256 * 2**20
G_PER_KWH: Mapping[str, float] = {
    "g/kWh": 1.0,
    "kg/MWh": 1.0,
    "kg/kWh": 1e3,
    "lb/MWh": 0.45359237,
    "lb/kWh": 453.59237,
    "t/MWh": 1e3,
}
"""How many g/kWh one of these is."""
_TIMES = (
    "point_time",
    "datetime (utc)",
    "datetime",
    "timestamp",
    "from",
    "start",
    "starttime",
    "time",
    "date",
    "utc",
)
_VALUES = (
    "life cycle",
    "lifecycle",
    "carbonintensity",
    "carbon intensity",
    "carbon_intensity",
    "intensity",
    "moer",
    "co2",
    "rating",
    "value",
)
_MOMENTS = ("datetime", "point_time", "from", "startTime", "start_timestamp", "timestamp", "time")
_NUMBERS = ("carbonIntensity", "value", "rating", "intensity", "marketprice", "price")
_STEPS = {"5_minutes": 300.0, "15_minutes": 900.0, "hourly": 3600.0, "daily": 86_400.0}
_LOOKED_AT = 200
"""So many lines tell what a column is."""
LARGEST = 1e6
Point = tuple[float, float | None, float | None]


@dataclass(frozen=True, slots=True)
class Table:
    """What a file says, in its own unit. points: (start, end or None, value or None). title: of the values' column, or the
    word for their unit; signal: where it says one."""

    points: list[Point]
    title: str = ""
    zone: str = ""
    signal: Signal | None = None
    estimated: int = 0
    notes: tuple[str, ...] = ()


def read_series(
    path: str | os.PathLike[str],
    *,
    unit: str | None = None,
    signal: Signal | None = None,
    column: str | None = None,
) -> IntensitySeries:
    """The series in a file, in g CO2e/kWh.

    unit: of the values, one of :data:`G_PER_KWH`, where the file does not say (default g/kWh). signal: average or marginal,
    where the file does not say (default average). column: the values' column of a CSV.

    Raises ConfigError for a file that cannot be read, with what is wrong and in which line, and for one that says another
    unit or signal than is stated.
    """
    name = Path(path).name
    if unit is not None and unit not in G_PER_KWH:
        raise ConfigError(f"{unit!r} is no unit of carbon intensity", hint=f"one of {', '.join(G_PER_KWH)}")
    table = read_table(path, column=column)
    factor = intensity_unit(table.title)
    if factor is None and re.search(
        r"(?i)(?<![a-z])(lb|lbs|pounds?)(?![a-z])", table.title.replace("_", " ")
    ):
        factor = G_PER_KWH["lb/MWh"]  # what grids' pounds are per
    if unit is not None and factor is not None and abs(G_PER_KWH[unit] - factor) > 1e-9 * factor:
        raise ConfigError(f"{name} says its unit itself ({table.title!r:.60}), which is not {unit}")
    if unit is not None:
        factor = G_PER_KWH[unit]
    if factor is None and (per_kwh(table.title) or 1.0) != 1.0:
        raise ConfigError(
            f"{name} is in {table.title!r:.60}, which is no unit of carbon intensity that is known",
            hint=f"name it: {', '.join(G_PER_KWH)}",
        )
    if signal is not None and table.signal is not None and signal != table.signal:
        raise ConfigError(
            f"{name} has {table.signal} intensities, not {signal} ones",
            hint="the two answer different questions",
        )
    scale = 1.0 if factor is None else factor
    return IntensitySeries.of(
        [(start, end, value if value is None else value * scale) for start, end, value in table.points],
        zone=table.zone,
        signal=signal or table.signal or "average",
        source=name,
        estimated=table.estimated,
        notes=table.notes,
    )


def read_table(
    path: str | os.PathLike[str], *, column: str | None = None, words: Sequence[str] = _VALUES
) -> Table:
    """Times and values of a file, in its own unit. words: of titles of the values' column, the likeliest first.

    Raises ConfigError.
    """
    file = Path(path)
    text = _of_parquet(file) if file.suffix in (".parquet", ".pq") else _text(file)
    if file.name.removesuffix(".gz").endswith(".json") or text.lstrip()[:1] in ("{", "["):
        return _from_json(text, file.name)
    return _from_csv(text, file.name, column, words)


def _of_parquet(file: Path) -> str:
    """A table as CSV. Raises MissingExtra without pyarrow."""
    try:
        pa: Any = import_module("pyarrow")  # without type stubs
        arrow_csv: Any = import_module("pyarrow.csv")
        parquet: Any = import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow", "pandas") from error
    sink: Any = pa.BufferOutputStream()
    try:
        arrow_csv.write_csv(parquet.read_table(file), sink)
    except (OSError, ValueError, NotImplementedError) as error:  # pyarrow's own are all of these
        raise ConfigError(f"{file}: no Parquet table of times and numbers ({str(error)[:80]})") from error
    return bytes(sink.getvalue()).decode("utf-8", "replace")


def _text(file: Path) -> str:
    try:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as stream:
            data = stream.read(LARGEST_BYTES + 1)
    except (OSError, EOFError) as error:
        raise ConfigError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > LARGEST_BYTES:
        raise ConfigError(
            f"{file} is larger than {LARGEST_BYTES >> 20} MiB", hint="cut it to the time of interest"
        )
    return data.decode("utf-8-sig", "replace")


def _from_csv(text: str, name: str, column: str | None, words: Sequence[str]) -> Table:
    lines = text.splitlines()
    sample = next((line for line in lines if line.strip()), "")
    delimiter = max(",;\t", key=sample.count)
    try:
        rows = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        raise ConfigError(f"{name} is no table of comma-separated values: {error}") from error
    if len(rows) < 2:
        raise ConfigError(f"{name} has no rows")
    head = [cell.strip() for cell in rows[0]]
    low = [cell.lower() for cell in head]
    first = rows[1][: len(head)]  # cells beyond the titles are in no column
    at = _time_column(low, first)
    if at is None:
        raise ConfigError(f"{name}: no column of times among {', '.join(head)[:200]}", hint="call it time")
    try:
        comma = decimal_comma(
            (cell for row in rows[1:] for place, cell in enumerate(row) if place != at),
            commas_between=delimiter == ",",
        )
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}", hint=error.hint) from error

    def number(row: Sequence[str], place: int) -> float | None:
        told = read_number(row[place], comma=comma) if place < len(row) else None
        return told if told is not None and abs(told) < LARGEST else None

    numeric = [
        any(number(row, place) is not None for row in rows[1:_LOOKED_AT]) and place != at
        for place in range(len(head))
    ]
    value = _value_column(head, low, numeric, column, name, words)
    form = time_form([row[at] for row in rows[1:] if at < len(row)])
    points: list[Point] = []
    bad: list[int] = []
    zoned = "utc" in low[at] or "gmt" in low[at]
    for line, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        moment = time_of(row[at], form) if at < len(row) else None
        if moment is None:
            bad.append(line)
            continue
        zoned = zoned or has_zone(row[at])
        told = number(row, value)
        if told is None and value < len(row) and row[value].strip():
            bad.append(line)
        points.append((moment, None, told))
    if not points:
        cell = first[at] if at < len(first) else ""
        raise ConfigError(f"{name}: no line has a time that can be read (the first is {cell!r:.60})")
    notes: list[str] = []
    if bad:
        notes.append(
            f"lines that cannot be read: {', '.join(map(str, bad[:10]))}{', ...' if len(bad) > 10 else ''}"
        )
    if form is not None and form.startswith(("%d/", "%m/")):
        notes.append(f"its dates are read with the {'day' if form[1] == 'd' else 'month'} first")
    if not zoned:
        notes.append("its times name no zone, and are taken for UTC")
    title = head[value]
    unit = _only(rows, low, ("unit", "units"), name)
    told_signal = f"{_only(rows, low, ('signal', 'signal_type'), name)} {title}".lower()
    return Table(
        points,
        unit or title,
        _only(rows, low, ("zone id", "zone", "region", "area"), name),
        _signal_of(told_signal),
        notes=tuple(notes),
    )


def _signal_of(words: str) -> Signal | None:
    if "moer" in words or "marginal" in words:
        return "marginal"
    return "average" if "average" in words or "aoer" in words else None


def _time_column(low: Sequence[str], first: Sequence[str]) -> int | None:
    for wanted in _TIMES:
        if wanted in low:
            return low.index(wanted)
    likely = [place for place, title in enumerate(low) if "time" in title or "date" in title]
    form = time_form(first)
    likely += [
        place
        for place, cell in enumerate(first)
        if read_number(cell) is None and time_of(cell, form) is not None
    ]
    return likely[0] if likely else None


def _value_column(
    head: Sequence[str],
    low: Sequence[str],
    numeric: Sequence[bool],
    column: str | None,
    name: str,
    words: Sequence[str],
) -> int:
    if column is not None:
        if column not in head:
            raise ConfigError(f"{name} has no column {column!r}", hint=f"one of {', '.join(head)[:200]}")
        return head.index(column)
    for wanted in words:
        fitting = [place for place, title in enumerate(low) if wanted in title and numeric[place]]
        if fitting:  # what was counts before what was expected
            return min(fitting, key=lambda place: ("forecast" in low[place], "actual" not in low[place]))
    numbers = [place for place, is_number in enumerate(numeric) if is_number]
    if len(numbers) == 1:
        return numbers[0]
    if not numbers:
        raise ConfigError(f"{name} has no value: no column of numbers among {', '.join(head)[:200]}")
    raise ConfigError(
        f"{name}: which column has the values is not clear among {', '.join(head)[:200]}",
        hint=f"call it {words[0]}, or leave the others out",
    )


def _only(rows: Sequence[Sequence[str]], low: Sequence[str], titles: Sequence[str], name: str) -> str:
    for title in titles:
        if title in low:
            place = low.index(title)
            values = {row[place].strip() for row in rows[1:] if place < len(row)} - {""}
            if len(values) > 1:
                raise ConfigError(
                    f"{name} has {len(values)} of {title}: {', '.join(sorted(values))[:200]}",
                    hint=f"one {title} a file",
                )
            return values.pop() if values else ""
    return ""


def _from_json(text: str, name: str) -> Table:
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is no JSON: {error}") from error
    found: list[Point] = []
    estimated = 0
    zone, units, signals = "", set[str](), set[Signal]()
    for row, context in (*_parallel(data), *_records(data)):
        moment = next((row[key] for key in _MOMENTS if key in row), None)
        start = None if moment is None else time_of(moment)
        if start is None:
            continue
        value: object = next((row[key] for key in _NUMBERS if key in row), None)
        if isinstance(value, Mapping):  # UK: what was, or else what was expected
            told = cast("Mapping[str, object]", value)
            value = told.get("actual") if told.get("actual") is not None else told.get("forecast")
            estimated += told.get("actual") is None
        estimated += bool(row.get("isEstimated"))
        about = mapping(context.get("meta")) or context
        unit = row.get("unit") or row.get("units") or about.get("units") or about.get("unit")
        if isinstance(unit, str):
            units.add(unit)
        signal = _signal_of(
            str(about.get("signal_type") or row.get("signal") or about.get("signal") or "").lower()
        )
        if signal is not None:
            signals.add(signal)
        zone = str(
            row.get("zone")
            or context.get("zone")
            or about.get("region")
            or row.get("location")
            or context.get("location")
            or zone
        )
        found.append((start, _end(row, context, about, start), _json_number(value)))
    if not found:
        raise ConfigError(
            f"{name}: no times with values were found",
            hint="as Electricity Maps, WattTime, UK Carbon Intensity or the Carbon Aware SDK answer",
        )
    if len(units) > 1 or len(signals) > 1:
        raise ConfigError(
            f"{name} has {', '.join(sorted(units | signals))[:200]} together", hint="one a file"
        )
    return Table(found, *units, zone=zone, signal=next(iter(signals), None), estimated=estimated)


def _end(
    row: Mapping[str, Any], context: Mapping[str, Any], about: Mapping[str, Any], start: float
) -> float | None:
    for key in ("to", "endTime", "end", "end_timestamp"):
        if row.get(key) is not None:
            return time_of(row[key])
    step = (
        length_of(about.get("data_point_period_seconds"), 1.0)
        or length_of(row.get("duration"))
        or _STEPS.get(str(row.get("temporalGranularity") or context.get("temporalGranularity")))
    )
    return None if step is None else start + step


def _json_number(value: object) -> float | None:
    """A number, or a text of one; true and false are none."""
    told = read_number(value) if isinstance(value, str) else value
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return float(told) if abs(told) < LARGEST else None


def _parallel(data: object) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Lists of times and values beside each other (api.energy-charts.info)."""
    table = mapping(data)
    times = table.get("unix_seconds")
    values = next(
        (table[key] for key in ("price", "co2eq", "value") if isinstance(table.get(key), list)), None
    )
    if isinstance(times, list) and isinstance(values, list):
        about = {key: one for key, one in table.items() if not isinstance(one, list)}
        for time, value in zip(cast("list[object]", times), cast("list[object]", values), strict=False):
            yield {"time": time, "value": value}, about


def _records(
    data: object, context: Mapping[str, Any] | None = None, depth: int = 0
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every object that has a time, with the object around it."""
    if depth > 6:
        return
    around = context or {}
    if isinstance(data, Mapping):
        here = cast("Mapping[str, Any]", data)
        if any(key in here for key in _MOMENTS) and not any(
            isinstance(here.get(key), list) for key in ("data", "history", "forecast", "forecastData")
        ):
            yield here, around
            return
        for key in ("history", "forecast", "data", "forecastData", "emissions"):
            if key in here:
                yield from _records(
                    here[key],
                    here if "data" not in around or "zone" in here else {**around, **here},
                    depth + 1,
                )
    elif isinstance(data, list):
        for one in cast("list[object]", data):
            yield from _records(one, around, depth + 1)
