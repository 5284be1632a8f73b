"""What this machine can measure, what would make it better, and how its latest runs were covered."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattmark import settings
from wattmark.impact.locate import resolve_zone
from wattmark.quantity import Quantity
from wattmark.runs.baseline import load_baseline
from wattmark.runs.health import Advice
from wattmark.sources.base import Host
from wattmark.sources.discovery import discover
from wattmark.sources.rapl.access import fix_script
from wattmark.store import Store
from wattmark.workspace.totals import energy_of

_RECENT = 50


@dataclass(frozen=True, slots=True)
class SensorFinding:
    """What a probe found on this machine. problem and fix: sentences, None where it is used."""

    source: str
    channel: str | None
    method: str | None
    used: bool
    counted: bool
    accuracy: str | None
    why: str | None
    problem: str | None
    fix: str | None


@dataclass(frozen=True, slots=True)
class RecentRun:
    """How well a recent run was covered. energy in J; started_at in ISO 8601, UTC."""

    run_id: str
    name: str
    started_at: str
    coverage: float | None
    energy: Quantity | None


@dataclass(frozen=True, slots=True)
class MachineHealth:
    """This machine: what there is to measure with, what would help, how recent runs fared.

    script: for root, to be shown only; None where it would change nothing.
    """

    host: str
    found: tuple[SensorFinding, ...]
    advice: tuple[Advice, ...]
    warnings: tuple[str, ...]
    script: str | None
    recent: tuple[RecentRun, ...]


def machine_health(store: Store) -> MachineHealth:
    """Probe this machine as a recorder would, and look at the newest runs of the store. Raises ConfigError, StoreError."""
    chosen = settings.recorder_settings({})
    host = Host.here(options=chosen.get("options"))
    discovery = discover(host, chosen.get("wanted")).to_dict()
    rows: list[dict[str, Any]] = discovery["sources"]
    needs_script = any(row["source"] == "rapl" and row["fix"] for row in rows)
    return MachineHealth(
        host=os.uname().nodename,
        found=tuple(_finding(row) for row in rows),
        advice=tuple(_advice(rows)),
        warnings=tuple(warning["message"] for warning in discovery["warnings"]),
        script=fix_script(host) if needs_script else None,
        recent=tuple(
            RecentRun(run.run_id, run.name, run.started_at.isoformat(), run.coverage, energy_of(run))
            for run in store.summaries(limit=_RECENT)
        ),
    )


def _finding(row: Mapping[str, Any]) -> SensorFinding:
    accuracy = row.get("accuracy")
    return SensorFinding(
        source=row["source"],
        channel=row["channel"],
        method=row.get("method"),
        used=bool(row["chosen"]),
        counted=bool(row.get("counted")),
        accuracy=accuracy["citation"] if accuracy else None,
        why=row["why"],
        problem=row["problem"],
        fix=row["fix"],
    )


def _advice(rows: Sequence[Mapping[str, Any]]) -> list[Advice]:
    result: list[Advice] = []
    for row in rows:
        if row["problem"] and row["fix"]:
            mend = Advice(f"Let {row['source']} be read", row["problem"], row["fix"])
            if mend not in result:
                result.append(mend)
    counted = [row for row in rows if row["channel"] and row["chosen"] and row.get("counted")]
    modelled = sorted({row["component"] for row in counted if row["method"] == "modelled"})
    if modelled:
        why = "no sensor of it can be read here, so a model of the hardware stands in, with a wide interval"
        result.append(Advice(f"Measure {' and '.join(modelled)} by a sensor", why, "wattmark sources"))
    configured = settings.load()
    if resolve_zone(None, os.environ, configured=configured.get("zone")) is None:
        why = "without the place where the power comes from there is no carbon"
        result.append(Advice("Say where this machine is", why, "wattmark config set zone FR"))
    if counted and not load_baseline(os.uname().nodename):
        why = "with the idle power known, runs also tell what they used above idle"
        result.append(Advice("Measure the idle machine once", why, "wattmark calibrate"))
    return result
