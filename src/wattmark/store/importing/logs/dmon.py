"""What ``nvidia-smi dmon`` and ``dcgmi dmon`` print: a table that scrolls, its header again and again.

``nvidia-smi dmon`` (with ``-o D``, ``T`` or ``DT`` for stamps, ``--format csv`` for commas)::

    #Date       Time        gpu    pwr  gtemp     sm    mem   mclk   pclk
    #YYYYMMDD   HH:MM:SS    Idx      W      C      %      %    MHz    MHz
     20240102   19:12:31      0     70     48      5      1   7000   1350

``dcgmi dmon -e 155,156,203`` (the words are those of its field tags; a stamp before ``GPU`` is what ``ts`` adds)::

    #Entity   POWER     TOTEC     GPUTL
    ID        W         mJ
    GPU 0     120.5     1234567   98

Without stamps a sample counts as one second, which is the default of both; the run says so. The counter of millijoules
of dcgmi is taken before its power where it is there, so energy does not depend on that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone, tzinfo

from wattmark.errors import ImportFileError
from wattmark.runs.record import RunWarning
from wattmark.store.importing.logs.nvidia_smi import ACCURACY, UNITS
from wattmark.store.importing.reading import (
    MOST_DEVICE_W,
    Problem,
    Reading,
    TextFile,
    UnreadableCell,
    number,
    shortened,
)
from wattmark.store.importing.records import DeviceLog, digest, file_title, power_run, written_ns
from wattmark.store.importing.stamps import Moment, in_order, moment

PERIOD_NS = 1_000_000_000
# column: series and factor to its unit; POWER and TOTEC apart
_SIDE = {
    "sm": ("utilisation", 1.0),
    "gputl": ("utilisation", 1.0),
    "mem": ("memory_utilisation", 1.0),
    "mcutl": ("memory_utilisation", 1.0),
    "gtemp": ("temperature", 1.0),
    "temp": ("temperature", 1.0),
    "tmptr": ("temperature", 1.0),
    "pclk": ("sm_clock", 1.0),
    "smclk": ("sm_clock", 1.0),
    "mclk": ("memory_clock", 1.0),
    "mmclk": ("memory_clock", 1.0),
    "fb": ("memory_used", 2.0**20),
    "fbusd": ("memory_used", 2.0**20),
}
_POWER = ("pwr", "power", "pwr_w")
_ENERGY = "totec"
_ENTITY = re.compile(r"(?:^|(?<=\s))(GPU|GPU-I|GPU-CI|Switch|CPU)\s+(\d+)(?=\s|$)")
_SPLIT = re.compile(r"\s*,\s*|\s+")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})")
_BLANKS = ((1.4e14, 1.5e14), (9.2e18, 9.3e18))
"""DCGM's values for none (dcgm_fields.h: DCGM_FP64_BLANK, DCGM_INT64_BLANK, and those after them)."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A header: its columns by place after the device, and where date, time and device are."""

    columns: tuple[str, ...]
    dcgm: bool
    date: bool = False
    time: bool = False


@dataclass(frozen=True, slots=True)
class _Sample:
    line: int
    device: int
    stamp: Moment | None
    cells: tuple[str, ...]
    columns: tuple[str, ...]


def recognises(file: TextFile) -> bool:
    """Whether a text is one of these tables."""
    return any(_header(line) is not None for line in file.text[:16_384].splitlines()[:100])


def runs(file: TextFile, zone: tzinfo) -> Reading:
    """The table as one run; lines that cannot be read are named. Raises ImportFileError where none has power."""
    problems: list[Problem] = []
    samples: list[_Sample] = []
    table: _Table | None = None
    instances = 0
    day = datetime.fromtimestamp(written_ns(file.path) / 1e9, timezone.utc).astimezone(zone).date()
    for line_number, line in enumerate(file.lines(), 1):
        header = _header(line)
        table = header or table
        if (
            header
            or not line.strip()
            or line.lstrip().startswith("#")
            or line.split()[0].lower() in ("id", "idx")
        ):
            continue
        try:
            if table is None:
                raise UnreadableCell("before any header")
            sample = _sample(line_number, line, table, zone, day)
        except UnreadableCell as error:
            problems.append(Problem(line_number, str(error)))
            continue
        if sample is None:
            instances += 1
        else:
            samples.append(sample)
    if samples and not file.text.endswith("\n") and samples[-1].line == len(file.lines()):
        samples.pop()  # its last number may have been cut off
    tool = "dcgmi" if table is not None and table.dcgm else "nvidia-smi"
    devices = _devices(
        samples, _times(file, samples, dated=table is None or table.dcgm or table.date), problems
    )
    record = power_run(
        devices,
        tool=tool,
        run_id=f"{tool}-dmon-{digest(file.text)}",
        name=file_title(file.path, f"{tool}-dmon"),
        accuracy=ACCURACY,
        units=UNITS,
        warnings=_warnings(samples, instances),
        extra={"duration_known": all(sample.stamp is not None for sample in samples)},
    )
    if record is None:
        if problems:
            raise file.error(problems[0].line or 1, problems[0].reason)
        raise ImportFileError(
            f"{file.path} has fewer than two readings of power",
            hint="nvidia-smi dmon -s p -o DT, or dcgmi dmon -e 155,156",
        )
    return Reading(tool, (record,), tuple(sorted(problems)))


