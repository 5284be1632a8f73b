"""Series of intensity from files: as Electricity Maps, WattTime, UK Carbon Intensity and the Carbon Aware SDK answer
(JSON), and CSV or Parquet of anybody's. Times without a zone are UTC. Each format is told by its shape, and nothing is
asked of the network.

Shapes: api-portal.electricitymaps.com (history, past-range, forecast), docs.watttime.org v3 (historical, forecast),
api.carbonintensity.org.uk (intensity, regional), Green Software Foundation carbon-aware-sdk web API.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from wattmark.errors import ConfigError, MissingExtra
from wattmark.impact.series.series import IntensitySeries, Signal

LARGEST_BYTES = 256 * 2**20
G_PER_KWH: Mapping[str, float] = {
    "g/kWh": 1.0,
    "kg/MWh": 1.0,
    "kg/kWh": 1e3,
    "lb/MWh": 0.45359237,  # the international pound is 453.59237 g exactly
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
Point = tuple[float, float | None, float | None]


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

    Raises ConfigError for a file that cannot be read, with what is wrong and in which line.
    """
    file = Path(path)
    if unit is not None and unit not in G_PER_KWH:
        raise ConfigError(f"{unit!r} is no unit of carbon intensity", hint=f"one of {', '.join(G_PER_KWH)}")
    text = _of_parquet(file) if file.suffix in (".parquet", ".pq") else _text(file)
    if file.name.removesuffix(".gz").endswith(".json") or text.lstrip()[:1] in ("{", "["):
        return _from_json(text, file.name, unit, signal)
    return _from_csv(text, file.name, unit, signal, column)


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


