"""Which column of a survey is what, and in which unit, by the names that people give them.

A unit in brackets or at the end of the name counts; where there is none, what is usual is taken, and said.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path

from wattmark.errors import ConfigError
from wattmark.impact.series.cells import decimal_comma, intensity_unit, read_number
from wattmark.lifecycle.fleet.rows import Survey, Told, survey

KINDS = ("name", "power", "time", "energy", "intensity", "carbon", "date", "quality")
UNITS: Mapping[str, Mapping[str, float]] = {
    "power": {"mw_": 1e-3, "w": 1.0, "watt": 1.0, "watts": 1.0, "kw": 1e3, "mw": 1e6},
    "time": {
        "ms": 1e-3, "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "min": 60.0, "mins": 60.0,
        "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hrs": 3600.0, "hour": 3600.0, "hours": 3600.0,
        "d": 86400.0, "day": 86400.0, "days": 86400.0,
    },
    "energy": {
        "j": 1.0, "joule": 1.0, "joules": 1.0, "kj": 1e3, "mj": 1e6, "gj": 1e9, "wh": 3.6e3, "kwh": 3.6e6, "mwh": 3.6e9,
        "gwh": 3.6e12,
    },
    "intensity": {"g/kwh": 1.0, "kg/kwh": 1e3, "kg/mwh": 1.0, "lb/mwh": 0.45359237, "g/mwh": 1e-3, "t/mwh": 1e3},
    "carbon": {"g": 1.0, "kg": 1e3, "t": 1e6, "ton": 1e6, "tons": 1e6, "tonne": 1e6, "tonnes": 1e6, "lb": 453.59237,
               "lbs": 453.59237},
}  # fmt: skip
"""Of each kind of number, what one of a unit is in W, s, J, g/kWh and g."""
USUAL = {"power": "W", "time": "h", "energy": "kWh", "intensity": "g/kWh", "carbon": "kg"}
_WORDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("intensity", frozenset({"intensity", "ci"})),
    ("carbon", frozenset({"co2", "co2e", "co2eq", "carbon", "emissions", "emission", "ghg", "footprint"})),
    ("energy", frozenset({"energy", "electricity", "joules", "kwh", "mwh", "gwh", "wh", "consumption"})),
    ("power", frozenset({"power", "tdp", "watts", "watt", "draw", "kw", "w"})),
    (
        "date",
        frozenset({"date", "year", "timestamp", "started", "published", "release", "released", "datetime"}),
    ),
    ("time", frozenset({"time", "duration", "hours", "hour", "days", "runtime", "seconds", "minutes", "h"})),
    (
        "quality",
        frozenset({"accuracy", "quality", "score", "f1", "bleu", "map", "auc", "acc", "top1", "mmlu"}),
    ),
    ("name", frozenset({"name", "model", "run", "project", "task", "system", "network", "id"})),
)
_PARTS = frozenset(
    {
        "cpu",
        "ram",
        "dram",
        "memory",
        "rate",
        "per",
        "ratio",
        "pue",
        "water",
        "embodied",
        "error",
        "low",
        "high",
        "std",
        "max",
        "limit",
        "peak",
    }
)
_MOST_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class Column:
    """A column that was understood. factor: to W, s, J, g/kWh or g; assumed: its unit is not in its name."""

    kind: str
    header: str
    factor: float
    assumed: str | None


def read_survey(
    path: str | Path, *, columns: Mapping[str, str] | None = None, units: Mapping[str, str] | None = None
) -> Survey:
    """The rows of a CSV file (comma, semicolon or tab). columns: kind -> header, where the names say too little. units:
    kind -> unit.

    Raises ConfigError for a file that cannot be read, or in which too little is understood.
    """
    file = Path(path)
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path} is too large for a survey")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8", hint="save it as CSV, UTF-8") from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(";\t,", key=lambda sign: (first.count(sign), sign == ","))
    try:
        table = [
            row
            for row in csv.reader(io.StringIO(text.lstrip("\n")), delimiter=delimiter)
            if any(map(str.strip, row))
        ]
    except csv.Error as error:
        raise ConfigError(f"{path} is no CSV: {error}") from error
    if len(table) < 2:
        raise ConfigError(f"{path} has no rows", hint="a line of names, and one for each run or model")
    header = [name.strip() for name in table[0]]
    found = understood(header, columns or {}, units or {}, str(path))
    numbers = [header.index(one.header) for one in found.values() if one.kind not in ("name", "date")]
    try:
        comma = decimal_comma(
            (row[at] for row in table[1:] for at in numbers if at < len(row)), commas_between=delimiter == ","
        )
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}", hint=error.hint) from error
    lines = [_told(row, number, header, found, comma=comma) for number, row in enumerate(table[1:], 2)]
    assumed = [f"{one.header} is taken to be in {one.assumed}" for one in found.values() if one.assumed]
    notes = tuple(f"{words}: --unit says otherwise" for words in assumed)
    return survey(lines, notes)


def understood(
    header: Sequence[str], columns: Mapping[str, str], units: Mapping[str, str], path: str
) -> dict[str, Column]:
    """The columns by what they are. Raises ConfigError where a fleet cannot be made of them."""
    for kind in (*columns, *units):
        if kind not in KINDS:
            raise ConfigError(f"there is no {kind!r} of a fleet", hint=f"one of {', '.join(KINDS)}")
    found: dict[str, Column] = {}
    for kind, name in columns.items():
        if name not in header:
            near = get_close_matches(name, header, 1)
            raise ConfigError(
                f"{path} has no column {name!r}", hint=near[0] if near else ", ".join(header[:12])
            )
        found[kind] = _column(kind, name, units)
    named = {one.header for one in found.values()}
    whole = [name for name in header if not _of_gpu(name)]
    for name in (*whole, *(one for one in header if _of_gpu(one))):
        kind = kind_of(name)
        if kind is None or kind in found or name in named:
            continue
        if _of_gpu(name) and found.keys() & {"power", "energy"}:
            continue  # a part of what is known as a whole
        found[kind] = _column(kind, name, units)
    has = set(found)
    if not (has & {"power", "energy", "carbon"}) or not (has & {"time", "power"}):
        raise ConfigError(
            f"{path}: {', '.join(header[:12])}: of power, time, energy, intensity and carbon too few are understood",
            hint="name them: --column power='My column' --unit power=kW",
        )
    return found


def kind_of(header: str) -> str | None:
    """What a column of this name is; None for what is not known, and for parts (``cpu_power``) and rates."""
    words = _words(header)
    if intensity_unit(header) is not None:
        return "intensity"
    told = set(words)
    for kind, names in _WORDS:
        if told & names:
            return None if kind not in ("name", "date", "quality") and told & _PARTS else kind
    return None


def _of_gpu(header: str) -> bool:
    return "gpu" in _words(header) and kind_of(header) in ("power", "energy")


def _words(header: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", header.replace("₂", "2"))
    return re.findall(r"[a-zµ0-9]+", spaced.lower())


def _column(kind: str, header: str, units: Mapping[str, str]) -> Column:
    known = UNITS.get(kind)
    if known is None:
        return Column(kind, header, 1.0, None)
    if kind in units:
        word = units[kind]
        factor = _unit(kind, word)
        if factor is None:
            raise ConfigError(f"{word!r} is no unit of {kind}", hint=f"one of {', '.join(known)}")
        return Column(kind, header, factor, None)
    if kind == "intensity":
        told = intensity_unit(header)
        return Column(kind, header, told or 1.0, None if told else USUAL[kind])
    bracket = re.search(r"[\[(]([^\])]*)[\])]", header)
    tail = [*([bracket[1]] if bracket else []), *reversed(re.findall(r"[A-Za-zµ]+", header))]
    for word in tail:
        factor = _unit(
            kind, re.sub(r"(?i)co2(?:-?eq?)?$|co2(?:-?eq?)?\b", "", word.replace("₂", "2")).strip() or word
        )
        if factor is not None:
            return Column(kind, header, factor, None)
    if header.strip().lower() == "duration":
        return Column(kind, header, 1.0, "s")
    return Column(kind, header, known[USUAL[kind].lower()], USUAL[kind])


def _unit(kind: str, word: str) -> float | None:
    if kind == "intensity":
        return intensity_unit(word)
    known = UNITS[kind]
    if word in ("mW", "mJ", "mWh"):  # small letters tell milli from mega
        return {"mW": 1e-3, "mJ": 1e-3, "mWh": 3.6}[word]
    return known.get(word.strip().lower())


def _told(
    row: Sequence[str], line: int, header: Sequence[str], found: Mapping[str, Column], *, comma: bool
) -> Told:
    def cell(kind: str) -> str:
        column = found.get(kind)
        at = header.index(column.header) if column else -1
        return row[at].strip() if 0 <= at < len(row) else ""

    def number(kind: str) -> float | None:
        value = read_number(cell(kind), comma=comma)
        return None if value is None else value * found[kind].factor

    return Told(
        cell("name") or f"line {line}",
        number("power"),
        number("time"),
        number("energy"),
        number("intensity"),
        number("carbon"),
        _year(cell("date")),
        number("quality"),
    )


def _year(text: str) -> float | None:
    """``2019``, ``2019-06``, ``2019-06-30T12:00`` as years with their fraction."""
    match = re.fullmatch(r"(\d{4})(?:[-/](\d{1,2}))?", text)
    if match is not None:
        return float(match[1]) + ((int(match[2]) - 0.5) / 12 if match[2] else 0.5)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment.year + (moment.timetuple().tm_yday - 0.5) / 365.25
