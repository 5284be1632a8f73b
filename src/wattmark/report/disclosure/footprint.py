"""One selection of runs, added up, with all that a format may ask for; and what a format made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from wattmark.impact.series import Signal
from wattmark.impact.stages import MAKING_STAGE
from wattmark.quantity import Quantity
from wattmark.units import J_PER_KWH, J_PER_WH

Origin = Literal["sourced", "measured", "modeled"]
"""Where a coefficient is from, in the words of SCI for AI."""
FACTS: Mapping[str, str] = {
    "model": "what the model is called",
    "model_uri": "where it is published",
    "model_version": "its version",
    "stage": "training, finetuning, inference, datacreation, preprocessing ...",
    "task": "what it does: text generation, image classification ...",
    "dataset": "what it was trained or tried on",
    "data_type": "tabular, audio, image, video, text, token, other ...",
    "data_quantity": "how many items of data",
    "parameters": "of the model, in billions",
    "framework": "such as pytorch",
    "quantization": "such as fp16",
    "accuracy": "of the model, 0 to 1",
    "flops": "floating-point operations of all training",
    "infrastructure": "publicCloud, privateCloud, onPremise or other",
    "cloud": "provider of the cloud",
    "instance": "its kind of machine",
    "country": "where it ran, if the zone does not say",
    "publisher": "who publishes the report",
    "confidentiality": "public, internal, confidential or secret",
    "licence": "of the report",
    "units": "how many functional units (--per), where the runs did not count them",
    "market_g_per_kwh": "of your supply contract, for the market-based method",
    "market_source": "where that figure is from",
    "embodied_g": "share of the hardware's making, in g CO2e",
    "embodied_source": "where that figure is from",
    "lowest_wh": "of all models of the task, per 1,000 queries, for stars",
    "highest_wh": "the same, the highest",
    "supplier": "who supplies the model (SPDX)",
    "download": "where it is downloaded (SPDX)",
    "released": "when it was released, ISO 8601 (SPDX)",
}
"""What only people know: from tags of the runs (``--tag stage=training`` at the run) or ``--fact stage=training``."""


@dataclass(frozen=True, slots=True)
class Component:
    """Hardware of one kind. memory_gb: of one."""

    kind: str
    name: str
    count: int
    memory_gb: float | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """Runs added up, no joule counted twice. Missing is None.

    energy, measured, modelled: J of computing (without PUE). carbon: g CO2e, with PUE. g_per_kwh: what the joules met, on
    the whole. grid: who says so; grid_scope: life cycle or operational. counts: samples, tokens, requests ... of the
    outermost spans that have them. facts: of :data:`FACTS`. stages: water, money, making, where asked for. groups: the
    same for each model, where there are several.
    """

    name: str
    run_ids: tuple[str, ...]
    started_at: str
    ended_at: str
    duration_s: float
    energy: Quantity | None = None
    measured: Quantity | None = None
    modelled: Quantity | None = None
    energy_by_component: Mapping[str, Quantity] = field(default_factory=dict[str, Quantity])
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    carbon: Quantity | None = None
    zones: tuple[str, ...] = ()
    zone_names: tuple[str, ...] = ()
    grid: str = ""
    grid_scope: str = ""
    signal: Signal = "average"
    pue: Quantity = field(default_factory=lambda: Quantity.exact(1.0, "", "none"))
    counts: Mapping[str, float] = field(default_factory=dict[str, float])
    hardware: tuple[Component, ...] = ()
    hosts: tuple[str, ...] = ()
    system: str = ""
    python: str = ""
    per: str | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()
    groups: tuple[Footprint, ...] = ()
    stages: Mapping[str, Quantity] = field(default_factory=dict[str, Quantity])

    @property
    def kwh(self) -> Quantity | None:
        """Energy of the facility: with PUE."""
        return None if self.energy is None else ((self.energy * self.pue) / J_PER_KWH).with_unit("kWh")

    @property
    def wh(self) -> Quantity | None:
        """Energy of computing, without PUE."""
        return None if self.energy is None else (self.energy / J_PER_WH).with_unit("Wh")

    @property
    def g_per_kwh(self) -> Quantity | None:
        """Carbon over the facility's energy: what its kilowatt-hours met."""
        if self.carbon is None or self.kwh is None or self.kwh.value <= 0:
            return None
        return (self.carbon / self.kwh).with_unit("g/kWh")

    @property
    def units(self) -> float | None:
        """How many functional units: given, or counted by the runs."""
        told = self.number("units")
        if told is not None:
            return told if told > 0 else None
        counted = self.counts.get(self.per) if self.per else None
        return counted if counted and counted > 0 else None

    @property
    def embodied(self) -> Quantity | None:
        """The share of the hardware's making, given or worked out (``--making``), in g CO2e."""
        told = self.number("embodied_g")
        if told is None or told < 0:
            return self.stages.get(MAKING_STAGE)
        return Quantity.exact(told, "g", self.facts.get("embodied_source", "given"))

    @property
    def energy_origin(self) -> Origin | None:
        """Measured where sensors gave most of it, else modelled."""
        if self.energy is None:
            return None
        modelled = 0.0 if self.modelled is None else self.modelled.value
        return "modeled" if modelled > self.energy.value / 2 else "measured"

    @property
    def method(self) -> str:
        """How the energy was got, in words."""
        parts = [
            f"{component}: {', '.join(self.sources.get(component, ()))} ({', '.join(methods)})"
            for component, methods in self.methods.items()
        ]
        return "; ".join(parts)

    def number(self, fact: str) -> float | None:
        """A fact as a finite number; None for what is none."""
        try:
            value = float(self.facts[fact])
        except (KeyError, ValueError):
            return None
        return value if abs(value) < 1e300 else None


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a format asks for and the data do not have. field: in the format's words. remedy: how to give it."""

    field: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """text: what is written to a file or shown. ending: of the file's name. gaps: left empty. notes: how to read it."""

    format: str
    text: str
    ending: str
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Plain data."""
        return {
            "format": self.format,
            "text": self.text,
            "gaps": [{"field": gap.field, "remedy": gap.remedy} for gap in self.gaps],
            "notes": list(self.notes),
        }


class Gaps:
    """Collects what is left empty."""

    def __init__(self) -> None:
        self.found: list[Gap] = []

    def fact(self, footprint: Footprint, name: str, field: str) -> str | None:
        """A fact, or a gap of this field."""
        value = footprint.facts.get(name)
        if value is None or not value.strip():
            self.add(field, f"--fact {name}=...: {FACTS[name]}")
            return None
        return value

    def choice(self, footprint: Footprint, name: str, field: str, of: Sequence[str]) -> str | None:
        """A fact that must be one of these words."""
        value = footprint.facts.get(name)
        if value in of:
            return value
        self.add(field, f"--fact {name}=...: one of {', '.join(of)}")
        return None

    def add(self, field: str, remedy: str = "") -> None:
        """One more."""
        self.found.append(Gap(field, remedy))


def filled(table: Mapping[str, object]) -> dict[str, object]:
    """The entries that are there: no None, no empty text, list or table."""
    return {key: value for key, value in table.items() if value is not None and value not in ("", [], {})}


def origin_of(footprint: Footprint) -> str:
    """What a reader must know of the energy, in one sentence."""
    if footprint.energy is None:
        return "no energy is known"
    modelled = 0.0 if footprint.modelled is None else footprint.modelled.value
    share = modelled / footprint.energy.value if footprint.energy.value > 0 else 0.0
    how = (
        "measured"
        if share == 0
        else "modelled"
        if share > 0.999
        else f"{share:.0%} modelled, the rest measured"
    )
    return f"{how} ({footprint.method})" if footprint.method else how
