"""Outcomes of :mod:`wattmark.predict` in the shapes that the page draws."""

from __future__ import annotations

import math
from collections.abc import Sequence

from wattmark.dashboard.api.whatif.runs import started_at
from wattmark.dashboard.api.whatif.schemas import (
    Course,
    EstimateOut,
    InstalledOut,
    PowerCap,
    RunHead,
    Series,
    Stages,
    StudyFactor,
)
from wattmark.predict import Outcome
from wattmark.predict.hardware.devices import Installed
from wattmark.predict.whatif.outcome import Estimate
from wattmark.predict.whatif.question import Accounting
from wattmark.quantity import Quantity
from wattmark.runs.view import RunView
from wattmark.studies.results import StudyResults


def estimate_out(estimate: Estimate, notes: Sequence[str] = ()) -> EstimateOut:
    """One side: totals, components, the course over the epochs, the equation."""
    reasons = estimate.reasons.items()
    return EstimateOut(
        energy=estimate.energy_j,
        duration=estimate.duration_s,
        carbon=estimate.carbon_g,
        cost=estimate.cost,
        unknown={name.removesuffix("_j").removesuffix("_g").removesuffix("_s"): why for name, why in reasons},
        shares=estimate.by_component,
        course=_course(estimate),
        terms=estimate.terms,
        notes=tuple(notes),
    )


def run_head(view: RunView, outcome: Outcome, home: Accounting, study: StudyResults | None) -> RunHead:
    """The run that an outcome speaks of, and what may be asked of it."""
    machine, options, tags = outcome.machine, outcome.options, view.record.tags
    own = next((trial for trial in study.trials if trial.run_id == view.id), None) if study else None
    cap = options["power_cap_w"]
    pue = home.scenario.pue
    return RunHead(
        id=view.id,
        name=view.name,
        status=view.record.status,
        started_at=started_at(view.record),
        imported=tags.get("imported"),
        epochs=options["epochs"] or 0,
        accelerators=_installed(machine.accelerators),
        cpus=_installed(machine.cpus),
        unknown_hardware=(*machine.unknown_accelerators, *machine.unknown_cpus),
        zone=home.scenario.zone,
        zone_from=home.zone_from,
        pue=str(1 if pue is None else pue),
        study=study.name if study else None,
        factors=tuple(
            StudyFactor(name, tuple(str(level) for level in levels), str(own.factors.get(name)))
            for name, levels in options["levels"].items()
            if own is not None and len(levels) > 1
        ),
        power_cap=None if cap is None else PowerCap(cap["min"], cap["max"]),
    )


def _installed(parts: Sequence[Installed]) -> tuple[InstalledOut, ...]:
    return tuple(InstalledOut(part.hardware.id, part.hardware.name, part.quantity) for part in parts)


def _course(estimate: Estimate) -> Course | None:
    rows = estimate.epochs
    if not rows:
        return None
    return Course(
        epoch=tuple(row.epoch for row in rows),
        measured=tuple(row.measured for row in rows),
        extrapolated=tuple(row.extrapolated for row in rows),
        each=_stages(estimate, [row.energy_j for row in rows]),
        total=_stages(estimate, [row.cumulative_j for row in rows]),
    )


def _stages(estimate: Estimate, joules: Sequence[Quantity]) -> Stages:
    return Stages(
        energy=_series(joules, Quantity.exact(1.0)),
        carbon=None if estimate.grams_per_j is None else _series(joules, estimate.grams_per_j),
        cost=None if estimate.cost_per_j is None else _series(joules, estimate.cost_per_j),
    )


def _series(joules: Sequence[Quantity], per_joule: Quantity) -> Series:
    """Of many epochs: the errors of joules and of rates are independent, so that each side is that of their product."""
    rate_low, rate_high = per_joule.interval()
    value: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for part in joules:
        least, most = part.interval()
        middle = part.value * per_joule.value
        below = math.hypot((part.value - least) * per_joule.value, (per_joule.value - rate_low) * part.value)
        above = math.hypot((most - part.value) * per_joule.value, (rate_high - per_joule.value) * part.value)
        value.append(middle)
        low.append(max(0.0, middle - below))
        high.append(middle + above)
    return Series(tuple(value), tuple(low), tuple(high))
