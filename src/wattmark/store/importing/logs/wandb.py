"""System metrics of Weights & Biases: ``system.gpu.0.powerWatts`` every few seconds.

Rows of ``run.history(stream="events")`` as CSV, JSON lines (``wandb-events.jsonl``) or a JSON list, with ``_timestamp`` or
``_runtime``; and the CSV that a chart of the page exports, whose columns are ``<run> - system/gpu.0.powerWatts``, each
with its ``__MIN`` and ``__MAX``, and whose time is relative. Each run of a chart becomes a run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import tzinfo

from wattmark.documents import is_mapping, mappings
from wattmark.errors import ImportFileError
from wattmark.runs.record import RunRecord, RunWarning
from wattmark.store.importing.logs.nvidia_smi import ACCURACY, UNITS
from wattmark.store.importing.reading import (
    MOST_DEVICE_W,
    MOST_SECONDS,
    Problem,
    Reading,
    TextFile,
    UnreadableCell,
    number,
    shortened,
)
from wattmark.store.importing.records import DeviceLog, digest, file_title, power_run, written_ns
from wattmark.store.importing.stamps import moment

_KEY = re.compile(r"(?:(.*) - )?system[./]gpu\.(process\.)?(\d{1,4})\.([A-Za-z]+)")
_SIDE = {
    "gpu": ("utilisation", 1.0),
    "memory": ("memory_utilisation", 1.0),
    "memoryAllocatedBytes": ("memory_used", 1.0),
    "temp": ("temperature", 1.0),
    "smClock": ("sm_clock", 1.0),
    "memoryClock": ("memory_clock", 1.0),
    "enforcedPowerLimitWatts": ("power_limit", 1.0),
}
_RELATIVE = ("_runtime", "Relative Time (Process)", "Relative Time (Wall)")
_SIGN = re.compile(r"system[./]gpu\.(process\.)?\d{1,4}\.powerWatts")


def recognises(file: TextFile) -> bool:
    """Whether a text holds such metrics, with powers."""
    if file.text.lstrip()[:1] in ("{", "["):
        return _SIGN.search(file.text[:65_536]) is not None and '"wattmark-run"' not in file.text[:4_096]
    return any(_SIGN.search(cell) for cell in next(file.rows(), (0, [""]))[1])


def runs(file: TextFile, zone: tzinfo) -> Reading:
    """A run for each run that the columns name. Raises ImportFileError where there are no times or no powers."""
    problems: list[Problem] = []
    devices: dict[tuple[str, int], DeviceLog] = {}
    relative = False
    for line, row in _rows(file, problems):
        try:
            t_ns, is_relative = _time(row, zone)
        except UnreadableCell as error:
            problems.append(Problem(line, str(error)))
            continue
        relative = relative or is_relative
        for (name, index), values in _values(row, line, problems).items():
            if "power" in values:
                device = devices.setdefault((name, index), DeviceLog(index))
                power = values.pop("power")
                device.add(t_ns, power, values, "no value")
    if relative:
        latest = max((device.t_ns[-1] for device in devices.values()), default=0)
        begin = written_ns(file.path) - latest
        for device in devices.values():
            device.t_ns = [begin + t_ns for t_ns in device.t_ns]
    records: list[RunRecord] = []
    for name in dict.fromkeys(name for name, _ in devices):
        record = power_run(
            [device for (owner, _), device in sorted(devices.items()) if owner == name],
            tool="wandb",
            run_id=f"wandb-{digest(name + file.text)}",
            name=name or file_title(file.path, "wandb"),
            accuracy=ACCURACY,
            units=UNITS,
            warnings=_warnings(relative),
        )
        if record is not None:
            records.append(record)
    if not records:
        if problems:
            raise ImportFileError(f"{file.path}, {problems[0]}")
        raise ImportFileError(
            f"{file.path} has fewer than two readings of power",
            hint="export system.gpu.0.powerWatts with _timestamp",
        )
    return Reading("wandb", tuple(records), tuple(sorted(problems)))


def _rows(file: TextFile, problems: list[Problem]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line, cells by column) of every row, whichever way the rows are written."""
    text = file.text.lstrip()
    if text[:1] == "[":
        for row in mappings(_parsed(text, 1, problems)):
            yield 1, _texts(row)
        return
    if text[:1] == "{":
        for line, words in enumerate(file.lines(), 1):
            row = _parsed(words, line, problems) if words.strip() else None
            if is_mapping(row):
                yield line, _texts(row)
        return
    table = file.rows()
    header = next(table).cells
    for line, cells in table:
        if len(cells) == len(header):
            yield line, dict(zip(header, cells, strict=True))
        elif cells != header:
            problems.append(Problem(line, f"{len(cells)} values where the header has {len(header)} names"))


def _parsed(text: str, line: int, problems: list[Problem]) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        problems.append(Problem(line, "this is no JSON"))
        return None


def _texts(row: Mapping[str, object]) -> dict[str, str]:
    return {key: "" if value is None else str(value) for key, value in row.items()}


def _time(row: Mapping[str, str], zone: tzinfo) -> tuple[int, bool]:
    """Nanoseconds, and whether they count from the run's start instead of the epoch."""
    if row.get("_timestamp"):
        return moment(row["_timestamp"], zone).ns, False
    for name in _RELATIVE:
        if row.get(name):
            value = number(row[name], MOST_SECONDS)
            if value is not None and value[0] >= 0:
                return round(value[0] * 1e9), True
    raise UnreadableCell("this row has no time")


def _values(
    row: Mapping[str, str], line: int, problems: list[Problem]
) -> dict[tuple[str, int], dict[str, float | None]]:
    """Powers and side values by run and GPU. ``system.gpu.process.N`` is the same board as ``system.gpu.N``."""
    values: dict[tuple[str, int], dict[str, float | None]] = {}
    keys = sorted(
        ((match, cell) for key, cell in row.items() if (match := _KEY.fullmatch(key))),
        key=lambda pair: pair[0][2] is None,
    )
    for match, cell in keys:
        name, index, metric = match[1] or "", int(match[3]), match[4]
        if metric != "powerWatts" and metric not in _SIDE:
            continue
        try:
            value = number(cell, MOST_DEVICE_W if metric == "powerWatts" else 1e15)
            if metric == "powerWatts" and value is not None and value[0] < 0:
                raise UnreadableCell(f"{shortened(cell)} is no power in W")
        except UnreadableCell as error:
            problems.append(Problem(line, str(error)))
            value = None
        if metric == "powerWatts":
            if cell:  # rows of other metrics have none
                values.setdefault((name, index), {})["power"] = value and value[0]
        elif value is not None:
            series, factor = _SIDE[metric]
            values.setdefault((name, index), {})[series] = value[0] * factor
    return values


def _warnings(relative: bool) -> list[RunWarning]:
    notes = [
        RunWarning(
            "imported-wandb", "Imported from Weights & Biases: GPUs only, a reading every few seconds."
        )
    ]
    if relative:
        notes.append(
            RunWarning("imported-start", "Its times count from the start, which is dated by the file's.")
        )
    return notes
