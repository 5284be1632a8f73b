"""What "What if" is asked and what it answers. Scenarios, terms and differences are those of :mod:`wattmark.predict`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from wattmark.predict import Differences, Scenario
from wattmark.predict.whatif.outcome import ComponentEnergy, EquationTerm
from wattmark.predict.whatif.scenario import Text
from wattmark.quantity import Quantity

MOST_ALTERNATIVES = 8


class AlternativeRequest(BaseModel):
    """One scenario, for the same run or for another one."""

    model_config = ConfigDict(extra="forbid")

    run: Text | None = None
    scenario: Scenario = Scenario()


class WhatIfRequest(BaseModel):
    """A run and scenarios for it.

    study: whose levels may be asked (else the one that the run's tag names). original: what the user says of the run
    itself: its place, PUE and price, and the hardware that it was on.
    """

    model_config = ConfigDict(extra="forbid")

    run: Text
    study: Text | None = None
    original: Scenario = Scenario()
    alternatives: Annotated[list[AlternativeRequest], Field(max_length=MOST_ALTERNATIVES)] = []


@dataclass(frozen=True, slots=True)
class Series:
    """A line with its interval, epoch by epoch."""

    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Stages:
    """Joules, grams of CO2e and money; null where there is no place or no price."""

    energy: Series
    carbon: Series | None
    cost: Series | None


@dataclass(frozen=True, slots=True)
class Course:
    """The run epoch by epoch. measured: these very joules were measured; extrapolated: this epoch never ran."""

    epoch: tuple[int, ...]
    measured: tuple[bool, ...]
    extrapolated: tuple[bool, ...]
    each: Stages
    total: Stages


@dataclass(frozen=True, slots=True)
class EstimateOut:
    """The original or an alternative, its series in columns. unknown: why a number is missing, by its name."""

    energy: Quantity | None
    duration: Quantity | None
    carbon: Quantity | None
    cost: Quantity | None
    unknown: dict[str, str]
    shares: tuple[ComponentEnergy, ...]
    course: Course | None
    terms: tuple[EquationTerm, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InstalledOut:
    """Some pieces of a part, as the run's record has it."""

    id: str
    name: str
    quantity: int


@dataclass(frozen=True, slots=True)
class PowerCap:
    """Between which watts a power limit of the run's accelerators may be."""

    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class StudyFactor:
    """A factor of the run's study: the levels that were measured, and the run's own."""

    name: str
    levels: tuple[str, ...]
    own: str


@dataclass(frozen=True, slots=True)
class RunHead:
    """A run that may be asked about. zone, pue: how it is accounted unless one says otherwise; zone_from: who said so.

    power_cap: whether a cap can be asked at all, and within which limits. imported: from what, if it was.
    """

    id: str
    name: str
    status: str
    started_at: str
    imported: str | None
    epochs: int
    accelerators: tuple[InstalledOut, ...]
    cpus: tuple[InstalledOut, ...]
    unknown_hardware: tuple[str, ...]
    zone: str | None
    zone_from: str | None
    pue: str
    study: str | None
    factors: tuple[StudyFactor, ...]
    power_cap: PowerCap | None


@dataclass(frozen=True, slots=True)
class AlternativeAnswer:
    """An alternative and how far it is from the original."""

    run: RunHead
    estimate: EstimateOut
    difference: Differences


@dataclass(frozen=True, slots=True)
class WhatIfAnswer:
    """The original, and each alternative in the order in which it was asked."""

    run: RunHead
    original: EstimateOut
    alternatives: tuple[AlternativeAnswer, ...]


@dataclass(frozen=True, slots=True)
class RunChoice:
    """A run to choose from."""

    id: str
    name: str
    status: str
    started_at: str
    energy_j: float | None
    imported: str | None
    study: str | None
