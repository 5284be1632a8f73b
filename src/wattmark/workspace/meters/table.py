"""Files of meters: a time, and watts or a counter of watt-hours, under any of the names that loggers give them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo

import numpy as np

from wattmark.errors import ConfigError, ImportFileError
from wattmark.store.importing.reading import UnreadableCell, number, read
from wattmark.store.importing.stamps import Moment, in_order, local_zone, moment
from wattmark.units import J_PER_KWH, J_PER_WH
from wattmark.workspace.meters.readings import Readings, of_energy, of_power

UNITS: dict[str, tuple[str, float]] = {
    "mw": ("power", 1e-3), "w": ("power", 1.0), "va": ("power", 1.0), "kw": ("power", 1e3),
    "j": ("energy", 1.0), "kj": ("energy", 1e3), "mj": ("energy", 1e6), "ws": ("energy", 1.0), "wmin": ("energy", 60.0),
    "mwh": ("energy", J_PER_WH / 1e3), "wh": ("energy", J_PER_WH), "kwh": ("energy", J_PER_KWH),
}  # fmt: skip
"""A unit as headers write it -> what it measures, and how many W or J it is."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TIMES = _words("""
    time timestamp datetime date_time ts t epoch unix unixtime unix_time time_s t_s timestamp_s timestamp_ms time_ms
    last_changed last_updated created_at logged_at recorded_at date_and_time time_stamp local_time utc time_utc time_local
    zeit zeitstempel zeitpunkt datum_zeit datum_uhrzeit horodatage fecha_hora _time sample_time when
""")
_DATES = _words("date datum day fecha")
_CLOCKS = _words("time uhrzeit zeit clock hour hora heure")
_POWERS = _words("""
    power watts watt w power_w watt_w active_power active_power_w apower a_act_power act_power total_act_power leistung
    wirkleistung puissance potencia real_power power_now current_power power_usage consumption_w wall_power wall_power_w p
    pwr load_w value_w draw_w total_power instantaneous_power powerconsumedwatts power_watts average_power avg_power
""")
_ENERGIES = _words("""
    energy wh kwh energy_wh energy_kwh total_energy energie energie_kwh energia aenergy total_kwh total_wh consumption
    consumption_kwh meter_reading counter cumulative_kwh cumulative_wh energy_total total zaehlerstand zählerstand
    energy_j joules
