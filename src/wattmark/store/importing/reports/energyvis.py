"""Profiles of EnergyVis (poloclub/EnergyVis, arXiv:2103.16435): kWh of every epoch by component, place and PUE.

One JSON object a profile, or a list of them, as its ``sample_profile.json``. The energies are without PUE: EnergyVis
multiplies it in when it shows carbon. A profile has no times. Where it lists the samples that its tracker took
(``interval``, one every ten seconds) they tell how long the training was; else one second stands for an epoch, the
run says so, and ``extra["duration_known"]`` is False.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from wattmark.documents import is_list, is_mapping, items, mapping, number
from wattmark.runs.record import RunRecord, RunWarning
from wattmark.sources.base import Accuracy, Component
from wattmark.store.importing.reading import MOST_KWH, Problem, Reading, TextFile, UnreadableCell, shortened
from wattmark.store.importing.records import (
    TOOL_CITATION,
    TOOL_RELATIVE,
    Reported,
    digest,
    epochs,
    reported_run,
    written_ns,
)

INTERVAL_S = 10
"""Seconds between the samples of EnergyVis's tracker (its CarbonTracker's ``update_interval``)."""
_ACCURACY = Accuracy(*TOOL_RELATIVE, 0.0, f"imported from EnergyVis; {TOOL_CITATION}", 0.21, 0.28)
_COMPONENTS: tuple[Component, ...] = ("cpu", "gpu")


def recognises(data: object) -> bool:
    """Whether parsed JSON is a profile of EnergyVis, or a list of them."""
    profiles = data if is_list(data) else [data]
    return bool(profiles) and all("serverData" in mapping(profile) for profile in profiles)


def runs(file: TextFile, data: object) -> Reading:
    """One run a profile; profiles that cannot be read are named."""
    records: list[RunRecord] = []
    problems: list[Problem] = []
    for place, profile in enumerate(data if is_list(data) else [data], 1):
        try:
            records.append(_run(file, mapping(profile)))
        except UnreadableCell as error:
            problems.append(Problem(None, f"profile {place}: {error}"))
    return Reading("energyvis", tuple(records), tuple(problems))


def _run(file: TextFile, profile: Mapping[str, object]) -> RunRecord:
    measured = _object("serverData", profile["serverData"])
    per_epoch: dict[Component, list[float]] = {
        name: _kwh(f"serverData.{name}", _object(f"serverData.{name}", measured[name]), "epoch")
        for name in _COMPONENTS
        if name in measured
    }
    lengths = {len(values) for values in per_epoch.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise UnreadableCell("cpu and gpu need the same number of epochs, at least one")
    count = lengths.pop()
    samples = max(
        (len(_kwh(name, _object(name, measured[name]), "interval")) for name in per_epoch), default=0
    )
    timed = samples > 0
    end_ns = (samples * INTERVAL_S if timed else count) * 1_000_000_000
    edges = np.linspace(0, end_ns, count + 1).astype(np.int64)
    components = _object("components", profile.get("components") or {})
    place_name, pue = profile.get("location"), profile.get("PUE")
    cumulative: dict[Component, list[float]] = {
        name: np.cumsum(values).tolist() for name, values in per_epoch.items()
    }
    if sum(values[-1] for values in cumulative.values()) > MOST_KWH:
        raise UnreadableCell("its energy is beyond all bounds")
    return reported_run(
        [Reported(name, _ACCURACY, values) for name, values in cumulative.items()],
        edges,
        tool="energyvis",
        label="EnergyVis",
        run_id=f"energyvis-{digest(json.dumps(profile, sort_keys=True))}",
        name=str(profile.get("name") or "energyvis"),
        started_ns=written_ns(file.path),
        environment={
            "cpu": {"model": _devices(components, "cpu")},
            "gpus": _devices(components, "gpu"),
        },
        spans=epochs(edges),
        warnings=_warnings(timed),
        extra={
            "energyvis": {
                "location": place_name if isinstance(place_name, str) else None,
                "pue": number(pue),
                "author": str(profile["author"]) if profile.get("author") else None,
            },
            "duration_known": timed,
        },
    )


def _object(name: str, value: object) -> Mapping[str, object]:
    if not is_mapping(value):
        raise UnreadableCell(f"{name} is no object")
    return value


def _kwh(where: str, component: Mapping[str, object], name: str) -> list[float]:
    listed = component.get(name)
    if listed and not is_list(listed):
        raise UnreadableCell(f"{where}.{name} is no list")
    values: list[float] = []
    for item in items(listed):
        value = number(item)
        if value is None or not 0 <= value <= MOST_KWH:
            raise UnreadableCell(f"{where}.{name} holds {shortened(item)}, which is no energy in kWh")
        values.append(value)
    return values


def _devices(components: Mapping[str, object], kind: str) -> list[str]:
    """``{"Intel i7 2600K": 2}`` -> ``["2 x Intel i7 2600K"]``."""
    devices: list[str] = []
    for name, count in _object(f"components.{kind}", components.get(kind) or {}).items():
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= 1_000_000:
            raise UnreadableCell(f"{shortened(count)} is no number of {name[:60]!r}")
        if count:
            devices.append(name if count == 1 else f"{count} x {name}")
    return devices


def _warnings(timed: bool) -> tuple[RunWarning, ...]:
    how = "Imported from EnergyVis: energy per epoch, constant power within it, method unknown."
    length = (
        "The length is that of its samples, one every 10 s; epochs count as equally long."
        if timed
        else "The profile has no times: one second stands for an epoch, so seconds and watts mean nothing."
    )
    return RunWarning("imported-energyvis", how), RunWarning("imported-duration", length)
