"""What perun exports: the samples of each sensor, as CSV (``perun export ... csv``) or JSON.

The CSV has a line a sample: ``run id, hostname, device_group, sensor, unit, magnitude, timestep, value``; the JSON is
perun's tree of nodes, samples in ``raw_data`` (``io/pandas.py`` and ``data_model/data.py`` of version 1.0.0). Joules are
counters, watts are integrated; each run of each host becomes a run. Times count from the start, dated by the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from wattmark.documents import is_list, is_mapping, items, mapping
from wattmark.errors import ImportFileError
from wattmark.runs.record import RunRecord, RunWarning
from wattmark.sources.base import Accuracy, Component
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
from wattmark.store.importing.records import (
    TOOL_CITATION,
    TOOL_RELATIVE,
    DeviceLog,
    digest,
    file_title,
    power_run,
    written_ns,
)

_HEADER = ("run id", "hostname", "device_group", "sensor", "unit", "magnitude", "timestep", "value")
_GROUPS: dict[str, Component] = {"cpu": "cpu", "gpu": "gpu", "ram": "dram", "dram": "dram", "socket": "soc"}
_ACCURACY = Accuracy(*TOOL_RELATIVE, 0.0, f"imported from perun; {TOOL_CITATION}", 0.21, 0.28)
_SENSOR = 6
_DEPTH = 12


@dataclass(slots=True)
class _Sensor:
    """The samples of one sensor, in its base unit (J or W). line: where they begin."""

    line: int
    unit: str
    name: str
    component: Component
    t_s: list[float] = field(default_factory=list[float])
    values: list[float] = field(default_factory=list[float])
    wrap: float | None = None


_Sensors = dict[tuple[str, str], dict[str, _Sensor]]


def recognises(file: TextFile) -> bool:
    """Whether a CSV file is an export of perun."""
    return any(set(_HEADER) <= set(row.cells) for row in file.beginning()[:1])


def recognises_data(data: object) -> bool:
    """Whether parsed JSON is a tree of perun."""
    return is_mapping(data) and {"id", "type", "metadata", "nodes", "processed"} <= data.keys()


def runs(file: TextFile) -> Reading:
    """The runs of a CSV export; lines that cannot be read are named."""
    problems: list[Problem] = []
    sensors: _Sensors = {}
    rows = file.rows()
    header = next(rows).cells
    places = [header.index(name) for name in _HEADER]
    for line, cells in rows:
        if cells == header:
            continue
        if len(cells) != len(header):
            problems.append(Problem(line, f"{len(cells)} values where the header has {len(header)} names"))
            continue
        run, host, group, name, unit, *numbers = (cells[place] for place in places)
        component = _GROUPS.get(group.lower())
        if component is None or unit not in ("J", "W"):
            continue
        try:
            magnitude, t_s, value = (_finite(text) for text in numbers)
        except UnreadableCell as error:
            problems.append(Problem(line, str(error)))
            continue
        of_host = sensors.setdefault((run, host), {})
        sensor = of_host.setdefault(name, _Sensor(line, unit, name, component))
        sensor.t_s.append(t_s)
        sensor.values.append(value * magnitude)
    return _reading(file, sensors, problems)


def runs_of_data(file: TextFile, data: object) -> Reading:
    """The runs of a JSON export."""
    problems: list[Problem] = []
    sensors: _Sensors = {}
    for path, node in _nodes(mapping(data), (), 0):
        group = path[-1].lower() if path else ""
        component = _GROUPS.get(group)
        raw = node.get("raw_data")
        if node.get("type") != _SENSOR or not is_mapping(raw) or component is None:
            continue
        name = str(node.get("id"))
        try:
            sensor = _raw(name, component, raw)
        except (UnreadableCell, KeyError, TypeError, ValueError, OverflowError) as error:
            problems.append(Problem(None, f"sensor {name[:60]!r}: {type(error).__name__}: {error}"))
            continue
        if sensor is not None:
            host, run = (path[-2], path[-3]) if len(path) > 2 else ("", "")
            sensors.setdefault((run, host), {})[name] = sensor
    return _reading(file, sensors, problems)


def _nodes(
    node: Mapping[str, object], path: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Mapping[str, object]]]:
    """Every node with the ids of those around it, outermost first."""
    yield path, node
    children = node.get("nodes")
    for group in children if is_list(children) else [children]:  # perun writes a list of one
        for child in mapping(group).values() if depth < _DEPTH else ():
            if is_mapping(child):
                yield from _nodes(child, (*path, str(node.get("id"))), depth + 1)


def _raw(name: str, component: Component, raw: Mapping[str, object]) -> _Sensor | None:
    """Samples in joules or watts; processed ones have powers, and the counter beside them."""
    about = mapping(raw["v_md"])
    unit, magnitude = str(about["unit"]), _real(about["mag"])
    if unit not in ("J", "W"):
        return None
    times, values = items(raw["timesteps"]), items(raw["values"])
    sensor = _Sensor(
        1, unit, name, component, [_real(t) for t in times], [_real(value) * magnitude for value in values]
    )
    if len(sensor.t_s) != len(sensor.values):
        raise UnreadableCell("times and values differ in number")
    if not all(math.isfinite(number) for number in (magnitude, *sensor.t_s, *sensor.values)):
        raise UnreadableCell("not all of its samples are finite")
    most = _real(about.get("max") or 0) * magnitude
    if unit == "J" and 0 < most < 1e9:
        sensor.wrap = most
    return sensor


def _real(value: object) -> float:
    if not isinstance(value, int | float | str):
        raise UnreadableCell(f"{shortened(value)} is no number")
    return float(value)


def _finite(text: str) -> float:
    value = number(text, 1e19)
    if value is None:
        raise UnreadableCell("a number is missing")
    return value[0]


def _reading(file: TextFile, sensors: _Sensors, problems: list[Problem]) -> Reading:
    records: list[RunRecord] = []
    written = written_ns(file.path)
    for (run, host), of_host in sensors.items():
        numbers: dict[Component, int] = {}
        devices: list[DeviceLog] = []
        for sensor in _once(list(of_host.values())):
            device = DeviceLog(
                numbers.get(sensor.component, 0), _title(sensor.name), sensor.component, wrap_j=sensor.wrap
            )
            numbers[sensor.component] = device.number + 1
            for t_s, value in zip(sensor.t_s, sensor.values, strict=True):
                right = (
                    0 <= t_s <= MOST_SECONDS and value >= 0 and (sensor.unit == "J" or value <= MOST_DEVICE_W)
                )
                if not right:
                    problems.append(
                        Problem(
                            sensor.line,
                            f"{sensor.name[:60]}: {value:g} {sensor.unit} at {t_s:g} s is beyond all bounds",
                        )
                    )
                    continue
                t_ns = written + round(t_s * 1e9)
                if sensor.unit == "W":
                    device.add(t_ns, value, {})
                else:
                    device.add(t_ns, None, {}, energy_j=value)
            devices.append(device)
        record = power_run(
            devices,
            tool="perun",
            run_id=f"perun-{digest(run + host + file.text)}",
            name=file_title(file.path, "perun"),
            accuracy=_ACCURACY,
            units={},
            environment={"host": host} if host else {},
            warnings=[
                RunWarning(
                    "imported-perun",
                    f"Imported from perun, run {run or '0'}: its sensors as they were, method unknown.",
                ),
                RunWarning("imported-start", "Its times count from the start, which is dated by the file's."),
            ],
        )
        if record is not None:
            records.append(record)
    if not records and not problems:
        raise ImportFileError(
            f"{file.path} has no sensor in J or W with two samples", hint="perun export ... csv"
        )
    return Reading("perun", tuple(records), tuple(problems))


def _once(sensors: Sequence[_Sensor]) -> list[_Sensor]:
    """Each joule once: a device's counter before its power, the CPU before the socket that holds it."""
    sensor_of: dict[tuple[Component, str], _Sensor] = {}
    for sensor in sensors:
        key = (sensor.component, _title(sensor.name))
        if key not in sensor_of or (sensor.unit == "J" and sensor_of[key].unit == "W"):
            sensor_of[key] = sensor
    parts = {component for component, _ in sensor_of}
    return [
        sensor for (component, _), sensor in sensor_of.items() if component != "soc" or "cpu" not in parts
    ]


def _title(name: str) -> str:
    for ending in ("_POWER", "_ENERGY", "_power", "_energy"):
        name = name.removesuffix(ending)
    return name
