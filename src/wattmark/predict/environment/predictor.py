"""Power and energy of trainings from the network and the machine: M1 and M2 of arXiv 2307.05520, with intervals.

M1 regresses the mean power, as a share of what the board may draw; M2 the energy of an image. Where a training of the same
network on the same machine was measured, its mean is the answer; elsewhere the regression is. The interval is conformal from
what was left out when the answer was tried, and that is what is new to the user: a repeat, a network, a machine, or both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict import conformal
from wattmark.predict.base import Prediction
from wattmark.predict.environment.features import (
    FAMILIES_OF_NEW,
    NAMES,
    OF_NEW,
    Target,
    features,
    ranges,
)
from wattmark.predict.environment.regression import FAMILIES, search
from wattmark.predict.environment.subject import Environment, TrainingRun
from wattmark.statistics import Float64

METHOD = "M1 and M2: environment and architecture"
New = Literal["repeat", "network", "machine", "both"]
_PER_FACTOR = 0.3
"""For each factor e beyond the range of a feature, and _LONE for a single group: added to the half width; judgement."""
_LONE = 0.7


@dataclass(frozen=True, slots=True)
class Model:
    """A regression of one target. means: by cell (network, machine), what was measured there. family: of the pipeline.
    names: the features that it sees."""

    target: Target
    family: str
    names: tuple[str, ...]
    pipeline: Any
    means: Mapping[tuple[Hashable, ...], float]

    @classmethod
    def fit(
        cls,
        target: Target,
        runs: Sequence[TrainingRun],
        left_out: Callable[[TrainingRun], Hashable] | None,
        families: Sequence[str] | None = None,
        names: tuple[str, ...] | None = None,
    ) -> Model:
        """left_out: the groups of the search's cross-validation, whose new members it is for; None draws folds of
        single runs, and it is for repeats."""
        names = names or (NAMES if left_out is None else OF_NEW[target])
        families = families or (FAMILIES if left_out is None else FAMILIES_OF_NEW[target])
        means = {
            key: float(np.mean([scaled(target, one) for one in some])) for key, some in _by_cell(runs).items()
        }
        if left_out is None:
            rows, y = list(runs), np.array([scaled(target, one) for one in runs])
        else:  # all runs of a cell have the same features: their mean says as much
            rows = [some[0] for some in _by_cell(runs).values()]
            y = np.array(list(means.values()))
        x = np.array([features(one.subject, names) for one in rows])
        groups = None if left_out is None else [left_out(one) for one in rows]
        family, pipeline = search(x, y, groups, families)
        return cls(target, family, names, pipeline, means)

    def predict(self, subject: Environment, *, known: bool = True) -> float:
        """The target: watts, or joules of an epoch. known: whether a measured mean may be the answer."""
        mean = self.means.get(cell(subject)) if known else None
        if mean is None:
            mean = float(self.pipeline.predict(np.array([features(subject, self.names)]))[0])
        return unscaled(self.target, mean, subject)


def scaled(target: Target, run: TrainingRun) -> float:
    """The logarithm of power over the board's, or of an image's joules."""
    if target == "power":
        return math.log(run.power_w / run.subject.tdp_w)
    return math.log(run.epoch_j / run.subject.images)


def unscaled(target: Target, value: float, subject: Environment) -> float:
    """Back to watts or joules of an epoch."""
    return math.exp(value) * (subject.tdp_w if target == "power" else subject.images)


def truth(target: Target, run: TrainingRun) -> float:
    """What was measured."""
    return run.power_w if target == "power" else run.epoch_j


def cell(subject: Environment) -> tuple[Hashable, ...]:
    """What is one configuration: the network at this size of image, the machine, the batch."""
    return subject.network.name, subject.network.image, subject.gpu.id, subject.batch


def network_of(run: TrainingRun) -> Hashable:
    """The group of a run by its network."""
    return run.subject.network.name


def machine_of(run: TrainingRun) -> Hashable:
    """The group of a run by its machine."""
    return run.subject.gpu.id


def errors_left_out(
    target: Target,
    runs: Sequence[TrainingRun],
    group: Callable[[TrainingRun], Hashable],
    families: Sequence[str] | None = None,
    names: tuple[str, ...] | None = None,
) -> Float64:
    """log(predicted / measured), (n,), each run by a fit that did not see its group."""
    errors = np.empty(len(runs))
    groups = [group(run) for run in runs]
    for name in dict.fromkeys(groups):
        rest = [run for run, other in zip(runs, groups, strict=True) if other != name]
        model = Model.fit(target, rest, group, families, names)
        for place, (run, other) in enumerate(zip(runs, groups, strict=True)):
            if other == name:
                errors[place] = math.log(model.predict(run.subject) / truth(target, run))
    return errors


@dataclass(frozen=True, slots=True)
class EnvironmentPredictor:
    """power, energy: M1 and M2. widths: half widths (90 %) of the logarithms of power, energy and time, by what is new."""

    power: Model
    energy: Model
    widths: Mapping[New, tuple[float, float, float]]
    ranges: Mapping[str, tuple[float, float]]
    networks: tuple[str, ...]
    machines: tuple[str, ...]
    basis: str

    @classmethod
    def fit(
        cls, observations: Sequence[TrainingRun], basis: str = "own measurements"
    ) -> EnvironmentPredictor:
        """Both regressions. Raises ConfigError below two networks on two machines, and for figures that are no positive
        numbers; MissingExtra without scikit-learn."""
        for run in observations:
            for value in (run.power_w, run.epoch_j, run.epoch_s):
                if not 0 < value < math.inf:
                    raise ConfigError("watts, joules and seconds must be numbers above zero")
        networks, machines = _names(network_of, observations), _names(machine_of, observations)
        if len(networks) < 2 or len(machines) < 2:
            raise ConfigError(
                "a fit needs two networks and two machines at least", hint="measure trainings of others"
            )
        new: dict[New, tuple[float, float, float]] = {"repeat": _repeat_widths(observations)}
        new["network"] = _widths(observations, network_of)
        new["machine"] = _widths(observations, machine_of)
        power, energy, time = (math.hypot(*pair) for pair in zip(new["network"], new["machine"], strict=True))
        new["both"] = power, energy, time
        seen = [ranges(run.subject) for run in observations]
        return cls(
            Model.fit("power", observations, network_of),
            Model.fit("energy", observations, network_of),
            new,
            {name: (min(one[name] for one in seen), max(one[name] for one in seen)) for name in seen[0]},
            networks,
            machines,
            f"{basis}: {len(observations)} trainings, {len(networks)} networks, {len(machines)} GPUs",
        )

    def predict(self, subject: Environment) -> Prediction:
        """All epochs, the GPU only."""
        watts = min(self.power.predict(subject), subject.tdp_w)
        joules = self.energy.predict(subject) * subject.epochs
        outside, extra = self._outside(subject)
        power, energy, time = (math.hypot(width, extra) for width in self.widths[self.new(subject)])
        name = f"environment/{subject.network.name}"
        return Prediction(
            str(subject),
            conformal.spread_by(joules, energy, f"{name}/energy", unit="J", source=METHOD),
            conformal.spread_by(joules / watts, time, f"{name}/time", unit="s", source=METHOD),
            conformal.spread_by(watts, power, f"{name}/power", unit="W", source=METHOD, at_most=max(watts, subject.tdp_w)),
            METHOD,
            self.basis,
            outside,
            {"epochs": joules},
        )  # fmt: skip

    def new(self, subject: Environment) -> New:
        """What of the subject was not seen."""
        if cell(subject) in self.energy.means:
            return "repeat"
        network, machine = subject.network.name in self.networks, subject.gpu.id in self.machines
        if not network and not machine:
            return "both"
        return "machine" if network and not machine else "network"

    def _outside(self, subject: Environment) -> tuple[tuple[str, ...], float]:
        new = self.new(subject)
        reasons: list[str] = []
        if new in ("network", "both") and subject.network.name not in self.networks:
            reasons.append(f"{subject.network.name} was not measured ({', '.join(self.networks)} were)")
        if new in ("machine", "both"):
            reasons.append(f"{subject.gpu.id} was not measured ({', '.join(self.machines)} were)")
        squares = 0.0
        for name, value in ranges(subject).items():
            low, high = self.ranges[name]
            beyond = max(math.log(low / value), math.log(value / high), 0.0)
            if beyond > 0.05:
                reasons.append(f"{name} {value:.4g} is outside of {low:.4g} to {high:.4g}")
                squares += (_PER_FACTOR * beyond) ** 2
        return tuple(reasons), math.sqrt(squares)


def _names(group: Callable[[TrainingRun], Hashable], runs: Sequence[TrainingRun]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(group(run)) for run in runs))


def _by_cell(runs: Sequence[TrainingRun]) -> dict[tuple[Hashable, ...], list[TrainingRun]]:
    found: dict[tuple[Hashable, ...], list[TrainingRun]] = {}
    for run in runs:
        found.setdefault(cell(run.subject), []).append(run)
    return found


def _repeat_widths(runs: Sequence[TrainingRun]) -> tuple[float, float, float]:
    """Of a training like one that was measured: each run beside the mean of the others of its cell."""
    rows: list[tuple[float, float, float]] = []
    groups: list[Hashable] = []
    for place, (_, some) in enumerate(_by_cell(runs).items()):
        for run in some if len(some) > 1 else ():
            rest = [other for other in some if other is not run]
            power, energy, seconds = (
                math.log(pick(run)) - float(np.mean([math.log(pick(other)) for other in rest]))
                for pick in (_power, _energy, _seconds)
            )
            rows.append((power, energy, seconds))
            groups.append((place, run.row))
    if len(rows) < 2:
        return _LONE, _LONE, _LONE
    table = np.array(rows)
    power, energy, seconds = (conformal.width(column, groups) for column in table.T)
    return power, energy, seconds


def _widths(
    runs: Sequence[TrainingRun], group: Callable[[TrainingRun], Hashable]
) -> tuple[float, float, float]:
    names = [group(run) for run in runs]
    power, energy = (errors_left_out(target, runs, group) for target in ("power", "energy"))
    seconds = np.array([math.log(run.epoch_j / run.power_w / run.epoch_s) for run in runs])
    widths = [conformal.width(errors, names) for errors in (power, energy, energy - power + seconds)]
    return widths[0], widths[1], widths[2]


def _power(run: TrainingRun) -> float:
    return run.power_w


def _energy(run: TrainingRun) -> float:
    return run.epoch_j


def _seconds(run: TrainingRun) -> float:
    return run.epoch_s