def time_of(value: object) -> float | None:
    """Unix seconds of an ISO 8601 time (UTC where it names no zone) or of a number (s, or ms if it is that large)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    else:
        text = str(value).strip()
        try:
            number = float(text)
        except ValueError:
            return _iso(text)
    if not math.isfinite(number):
        return None
    return number / 1e3 if abs(number) > 1e11 else number


def _iso(text: str) -> float | None:
    if text.endswith(("Z", "z")):
        text = text[:-1] + "+00:00"
    for form in (None, "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M%z", "%d/%m/%Y %H:%M", "%Y/%m/%d %H:%M"):
        try:
            moment = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
        except ValueError:
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    return None


def _number(value: object) -> float | None:
    """A number of JSON or of a cell of text; true and false are none."""
    if isinstance(value, bool):
        return None
    try:
        number = float(cast("str", value))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and abs(number) < 1e6 else None


def _from_csv(
    text: str, name: str, unit: str | None, signal: Signal | None, column: str | None
) -> IntensitySeries:
    sample = text[:4096]
    delimiter = max(",;\t", key=sample.count)
    try:
        rows = list(csv.reader(text.splitlines(), delimiter=delimiter))
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
    value = _value_column(head, low, at, first, column, name)
    points: list[Point] = []
    bad: list[int] = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        moment = time_of(row[at]) if at < len(row) else None
        if moment is None:
            bad.append(number)
            continue
        cell = row[value].strip() if value < len(row) else ""
        told = _number(cell)
        if cell and told is None:
            bad.append(number)
        points.append((moment, None, told))
    if not points:
        told = first[at] if at < len(first) else ""
        raise ConfigError(f"{name}: no line has a time that can be read (the first is {told!r:.60})")
    title = low[value].replace(" ", "")
    pounds = "lb" in title or "pound" in title
    scale = G_PER_KWH[unit or ("lb/MWh" if pounds else "g/kWh")]
    notes = (
        [f"lines that cannot be read: {', '.join(map(str, bad[:10]))}{', ...' if len(bad) > 10 else ''}"]
        if bad
        else []
    )
    return IntensitySeries.of(
        [(start, end, told if told is None else told * scale) for start, end, told in points],
        zone=_only(rows, low, ("zone id", "zone", "region", "area")),
        signal=signal or ("marginal" if "moer" in title or "marginal" in title else "average"),
        source=name,
        notes=notes,
    )


def _time_column(low: Sequence[str], first: Sequence[str]) -> int | None:
    for wanted in _TIMES:
        if wanted in low:
            return low.index(wanted)
    likely = [place for place, title in enumerate(low) if "time" in title or "date" in title]
    likely += [place for place, cell in enumerate(first) if _iso(cell.strip()) is not None]
    return likely[0] if likely else None


def _value_column(
    head: Sequence[str], low: Sequence[str], at: int, first: Sequence[str], column: str | None, name: str
) -> int:
    if column is not None:
        if column not in head:
            raise ConfigError(f"{name} has no column {column!r}", hint=f"one of {', '.join(head)[:200]}")
        return head.index(column)
    for wanted in _VALUES:
        fitting = [place for place, title in enumerate(low) if wanted in title and place != at]
        if fitting:
            return fitting[0]
    numbers = [place for place, cell in enumerate(first) if place != at and _number(cell) is not None]
    if len(numbers) == 1:
        return numbers[0]
    raise ConfigError(
        f"{name}: which column has the intensity is not clear among {', '.join(head)[:200]}",
        hint="name it by --column",
    )


def _only(rows: Sequence[Sequence[str]], low: Sequence[str], titles: Sequence[str]) -> str:
    for title in titles:
        if title in low:
            place = low.index(title)
            values = {row[place].strip() for row in rows[1:] if place < len(row)}
            if len(values) > 1:
                raise ConfigError(
                    f"the file has {len(values)} zones: {', '.join(sorted(values))[:200]}",
                    hint="one zone a file",
                )
            return values.pop() if values else ""
    return ""


def _from_json(text: str, name: str, unit: str | None, signal: Signal | None) -> IntensitySeries:
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is no JSON: {error}") from error
    found: list[Point] = []
    estimated = 0
    zone, factor, kind, source = "", 1.0, signal, name
    for row, context in _records(data):
        moment = next(
            (
                row[key]
                for key in ("datetime", "point_time", "from", "startTime", "timestamp", "time")
                if key in row
            ),
            None,
        )
        start = None if moment is None else time_of(moment)
        if start is None:
            continue
        end = None if row.get("to") is None else time_of(row["to"])
        value: object = next(
            (row[key] for key in ("carbonIntensity", "value", "rating", "intensity") if key in row), None
        )
        if isinstance(value, Mapping):  # UK: what was, or else what was expected
            told = cast("Mapping[str, object]", value)
            value = told.get("actual") if told.get("actual") is not None else told.get("forecast")
            estimated += told.get("actual") is None
        estimated += bool(row.get("isEstimated"))
        meta = context.get("meta")
        about = cast("Mapping[str, object]", meta) if isinstance(meta, Mapping) else context
        if "lb" in str(about.get("units", "")):
            factor = G_PER_KWH["lb/MWh"]
        if "moer" in str(about.get("signal_type", "")).lower():
            kind = signal or "marginal"
        zone = str(
            row.get("zone")
            or context.get("zone")
            or about.get("region")
            or row.get("location")
            or context.get("location")
            or zone
        )
        found.append((start, end, _number(value)))
    if not found:
        raise ConfigError(
            f"{name}: no times with intensities were found",
            hint="as Electricity Maps, WattTime, UK Carbon Intensity or the Carbon Aware SDK answer",
        )
    scale = G_PER_KWH[unit] if unit is not None else factor
    return IntensitySeries.of(
        [(start, end, told if told is None else told * scale) for start, end, told in found],
        zone=zone,
        signal=kind or "average",
        source=source,
        estimated=estimated,
    )


def _records(
    data: object, context: Mapping[str, Any] | None = None, depth: int = 0
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every object that has a time, with the object around it."""
    if depth > 6:
        return
    around = context or {}
    if isinstance(data, Mapping):
        here = cast("Mapping[str, Any]", data)
        if any(key in here for key in ("datetime", "point_time", "from", "timestamp", "time")) and not any(
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
