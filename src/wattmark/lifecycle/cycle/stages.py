"""A model's life as stages, each with its joules: what is spent once, and what every use costs.

``E(N) = E_fixed + N e_inference``: N uses of a model whose stages before use took ``E_fixed`` joules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from wattmark.errors import ConfigError
from wattmark.quantity import Quantity, total

INFERENCE = "inference"
FIXED_STAGES = ("data", "search", "experiments", "training", "compression", "storage")
"""Spent once, however much the model is used."""
STAGES = (*FIXED_STAGES, INFERENCE)
INHERITED = ("data", "search", "experiments", "training", "compression")
"""What a model made from another one (distilled, quantised, pruned) would not exist without."""


@dataclass(frozen=True, slots=True)
class Stage:
    """energy: J, of inference J per use. origin: where the number comes from, in words; measured: or stated by the user.

    inherited: it is of the model that this one was made from.
    """

    name: str
    energy: Quantity
    origin: str
    measured: bool
    inherited: bool = False


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be used. base: the one that it was made from, whose stages it has as well. quality: 0..1, if
    known."""

    name: str
    stages: Mapping[str, tuple[Stage, ...]]
    base: str | None = None
    quality: float | None = None

    @property
    def fixed(self) -> Quantity:
        """J before the first use."""
        parts = [stage.energy for name in FIXED_STAGES for stage in self.stages.get(name, ())]
        energy = total(parts)
        if energy is None:
            raise ConfigError(
                f"nothing is known of {self.name} before its use",
                hint=f"--stage {self.name}.training=RUN, or {self.name}.training=0J for a model that was there",
            )
        return energy

    @property
    def per_use(self) -> Quantity:
        """J per use. Raises ConfigError where it is not known."""
        parts = self.stages.get(INFERENCE, ())
        energy = total((stage.energy for stage in parts), "J/use")
        if energy is None:
            raise ConfigError(
                f"it is not known what a use of {self.name} costs",
                hint=f"--stage {self.name}.inference=run:REF/samples, or {self.name}.inference=0.3J",
            )
        return energy

    def energy(self, uses: float) -> Quantity:
        """E(N) in J."""
        return self.fixed + (self.per_use * uses).with_unit("J")

    def stage(self, name: str, uses: float = 1.0) -> Quantity | None:
        """J of a stage, of inference of so many uses; None where it is not known."""
        factor = uses if name == INFERENCE else 1.0
        return total((stage.energy * factor).with_unit("J") for stage in self.stages.get(name, ()))


def with_bases(candidates: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """Each with what it has of its base. Raises ConfigError for a base that is not there, or a circle."""
    done: dict[str, Candidate] = {}

    def complete(name: str, way: tuple[str, ...]) -> Candidate:
        if name in done:
            return done[name]
        candidate = candidates[name]
        if candidate.base is None:
            done[name] = candidate
            return candidate
        if candidate.base not in candidates:
            raise ConfigError(
                f"{name} is made from {candidate.base}, of which nothing is known",
                hint=f"give its stages: --stage {candidate.base}.training=...",
            )
        if candidate.base in way:
            raise ConfigError(f"{' is made from '.join((*way, candidate.base))}: a circle")
        base = complete(candidate.base, (*way, candidate.base))
        stages = dict(candidate.stages)
        for stage in INHERITED:
            theirs = tuple(replace(one, inherited=True) for one in base.stages.get(stage, ()))
            if theirs:
                stages[stage] = (*theirs, *stages.get(stage, ()))
        done[name] = replace(candidate, stages=stages)
        return done[name]

    for name in candidates:
        complete(name, (name,))
    return {name: done[name] for name in candidates}


def stage_dict(stage: Stage) -> dict[str, Any]:
    """Plain data for ``--json``."""
    return {
        "energy_j": stage.energy.as_dict(),
        "unit": stage.energy.unit,
        "origin": stage.origin,
        "measured": stage.measured,
        "inherited": stage.inherited,
    }
