"""Can these numbers be trusted: coverage, gaps, wraps, sensors that disagree, the recorder's cost, and what would help."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel

from wattmark import settings
from wattmark.dashboard.api.run.overview import Warn, summary_of
from wattmark.dashboard.api.schemas import Amount, RunRef
from wattmark.dashboard.context import Here
from wattmark.dashboard.run_cache import ChannelCurve, OneRun
from wattmark.impact.locate import resolve_zone
from wattmark.quantity import Quantity, total
from wattmark.runs.baseline import load_baseline
from wattmark.sources.base import Host
from wattmark.sources.discovery import discover
from wattmark.sources.rapl.access import fix_script

router = APIRouter(tags=["health"])
_RECENT = 50
_ENOUGH = 0.99
_MANY_HOLES = 100


class Found(BaseModel):
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


class Advice(BaseModel):
    """Something that would make the numbers better, why, and how (a command, or None)."""

    what: str
    why: str
    how: str | None


class Recent(BaseModel):
    """How well a recent run was covered."""

    run_id: str
    name: str
    started_at: str
    coverage: float | None
    energy: Amount | None


class Machine(BaseModel):
    """This machine: what there is to measure with, what would help, how recent runs fared. script: for root, only text."""

    host: str
    found: list[Found]
    advice: list[Advice]
    warnings: list[str]
    script: str | None
    recent: list[Recent]


class ChannelHealth(BaseModel):
    """A channel in a run. wraps: how often its counter began anew; wrap_s: how long that takes at its mean power (a gap
    longer than that cannot be told from a shorter one). holes: from and to in seconds, the first hundred."""

    id: str
    component: str
    method: str
    counted: bool
    coverage: float
    samples: int
    usual_gap_s: float | None
    max_gap_s: float | None
    wraps: int | None
    wrap_s: float | None
    holes: list[tuple[float, float]]


class Agreement(BaseModel):
    """Two readings of one thing. agrees: their intervals meet. ratio: the first over the second."""

    what: str
    first: str
    second: str
    first_energy: Amount | None
    second_energy: Amount | None
    ratio: float | None
    agrees: bool


class RunHealth(BaseModel):
    """How far the numbers of one run can be trusted. recorder_share: of one core; recorder_rss_bytes: its memory."""

    run_id: str
    name: str
    coverage: float
    channels: list[ChannelHealth]
    agreements: list[Agreement]
    recorder_share: float | None
    recorder_cpu_s: float | None
    recorder_rss_bytes: float | None
    period_s: float | None
    warnings: list[Warn]
    advice: list[Advice]


@router.get("/health")
def machine(here: Here) -> Machine:
    """What this machine can measure, what would make it better, and how its latest runs were covered."""
    chosen = settings.recorder_settings({})
    host = Host.here(options=chosen.get("options"))
    told = discover(host, chosen.get("wanted")).to_dict()
    rows: list[dict[str, Any]] = told["sources"]
    needs_script = any(row["source"] == "rapl" and row["fix"] for row in rows)
    return Machine(
        host=os.uname().nodename,
        found=[_found(row) for row in rows],
        advice=_advice(rows),
        warnings=[warning["message"] for warning in told["warnings"]],
        script=fix_script(host) if needs_script else None,
        recent=[
            Recent(
                run_id=run.run_id,
                name=run.name,
                started_at=run.started_at.isoformat(),
                coverage=run.coverage,
                energy=_energy(run.energy_j, run.energy_low_j, run.energy_high_j),
            )
            for run in here.store.summaries(limit=_RECENT)
        ],
    )


@router.get("/runs/{ref}/health")
def run(here: Here, ref: RunRef) -> RunHealth:
    """Coverage, gaps, wraps and agreement of a run's channels; its recorder's cost; what would have been better."""
    found = here.runs.get(ref)
    told = summary_of(here, found)
    gaps = {one["id"]: one for one in told["channels"]}
    cost: dict[str, Any] = dict(found.record.recorder)
    cpu_s, over_s = cost.get("cpu_s"), cost.get("over_s")
    channels = [_channel(found, curve, gaps.get(curve.channel.id)) for curve in found.curves]
    return RunHealth(
        run_id=found.record.run_id,
        name=found.record.name,
        coverage=told["coverage"],
        channels=channels,
        agreements=_agreements(found),
        recorder_share=cpu_s / over_s if cpu_s is not None and over_s else None,
        recorder_cpu_s=cpu_s,
        recorder_rss_bytes=cost.get("rss_bytes"),
        period_s=cost.get("period_s"),
        warnings=[Warn(**one) for one in told["warnings"]],
        advice=_run_advice(channels),
    )


def _found(row: dict[str, Any]) -> Found:
    accuracy = row.get("accuracy")
    return Found(
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


def _advice(rows: list[dict[str, Any]]) -> list[Advice]:
    found: list[Advice] = []
    for row in rows:
        if row["problem"] and row["fix"]:
            one = Advice(what=f"Let {row['source']} be read", why=row["problem"], how=row["fix"])
            if one not in found:
                found.append(one)
    counted = [row for row in rows if row["channel"] and row["chosen"] and row.get("counted")]
    modelled = sorted({row["component"] for row in counted if row["method"] == "modelled"})
    if modelled:
        why = "no sensor of it can be read here, so a model of the hardware stands in, with a wide interval"
        found.append(
            Advice(what=f"Measure {' and '.join(modelled)} by a sensor", why=why, how="wattmark sources")
        )
    configured = settings.load()
    if resolve_zone(None, os.environ, configured=configured.get("zone")) is None:
        why = "without the place where the power comes from there is no carbon"
        found.append(Advice(what="Say where this machine is", why=why, how="wattmark config set zone FR"))
    if counted and not load_baseline(os.uname().nodename):
        why = "with the idle power known, runs also tell what they used above idle"
        found.append(Advice(what="Measure the idle machine once", why=why, how="wattmark calibrate"))
    return found


def _run_advice(channels: list[ChannelHealth]) -> list[Advice]:
    found: list[Advice] = []
    for one in channels:
        if not one.counted:
            continue
        if one.coverage < _ENOUGH:
            why = (
                f"{one.id} covered {100 * one.coverage:.1f} % of the run; what it used in the rest is missing"
            )
            found.append(Advice(what="Look at its holes", why=why, how="wattmark show last"))
        if one.wrap_s and one.max_gap_s and one.max_gap_s > 0.5 * one.wrap_s:
            why = f"{one.id} was not read for {one.max_gap_s:.1f} s, and its counter begins anew every {one.wrap_s:.1f} s"
            found.append(Advice(what="Read it more often", why=why, how="wattmark config set period_s 0.1"))
    return found


def _channel(found: OneRun, curve: ChannelCurve, told: dict[str, Any] | None) -> ChannelHealth:
    record, channel = found.record, curve.channel
    got = curve.energies(np.array([record.start_ns]), np.array([record.end_ns]))
    covered_s, energy_j = float(got.covered_s[0]), float(got.value_j[0])
    samples, max_gap_s = (told["samples"], told["max_gap_s"]) if told else (0, None)
    wrap_j = channel.wrap_uj / 1e6 if channel.wrap_uj else None
    holes: list[list[int]] = curve.holes[:_MANY_HOLES].tolist()
    return ChannelHealth(
        id=channel.id,
        component=channel.component,
        method=channel.method,
        counted=channel.counted,
        coverage=min(1.0, covered_s / record.duration_s) if record.duration_s > 0 else 1.0,
        samples=samples,
        usual_gap_s=record.duration_s / (samples - 1) if samples > 1 else None,
        max_gap_s=max_gap_s,
        wraps=int(energy_j // wrap_j) if wrap_j else None,
        wrap_s=wrap_j * covered_s / energy_j if wrap_j and energy_j > 0 else None,
        holes=[((a - record.start_ns) / 1e9, (b - record.start_ns) / 1e9) for a, b in holes],
    )


def _agreements(found: OneRun) -> list[Agreement]:
    """Channels that see the same thing twice: a part and its whole, or two sensors of one component."""
    record = found.record
    energies: dict[str, Quantity] = {}
    for curve in found.curves:
        got = curve.energies(np.array([record.start_ns]), np.array([record.end_ns]))
        if got.covered_s[0] > 0:
            energies[curve.channel.id] = got.quantity(0)
    channels = [curve.channel for curve in found.curves if curve.channel.id in energies]
    result: list[Agreement] = []
    for whole in channels:
        inside = [one for one in channels if whole.id in one.inside and not one.copy_of]
        parts = total([energies[one.id] for one in inside])
        if parts is not None:
            names = " + ".join(one.id for one in inside)
            fits = parts.low <= energies[whole.id].high
            result.append(
                _agreement("parts within their whole", names, whole.id, parts, energies[whole.id], fits)
            )
    for beside in channels:
        if beside.counted or beside.inside:
            continue
        rivals = [one for one in channels if one.counted and one.component == beside.component]
        rival = total([energies[one.id] for one in rivals])
        if rival is not None:
            own = energies[beside.id]
            what = "a mirrored counter" if beside.copy_of else "two sources of one component"
            meets = own.low <= rival.high and rival.low <= own.high
            names = " + ".join(one.id for one in rivals)
            result.append(_agreement(what, beside.id, names, own, rival, meets))
    return result


def _agreement(what: str, first: str, second: str, a: Quantity, b: Quantity, agrees: bool) -> Agreement:
    return Agreement(
        what=what,
        first=first,
        second=second,
        first_energy=Amount.of(a),
        second_energy=Amount.of(b),
        ratio=a.value / b.value if b.value > 0 else None,
        agrees=agrees,
    )


def _energy(value: float | None, low: float | None, high: float | None) -> Amount | None:
    if value is None or low is None or high is None:
        return None
    return Amount.of(Quantity(value, low, high))
