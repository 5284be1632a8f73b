"""What if this run had been elsewhere, on other hardware, longer, capped, or with other settings?

``evaluate`` takes a run and a :class:`Scenario` and answers with both sides. What changes the joules comes in this
order: levels of a study, epochs, accelerators, CPUs, power cap. PUE, place and price are stages after the joules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from wattmark.errors import ConfigError
from wattmark.impact import as_price
from wattmark.impact.ranges import read_range
from wattmark.predict.extrapolate import MOST_EPOCHS, Epoch, epochs_of, extrapolate
from wattmark.predict.hardware.accelerators import find
from wattmark.predict.hardware.caps import cap_step
from wattmark.predict.hardware.cpus import swap_cpus
from wattmark.predict.hardware.devices import Installed, Machine, machine_of
from wattmark.predict.hardware.swap import swap_accelerators
from wattmark.predict.whatif.energyvis import recorded
from wattmark.predict.whatif.levels import from_study, levels_of
from wattmark.predict.whatif.outcome import Basis, ComponentEnergy, EpochRow, Estimate, Outcome
from wattmark.predict.whatif.rates import NO_PRICE, NO_ZONE, Rates, equation, rates_at
from wattmark.predict.whatif.series import rows
from wattmark.predict.whatif.state import State, Step, Unpredictable
from wattmark.quantity import Quantity
from wattmark.runs.view import RunView
from wattmark.studies.results import StudyResults

_REQUEST = "request"
"""Name of the spans that a serving benchmark measures."""
MOST_PUE = 10.0
MOST_PRICE = 1e9


def _usable_pue(given: float | str) -> float | str:
    """A name is looked up later; a number or a range, also in words, must be one that a building could have."""
    try:
        ends = (read_range(given) if isinstance(given, str) else None) or (float(given),)
    except ValueError:
        return given
    if not all(1 <= end <= MOST_PUE for end in ends):
        raise ValueError(f"a PUE is a ratio from 1 to {MOST_PUE:g}, not {given}")
    return given


def _usable_price(given: float | str) -> float | str:
    try:
        price = as_price(given)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    if price.high > MOST_PRICE:
        raise ValueError(f"a price is at most {MOST_PRICE:g} for a kilowatt-hour, not {given}")
    return given


Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class HardwareChoice(BaseModel):
    """So many pieces of a part of the catalogue (any name that :func:`wattmark.predict.find` understands)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Text
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @model_validator(mode="before")
    @classmethod
    def _pair(cls, data: Any) -> Any:
        """``["h100-sxm", 8]`` is as good as ``{"id": "h100-sxm", "quantity": 8}``."""
        if isinstance(data, list | tuple):
            pair = tuple(cast("Iterable[Any]", data))
            return {"id": pair[0], "quantity": pair[1]} if len(pair) == 2 else pair
        return data


