"""What "What if" is asked and what it answers (the page's side: frontend/src/views/whatif/types.ts)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from wattmark.predict.extrapolate import MOST_EPOCHS
from wattmark.predict.whatif.difference import Difference

Ref = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]
MOST_ALTERNATIVES = 8
MOST_PUE = 10.0


def _usable_pue(text: str) -> str:
    """A name is looked up later; a number must be one that a building could have."""
    try:
        ratio = float(text)
    except ValueError:
        return text
    if not 1 <= ratio <= MOST_PUE:
        raise ValueError(f"a PUE is a ratio from 1 to {MOST_PUE:g}, not {text}")
    return text


PueText = Annotated[Word, AfterValidator(_usable_pue)]


class Choice(BaseModel):
    """So many pieces of a part of the catalogue."""

    model_config = ConfigDict(extra="forbid")

    id: Ref
    quantity: Annotated[int, Field(ge=1, le=64)] = 1


class Asked(BaseModel):
    """What is different; what is left out stays as it was.

    pue: a ratio or the name of a known one. epochs: how many in all. levels: factor -> level of the run's study.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    zone: Word | None = None
    year: Annotated[int, Field(ge=1990, le=2100)] | None = None
    pue: PueText | None = None
    hardware: Annotated[list[Choice], Field(max_length=8)] = []
    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | None = None
    power_cap_w: Annotated[float, Field(gt=0, le=100_000)] | None = None
    levels: Annotated[dict[Word, Ref], Field(max_length=32)] = {}
    price_per_kwh: Annotated[float, Field(ge=0, le=1e9)] | None = None
    currency: Annotated[str, Field(max_length=12, pattern=r"^[^\x00]*$")] | None = None


class Account(BaseModel):
    """What the user says about the original itself: how it is accounted, and what hardware it was on.

    hardware: in place of what the record says (a virtual machine often hides it).
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    hardware: Annotated[list[Choice], Field(max_length=8)] = []

    zone: Word | None = None
    year: Annotated[int, Field(ge=1990, le=2100)] | None = None
    pue: PueText | None = None
    price_per_kwh: Annotated[float, Field(ge=0, le=1e9)] | None = None
    currency: Annotated[str, Field(max_length=12, pattern=r"^[^\x00]*$")] | None = None


class Alternative(BaseModel):
    """One scenario, for the same run or for another one."""

    model_config = ConfigDict(extra="forbid")

    run: Ref | None = None
    scenario: Asked = Asked()


class WhatIf(BaseModel):
    """A run and scenarios for it. study: whose levels may be asked (else the one that the run's tag names)."""

    model_config = ConfigDict(extra="forbid")

    run: Ref
    study: Word | None = None
    original: Account = Account()
    alternatives: Annotated[list[Alternative], Field(max_length=MOST_ALTERNATIVES)] = []


class Amount(BaseModel):
    """A value with its interval."""

    value: float
    low: float
    high: float
    unit: str
    source: str = ""


class Band(BaseModel):
    """A line with its interval, epoch by epoch."""

    value: list[float]
    low: list[float]
    high: list[float]


class Bands(BaseModel):
    """Joules, grams of CO2e and money; null where there is no place or no price."""

    energy: Band | None
    carbon: Band | None
    cost: Band | None


class Course(BaseModel):
    """The run epoch by epoch. measured: these very joules were measured; extrapolated: this epoch never ran."""

    epoch: list[int]
    measured: list[bool]
    extrapolated: list[bool]
    each: Bands
    total: Bands


class Share(BaseModel):
    """One component's joules; basis: measured, modelled, imported or predicted."""

    component: str
    energy: Amount
    basis: str


class Term(BaseModel):
    """A term of the equation. role: base, factor, energy, carbon or cost. field: of the scenario that changes it."""

    name: str
    symbol: str
    role: str
    value: float
    low: float
    high: float
    unit: str
    source: str
    link: str
    year: int | None
    field: str | None


class SideOut(BaseModel):
    """The original or an alternative. unknown: why a number is missing, by its name."""

    energy: Amount | None
    duration: Amount | None
    carbon: Amount | None
    cost: Amount | None
    unknown: dict[str, str]
    shares: list[Share]
    course: Course | None
    terms: list[Term]
    notes: list[str]


class Differences(BaseModel):
    """One for each number that both sides have."""

    energy: Difference | None
    duration: Difference | None
    carbon: Difference | None
    cost: Difference | None


class InstalledOut(BaseModel):
    """Some pieces of a part, as the run's record has it."""

    id: str
    name: str
    quantity: int


class Cap(BaseModel):
    """Between which watts a power limit of the run's accelerators may be."""

    min: float | None
    max: float | None


class Factor(BaseModel):
    """A factor of the run's study: the levels that were measured, and the run's own."""

    name: str
    levels: list[str]
    own: str


class RunHead(BaseModel):
    """A run that may be asked about. zone, pue: how it is accounted unless one says otherwise; zone_from: who said so.

    estimates_power_cap: whether a cap can be asked at all, and within which limits. imported: from what, if it was.
    """

    id: str
    name: str
    status: str
    started_at: str
    imported: str | None
    epochs: int
    accelerators: list[InstalledOut]
    cpus: list[InstalledOut]
    unknown_hardware: list[str]
    zone: str | None
    zone_from: str | None
    pue: str
    study: str | None
    factors: list[Factor]
    power_cap: Cap | None


class AlternativeOut(BaseModel):
    """An alternative and how far it is from the original."""

    run: RunHead
    side: SideOut
    difference: Differences


class Answer(BaseModel):
    """The original, and each alternative in the order in which it was asked."""

    run: RunHead
    original: SideOut
    alternatives: list[AlternativeOut]


class RunLine(BaseModel):
    """A run to choose from."""

    id: str
    name: str
    status: str
    started_at: str
    energy_j: float | None
    imported: str | None
    study: str | None
