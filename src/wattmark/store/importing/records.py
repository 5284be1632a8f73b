"""Runs out of what logs say: powers of devices, integrated; totals that a tool reported, as it reported them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wattmark.runs.record import (
    Anchor,
    Curve,
    Int64,
    RunRecord,
    RunWarning,
    SeriesData,
    Spans,
)
from wattmark.sources.base import Accuracy, Channel, Component, Series
from wattmark.store.importing.reading import MOST_DEVICE_W, MOST_RUN_W, UnreadableCell
from wattmark.units import J_PER_KWH, UJ_PER_J

_SCOPES: dict[Component, str] = {"gpu": "board", "dram": "modules"}
GAP_PERIODS = 10.0
"""A log that is silent for longer than this many of its usual steps has a hole there."""
LEAST_NS = 1_000
"""The length of a run whose tool wrote whole seconds, and 0 of them."""
TOOL_CITATION = "how it was measured is not in the file, so as for other tools, up to 40 % (Fischer 2025, arXiv:2509.22092)"
# The reported value is up to 40 % off the measured one (Fischer, "Ground-Truthing AI Energy Consumption",
# arXiv:2509.22092), so the truth may be value / 1.4 to value / 0.6.
TOOL_RELATIVE = (1 - 1 / 1.4, 1 / 0.6 - 1)


@dataclass(slots=True, eq=False)
class DeviceLog:
    """What a log says of one device; NaN where a cell has no value.

    number: of the device in its channel's name, ``gpu<number>/board``. power_w: (n,) readings at ``t_ns`` (nanoseconds
    since the Unix epoch). side: (n,) values by name of the series. failures: text of the cells that had no power.
    energy_j: (n,) readings of a counter, which is taken before the power where it has any; it begins again at ``wrap_j``.
    accuracy: where it is not that of the other devices.
    """

    number: int
    name: str = ""
    component: Component = "gpu"
    t_ns: list[int] = field(default_factory=list[int])
    power_w: list[float] = field(default_factory=list[float])
    side: dict[str, list[float]] = field(default_factory=dict[str, "list[float]"])
    failures: dict[str, int] = field(default_factory=dict[str, int])
    energy_j: list[float] = field(default_factory=list[float])
    wrap_j: float | None = None
    accuracy: Accuracy | None = None

    @property
    def id(self) -> str:
        """``gpu0``, the beginning of the names of its channel and series."""
        return f"{self.component}{self.number}"

    @property
    def counted(self) -> bool:
        """Whether it has a counter of energy."""
        return int(np.isfinite(self.energy_j).sum()) > 1

    @property
    def usable(self) -> bool:
        """Whether it has two readings, so that there is energy between them."""
        return self.counted or int(np.isfinite(self.power_w).sum()) > 1

    def add(
        self,
        t_ns: int,
        power_w: float | None,
        side: Mapping[str, float | None],
        failure: str = "",
        energy_j: float | None = None,
    ) -> bool:
        """Take in one reading; False, and nothing taken, if its clock does not go forward."""
        if self.t_ns and t_ns <= self.t_ns[-1]:
            return False
        for name in side:
            self.side.setdefault(name, [np.nan] * len(self.t_ns))
        self.t_ns.append(t_ns)
        self.power_w.append(np.nan if power_w is None else power_w)
        self.energy_j.append(np.nan if energy_j is None else energy_j)
        if power_w is None and energy_j is None:
            self.failures[failure] = self.failures.get(failure, 0) + 1
        for name, values in self.side.items():
            value = side.get(name)
            values.append(np.nan if value is None else value)
        return True


def power_run(
    devices: Sequence[DeviceLog],
    *,
    tool: str,
    run_id: str,
    name: str,
    accuracy: Accuracy,
    units: Mapping[str, str],
    warnings: Sequence[RunWarning] = (),
    environment: Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
) -> RunRecord | None:
    """A log of powers as a run; None where no device has two readings. ``units``: of the side series by name."""
    notes = list(warnings)
    usable = [device for device in devices if device.usable]
    for device in devices:
        if not device.usable:
            notes.append(
                RunWarning(
                    "imported-no-power", f"{device.id} has no power readings in the log and is left out."
                )
            )
        elif device.failures:
            texts = ", ".join(repr(text) for text in list(device.failures)[:3])
            notes.append(
                RunWarning(
                    "imported-failed-readings",
                    f"{device.id}: {sum(device.failures.values())} of {len(device.t_ns)} readings have no power "
                    f"({texts}); they are holes.",
                )
            )
    if not usable:
        return None
    start = min(device.t_ns[0] for device in usable)
    end = max(device.t_ns[-1] for device in usable)
    names = [device.name for device in usable if device.component == "gpu" and device.name]
    return RunRecord(
        run_id=run_id,
        name=name,
        status="completed",
        exit_code=None,
        started_wall_ns=start,
        start_ns=0,
        end_ns=end - start,
        tags={"imported": tool},
        environment={**({"gpus": names} if names else {}), **(environment or {})},
        curves=tuple(_power_curve(device, start, tool, device.accuracy or accuracy) for device in usable),
        series=tuple(
            SeriesData(
                Series(f"{device.id}/{name}", units[name], tool, device.name),
                np.array(device.t_ns, np.int64) - start,
                np.array(values, np.float32),
            )
            for device in usable
            for name, values in device.side.items()
            if np.isfinite(values).any()
        ),
        anchors=(Anchor(0, 0, start),),
        warnings=tuple(notes),
        extra=extra or {},
    )


@dataclass(frozen=True, slots=True)
class Reported:
    """Energy of one component as a tool reported it: ``kwh`` since the start, at each edge after the first.

    unknown: steps, counted from 0, in which the tool had no reading.
    """

    component: Component
    accuracy: Accuracy
    kwh: Sequence[float]
    unknown: Sequence[int] = ()


def reported_run(
    parts: Sequence[Reported],
    edges_ns: Int64,
    *,
    tool: str,
    label: str,
    run_id: str,
    name: str,
    started_ns: int,
    environment: Mapping[str, object],
    warnings: Sequence[RunWarning],
    extra: Mapping[str, object],
    spans: Spans | None = None,
) -> RunRecord:
    """A run of reported totals: constant power between ``edges_ns`` (nanoseconds since its start, beginning with 0).

    Raises UnreadableCell where the mean power would be beyond all bounds.
    """
    seconds = max(float(edges_ns[-1]) / 1e9, 1.0)  # tools write whole seconds
    total_kwh = sum(part.kwh[-1] for part in parts)
    if total_kwh * J_PER_KWH > seconds * MOST_RUN_W:
        raise UnreadableCell(f"{total_kwh:g} kWh in {seconds:g} s is beyond all bounds")
    return RunRecord(
        run_id=run_id,
        name=name,
        status="completed",
        exit_code=None,
        started_wall_ns=started_ns,
        start_ns=0,
        end_ns=int(edges_ns[-1]),
        tags={"imported": tool},
        environment=environment,
        curves=tuple(_reported_curve(part, edges_ns, tool, label) for part in parts),
        spans=spans or Spans.empty(),
        anchors=(Anchor(0, 0, started_ns),),
        warnings=tuple(warnings),
        extra=extra,
    )


def epochs(edges_ns: Int64) -> Spans:
    """A span for each epoch between two edges."""
    count = len(edges_ns) - 1
    return Spans(
        ("epoch",),
        np.zeros(count, np.int32),
        edges_ns[:-1],
        edges_ns[1:],
        np.full(count, -1, np.int32),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.bool_),
        {row: {"counts": {}, "attrs": {"epoch": row + 1}} for row in range(count)},
    )


def digest(content: str) -> str:
    """What tells one content from another, in an id."""
    return hashlib.blake2b(content.encode("utf-8", "replace"), digest_size=10).hexdigest()


def file_title(path: str, tool: str) -> str:
    """The file's name without its endings, to call a run by that has no other name."""
    title = Path(path.replace("\\", "/")).name
    for ending in (".gz", ".csv", ".tsv", ".txt", ".log", ".jsonl", ".json"):
        title = title.removesuffix(ending)
    return title or tool


