"""Logs of ``nvidia-smi --query-gpu=timestamp,...,power.draw --format=csv -l 1``, as they are in the wild.

With or without units or a header, commas or semicolons, headers as nvidia-smi writes them or renamed with underscores,
stamps with slashes or dashes, one GPU or several, error messages between the lines, logs appended to others with other
columns, a last line that was cut off when the logger was killed. Power is integrated by the trapezoid rule over the real
stamps; utilisation, memory, temperature and clocks become side series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import groupby, pairwise

import numpy as np

from wattmark.errors import ImportFileError
from wattmark.runs.record import RunRecord, RunWarning
from wattmark.sources.base import Accuracy
from wattmark.store.importing.reading import (
    HEADER_ROWS,
    MOST_DEVICE_W,
    Problem,
    Reading,
    Row,
    TextFile,
    UnreadableCell,
    number,
    shortened,
)
from wattmark.store.importing.records import DeviceLog, digest, file_title, power_run
from wattmark.store.importing.stamps import Moment, in_order, moment

_TIME = ("timestamp", "datetime", "date_time", "time")
_POWER = ("power.draw", "power.draw.average", "power.draw.instant")
_IDENTITY = ("index", "uuid", "pci.bus_id", "gpu_bus_id", "serial")
# column: name and unit of the series, as the nvml source has them, and the factor to that unit
SIDE = {
    "utilization.gpu": ("utilisation", "%", 1.0),
    "utilization.memory": ("memory_utilisation", "%", 1.0),
    "memory.used": ("memory_used", "B", 2.0**20),
    "temperature.gpu": ("temperature", "°C", 1.0),
    "clocks.sm": ("sm_clock", "MHz", 1.0),
    "clocks.current.sm": ("sm_clock", "MHz", 1.0),
    "clocks.mem": ("memory_clock", "MHz", 1.0),
    "clocks.current.memory": ("memory_clock", "MHz", 1.0),
    "power.limit": ("power_limit", "W", 1.0),
    "enforced.power.limit": ("power_limit", "W", 1.0),
}
UNITS = {name: unit for name, unit, _ in SIDE.values()}
_RENAMED = {
    "gpu_name": "name",
    "gpu_power_draw": "power.draw",
    "power_draw": "power.draw",
    "power_draw_w": "power.draw",
    "power_w": "power.draw",
    "gpu_power_w": "power.draw",
    "gpu_power": "power.draw",
    "power": "power.draw",
    "gpu_usage": "utilization.gpu",
    "gpu_utilization": "utilization.gpu",
    "utilization_gpu": "utilization.gpu",
    "gpu_memory_usage": "utilization.memory",
    "utilization_memory": "utilization.memory",
    "gpu_memory_used": "memory.used",
    "memory_used": "memory.used",
    "gpu_temperature": "temperature.gpu",
    "temperature_gpu": "temperature.gpu",
    "gpu_index": "index",
    "gpu_id": "index",
    "gpu_uuid": "uuid",
    "bus_id": "pci.bus_id",
}
_WATTS = {"": 1.0, "w": 1.0, "mw": 1e-3, "kw": 1e3}
# Board power is good to 5 % (over 70 GPUs: Yang et al., "Part-time power measurements", arXiv:2312.02741) or
# 5 W (nvidia-smi's manual page, power.draw); a log once a second also misses what changes in between.
ACCURACY = Accuracy(
    0.05, 0.05, 5.0, "nvidia-smi manual, power.draw: +/- 5 W; arXiv:2312.02741: +/- 5 %", 0.01, 0.01
)
_UUID = re.compile(r"(GPU|MIG)-[0-9a-fA-F-]{8,}")
_BUS = re.compile(r"[0-9a-fA-F]{8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]")
_TWO_DECIMALS = re.compile(r"\d+[.,]\d\d")
_MOST_GPUS = 64


@dataclass(frozen=True, slots=True)
class Columns:
    """Which cell is what. side: series -> (place, factor)."""

    width: int
    time: int
    power: int
    power_unit: str
    identity: tuple[str, int] | None
    name: int | None
    side: Mapping[str, tuple[int, float]]

    @property
    def kind(self) -> str:
        """The name of the column that tells GPUs apart; empty where there is none."""
        return self.identity[0] if self.identity else ""

    @classmethod
    def of_header(cls, cells: Sequence[str]) -> Columns | None:
        """The columns that a header names; None where it is no header with time and power."""
        columns = [_column(cell) for cell in cells]
        names = [name for name, _ in columns]
        time = next((names.index(name) for name in _TIME if name in names), None)
        power = next((names.index(name) for name in _POWER if name in names), None)
        if time is None or power is None:
            return None
        return cls(
            len(cells),
            time,
            power,
            columns[power][1],
            next(((name, names.index(name)) for name in _IDENTITY if name in names), None),
            names.index("name") if "name" in names else None,
            {SIDE[name][0]: (i, SIDE[name][2]) for i, name in enumerate(names) if name in SIDE},
        )

    @classmethod
    def of_rows(cls, rows: Sequence[Row], zone: tzinfo) -> Columns | None:
        """The columns of a log without a header, by what its cells look like; None where they say too little.

        Power is the first cell in W; without units the first that always has two decimals, as nvidia-smi prints power
        and nothing else.
        """
        width = max((len(row.cells) for row in rows), key=[len(row.cells) for row in rows].count, default=0)
        table = [row.cells for row in rows if len(row.cells) == width]
        columns = [[cells[i] for cells in table] for i in range(width)]
        time = next(
            (i for i, cells in enumerate(columns) if all(_is_stamp(cell, zone) for cell in cells)), None
        )
        if time is None or 2 * len(table) < len(rows):
            return None
        others = [(i, _present(cells)) for i, cells in enumerate(columns) if i != time]
        in_watts = [i for i, cells in others if cells and all(cell.endswith("W") for cell in cells)]
        decimal = [i for i, cells in others if cells and all(_TWO_DECIMALS.fullmatch(cell) for cell in cells)]
        power = next(iter(in_watts or decimal), None)
        if power is None:
            return None
        percent = [i for i, cells in others if cells and all(cell.endswith("%") for cell in cells)]
        named = [i for i, cells in others if cells and all(_is_name(cell) for cell in cells)]
        side = {
            SIDE[name][0]: (i, SIDE[name][2])
            for name, i in zip(("utilization.gpu", "utilization.memory"), percent, strict=False)
        }
        return cls(width, time, power, "", _identity_of(others), next(iter(named), None), side)


@dataclass(slots=True)
class _Line:
    """One reading of one device."""

    section: int
    moment: Moment
    key: tuple[str, str]
    name: str
    power_w: float | None
    failure: str
    side: dict[str, float | None]


@dataclass(slots=True)
class _Log:
    """What the rows of the file say."""

    sections: list[Columns] = field(default_factory=list[Columns])
    lines: list[_Line] = field(default_factory=list[_Line])
    problems: list[Problem] = field(default_factory=list[Problem])
    warnings: list[RunWarning] = field(default_factory=list[RunWarning])


def recognises(file: TextFile, zone: tzinfo) -> bool:
    """Whether a file is a log of nvidia-smi with time and power."""
    rows = file.beginning()
    return any(Columns.of_header(row.cells) for row in rows) or Columns.of_rows(rows, zone) is not None


def runs(file: TextFile, zone: tzinfo) -> Reading:
    """The log as one run, or one for each of its parts that are of other devices; lines that cannot be read are named.

    Raises ImportFileError where nothing tells several GPUs apart, and for a log with fewer than two readings.
    """
    log = _log(file, zone)
    stamps = in_order([line.moment for line in log.lines])
    content = "\n".join(",".join(row.cells) for row in file.rows(file.delimiter()))
    records: list[RunRecord] = []
    for part, sections in enumerate(_parts(log)):
        chosen = [(line, ns) for line, ns in zip(log.lines, stamps, strict=True) if line.section in sections]
        devices, backwards = _devices(file, log, chosen)
        warnings = list(log.warnings)
        if backwards:
            warnings.append(
                RunWarning(
                    "imported-clock", f"lines whose clock did not go forward are left out: {backwards}."
                )
            )
        record = power_run(
            devices,
            tool="nvidia-smi",
            run_id=f"nvidia-smi-{digest(content)}" + (f"-{part + 1}" if part else ""),
            name=file_title(file.path, "nvidia-smi"),
            accuracy=ACCURACY,
            units=UNITS,
            warnings=warnings,
        )
        if record is not None:
            records.append(record)
    if not records:
        if log.problems:
            raise file.error(log.problems[0].line or 1, log.problems[0].reason)
        raise ImportFileError(f"{file.path} has fewer than two readings of power")
    return Reading("nvidia-smi", tuple(records), tuple(log.problems))


def _log(file: TextFile, zone: tzinfo) -> _Log:
    log = _Log()
    rows = list(file.rows(file.delimiter()))
    if not any(Columns.of_header(row.cells) for row in rows[:HEADER_ROWS]):
        columns = Columns.of_rows(rows[:HEADER_ROWS], zone)
        assert columns is not None, "recognised"
        log.sections.append(columns)
    whole = file.text.endswith(("\n", "\r"))
    for row in rows:
        columns = Columns.of_header(row.cells)
        if columns is not None:
            if not log.sections or columns != log.sections[-1]:
                log.sections.append(columns)
            continue
        if row is rows[-1] and not whole and log.sections:
            cut = _cut(row, log.sections[-1])
            if cut is None:
                log.warnings.append(
                    RunWarning(
                        "imported-truncated", f"Line {row.line}, the last one, was cut off and is left out."
                    )
                )
                continue
            row = cut
        try:
            if not log.sections:
                raise UnreadableCell("before any header")
            log.lines.append(_line(row, log, zone))
        except UnreadableCell as error:
            log.problems.append(Problem(row.line, str(error)))
    return log


def _cut(row: Row, columns: Columns) -> Row | None:
    """The last line of a file that does not end it: None if it is not whole, without its last cell if that may not be."""
    if len(row.cells) > columns.width:
        return row  # no line of this log, and named as such
    if len(row.cells) < columns.width:
        return None
    # The end of the last cell may be missing: 119.17 read as 11. With its unit it is whole.
    end = columns.width - 1
    used = {columns.time, columns.power, columns.identity[1] if columns.identity else -1}
    if end not in used:
        return row._replace(cells=[*row.cells[:-1], ""])
    return row if row.cells[-1].endswith(("W", "%")) else None


def _line(row: Row, log: _Log, zone: tzinfo) -> _Line:
    """One reading. A cell of power that is none makes a reading without power, and a problem of its own."""
    section = len(log.sections) - 1
    columns = log.sections[section]
    cells = row.cells
    if len(cells) != columns.width:
        raise UnreadableCell(f"{len(cells)} values where the header has {columns.width} names")
    stamp = moment(cells[columns.time], zone)
    name = "" if columns.name is None else cells[columns.name]
    key = (columns.kind, name if columns.identity is None else cells[columns.identity[1]])
    power: float | None = None
    failure = cells[columns.power]
    side: dict[str, float | None] = {}
    try:
        power = _power_w(failure, columns)
    except UnreadableCell as error:
        log.problems.append(Problem(row.line, str(error)))
    for series, (place, factor) in columns.side.items():
        try:
            value = number(cells[place], 1e12)
        except UnreadableCell as error:
            log.problems.append(Problem(row.line, str(error)))
            value = None
        side[series] = None if value is None else value[0] * factor
    return _Line(section, stamp, key, name, power, failure, side)


def _power_w(cell: str, columns: Columns) -> float | None:
    value = number(cell)
    if value is None:
        return None
    scale = _WATTS.get((value[1] or columns.power_unit).lower())
    if scale is None or value[0] < 0:
        raise UnreadableCell(f"{shortened(cell)} is no power in W")
    if value[0] * scale > MOST_DEVICE_W:
        raise UnreadableCell(f"{shortened(cell)} is beyond all bounds for the power of a GPU")
    return value[0] * scale


def _parts(log: _Log) -> list[set[int]]:
    """Sections of the log that are of the same devices, as far as can be told; each part becomes a run.

    nvidia-smi lists GPUs in the order of their indices, so a log that names them otherwise, or not at all, has the same
    ones where it has as many.
    """
    lines: list[list[_Line]] = [[] for _ in log.sections]
    for line in log.lines:
        lines[line.section].append(line)
    counts = [_device_count(section) for section in lines]
    parts: list[set[int]] = []
    for n, columns in enumerate(log.sections):
        for part in parts if counts[n] else ():
            other = max(part)
            if counts[other] == counts[n] or (columns.kind and columns.kind == log.sections[other].kind):
                part.add(n)
                break
        else:
            if counts[n]:
                parts.append({n})
    return parts


def _device_count(lines: Sequence[_Line]) -> int:
    """Devices in a section; where no column tells them apart, as many as share one stamp."""
    most = 0
    for _, group in groupby(lines, key=lambda line: line.moment):
        same = list(group)
        most = max(most, len(same))
    keys = len({line.key for line in lines})
    return keys if lines and lines[0].key[0] else max(most, keys)


def _devices(file: TextFile, log: _Log, lines: Sequence[tuple[_Line, int]]) -> tuple[list[DeviceLog], int]:
    """The devices of one part with their readings, and how many lines had a clock that did not go forward."""
    devices: dict[tuple[str, str], DeviceLog] = {}
    every: list[DeviceLog] = []
    kinds: set[str] = set()
    backwards = 0
    for section, group in groupby(lines, key=lambda pair: pair[0].section):
        kind = log.sections[section].kind
        here: dict[tuple[str, str], DeviceLog] = {}
        before = [] if kind in kinds else list(every)
        for line, ns in group:
            key = line.key if kind else _copy(line, ns, here)
            device = here.get(key) or (devices.get(key) if kind else None)
            if device is None:
                device = before[len(here)] if len(here) < len(before) else DeviceLog(len(every))
                if device not in every:
                    every.append(device)
            devices[key] = here[key] = device
            device.name = device.name or line.name
            backwards += not device.add(ns, line.power_w, line.side, line.failure)
        kinds.add(kind)
    if kinds == {""}:
        every, repeated = _without_repeats(every)
        backwards += repeated
        _refuse_mixed(file, every)
    _number(every, devices)
    return every, backwards


def _copy(line: _Line, ns: int, here: Mapping[tuple[str, str], DeviceLog]) -> tuple[str, str]:
    """Without a column that tells GPUs apart, the same stamp again is the next GPU of the same name."""
    copy = 0
    while (device := here.get((line.name, str(copy)))) and device.t_ns[-1:] == [ns]:
        copy += 1
    return line.name, str(copy)


def _number(devices: Sequence[DeviceLog], keys: Mapping[tuple[str, str], DeviceLog]) -> None:
    """GPUs get the indices that the log gives them, where it gives any."""
    indices = {
        id(device): int(value)
        for (kind, value), device in keys.items()
        if kind == "index" and value.isdecimal()
    }
    if len(indices) == len(devices) and len(set(indices.values())) == len(devices):
        for device in devices:
            device.number = indices[id(device)]


def _without_repeats(devices: list[DeviceLog]) -> tuple[list[DeviceLog], int]:
    """Without a column that tells GPUs apart, a few equal stamps are repeated lines, not a second GPU."""
    most = {device.name: max(len(d.t_ns) for d in devices if d.name == device.name) for device in devices}
    complete = [device for device in devices if len(device.t_ns) >= most[device.name] / 2]
    return complete, sum(len(device.t_ns) for device in devices if device not in complete)


def _refuse_mixed(file: TextFile, devices: Sequence[DeviceLog]) -> None:
    """Several GPUs that take turns under one name, a few ms apart, cannot be told apart afterwards."""
    for device in devices:
        steps = np.diff(device.t_ns)
        if len(steps) >= 8 and np.quantile(steps, 0.95) > 20 * np.quantile(steps, 0.2):
            raise ImportFileError(
                f"{file.path}: the lines seem to be of several GPUs, and nothing tells them apart",
                hint="log them with --query-gpu=timestamp,index,power.draw",
            )


def _column(cell: str) -> tuple[str, str]:
    """(name, unit) of a header cell such as ``power.draw [W]``."""
    name, _, unit = cell.lower().replace("(", "[").partition("[")
    name = name.strip()
    return _RENAMED.get(name.replace(" ", "_"), name), unit.rstrip("]) ").strip()


def _present(cells: Sequence[str]) -> list[str]:
    return [
        cell
        for cell in cells
        if cell.strip("[]").lower() not in ("", "n/a", "not supported", "unknown error")
    ]


def _is_stamp(cell: str, zone: tzinfo) -> bool:
    try:
        moment(cell, zone)
    except UnreadableCell:
        return False
    return not cell.isdecimal()


def _is_name(cell: str) -> bool:
    return cell[:1].isalpha() and " " in cell and not _UUID.fullmatch(cell)


def _identity_of(others: Sequence[tuple[int, Sequence[str]]]) -> tuple[str, int] | None:
    """The column that tells GPUs apart in a log without a header: small numbers in turn, a UUID, a bus id."""
    for i, cells in others:
        if cells and all(cell.isdecimal() and len(cell) < 4 for cell in cells):
            count = int(max(cells, key=int)) + 1
            turns = [(int(after) - int(before)) % count == 1 % count for before, after in pairwise(cells)]
            if (
                count <= _MOST_GPUS
                and set(map(int, cells)) == set(range(count))
                and sum(turns) >= 0.9 * len(turns)
            ):
                return "index", i
    for kind, pattern in (("uuid", _UUID), ("pci.bus_id", _BUS)):
        for i, cells in others:
            if cells and all(pattern.fullmatch(cell) for cell in cells):
                return kind, i
    return None
