"""Profiles of EnergyVis (poloclub/EnergyVis, arXiv:2103.16435): kWh of every epoch by component, place and PUE.

One JSON object a profile, or a list of them, as its ``sample_profile.json``. The energies are without PUE: EnergyVis
multiplies it in when it shows carbon. A profile has no times. Where it lists the samples that its tracker took
(``interval``, one every ten seconds) they tell how long the training was; else one second stands for an epoch, the
run says so, and ``extra["duration_known"]`` is False.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from wattmark.errors import ImportFileError
from wattmark.runs.record import Anchor, Curve, Int64, RunRecord, RunWarning, Spans
from wattmark.sources.base import Accuracy, Channel, Component
from wattmark.store.importing.reading import TextFile
from wattmark.units import J_PER_KWH, UJ_PER_J

INTERVAL_S = 10
"""Seconds between the samples of EnergyVis's tracker (its CarbonTracker's ``update_interval``)."""
_ACCURACY = Accuracy(
    1 - 1 / 1.4,
    1 / 0.6 - 1,
    0.0,
    "imported from EnergyVis; how it was measured is not in the file, so as for other tools, up to 40 % "
    "(Fischer 2025, arXiv:2509.22092)",
    0.21,
    0.28,
)
_COMPONENTS: tuple[Component, ...] = ("cpu", "gpu")
_MOST_KWH = 1e9


def recognises(data: object) -> bool:
    """Whether parsed JSON is a profile of EnergyVis, or a list of them."""
    profiles = cast("list[object]", data) if isinstance(data, list) else [data]
    return bool(profiles) and all(isinstance(one, dict) and "serverData" in one for one in profiles)


def runs(file: TextFile, data: object) -> list[RunRecord]:
    """One run a profile. Raises ImportFileError for a profile that cannot be read."""
    profiles = cast("list[dict[str, Any]]", data if isinstance(data, list) else [data])
    return [_run(file, profile, place) for place, profile in enumerate(profiles, 1)]


def _run(file: TextFile, profile: Mapping[str, Any], place: int) -> RunRecord:
    where = f"{file.path}: profile {place}"
    measured = _object(where, "serverData", profile["serverData"])
    per_epoch: dict[Component, list[float]] = {
        name: _kwh(
            f"{where}: serverData.{name}", _object(where, f"serverData.{name}", measured[name]), "epoch"
        )
        for name in _COMPONENTS
        if name in measured
    }
    lengths = {len(values) for values in per_epoch.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ImportFileError(f"{where}: cpu and gpu need the same number of epochs, at least one")
    count = lengths.pop()
    samples = max(
        (len(_kwh(where, _object(where, name, measured[name]), "interval")) for name in per_epoch), default=0
    )
    timed = samples > 0
    end_ns = (samples * INTERVAL_S if timed else count) * 1_000_000_000
    edges = np.linspace(0, end_ns, count + 1).astype(np.int64)
    components = _object(where, "components", profile.get("components") or {})
    place_name, pue = profile.get("location"), profile.get("PUE")
    identity = json.dumps(profile, sort_keys=True)
    started_ns = _written_ns(file.path)
    return RunRecord(
        run_id=f"energyvis-{hashlib.blake2b(identity.encode(), digest_size=10).hexdigest()}",
        name=str(profile.get("name") or "energyvis"),
        status="completed",
        exit_code=None,
        started_wall_ns=started_ns,
        start_ns=0,
        end_ns=end_ns,
        tags={"imported": "energyvis"},
        environment={
            "cpu": {"model": _devices(where, components, "cpu")},
            "gpus": _devices(where, components, "gpu"),
        },
        curves=tuple(_curve(name, values, edges) for name, values in per_epoch.items()),
        spans=_spans(edges),
        anchors=(Anchor(0, 0, started_ns),),
        warnings=_warnings(timed),
        extra={
            "energyvis": {
                "location": place_name if isinstance(place_name, str) else None,
                "pue": pue if isinstance(pue, int | float) and not isinstance(pue, bool) else None,
                "author": str(profile["author"]) if profile.get("author") else None,
            },
            "duration_known": timed,
        },
    )


def _object(where: str, name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ImportFileError(f"{where}: {name} is no object")
    return cast("dict[str, Any]", value)


def _kwh(where: str, component: Mapping[str, Any], name: str) -> list[float]:
    listed: Any = component.get(name) or []
    if not isinstance(listed, list):
        raise ImportFileError(f"{where}.{name} is no list")
    values = cast("list[Any]", listed)
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and 0 <= value <= _MOST_KWH):
            raise ImportFileError(f"{where}.{name} holds {str(value)[:40]!r}, which is no energy in kWh")
    return [float(value) for value in values]


def _devices(where: str, components: Mapping[str, Any], kind: str) -> list[str]:
    """``{"Intel i7 2600K": 2}`` -> ``["2 x Intel i7 2600K"]``."""
    found: list[str] = []
    for name, count in _object(where, f"components.{kind}", components.get(kind) or {}).items():
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= 1_000_000:
            raise ImportFileError(f"{where}: {str(count)[:40]!r} is no number of {name[:60]!r}")
        if count:
            found.append(name if count == 1 else f"{count} x {name}")
    return found


def _curve(component: Component, kwh: list[float], edges: Int64) -> Curve:
    channel = Channel(
        id=f"energyvis/{component}",
        component=component,
        source="energyvis",
        method="modelled",
        scope="as EnergyVis reported it",
        kind="energy",
        accuracy=_ACCURACY,
        label="imported",
    )
    joules = np.concatenate(([0.0], np.cumsum(np.array(kwh) * J_PER_KWH)))
    return Curve(channel, edges, np.round(joules * UJ_PER_J).astype(np.int64))


def _spans(edges: Int64) -> Spans:
    count = len(edges) - 1
    return Spans(
        ("epoch",),
        np.zeros(count, np.int32),
        edges[:-1],
        edges[1:],
        np.full(count, -1, np.int32),
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.bool_),
        {row: {"counts": {}, "attrs": {"epoch": row + 1}} for row in range(count)},
    )


def _warnings(timed: bool) -> tuple[RunWarning, ...]:
    how = "Imported from EnergyVis: energy per epoch, constant power within it, method unknown."
    length = (
        "The length is that of its samples, one every 10 s; epochs count as equally long."
        if timed
        else "The profile has no times: one second stands for an epoch, so seconds and watts mean nothing."
    )
    return RunWarning("imported-energyvis", how), RunWarning("imported-duration", length)


def _written_ns(path: str) -> int:
    """When the file was written, which is all there is to date the run by."""
    try:
        return int(Path(path).stat().st_mtime) * 1_000_000_000
    except OSError:
        return 0