def _header(line: str) -> _Table | None:
    """The table that a line begins; None where it begins none."""
    mark = line.find("#")
    if mark < 0:
        return None
    words = [word.lower() for word in _SPLIT.split(line[mark + 1 :].strip()) if word]
    if words[:1] == ["entity"]:
        return _Table(tuple(words[1:]), dcgm=True) if {*_POWER, _ENERGY} & set(words) else None
    if "gpu" in words[:3] and set(_POWER) & set(words):
        place = words.index("gpu")
        return _Table(tuple(words[place + 1 :]), False, "date" in words[:place], "time" in words[:place])
    return None


def _sample(line_number: int, line: str, table: _Table, zone: tzinfo, day: date) -> _Sample | None:
    """One line; None for a part of a GPU, whose power is in that of the whole."""
    if table.dcgm:
        entity = _ENTITY.search(line)
        if entity is None:
            raise UnreadableCell(f"{shortened(line.strip())} is no reading")
        if entity[1] != "GPU":
            return None
        before = line[: entity.start()].strip().strip("[]")
        stamp = moment(before, zone) if before else None
        device, cells = entity[2], [word for word in _SPLIT.split(line[entity.end() :].strip()) if word]
    else:
        words = [word for word in _SPLIT.split(line.strip()) if word]
        lead = table.date + table.time
        if len(words) <= lead or not words[lead].isdecimal():
            raise UnreadableCell(f"{shortened(line.strip())} is no reading")
        stamp = _stamp(words[:lead], table, zone, day)
        device, cells = words[lead], words[lead + 1 :]
    if len(cells) != len(table.columns):
        raise UnreadableCell(f"{len(cells)} values where the header has {len(table.columns)} names")
    if len(device) > 4:
        raise UnreadableCell(f"{shortened(device)} is no number of a GPU")
    return _Sample(line_number, int(device), stamp, tuple(cells), table.columns)


def _stamp(words: Sequence[str], table: _Table, zone: tzinfo, day: date) -> Moment | None:
    if not table.time:  # a date alone does not tell one sample from the next
        return None
    if not _CLOCK.fullmatch(words[-1]):
        raise UnreadableCell(f"{shortened(words[-1])} is no time")
    return moment(f"{words[0] if table.date else day.strftime('%Y%m%d')} {words[-1]}", zone)


def _times(file: TextFile, samples: Sequence[_Sample], dated: bool) -> list[int]:
    """When each sample was taken, in nanoseconds since the Unix epoch."""
    stamps = [sample.stamp for sample in samples if sample.stamp is not None]
    if len(stamps) == len(samples):
        times = in_order(stamps)
        return times if dated else _past_midnight(times)
    counts: dict[int, int] = {}
    places: list[int] = []
    for sample in samples:
        counts[sample.device] = counts.get(sample.device, -1) + 1
        places.append(counts[sample.device])
    begin = written_ns(file.path) - max(places, default=0) * PERIOD_NS
    return [begin + place * PERIOD_NS for place in places]


def _past_midnight(times: Sequence[int]) -> list[int]:
    """Times that begin again at midnight, because they were written without a date; the last day is the file's."""
    day_ns, days = 86_400 * PERIOD_NS, 0
    going: list[int] = []
    for index, time in enumerate(times):
        days += index > 0 and times[index - 1] - time > day_ns // 2
        going.append(time + days * day_ns)
    return [time - days * day_ns for time in going]


def _devices(samples: Sequence[_Sample], times: Sequence[int], problems: list[Problem]) -> list[DeviceLog]:
    devices: dict[int, DeviceLog] = {}
    for sample, t_ns in zip(samples, times, strict=True):
        power: float | None = None
        energy: float | None = None
        failure = "-"
        side: dict[str, float | None] = {}
        for column, cell in zip(sample.columns, sample.cells, strict=True):
            try:
                value = number(cell, 1e19 if column == _ENERGY else 1e12)
                blank = value is not None and any(low <= value[0] < high for low, high in _BLANKS)
                value = None if blank else value
                if column in _POWER:
                    failure = cell
                    if value is not None and not 0 <= value[0] <= MOST_DEVICE_W:
                        raise UnreadableCell(f"{shortened(cell)} is no power in W")
                    power = value and value[0]
                elif column == _ENERGY:
                    energy = value and value[0] / 1e3
                elif column in _SIDE:
                    side[_SIDE[column][0]] = value and value[0] * _SIDE[column][1]
            except UnreadableCell as error:
                if column in _POWER or column == _ENERGY:
                    problems.append(Problem(sample.line, str(error)))
        device = devices.setdefault(sample.device, DeviceLog(sample.device))
        device.add(t_ns, power, side, failure, energy)
    return list(devices.values())


def _warnings(samples: Sequence[_Sample], instances: int) -> list[RunWarning]:
    notes: list[RunWarning] = []
    if any(sample.stamp is None for sample in samples):
        notes.append(
            RunWarning(
                "imported-duration",
                "The log has no times: a sample counts as one second, the tool's default, and the file's date is its end. "
                "Energy out of power is right only if that is so.",
            )
        )
    if instances:
        notes.append(
            RunWarning(
                "imported-instances",
                f"{instances} lines are of parts of a GPU, which the whole has, too.",
            )
        )
    return notes
