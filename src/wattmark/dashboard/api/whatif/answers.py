"""Outcomes of :mod:`wattmark.predict` in the shapes that the page draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wattmark.dashboard.api.whatif.schemas import (
    Amount,
    Band,
    Bands,
    Course,
    Differences,
    Share,
    SideOut,
    Term,
)
from wattmark.predict import Outcome
from wattmark.predict.whatif.difference import Factors, difference
from wattmark.predict.whatif.outcome import EpochRow, Estimate
from wattmark.quantity import Quantity


def side_out(side: Estimate, notes: Sequence[str] = ()) -> SideOut:
    """One side: totals, components, the course over the epochs, the equation."""
    return SideOut(
        energy=amount(side.energy_j),
        duration=amount(side.duration_s),
        carbon=amount(side.carbon_g),
        cost=amount(side.cost),
        unknown={name.removesuffix("_j").removesuffix("_g").removesuffix("_s"): why for name, why in side.reasons.items()},
        shares=[
            Share(component=one.component, energy=_amount(one.energy_j), basis=one.basis)
            for one in side.by_component
        ],
        course=_course(side),
        terms=[
            Term(
                name=term.name,
                symbol=term.symbol,
                role=term.role,
                value=term.quantity.value,
                low=term.quantity.low,
                high=term.quantity.high,
                unit=term.quantity.unit,
                source=term.quantity.source,
                link=term.link,
                year=term.year,
                field=term.field,
            )
            for term in side.terms
        ],
        notes=list(notes),
    )  # fmt: skip


def differences(original: Outcome, alternative: Outcome) -> Differences:
    """The second one's alternative less the first one's original."""
    old, new = original.original, alternative.alternative
    before = {"run": old.energy_j, "seconds": old.duration_s}
    start = alternative.original
    own: dict[str, Quantity | None] = {"run": start.energy_j, "seconds": start.duration_s}
    if original.run_id != alternative.run_id:
        own = {f"{name} of another run": part for name, part in own.items()}
    joules = {f"joules {place}": step.energy for place, step in enumerate(alternative.steps)}
    seconds = {f"seconds {place}": step.duration for place, step in enumerate(alternative.steps)}
    energy_before = _parts(before, "run")
    energy_after = _parts(own, "run") | joules
    return Differences(
        energy=difference(_factors(old.energy_j, energy_before), _factors(new.energy_j, energy_after)),
        duration=difference(
            _factors(old.duration_s, _parts(before, "seconds")),
            _factors(new.duration_s, _parts(own, "seconds") | seconds),
        ),
        carbon=difference(
            _factors(old.carbon_g, energy_before | _stages(old, "carbon")),
            _factors(new.carbon_g, energy_after | _stages(new, "carbon")),
        ),
        cost=difference(
            _factors(old.cost, energy_before | _stages(old, "cost")),
            _factors(new.cost, energy_after | _stages(new, "cost")),
        ),
    )


def amount(quantity: Quantity | None) -> Amount | None:
    """A quantity as the page has it."""
    return None if quantity is None else _amount(quantity)


def _amount(quantity: Quantity) -> Amount:
    return Amount(
        value=quantity.value, low=quantity.low, high=quantity.high, unit=quantity.unit, source=quantity.source
    )


def _factors(value: Quantity | None, parts: dict[str, Quantity]) -> Factors | None:
    return None if value is None else Factors(value, parts)


def _parts(found: dict[str, Quantity | None], begins: str) -> dict[str, Quantity]:
    return {name: part for name, part in found.items() if part is not None and name.startswith(begins)}


def _stages(side: Estimate, what: str) -> dict[str, Quantity]:
    """PUE and intensity, or PUE and price, from the equation's terms."""
    wanted = {"PUE", "I"} if what == "carbon" else {"PUE", "p"}
    scale = {"I": 1 / 3.6e6, "p": 1 / 3.6e6}
    return {
        term.symbol: (term.quantity * scale.get(term.symbol, 1.0))
        for term in side.terms
        if term.symbol in wanted
    }


def _course(side: Estimate) -> Course | None:
    rows = side.epochs
    if not rows:
        return None
    return Course(
        epoch=[row.epoch for row in rows],
        measured=[row.measured for row in rows],
        extrapolated=[row.extrapolated for row in rows],
        each=_bands(rows, side, lambda row: row.energy_j),
        total=_bands(rows, side, lambda row: row.cumulative_j),
    )


def _bands(rows: Sequence[EpochRow], side: Estimate, of: Callable[[EpochRow], Quantity]) -> Bands:
    joules = [of(row) for row in rows]
    return Bands(
        energy=_band(joules, Quantity.exact(1.0)),
        carbon=_band(joules, side.grams_per_j),
        cost=_band(joules, side.cost_per_j),
    )


def _band(joules: Sequence[Quantity], per_joule: Quantity | None) -> Band | None:
    if per_joule is None:
        return None
    return Band(
        value=[one.value * per_joule.value for one in joules],
        low=[one.low * per_joule.low for one in joules],
        high=[one.high * per_joule.high for one in joules],
    )
