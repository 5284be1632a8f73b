"""What hardware a run was on, as far as its record says: device names, counts, utilisation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from wattmark.predict.hardware.accelerators import Hardware, of_device
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView

_COUNTED = re.compile(r"(\d+)\s*x\s+(.+)", re.IGNORECASE)
_UUID = re.compile(r"\s+(?:GPU|MIG)-\S+.*$")


@dataclass(frozen=True, slots=True)
class Installed:
    """Some pieces of one part."""

    hardware: Hardware
    quantity: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API."""
        return {"id": self.hardware.id, "name": self.hardware.name, "quantity": self.quantity}


@dataclass(frozen=True, slots=True)
class Machine:
    """A run's machine. ``unknown_*`` are device names that the catalogue does not have.

    utilisation: mean share of time in which its accelerators were busy, 0..1; None where no series says.
    busy_cores: mean number of CPUs that the run kept busy; None where that was not recorded.
    """

    accelerators: tuple[Installed, ...] = ()
    cpus: tuple[Installed, ...] = ()
    unknown_accelerators: tuple[str, ...] = ()
    unknown_cpus: tuple[str, ...] = ()
    utilisation: float | None = None
    busy_cores: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API."""
        return {
            "accelerators": [one.as_dict() for one in self.accelerators],
            "cpus": [one.as_dict() for one in self.cpus],
            "unknown": [*self.unknown_accelerators, *self.unknown_cpus],
            "utilisation": self.utilisation,
            "busy_cores": self.busy_cores,
        }


def machine_of(view: RunView) -> Machine:
    """The machine of a run, from its channels and its environment."""
    record = view.record
    accelerators, unknown_accelerators = _installed(_accelerator_names(record))
    cpu: Any = record.environment.get("cpu")
    facts: Mapping[str, Any] = cast("Mapping[str, Any]", cpu) if isinstance(cpu, Mapping) else {}
    cpus, unknown_cpus = _installed(_cpu_names(cpu, facts))
    return Machine(
        accelerators,
        cpus,
        unknown_accelerators,
        unknown_cpus,
        _utilisation(record),
        _busy_cores(record),
    )


def _accelerator_names(record: RunRecord) -> list[tuple[str, int]]:
    boards = [
        _UUID.sub("", curve.channel.label)
        for curve in record.curves
        if curve.channel.component == "gpu" and curve.channel.counted and curve.channel.label not in ("", "imported")
    ]  # fmt: skip
    if boards:
        return [(name, 1) for name in boards]
    listed: Any = record.environment.get("gpus") or record.environment.get("gpu") or ()
    names = [listed] if isinstance(listed, str) else list(listed)
    return [counted(str(name)) for name in names]


def counted(text: str) -> tuple[str, int]:
    """``"8 x NVIDIA A100-SXM4-80GB"`` -> its name and 8 (as CodeCarbon writes it)."""
    match = _COUNTED.fullmatch(text.strip())
    return (match[2], int(match[1])) if match else (text, 1)


def _cpu_names(cpu: Any, facts: Mapping[str, Any]) -> list[tuple[str, int]]:
    if isinstance(cpu, str):
        return [(cpu, 1)] if cpu else []
    models: Any = facts.get("model") or ()
    sockets = facts.get("sockets")
    names = [models] if isinstance(models, str) else [str(model) for model in models]
    return [(name, sockets if isinstance(sockets, int) and len(names) == 1 else 1) for name in names]


def _installed(names: list[tuple[str, int]]) -> tuple[tuple[Installed, ...], tuple[str, ...]]:
    counts: dict[str, int] = {}
    for name, number in names:
        counts[name] = counts.get(name, 0) + number
    found: dict[str, Installed] = {}
    unknown: list[str] = []
    for name, number in counts.items():
        part = of_device(name)
        if part is None:
            unknown.append(name)
        else:
            before = found[part.id].quantity if part.id in found else 0
            found[part.id] = Installed(part, before + number)
    return tuple(found.values()), tuple(unknown)


def _utilisation(record: RunRecord) -> float | None:
    """Time-weighted mean over the run and its boards of the series ``gpu<n>/utilisation`` (percent)."""
    means: list[float] = []
    for data in record.series:
        device, _, name = data.series.id.partition("/")
        inside = (data.t_ns >= record.start_ns) & (data.t_ns <= record.end_ns) & np.isfinite(data.values)
        if device.startswith("gpu") and name == "utilisation" and inside.sum() >= 2:
            t = data.t_ns[inside].astype(np.float64)
            values = data.values[inside].astype(np.float64)
            means.append(float(np.average((values[1:] + values[:-1]) / 2, weights=np.diff(t))) / 100)
    return float(np.clip(np.mean(means), 0.0, 1.0)) if means else None


def _busy_cores(record: RunRecord) -> float | None:
    rows = record.tree_cpu
    if len(rows) < 2 or rows[-1, 0] <= rows[0, 0]:
        return None
    return float((rows[-1, 1] - rows[0, 1]) / ((rows[-1, 0] - rows[0, 0]) / 1e9))
