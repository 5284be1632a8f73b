"""Eco2AI's ``emission.csv``: a run a row, its joules as Eco2AI reported them (``emission_track.py`` of version 0.3.12).

A row has CPU, GPU and memory in one total, times a PUE that is not in the file (1 unless the user set it). A training
writes a row an epoch, each with its own start; their ``id`` is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo

import numpy as np

from wattmark.runs.record import RunRecord, RunWarning
from wattmark.sources.base import Accuracy
from wattmark.store.importing.reading import (
    MOST_KWH,
    MOST_SECONDS,
    Problem,
    Reading,
    Row,
    TextFile,
    UnreadableCell,
    amount,
)
from wattmark.store.importing.records import (
    LEAST_NS,
    TOOL_CITATION,
    TOOL_RELATIVE,
    Reported,
    digest,
    reported_run,
)
from wattmark.store.importing.stamps import moment

_ENERGY = ("power_consumption(kWh)", "power_consumption(kWTh)")
_COLUMNS = frozenset(("start_time", "duration(s)"))
_ACCURACY = Accuracy(*TOOL_RELATIVE, 0.0, f"imported from Eco2AI; {TOOL_CITATION}", 0.21, 0.28)
_CPU = re.compile(r"(.*?)/\d+ device\(s\).*")
_GPU = re.compile(r"(.*?) (\d+) device\(s\).*")


def recognises(file: TextFile) -> bool:
    """Whether a CSV file has Eco2AI's header."""
    return any(_is_header(row.cells) for row in file.beginning())


def runs(file: TextFile, zone: tzinfo) -> Reading:
    """One run a row; of rows of one id and start the longest, for a row is written again while its tracker goes on."""
    problems: list[Problem] = []
    records: dict[str, RunRecord] = {}
    header: list[str] = []
    for row in file.rows(file.delimiter()):
        if _is_header(row.cells):
            header = row.cells
            continue
        try:
            record = _run(row, header, zone)
        except UnreadableCell as error:
            problems.append(Problem(row.line, str(error)))
            continue
        before = records.get(record.run_id)
        if before is None or before.end_ns <= record.end_ns:
            records[record.run_id] = record
    return Reading("eco2ai", tuple(records.values()), tuple(problems))


def _is_header(cells: Sequence[str]) -> bool:
    return _COLUMNS.issubset(cells) and any(name in cells for name in _ENERGY)


def _run(row: Row, header: Sequence[str], zone: tzinfo) -> RunRecord:
    if not header:
        raise UnreadableCell("before any header")
    if len(row.cells) != len(header):
        raise UnreadableCell(f"{len(row.cells)} values where the header has {len(header)} names")
    values = dict(zip(header, row.cells, strict=True))
    started = moment(values["start_time"], zone).ns
    seconds = amount(values["duration(s)"], MOST_SECONDS, "duration(s)")
    name = next(name for name in _ENERGY if name in values)
    kwh = amount(values[name], MOST_KWH, name)
    if seconds is None or kwh is None:
        raise UnreadableCell("there is no duration or no energy in this row")
    identity = [values.get("id", ""), values["start_time"]]
    if not identity[0]:
        identity += row.cells
    return reported_run(
        [Reported("host", _ACCURACY, [kwh])],
        np.array([0, max(round(seconds * 1e9), LEAST_NS)], np.int64),
        tool="eco2ai",
        label="Eco2AI",
        run_id=f"eco2ai-{digest(chr(10).join(identity))}",
        name=values.get("project_name") or "eco2ai",
        started_ns=started,
        environment=_environment(values),
        warnings=(
            RunWarning(
                "imported-eco2ai", "Imported from Eco2AI: one total and constant power, method unknown."
            ),
            RunWarning(
                "imported-pue", "Eco2AI's energies are times a PUE that its file does not tell; 1 is taken."
            ),
        ),
        extra={"eco2ai": dict(values)},
    )


def _environment(values: Mapping[str, str]) -> dict[str, object]:
    cpu, gpu = _CPU.fullmatch(values.get("CPU_name", "")), _GPU.fullmatch(values.get("GPU_name", ""))
    facts: dict[str, object] = {}
    if cpu:
        facts["cpu"] = cpu[1]
    if gpu and int(gpu[2][:4]):
        facts["gpu"] = f"{gpu[2]} x {gpu[1]}"
    if values.get("OS"):
        facts["os"] = values["OS"]
    return facts
