"""Logs of ``nvidia-smi --query-gpu=timestamp,...,power.draw --format=csv -l 1``, as they are in the wild.

With or without units, headers as nvidia-smi writes them or renamed with underscores, stamps with slashes or
dashes, one GPU or several, a last line that was cut off when the logger was killed. Power is integrated by
the trapezoid rule over the real stamps; utilisation, memory, temperature and clocks become side series.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import tzinfo

import numpy as np

from wattmark.errors import ImportFileError
from wattmark.runs.record import Anchor, Curve, Float64, Int64, RunRecord, RunWarning, SeriesData
from wattmark.sources.base import Accuracy, Channel, Series
from wattmark.store.importing.reading import Row, TextFile
from wattmark.units import UJ_PER_J

_POWER = ("power.draw", "power.draw.average", "power.draw.instant")
_IDENTITY = ("index", "uuid", "pci.bus_id", "gpu_bus_id", "serial")
# column: name and unit of the series, as the nvml source has them, and the factor to that unit
_SIDE = {
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
_UNITS = {name: unit for name, unit, _ in _SIDE.values()}
_RENAMED = {
    "gpu_name": "name",
    "gpu_power_draw": "power.draw",
    "power_draw": "power.draw",
    "gpu_usage": "utilization.gpu",
    "utilization_gpu": "utilization.gpu",
    "gpu_memory_usage": "utilization.memory",
    "utilization_memory": "utilization.memory",
    "gpu_memory_used": "memory.used",
    "memory_used": "memory.used",
    "gpu_temperature": "temperature.gpu",
    "temperature_gpu": "temperature.gpu",
    "gpu_index": "index",
    "gpu_uuid": "uuid",
}
_WATTS = {"": 1.0, "w": 1.0, "mw": 1e-3, "kw": 1e3}
# Board power is good to 5 % (over 70 GPUs: Yang et al., "Part-time power measurements", arXiv:2312.02741) or
# 5 W (nvidia-smi's manual page, power.draw); a log once a second also misses what changes in between.
_ACCURACY = Accuracy(
    0.05, 0.05, 5.0, "nvidia-smi manual, power.draw: +/- 5 W; arXiv:2312.02741: +/- 5 %", 0.01, 0.01
)
_GAP_PERIODS = 10.0


@dataclass(slots=True)
class _Gpu:
    """What the log says of one GPU; NaN where a cell has no value."""

    name: str
    t_ns: list[int] = field(default_factory=lambda: [])
    power_w: list[float] = field(default_factory=lambda: [])
    side: dict[str, list[float]] = field(default_factory=lambda: {})


def recognises(header: Sequence[str]) -> bool:
    """Whether a CSV file with this header is a log of nvidia-smi with time and power."""
    names = {_column(cell)[0] for cell in header}
    return "timestamp" in names and any(name in names for name in _POWER)


def runs(file: TextFile, zone: tzinfo) -> list[RunRecord]:
    """The log as one run. Raises ImportFileError with the line that cannot be read."""
    log = _Log(file, zone)
    gpus = {key: gpu for key, gpu in log.gpus.items() if np.isfinite(gpu.power_w).sum() > 1}
    if not gpus:
        raise ImportFileError(f"{file.path} has fewer than two readings of power")
    _refuse_mixed(file, log)
    start = min(gpu.t_ns[0] for gpu in gpus.values())
    end = max(gpu.t_ns[-1] for gpu in gpus.values())
    content = "\n".join(",".join(row.cells) for row in file.rows())
    for number in sorted(set(range(len(log.gpus))) - {list(log.gpus).index(key) for key in gpus}):
        log.warn("imported-no-power", f"gpu{number} has no power readings in the log and is left out.")
    return [
        RunRecord(
            run_id=f"nvidia-smi-{hashlib.blake2b(content.encode(), digest_size=10).hexdigest()}",
            name=re.sub(r"(\.csv)?(\.gz)?$", "", re.split(r"[/\\]", file.path)[-1]) or "nvidia-smi",
            status="completed",
            exit_code=None,
            started_wall_ns=start,
            start_ns=0,
            end_ns=end - start,
            tags={"imported": "nvidia-smi"},
            environment={"gpus": [gpu.name for gpu in gpus.values()]},
            curves=tuple(_curve(f"gpu{n}", key, gpu, start) for n, (key, gpu) in enumerate(gpus.items())),
            series=tuple(
                SeriesData(
                    Series(f"gpu{n}/{name}", _UNITS[name], "nvidia-smi", gpu.name),
                    np.array(gpu.t_ns, np.int64) - start,
                    np.array(values, np.float32),
                )
                for n, gpu in enumerate(gpus.values())
                for name, values in gpu.side.items()
                if np.isfinite(values).any()
            ),
            anchors=(Anchor(0, 0, start),),
            warnings=tuple(log.warnings),
            extra={"nvidia_smi": {"columns": log.header}},
        )
    ]


class _Log:
    """One pass over the rows of the file."""

    def __init__(self, file: TextFile, zone: tzinfo) -> None:
        self.file = file
        self.gpus: dict[tuple[str, ...], _Gpu] = {}
        self.warnings: list[RunWarning] = []
        rows = list(file.rows())
        self.header = rows[0].cells
        self._columns = [_column(cell) for cell in self.header]
        names = [name for name, _ in self._columns]
        self._time = names.index("timestamp")
        self._power = next(names.index(name) for name in _POWER if name in names)
        self._identity = [names.index(name) for name in _IDENTITY if name in names][:1]
        self._name = names.index("name") if "name" in names else None
        self._side = {_SIDE[name][0]: (i, _SIDE[name][2]) for i, name in enumerate(names) if name in _SIDE}
        backwards = 0
        for row in self._whole(rows[1:]):
            backwards += not self._take(row, zone)
        backwards += self._drop_repeats()
        if backwards:
            self.warn("imported-clock", f"lines whose clock did not go forward are left out: {backwards}.")

    @property
    def identified(self) -> bool:
        """Whether a column tells the GPUs apart."""
        return bool(self._identity)

    def warn(self, code: str, message: str) -> None:
        """Note something that a reader of the numbers must know."""
        self.warnings.append(RunWarning(code, message))

    def _whole(self, rows: list[Row]) -> list[Row]:
        """The rows of data, without repeated headers and without a last line that was cut off."""
        rows = [row for row in rows if row.cells != self.header]
        if not rows:
            return rows
        last = rows[-1]
        if not self.file.text.endswith(("\n", "\r")) and len(last.cells) == len(self.header):
            # The end of the last cell may be missing: 119.17 read as 11. With its unit it is whole.
            end = len(self.header) - 1
            if end in (self._time, self._power, *self._identity) and not last.cells[-1].endswith(("W", "%")):
                last = last._replace(cells=last.cells[:-1])
            else:
                rows[-1] = last._replace(cells=[*last.cells[:-1], ""])
        if len(last.cells) < len(self.header):
            rows.pop()
            self.warn("imported-truncated", f"Line {last.line}, the last one, was cut off and is left out.")
        return rows

    def _take(self, row: Row, zone: tzinfo) -> bool:
        """Add a row to its GPU; False if its clock does not go forward."""
        if len(row.cells) != len(self.header):
            raise self.file.error(
                row.line, f"{len(row.cells)} values where the header has {len(self.header)} names"
            )
        stamp = self.file.moment_ns(row, row.cells[self._time], zone)
        gpu = self._gpu_of(row, stamp)
        if gpu.t_ns and stamp <= gpu.t_ns[-1]:
            return False
        gpu.t_ns.append(stamp)
        gpu.power_w.append(self._power_w(row))
        for name, (index, scale) in self._side.items():
            found = self.file.number(row, row.cells[index])
            gpu.side[name].append(float("nan") if found is None else found[0] * scale)
        return True

    def _drop_repeats(self) -> int:
        """Without a column that tells GPUs apart, a few equal stamps are repeated lines, not a second GPU."""
        repeats = [
            key
            for key, gpu in self.gpus.items()
            if not self._identity and len(gpu.t_ns) < len(self.gpus[key[0], "0"].t_ns) / 2
        ]
        return sum(len(self.gpus.pop(key).t_ns) for key in repeats)

    def _gpu_of(self, row: Row, stamp: int) -> _Gpu:
        name = "" if self._name is None else row.cells[self._name]
        key = tuple(row.cells[i] for i in self._identity) or (name,)
        if not self._identity:  # the same stamp again is the next GPU of the same name
            copy = 0
            while (known := self.gpus.get((*key, str(copy)))) and known.t_ns[-1:] == [stamp]:
                copy += 1
            key = (*key, str(copy))
        return self.gpus.setdefault(key, _Gpu(name, side={side: [] for side in self._side}))

    def _power_w(self, row: Row) -> float:
        found = self.file.number(row, row.cells[self._power])
        if found is None:
            return float("nan")
        value, unit = found
        scale = _WATTS.get((unit or self._columns[self._power][1]).lower())
        if scale is None or value < 0:
            raise self.file.error(row.line, f"{row.cells[self._power]!r} is no power in W")
        return value * scale


def _column(cell: str) -> tuple[str, str]:
    """(name, unit) of a header cell such as ``power.draw [W]``."""
    name, _, unit = cell.lower().partition("[")
    name = name.strip()
    return _RENAMED.get(name, name), unit.rstrip("] ").strip()


def _refuse_mixed(file: TextFile, log: _Log) -> None:
    """Several GPUs that take turns under one name, a few ms apart, cannot be told apart afterwards."""
    for gpu in log.gpus.values():
        steps = np.diff(gpu.t_ns)
        if not log.identified and len(steps) >= 8 and np.quantile(steps, 0.95) > 20 * np.quantile(steps, 0.2):
            raise ImportFileError(
                f"{file.path}: the lines seem to be of several GPUs, and nothing tells them apart",
                hint="log them with --query-gpu=timestamp,index,power.draw",
            )


def _curve(channel_name: str, key: tuple[str, ...], gpu: _Gpu, start: int) -> Curve:
    t_ns = np.array(gpu.t_ns, np.int64) - start
    power_w = np.array(gpu.power_w)
    read = np.flatnonzero(np.isfinite(power_w))
    known_t = t_ns[read]
    period_ns = float(np.median(np.diff(t_ns)))
    # No reading, or no line for long: the energy in between is not known.
    missing = (np.diff(read) > 1) | (np.diff(known_t) > _GAP_PERIODS * period_ns)
    channel = Channel(
        id=f"{channel_name}/board",
        component="gpu",
        source="nvidia-smi",
        method="integrated",
        scope="board",
        kind="power",
        accuracy=_ACCURACY,
        update_period_s=period_ns / 1e9,
        label=f"{gpu.name} {key[0] if key[0] != gpu.name else ''}".strip(),
    )
    holes = np.column_stack((known_t[:-1][missing], known_t[1:][missing]))
    return Curve(channel, known_t, _integrate(known_t, power_w[read], missing), holes)


def _integrate(t_ns: Int64, power_w: Float64, missing: np.ndarray) -> Int64:
    """Cumulative energy in µJ by the trapezoid rule, flat where it is not known."""
    steps_j = np.diff(t_ns) / 1e9 * (power_w[1:] + power_w[:-1]) / 2
    steps_j[missing] = 0
    return np.rint(np.concatenate(([0.0], np.cumsum(steps_j))) * UJ_PER_J).astype(np.int64)