""")
_STATES = _words("state value mean wert reading")
_UNIT_WORDS = _words("unit units einheit unit_of_measurement")
_NO_METER = _words("voltage current frequency pf power_factor reactive_power apparent_power temperature")
_SUFFIX = re.compile(r"^(.*?)[\s_]*[\(\[\{]\s*([A-Za-z·]+)\s*[\)\]\}]$")
_FLIPPED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(.*)")
_HALF_DAY = re.compile(r"(.*?)(\d{1,2})(:\d{2}(?::\d{2})?(?:\.\d+)?)\s*([AaPp])\.?[Mm]\.?(.*)")


@dataclass(frozen=True, slots=True)
class _Column:
    place: int
    name: str
    unit: str | None


def read_meter_file(path: str, unit: str | None = None, zone: tzinfo | None = None) -> Readings:
    """The readings of a CSV file (comma, semicolon or tab; decimal point or comma).

    unit: what the values are in (``W``, ``kWh`` ...), against what the header says. zone: of stamps that do not say
    theirs (default: this machine's). Raises ConfigError for a file that is no meter's, with what is missing.
    """
    try:
        file = read(path)
    except ImportFileError as error:
        raise ConfigError(
            str(error), hint="--meter takes a CSV file, or shelly://HOST and its like"
        ) from error
    rows = list(file.rows(file.delimiter()))
    if len(rows) < 2:
        raise ConfigError(
            f"{path} holds no readings", hint="a header, then a time and watts or watt-hours on each line"
        )
    place = next((at for at, row in enumerate(rows[:20]) if _is_header(row.cells)), None)
    if place is None:
        raise ConfigError(
            f"{path}: no line names a time and a power or an energy; the first is {', '.join(rows[0].cells)[:120]!r}",
            hint="give it a header such as time,power_w or time,energy_kwh",
        )
    columns = [_column(at, cell) for at, cell in enumerate(rows[place].cells)]
    data = [row.cells for row in rows[place + 1 :] if len(row.cells) > 1]
    value, kind, factor = _value_column(path, columns, data, unit)
    stamp = _stamp_column(columns, value.place)
    notes: list[str] = []
    zone = zone or local_zone()
    months_first = _months_first(path, [stamp(row) for row in data])
    moments: list[Moment] = []
    values: list[float] = []
    lost = 0
    for row in data:
        try:
            moments.append(_moment(stamp(row), zone, months_first))
        except UnreadableCell:
            lost += 1
            continue
        try:
            cell = number(row[value.place]) if value.place < len(row) else None
        except UnreadableCell:
            cell = None
        values.append(np.nan if cell is None else cell[0] * factor)
    if not moments:
        raise ConfigError(
            f"{path}: no line has a time that can be read; the first is {stamp(data[0])[:60]!r}"
            if data
            else f"{path} holds no readings",
            hint="ISO 8601 (2026-11-27T14:03:00+01:00) or seconds since 1970 will do",
        )
    if lost:
        notes.append(f"{lost} lines have no time that can be read and were left out")
    # local times that come twice when summer time ends are told apart by their neighbours, oldest first
    newest_first = len(moments) > 1 and moments[0].ns > moments[-1].ns
    stamps = in_order(moments[::-1] if newest_first else moments)
    t_ns = np.array(stamps[::-1] if newest_first else stamps, np.int64)
    made = of_power if kind == "power" else of_energy
    return made(path, t_ns, np.array(values), notes)


def _plain(cell: str) -> str:
    return re.sub(r"[\s/._-]+", "_", cell.strip().strip("\ufeff\"'").lower()).strip("_")


def _column(place: int, cell: str) -> _Column:
    match = _SUFFIX.match(cell.strip().strip("\"'"))
    if match and match[2].lower() in UNITS:
        return _Column(place, _plain(match[1]), match[2])
    name = _plain(cell)
    tail = name.rpartition("_")[2]
    unit = tail if tail in UNITS and tail not in ("t",) else name if name in UNITS else None
    unit = {"watts": "w", "watt": "w"}.get(tail, unit)
    return _Column(place, name if match is None else _plain(match[1]), unit)


def _base(name: str) -> str:
    """A header without the unit at its end, and without the device before it: ``desk_plug_power_w`` -> ``power``."""
    parts = name.split("_")
    while len(parts) > 1 and parts[-1] in UNITS:
        parts.pop()
    return "_".join(parts)


def _is(name: str, words: frozenset[str]) -> bool:
    base = _base(name)
    return name in words or base in words or any(base.endswith(f"_{word}") for word in words if len(word) > 2)


def _is_header(cells: Sequence[str]) -> bool:
    columns = [_column(place, cell) for place, cell in enumerate(cells)]
    timed = any(column.name in _TIMES | _DATES or _is(column.name, _TIMES) for column in columns)
    return timed and any(_says(column) for column in columns)


def _says(column: _Column) -> bool:
    if column.name in _TIMES | _DATES or _is(column.name, _NO_METER):
        return False
    return column.unit is not None or _is(column.name, _POWERS | _ENERGIES) or column.name in _STATES


def _value_column(
    path: str, columns: Sequence[_Column], data: Sequence[Sequence[str]], unit: str | None
) -> tuple[_Column, str, float]:
    asked = None if unit is None else UNITS.get(unit.strip().lower())
    if unit is not None and asked is None:
        raise ConfigError(f"{unit!r} is no unit of a meter", hint=f"one of {', '.join(UNITS)}")
    candidates = [column for column in columns if _says(column)]
    ranked = sorted(candidates, key=lambda column: (_rank(column), column.place))
    for column in ranked:
        if any(_has_number(row, column.place) for row in data):
            break
    else:
        raise ConfigError(
            f"{path}: no column of watts or watt-hours has numbers",
            hint="give it a column power_w or energy_kwh",
        )
    if asked is not None:
        return column, asked[0], asked[1]
    named = column.unit or _unit_beside(columns, data, column.place) or _unit_in_cells(data, column.place)
    if named is not None and named.lower() in UNITS:
        kind, factor = UNITS[named.lower()]
        return column, kind, factor
    if _is(column.name, _POWERS) or (column.name in _STATES and _of_power(columns, data, column.place)):
        return column, "power", 1.0
    raise ConfigError(
        f"{path}: the column {column.name!r} does not say its unit", hint="name it: --meter-unit W, Wh or kWh"
    )


def _rank(column: _Column) -> int:
    """Power before energy: it is finer in time."""
    if _is(column.name, _POWERS):
        return 0
    kind = UNITS[column.unit.lower()][0] if column.unit else None
    return 1 if kind == "power" else 2 if kind == "energy" or _is(column.name, _ENERGIES) else 3


def _has_number(row: Sequence[str], place: int) -> bool:
    try:
        return place < len(row) and number(row[place]) is not None
    except UnreadableCell:
        return False


def _unit_beside(columns: Sequence[_Column], data: Sequence[Sequence[str]], place: int) -> str | None:
    beside = next((column.place for column in columns if column.name in _UNIT_WORDS), None)
    if beside is None:
        return None
    units = {
        row[beside].strip()
        for row in data[:100]
        if beside < len(row) and row[beside].strip() and _has_number(row, place)
    }
    return units.pop() if len(units) == 1 else None


def _of_power(columns: Sequence[_Column], data: Sequence[Sequence[str]], place: int) -> bool:
    """Whether what is beside the values is called a power: ``sensor.desk_plug_power``."""
    others = [column.place for column in columns if column.place != place]
    rows = [row for row in data[:100] if _has_number(row, place)]
    return bool(rows) and all(
        any(_plain(_cell(row, other)).endswith("power") for other in others) for row in rows
    )


def _unit_in_cells(data: Sequence[Sequence[str]], place: int) -> str | None:
    for row in data[:100]:
        if _has_number(row, place):
            cell = number(row[place])
            if cell is not None and cell[1]:
                return cell[1]
    return None


def _stamp_column(columns: Sequence[_Column], value: int) -> Callable[[Sequence[str]], str]:
    """From a row to the text of its time: one column, or a date and a clock beside it."""
    date = next((column.place for column in columns if column.name in _DATES), None)
    clock = next(
        (column.place for column in columns if column.name in _CLOCKS and column.place != value), None
    )
    if date is not None and clock is not None:
        return lambda row: f"{_cell(row, date)} {_cell(row, clock)}"
    one = next(
        (
            column.place
            for column in columns
            if column.place != value and (column.name in _TIMES or _is(column.name, _TIMES))
        ),
        date,
    )
    assert one is not None
    return lambda row: _cell(row, one)


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _months_first(path: str, stamps: Sequence[str]) -> bool:
    """Whether 11/27/2026 is meant. Raises ConfigError where no line tells."""
    dates = [match for stamp in stamps if (match := _FLIPPED.match(stamp))]
    if not dates or any(match[2] == "." for match in dates):
        return False
    if any(int(match[1]) > 12 for match in dates):
        return False
    if any(int(match[3]) > 12 for match in dates):
        return True
    if len({match[1] for match in dates}) > 1 and len({match[3] for match in dates}) == 1:
        return False
    if len({match[3] for match in dates}) > 1 and len({match[1] for match in dates}) == 1:
        return True
    if all(match[1] == match[3] for match in dates):
        return False
    raise ConfigError(
        f"{path}: {dates[0][0][:30]!r} may be a day of either month", hint="write dates as 2026-11-27"
    )


def _moment(text: str, zone: tzinfo, months_first: bool) -> Moment:
    match = _FLIPPED.match(text)
    if match:
        day, month = (match[3], match[1]) if months_first else (match[1], match[3])
        text = f"{match[4]}-{int(month):02d}-{int(day):02d}{match[5]}".replace(", ", " ")
    half = _HALF_DAY.fullmatch(text)
    if half:
        hour = int(half[2]) % 12 + (12 if half[4] in "pP" else 0)
        text = f"{half[1]}{hour:02d}{half[3]}{half[5]}"
    text = text.strip().replace(" UTC", "Z").replace(" GMT", "Z")
    if re.fullmatch(r".*\d{1,2}:\d{2}(Z|[+-]\d{2}:?\d{2})?", text) and not re.search(r"\d:\d{2}:\d{2}", text):
        text = re.sub(r"(\d{1,2}:\d{2})(Z|[+-]\d{2}:?\d{2})?$", r"\1:00\2", text)
    if re.fullmatch(r"\d{9,10}(\.\d+)?", text):
        ns = round(float(text) * 1e9)
        return Moment(ns, ns)
    text = re.sub(r"([+-]\d{2})$", r"\g<1>:00", text) if "T" in text or text.count(":") == 2 else text
    text = re.sub(r"\s+([+-]\d{2}:?\d{2}|Z)$", r"\1", text)
    return moment(text, zone)


def stamp_of(t_ns: int) -> str:
    """A moment as people read it."""
    return datetime.fromtimestamp(t_ns / 1e9, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