class Scenario(BaseModel):
    """What is different. None: as it was.

    zone, year: as :func:`wattmark.impact.find_zone` and ``intensity_of`` take them. pue: a ratio, a range or a name.
    hardware: what stands in for the accelerators, for the CPUs, or both. epochs: how many in all. power_cap_w: of every
    accelerator, watts. levels: factor -> level of the run's study. price_per_kwh, currency: of electricity, a number or
    a range (``0.25-0.35``).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    zone: Text | None = None
    year: Annotated[int, Field(ge=1990, le=2100)] | None = None
    pue: Annotated[float | Text, AfterValidator(_usable_pue)] | None = None
    hardware: Annotated[tuple[HardwareChoice, ...], Field(max_length=20)] | None = None
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None = None
    power_cap_w: Annotated[float, Field(gt=0, le=100_000)] | None = None
    levels: Annotated[dict[Text, str | int | float | bool | None], Field(max_length=50)] | None = None
    price_per_kwh: Annotated[float | Text, AfterValidator(_usable_price)] | None = None
    currency: Annotated[str, Field(max_length=12, pattern=r"^[^\x00]*$")] | None = None

    @property
    def changed(self) -> tuple[str, ...]:
        """The fields that say something."""
        return tuple(name for name, value in self if value is not None and value not in ((), {}))


def evaluate(
    view: RunView,
    scenario: Scenario,
    study: StudyResults | None = None,
    *,
    original: Scenario | None = None,
) -> Outcome:
    """The run as it was and as it would be.

    study: whose levels ``scenario.levels`` may name. original: how the run itself is accounted (its ``zone``,
    ``year``, ``pue``, ``price_per_kwh`` and ``currency``); the scenario takes over what it does not say itself.

    Raises:
        ConfigError: a zone, year, PUE or part that does not exist.
    """
    machine = machine_of(view)
    own = recorded(view.record)
    home = original or Scenario(zone=own.zone, pue=own.pue)
    epochs = epochs_of(view)
    timed = view.record.extra.get("duration_known") is not False
    start = State(
        _components(view),
        Quantity.exact(view.record.duration_s, "s", "measured") if timed else None,
        machine.accelerators,
        machine.cpus,
        machine.utilisation,
        machine.busy_cores,
        work="serving" if _REQUEST in view.record.spans.names else "training" if epochs else "",
    )
    bases = _bases(view)
    before = rates_at(home.zone, home.year, home.pue, home.price_per_kwh, home.currency)
    first = _estimate(start, start, (), rows(epochs, len(epochs), (), start.duration_s), before, bases)
    place = scenario.zone is not None
    after = rates_at(
        scenario.zone or home.zone,
        scenario.year if place or scenario.year is not None else home.year,
        home.pue if scenario.pue is None else scenario.pue,
        home.price_per_kwh if scenario.price_per_kwh is None else scenario.price_per_kwh,
        scenario.currency or home.currency,
    )
    applied = _apply(view, start, scenario, study)
    if isinstance(applied, Unpredictable):
        second = _unpredictable(applied, after)
        steps: tuple[Step, ...] = ()
        notes: tuple[str, ...] = (str(applied),)
    else:
        state, steps = applied
        factors = [step for step in steps if step.field != "epochs"]
        series = rows(epochs, scenario.epochs or len(epochs), factors, start.duration_s)
        second = _estimate(start, state, steps, series, after, bases)
        notes = state.notes
    return Outcome(
        view.id,
        scenario.model_dump(exclude_none=True),
        scenario.changed,
        first,
        second,
        steps,
        (*notes, *_notes(scenario, view)),
        machine,
        _options(view, machine, epochs, study),
    )


def _apply(
    view: RunView, state: State, scenario: Scenario, study: StudyResults | None
) -> tuple[State, tuple[Step, ...]] | Unpredictable:
    """The steps one after the other; the first that is unknown makes the whole unknown."""
    steps: list[Step] = []
    if scenario.epochs is not None:
        longer = extrapolate(view, scenario.epochs, state.by_component)
        if isinstance(longer, Unpredictable):
            return longer
        changed = replace(
            state,
            by_component=longer.by_component,
            duration_s=None if state.duration_s is None else longer.duration_s,
        )
        steps.append(_ratio_step(state, changed, longer.source))
        state = changed
    if scenario.levels:
        if study is None:
            return Unpredictable("the run belongs to no study that is known here")
        found = from_study(state, study, view.id, scenario.levels)
        if isinstance(found, Unpredictable):
            return found
        state = found[0]
        steps.append(found[1])
    parts = [Installed(find(one.id), one.quantity) for one in scenario.hardware or ()]
    boards = tuple(one for one in parts if one.hardware.kind != "cpu")
    cpus = tuple(one for one in parts if one.hardware.kind == "cpu")
    if boards:
        found = swap_accelerators(state, boards, host_stays=bool(cpus))
        if isinstance(found, Unpredictable):
            return found
        state = found[0]
        steps.append(found[1])
    if cpus:
        found = swap_cpus(state, cpus)
        if isinstance(found, Unpredictable):
            return found
        state = found[0]
        steps.append(found[1])
    if scenario.power_cap_w is not None:
        found = cap_step(state, scenario.power_cap_w)
        if isinstance(found, Unpredictable):
            return found
        state = found[0]
        steps.append(found[1])
    return state, tuple(steps)


def _ratio_step(before: State, after: State, source: str) -> Step:
    """Another number of epochs as a factor on the run's joules, by the errors that the two do not share."""
    old, new = before.energy_j, after.energy_j
    energy = Quantity.exact(1.0, "", source)
    if old is not None and new is not None and old.value > 0:
        energy = (new / old).with_source(source)
    time = Quantity.exact(1.0, "", source)
    if before.duration_s is not None and after.duration_s is not None and before.duration_s.value > 0:
        time = (after.duration_s / before.duration_s.value).with_unit("").with_source(source)
    return Step("epochs", "epochs", energy, time, source)


