"""CodeCarbon's ``emissions.csv``, of any version: one run a row, its joules as CodeCarbon reported them.

What CodeCarbon multiplies in comes out again: its energies are times the PUE of the row (``energy *=
self._pue`` in its ``emissions_tracker.py``), and Wattmark keeps PUE a stage of its own. How each joule was
got is not in the file, so all count as modelled, with an interval that says so.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import tzinfo

import numpy as np

from wattmark.runs.record import Anchor, Curve, RunRecord, RunWarning
from wattmark.sources.base import Accuracy, Channel, Component
from wattmark.store.importing.reading import Row, TextFile
from wattmark.units import J_PER_KWH, UJ_PER_J

# The reported value is up to 40 % off the measured one (Fischer, "Ground-Truthing AI Energy Consumption",
# arXiv:2509.22092), so the truth may be value / 1.4 to value / 0.6. Its memory term is
# watts per GB installed, whatever the use; the truth may be a tenth of it.
_CITATION = "imported from CodeCarbon; errors of up to 40 % (Fischer 2025, arXiv:2509.22092)"
_TOTAL = Accuracy(1 - 1 / 1.4, 1 / 0.6 - 1, 0.0, _CITATION, 0.21, 0.28)
_DRAM = Accuracy(
    0.9, 1 / 0.6 - 1, 0.0, f"{_CITATION}; memory is counted by capacity, whatever its use", 0.35, 0.5
)
_PARTS: tuple[tuple[str, Component, Accuracy], ...] = (
    ("cpu_energy", "cpu", _TOTAL),
    ("gpu_energy", "gpu", _TOTAL),
    ("ram_energy", "dram", _DRAM),
)


def recognises(header: Sequence[str]) -> bool:
    """Whether a CSV file with this header is CodeCarbon's."""
    return {"timestamp", "duration", "emissions", "energy_consumed"} <= set(header)


def runs(file: TextFile, zone: tzinfo) -> list[RunRecord]:
    """One run a row. Raises ImportFileError with the line of a row that cannot be read."""
    rows = file.rows()
    header = next(rows).cells
    records: list[RunRecord] = []
    seen: dict[str, int] = {}
    for row in rows:
        if row.cells == header:
            continue  # files that were put together by `cat`
        if len(row.cells) != len(header):
            raise file.error(row.line, f"{len(row.cells)} values where the header has {len(header)} names")
        values = dict(zip(header, row.cells, strict=True))
        tracker = values.get("run_id") or values.get("experiment_id") or ""
        seen[tracker] = seen.get(tracker, 0) + 1
        records.append(_run(file, row, values, zone, again=bool(tracker) and seen[tracker] > 1))
    return records


def _run(file: TextFile, row: Row, values: Mapping[str, str], zone: tzinfo, again: bool) -> RunRecord:
    ended_ns = file.moment_ns(row, values["timestamp"], zone)
    seconds = _number(file, row, values, "duration")
    if seconds is None or seconds < 0:
        raise file.error(row.line, "the duration is missing or negative")
    duration_ns = max(
        round(seconds * 1e9), 1_000
    )  # versions before 2 wrote whole seconds, so a short run has 0
    pue = _number(file, row, values, "pue") or 1.0
    energies = _energies(file, row, values)
    identity = "\n".join(values.get(key, "") for key in ("run_id", "experiment_id", "timestamp", "task_name"))
    if not (values.get("run_id") or values.get("experiment_id")):
        identity += "\n".join(row.cells)
    return RunRecord(
        run_id=f"codecarbon-{hashlib.blake2b(identity.encode(), digest_size=10).hexdigest()}",
        name=values.get("task_name") or values.get("project_name") or "codecarbon",
        status="completed",
        exit_code=None,
        started_wall_ns=ended_ns - duration_ns,
        start_ns=0,
        end_ns=duration_ns,
        tags={"imported": "codecarbon"},
        environment={
            key: values[name]
            for key, name in (
                ("os", "os"),
                ("python", "python_version"),
                ("cpu", "cpu_model"),
                ("gpu", "gpu_model"),
            )
            if values.get(name)
        },
        curves=tuple(
            _curve(component, accuracy, kwh / pue, duration_ns) for component, accuracy, kwh in energies
        ),
        anchors=(Anchor(0, 0, ended_ns - duration_ns),),
        warnings=_warnings(values, pue, again),
        extra={"codecarbon": dict(values)},
    )


def _energies(file: TextFile, row: Row, values: Mapping[str, str]) -> list[tuple[Component, Accuracy, float]]:
    """(component, accuracy, kWh with PUE) of what was tracked: CodeCarbon writes 0 for what was not."""
    parts: list[tuple[Component, Accuracy, float]] = []
    for name, component, accuracy in _PARTS:
        kwh = _number(file, row, values, name)
        if kwh is not None and kwh < 0:
            raise file.error(row.line, f"{name} is negative")
        if kwh:
            parts.append((component, accuracy, kwh))
    if parts:
        return parts
    total = _number(file, row, values, "energy_consumed")  # versions before 2 had no parts
    if total is None or total < 0:
        raise file.error(row.line, "there is no energy in this row")
    return [("host", _TOTAL, total)]


def _number(file: TextFile, row: Row, values: Mapping[str, str], name: str) -> float | None:
    found = file.number(row, values.get(name, ""))
    return found[0] if found and math.isfinite(found[0]) else None


def _curve(component: Component, accuracy: Accuracy, kwh: float, duration_ns: int) -> Curve:
    channel = Channel(
        id=f"codecarbon/{component}",
        component=component,
        source="codecarbon",
        method="modelled",
        scope="as CodeCarbon reported it",
        kind="energy",
        accuracy=accuracy,
        update_period_s=duration_ns / 1e9,
        label="imported",
    )
    energy = round(kwh * J_PER_KWH * UJ_PER_J)
    return Curve(channel, np.array([0, duration_ns], np.int64), np.array([0, energy], np.int64))


def _warnings(values: Mapping[str, str], pue: float, again: bool) -> tuple[RunWarning, ...]:
    version = values.get("codecarbon_version") or "of unknown version"
    found = {
        "imported-codecarbon": f"Imported from CodeCarbon {version}: two points and constant power between, "
        "method unknown."
    }
    if values.get("tracking_mode") == "machine":
        found["imported-whole-machine"] = (
            f"CodeCarbon counted the whole machine: {values.get('gpu_count') or 'no'} GPUs and "
            f"{values.get('ram_total_size') or 'an unknown number of'} GB of memory, used or not."
        )
    if pue != 1:
        found["imported-pue"] = f"CodeCarbon's energies were times a PUE of {pue:g}; it is taken out."
    if again:
        found["imported-repeated-run"] = (
            "Earlier rows have the same CodeCarbon run id; if one tracker flushed them, each has the energy "
            "of those before it."
        )
    return tuple(RunWarning(code, message) for code, message in found.items())
