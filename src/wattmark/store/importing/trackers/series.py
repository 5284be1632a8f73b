"""Points of power by name and time, as runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from wattmark.errors import ImportFileError
from wattmark.runs.record import RunRecord, RunWarning
from wattmark.sources.base import Accuracy, Component
from wattmark.store.importing.logs.nvidia_smi import ACCURACY
from wattmark.store.importing.reading import MOST_DEVICE_W, Problem, Reading
from wattmark.store.importing.records import TOOL_CITATION, TOOL_RELATIVE, DeviceLog, digest, power_run

_POWER = re.compile(
    r"(?:(?:.*/)?system[./])?(gpu|cpu|dram)(?:[./_](\d{1,4}))?[./_]power(?:_usage|_draw)?_?(?:watts|w)",
    re.IGNORECASE,
)  # W&B: gpu.0.powerWatts; MLflow: system/gpu_0_power_usage_watts; ours: system/cpu_power_watts
_MOST_MS = 4_102_444_800_000
"""The year 2100 in milliseconds since 1970; a stamp outside is none."""


def is_power(name: str) -> bool:
    """Whether a series of this name is the power of a part in W."""
    return _POWER.fullmatch(name) is not None


@dataclass(slots=True)
class TrackedRun:
    """One run of a tracker. points: (nanoseconds since 1970, watts) by the name of their series."""

    id: str
    name: str
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict[str, list[tuple[int, float]]])
    facts: Mapping[str, object] = field(default_factory=dict[str, object])

    def add(self, name: str, t_ns: int, watts: float) -> None:
        """A reading of one series."""
        self.points.setdefault(name, []).append((t_ns, watts))


def reading(
    path: str, tool: str, label: str, tracked: Iterable[TrackedRun], problems: Sequence[Problem] = ()
) -> Reading:
    """The runs that have two readings of power. Raises ImportFileError where none has."""
    every = list(problems)
    records = [record for one in tracked if (record := _record(tool, label, one, every)) is not None]
    if not records:
        if every:
            raise ImportFileError(f"{path}: {every[0]}")
        raise ImportFileError(
            f"{path} has no series of power",
            hint="such as system/gpu_0_power_usage_watts or gpu.0.powerWatts",
        )
    return Reading(tool, tuple(records), tuple(every))


def _record(tool: str, label: str, tracked: TrackedRun, problems: list[Problem]) -> RunRecord | None:
    devices: dict[tuple[str, int], DeviceLog] = {}
    for name, points in sorted(tracked.points.items()):
        match = _POWER.fullmatch(name)
        if match is None:
            continue
        component, number = match[1].lower(), int(match[2] or 0)
        if (component, number) in devices:
            problems.append(
                Problem(None, f"{tracked.name}: {name} is of a part that another series is of; left out")
            )
            continue
        device = DeviceLog(number, component=cast("Component", component))
        if component != "gpu":
            device.accuracy = Accuracy(
                *TOOL_RELATIVE, 0.0, f"imported from {label}; {TOOL_CITATION}", 0.21, 0.28
            )
        devices[component, number] = device
        out = 0
        for t_ns, watts in sorted(points):
            if not 0 < t_ns < _MOST_MS * 1_000_000 or watts < 0 or watts > MOST_DEVICE_W:
                out += 1
            else:
                device.add(t_ns, watts if math.isfinite(watts) else None, {}, "NaN")
        if out:
            problems.append(
                Problem(None, f"{tracked.name}: {out} readings of {name} are beyond all bounds; left out")
            )
    return power_run(
        [device for _, device in sorted(devices.items())],
        tool=tool,
        run_id=f"{tool}-{digest(tracked.id)}",
        name=tracked.name or tool,
        accuracy=ACCURACY,
        units={},
        warnings=[
            RunWarning(
                f"imported-{tool}",
                f"Imported from {label}: parts with a power series only, as it sampled them.",
            )
        ],
        extra={tool: dict(tracked.facts)} if tracked.facts else None,
    )