def _estimate(
    start: State,
    state: State,
    steps: tuple[Step, ...],
    series: tuple[EpochRow, ...],
    rates: Rates,
    bases: Mapping[str, Basis],
) -> Estimate:
    energy = state.energy_j
    reasons: dict[str, str] = {}
    if energy is None:
        reasons["energy_j"] = "unknown, because no energy was measured"
    if state.duration_s is None:
        reasons["duration_s"] = "unknown, because the imported file has no times"
    if energy is None or rates.intensity is None:
        reasons["carbon_g"] = reasons.get("energy_j", NO_ZONE)
    if energy is None or rates.price is None:
        reasons["cost"] = reasons.get("energy_j", NO_PRICE)
    parts = tuple(
        ComponentEnergy(
            name,
            quantity,
            bases.get(name, "measured") if quantity == start.by_component.get(name) else "predicted",
        )
        for name, quantity in state.by_component.items()
    )
    return Estimate(
        energy,
        state.duration_s,
        rates.carbon(energy),
        rates.cost(energy),
        parts,
        series,
        equation(start.energy_j, steps, energy, rates),
        rates.formula,
        reasons,
        rates.grams_per_j,
        rates.cost_per_j,
    )


def _unpredictable(why: Unpredictable, rates: Rates) -> Estimate:
    reasons: dict[str, str] = dict.fromkeys(("energy_j", "duration_s", "carbon_g", "cost"), str(why))
    return Estimate(None, None, None, None, (), (), equation(None, (), None, rates), rates.formula, reasons)


def _components(view: RunView) -> dict[str, Quantity]:
    """What is in the run's total, by component."""
    counted = {curve.curve.channel.component for curve in view.counted}
    return {name: quantity for name, quantity in view.energy_by_component.items() if name in counted}


def _bases(view: RunView) -> dict[str, Basis]:
    found: dict[str, Basis] = {}
    for curve in view.counted:
        channel = curve.curve.channel
        if channel.label == "imported" or "imported" in view.record.tags:
            found[channel.component] = "imported"
        elif channel.method == "modelled" or found.get(channel.component) == "modelled":
            found[channel.component] = "modelled"
        else:
            found.setdefault(channel.component, "measured")
    return found


def _notes(scenario: Scenario, view: RunView) -> list[str]:
    found: list[str] = []
    if scenario.zone is not None or scenario.year is not None:
        found.append("Intensities are yearly averages; at what hour the work runs makes no difference here.")
    if view.record.status == "running":
        found.append("The run is still going on; this is as of now.")
    place = recorded(view.record).unknown_place
    if place:
        found.append(f"The imported profile's place, {place!r}, is not known here.")
    if 0 < view.coverage < 0.99:
        found.append(
            f"Only {view.coverage:.0%} of the run's time is covered; what was not seen is not predicted."
        )
    return found


def _options(
    view: RunView, machine: Machine, epochs: tuple[Epoch, ...], study: StudyResults | None
) -> dict[str, Any]:
    """What makes sense to ask of this run."""
    hardware = [one.hardware for one in machine.accelerators]
    lows = [one.cap_min_w for one in hardware if one.cap_min_w is not None]
    highs = [top for one in hardware if (top := one.cap_max_w or one.tdp_w) is not None]
    gpu = "gpu" in _components(view)
    return {
        "hardware": bool(hardware and gpu),
        "cpu": bool(machine.cpus),
        "epochs": len(epochs) or None,
        "power_cap_w": {"min": max(lows, default=None), "max": min(highs, default=None)} if hardware and gpu else None,
        "levels": {} if study is None else levels_of(study, view.id),
        "hour": False,
    }  # fmt: skip
