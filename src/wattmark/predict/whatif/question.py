"""A whole question: a run, what is said about it, and what is different; answered with both sides and their difference.

``wm.what_if``, ``wattmark whatif`` and the page ask here; :func:`wattmark.predict.evaluate` predicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from wattmark.errors import ConfigError
from wattmark.predict.hardware.accelerators import find
from wattmark.predict.whatif.difference import Differences, differences
from wattmark.predict.whatif.energyvis import recorded
from wattmark.predict.whatif.outcome import Outcome
from wattmark.predict.whatif.scenario import HardwareChoice, Scenario, evaluate
from wattmark.runs.view import RunView
from wattmark.studies.results import StudyResults
from wattmark.workspace.runs import carbon_of

RATES = frozenset({"zone", "year", "pue", "price_per_kwh", "currency"})
"""The fields of a scenario that say how joules are accounted, and change none."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """How a run itself is accounted: the :data:`RATES` of a scenario. zone_from: who said where it was."""

    scenario: Scenario
    zone_from: str | None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A run as it was (``outcome.original``), as it would be (``outcome.alternative``), and how far that is apart."""

    outcome: Outcome
    difference: Differences
    accounting: Accounting


def what_if(
    view: RunView,
    scenario: Scenario,
    *,
    study: StudyResults | None = None,
    original: Scenario | None = None,
) -> WhatIf:
    """What the run would have cost under a scenario.

    study: whose levels the scenario may name. original: how the run itself is accounted, in place of its record
    (its :data:`RATES`), and the hardware that it was on. Raises ConfigError for a zone, year, PUE or part that does
    not exist.
    """
    said = original or Scenario()
    view = with_hardware(view, said.hardware or ())
    accounting = accounting_of(view, said)
    outcome = evaluate(view, scenario, study, original=accounting.scenario)
    return WhatIf(outcome, differences(outcome, outcome), accounting)


def accounting_of(view: RunView, said: Scenario | None = None) -> Accounting:
    """How a run is accounted: as the user says, else as the imported file says, else as everywhere (``carbon_of``).

    Raises ConfigError where something is said of the run that only a scenario can change (its epochs, say).
    """
    wrong = sorted(set((said or Scenario()).changed) - RATES - {"hardware"})
    if wrong:
        raise ConfigError(f"{wrong[0]} cannot be said of the original", hint="ask it of an alternative")
    given = (said or Scenario()).model_dump(exclude_none=True, include=set(RATES))
    recorded_fields: dict[str, Any] = {}
    zone_from: str | None = None
    if view.record.tags.get("imported") == "energyvis":
        noted = recorded(view.record)
        recorded_fields, zone_from = {"zone": noted.zone, "pue": noted.pue}, "the imported profile"
    else:
        try:
            emitted = carbon_of(view)
        except ConfigError:  # of a zone in its settings that this version does not know
            emitted = None
        if emitted is not None:
            recorded_fields = {"zone": emitted.zone.id, "pue": emitted.pue.given}
            zone_from = emitted.zone_from
    return Accounting(
        Scenario.model_validate({**recorded_fields, **given}), "you" if "zone" in given else zone_from
    )


def with_hardware(view: RunView, hardware: Sequence[HardwareChoice]) -> RunView:
    """The run as if its record named this hardware (a virtual machine often hides it); without any, as it is.

    Raises ConfigError for a part that is not in the catalogue.
    """
    if not hardware:
        return view
    parts = [(find(choice.id), choice.quantity) for choice in hardware]
    record = view.record
    environment = dict(record.environment)
    curves = record.curves
    for part, quantity in parts:
        if part.kind == "cpu":
            environment["cpu"] = {**_facts(environment.get("cpu")), "model": part.name, "sockets": quantity}
    boards = [f"{quantity} x {part.name}" for part, quantity in parts if part.kind != "cpu"]
    if boards:
        environment["gpus"] = boards
        curves = tuple(
            replace(curve, channel=curve.channel._replace(label=""))
            if curve.channel.component == "gpu"
            else curve
            for curve in curves
        )
    return RunView(replace(record, environment=environment, curves=curves))


def _facts(cpu: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", cpu) if isinstance(cpu, Mapping) else {}