def written_ns(path: str) -> int:
    """When the file was written, which is all there is to date a run by whose file has no dates."""
    try:
        return int(Path(path).stat().st_mtime) * 1_000_000_000
    except (OSError, ValueError):
        return 0


def _power_curve(device: DeviceLog, start: int, tool: str, accuracy: Accuracy) -> Curve:
    t_ns = np.array(device.t_ns, np.int64) - start
    readings = np.array(device.energy_j if device.counted else device.power_w)
    read = np.flatnonzero(np.isfinite(readings))
    read_t = t_ns[read]
    steps_s = np.diff(read_t) / 1e9
    period_ns = float(np.median(np.diff(t_ns)))
    if device.counted:
        steps_j = np.diff(readings[read])
        if device.wrap_j:
            steps_j = np.where(steps_j < 0, steps_j + device.wrap_j, steps_j)
        # A counter that went back, or rose by more than the device can draw, says nothing of the time between.
        missing = (steps_j < 0) | (steps_j > MOST_DEVICE_W * steps_s)
    else:
        steps_j = steps_s * (readings[read][1:] + readings[read][:-1]) / 2  # trapezoid rule
        # No reading, or no line for long: the energy in between is not known.
        missing = (np.diff(read) > 1) | (np.diff(read_t) > GAP_PERIODS * period_ns)
    steps_j[missing] = 0
    energy_uj = np.rint(np.concatenate(([0.0], np.cumsum(steps_j))) * UJ_PER_J).astype(np.int64)
    channel = Channel(
        id=f"{device.id}/{_SCOPES.get(device.component, 'package')}",
        component=device.component,
        source=tool,
        method="counter" if device.counted else "integrated",
        scope="board" if device.component == "gpu" else f"as {tool} reported it",
        kind="energy" if device.counted else "power",
        accuracy=accuracy,
        update_period_s=period_ns / 1e9,
        label=device.name,
    )
    holes = np.column_stack((read_t[:-1][missing], read_t[1:][missing]))
    return Curve(channel, read_t, energy_uj, holes)


def _reported_curve(part: Reported, edges_ns: Int64, tool: str, label: str) -> Curve:
    channel = Channel(
        id=f"{tool}/{part.component}",
        component=part.component,
        source=tool,
        method="modelled",
        scope=f"as {label} reported it",
        kind="energy",
        accuracy=part.accuracy,
        update_period_s=float(np.diff(edges_ns).max()) / 1e9,
        label="imported",
    )
    energy = np.rint(np.concatenate(([0.0], part.kwh)) * (J_PER_KWH * UJ_PER_J))
    holes = np.array([(edges_ns[step], edges_ns[step + 1]) for step in part.unknown], np.int64)
    return Curve(channel, edges_ns, energy.astype(np.int64), np.reshape(holes, (-1, 2)))
