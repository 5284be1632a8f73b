"""The energy of a training as the sum of what its layers cost, with an interval from whole networks that were measured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict import conformal
from wattmark.predict.base import Prediction
from wattmark.predict.layers.calls import PHASES, Call, Cost, LayerCost, Sample, Training, WholeSample
from wattmark.predict.layers.kinds import KINDS
from wattmark.predict.layers.process import Process
from wattmark.predict.llm.predictor import factors
from wattmark.statistics import Float64

METHOD = "sum of layers"
FEWEST_NETWORKS = 5
_UNKNOWN, _BEYOND, _UNMEASURED = 0.7, 0.3, 1.0
"""What a share of one of unknown functions, of sizes beyond the profiled ones, or of kinds without a profile adds to the
half width of the logarithm: judgement, not data."""
_SAME = 1e-6
_CORRECTIONS = (0.5, 3.0)
"""No sum of layers is taken to be further off than that."""

Key = tuple[str, str, bool]
"""Kind, phase, and whether a gradient of the input is computed in it."""


@dataclass(frozen=True, slots=True)
class Surface:
    """Joules and seconds of a phase of a kind. watts: where joules are seconds times it, and no process of their own."""

    seconds: Process
    joules: Process | None
    watts: float

    def at(self, shapes: Sequence[tuple[float, ...]]) -> tuple[Float64, Float64]:
        """Joules and seconds, (n,) each."""
        seconds, _ = self.seconds.predict(shapes)
        return seconds * self.watts if self.joules is None else self.joules.predict(shapes)[0], seconds

    @property
    def launch(self) -> Cost:
        """What a call of no size at all costs."""
        seconds = self.seconds.launch
        return Cost(seconds * self.watts if self.joules is None else self.joules.launch, seconds)


@dataclass(frozen=True, slots=True)
class LayerPredictor:
    """surfaces: by kind, phase and role. correction: for joules and for seconds, of whole networks over the sums of their
    layers, a factor of launches and one of all else. widths: half widths (90 %) of the logarithms of joules, seconds and
    watts."""

    surfaces: Mapping[Key, Surface]
    correction: tuple[tuple[float, float], tuple[float, float]]
    widths: tuple[float, float, float]
    basis: str

    @classmethod
    def fit(cls, observations: Sequence[Sample | WholeSample], basis: str = "this machine") -> LayerPredictor:
        """From layers, one by one, and whole networks, of which there must be five for an interval.

        Raises ConfigError for fewer, for no layers, and for costs that are no positive numbers; MissingExtra without
        scikit-learn.
        """
        layers = [one for one in observations if isinstance(one, Sample)]
        wholes = [one for one in observations if isinstance(one, WholeSample)]
        if not layers:
            raise ConfigError("no layer was measured", hint="wattmark predict layers fit")
        for one in layers:
            for cost in one.costs.values():
                if not (_is_cost(cost.joules) and _is_cost(cost.seconds)):
                    raise ConfigError(f"joules and seconds of {one.call.kind} must be numbers from zero on")
        for whole in wholes:
            if not (0 < whole.cost.joules < math.inf and 0 < whole.cost.seconds < math.inf):
                raise ConfigError(f"joules and seconds of {whole.training.trace.name} must be above zero")
        if len({whole.training.trace.name for whole in wholes}) < FEWEST_NETWORKS:
            raise ConfigError(
                f"an interval needs {FEWEST_NETWORKS} whole networks that were measured",
                hint="profile for longer: wattmark predict layers fit --budget 5min",
            )
        surfaces = fit_surfaces(layers)
        parts = [_parts(surfaces, one.training) for one in wholes]
        truth = np.array([_pair(one.cost) for one in wholes])
        names = [one.training.trace.name for one in wholes]
        corrections: list[tuple[float, float]] = []
        errors: list[Float64] = []
        for target in range(2):
            table = np.array([part[target] for part in parts])
            corrections.append(_corrected(table, truth[:, target]))
            errors.append(_left_out(table, truth[:, target], names))
        widths = [conformal.width(column, names) for column in (*errors, errors[0] - errors[1])]
        energy, seconds, watts = (max(width, 1e-3) for width in widths)
        text = f"{basis}: {len(layers)} layers, {len(wholes)} networks"
        return cls(surfaces, (corrections[0], corrections[1]), (energy, seconds, watts), text)

    def predict(self, subject: Training) -> Prediction:
        """All steps of the training."""
        rows = self.layers(subject)
        step = sum((row.total for row in rows), Cost())
        outside, extra = self._outside(subject)
        energy, seconds, watts = (math.hypot(width, extra) for width in self.widths)
        name = f"layers/{subject.trace.name}"
        joules = step.joules * subject.steps
        return Prediction(
            str(subject),
            conformal.spread_by(joules, energy, f"{name}/energy", unit="J", source=METHOD),
            conformal.spread_by(
                step.seconds * subject.steps, seconds, f"{name}/time", unit="s", source=METHOD
            ),
            conformal.spread_by(step.joules / step.seconds, watts, f"{name}/power", unit="W", source=METHOD),
            METHOD,
            self.basis,
            outside,
            _terms(rows, subject.steps),
        )

    def step(self, subject: Training) -> Cost:
        """One step, before the interval."""
        return sum((row.total for row in self.layers(subject)), Cost())

    def layers(self, subject: Training) -> list[LayerCost]:
        """One step by layer, in the order of the forward pass, and then what belongs to no layer."""
        return [
            LayerCost(layer, tuple(dict.fromkeys(functions)), phases)
            for layer, (functions, phases) in self._costs(subject).items()
        ]

    def _costs(self, subject: Training) -> dict[str, tuple[list[str], dict[str, Cost]]]:
        by_key: dict[Key, list[Call]] = {}
        rows: dict[str, tuple[list[str], dict[str, Cost]]] = {}
        for call in subject.calls():
            functions, _ = rows.setdefault(call.layer, ([], {}))
            functions.append(call.function)
            for key in keys(call):
                by_key.setdefault(key, []).append(call)
        for key, calls in by_key.items():
            surface = self.surfaces.get(key) or self.surfaces.get((key[0], key[1], not key[2]))
            if surface is None:
                continue  # it is said in ``outside``
            joules, seconds = surface.at([call.sizes for call in calls])
            launch = surface.launch
            for call, energy, time in zip(calls, joules, seconds, strict=True):
                phases = rows[call.layer][1]
                more = Cost(
                    _whole(float(energy), launch.joules, self.correction[0]),
                    _whole(float(time), launch.seconds, self.correction[1]),
                )
                phases[key[1]] = phases.get(key[1], Cost()) + more
        return {
            layer: (functions, {phase: phases[phase] for phase in PHASES if phase in phases})
            for layer, (functions, phases) in rows.items()
        }

    def _outside(self, subject: Training) -> tuple[tuple[str, ...], float]:
        """Why the training is outside of what was seen, and what it adds to the half width."""
        reasons: dict[str, float] = {}
        calls = subject.calls()
        known = [call for call in calls if (call.kind, KINDS[call.kind].phases[0], call.gradient) in self.surfaces
                 or (call.kind, KINDS[call.kind].phases[0], not call.gradient) in self.surfaces]  # fmt: skip
        total = 0.0
        shares: list[tuple[Call, float]] = []
        for call in known:
            cost = self._seconds(call)
            total += cost
            shares.append((call, cost))
        for call in calls:
            if call not in known:
                reasons[f"{call.kind} was not profiled"] = _UNMEASURED
        if subject.trace.dtype != "float32":
            reasons[f"{subject.trace.dtype} was not profiled, float32 was"] = _UNMEASURED
        for call, cost in shares:
            share = cost / max(total, 1e-300)
            beyond = KINDS[call.kind].beyond(call.sizes)
            if call.treated:
                text = f"{call.function}: {call.treated}"
                reasons[text] = reasons.get(text, 0.0) + _UNKNOWN * share
            if beyond:
                reasons[beyond] = reasons.get(beyond, 0.0) + _BEYOND * share
        return tuple(reasons), sum(reasons.values())

    def _seconds(self, call: Call) -> float:
        total = 0.0
        for key in keys(call):
            surface = self.surfaces.get(key) or self.surfaces.get((key[0], key[1], not key[2]))
            if surface is not None:
                total += float(surface.at([call.sizes])[1][0])
        return total


def fit_surfaces(layers: Sequence[Sample]) -> dict[Key, Surface]:
    """A surface for each kind, phase and role that was measured."""
    rows: dict[Key, list[tuple[tuple[float, ...], Cost, float]]] = {}
    for one in layers:
        for key in keys(one.call):
            cost = one.costs.get(key[1])
            if cost is not None:
                rows.setdefault(key, []).append((one.call.sizes, cost, one.error))
    return {key: _surface(key[0], some) for key, some in rows.items()}


def _surface(name: str, rows: Sequence[tuple[tuple[float, ...], Cost, float]]) -> Surface:
    kind = KINDS[name]
    shapes, errors = [row[0] for row in rows], [row[2] for row in rows]
    seconds = Process.fit(kind, shapes, [row[1].seconds for row in rows], errors)
    watts = np.array([row[1].joules / row[1].seconds if row[1].seconds > 0 else np.nan for row in rows])
    mean = float(np.nanmean(watts)) if np.isfinite(watts).any() else 0.0
    if np.nanmax(np.abs(watts - mean), initial=0.0) <= _SAME * mean:
        return Surface(seconds, None, mean)
    return Surface(seconds, Process.fit(kind, shapes, [row[1].joules for row in rows], errors), mean)


def keys(call: Call) -> list[Key]:
    """The surfaces that a call is on. Forward the gradient does not matter; without one, layers that have nothing to train
    do nothing backward."""
    kind = KINDS[call.kind]
    found: list[Key] = []
    for phase in kind.phases:
        if phase != "backward":
            found.append((call.kind, phase, True))
        elif call.gradient or len(kind.roles) > 1 or kind.roles == (False,) or kind.trains:
            found.append((call.kind, phase, call.gradient if len(kind.roles) > 1 else True))
    return found


def _terms(rows: Sequence[LayerCost], steps: int) -> dict[str, float]:
    return {row.layer or "whole network": row.total.joules * steps for row in rows if row.phases}


def _parts(surfaces: Mapping[Key, Surface], training: Training) -> Float64:
    """(2, 2): of joules and of seconds, the sum of launches and the sum of all else."""
    found = np.zeros((2, 2))
    by_key: dict[Key, list[tuple[float, ...]]] = {}
    for call in training.calls():
        for key in keys(call):
            by_key.setdefault(key, []).append(call.sizes)
    for key, shapes in by_key.items():
        surface = surfaces.get(key) or surfaces.get((key[0], key[1], not key[2]))
        if surface is not None:
            for target, (costs, launch) in enumerate(
                zip(surface.at(shapes), _pair(surface.launch), strict=True)
            ):
                launches = np.minimum(costs, launch).sum()
                found[target] += launches, costs.sum() - launches
    return found


def _whole(cost: float, launch: float, correction: tuple[float, float]) -> float:
    """A cost inside a network: its launch and the rest, corrected."""
    launched = min(cost, launch)
    return launched * correction[0] + (cost - launched) * correction[1]


def _corrected(parts: Float64, truth: Float64) -> tuple[float, float]:
    """The factors of launches and of all else that make ``parts`` (n, 2) the truth (n,), relative to it; near one."""
    launch, rest = factors(parts, truth)
    low, high = _CORRECTIONS
    return min(max(float(launch), low), high), min(max(float(rest), low), high)


def _left_out(parts: Float64, truth: Float64, names: Sequence[str]) -> Float64:
    """log(predicted / measured), (n,), each network corrected by the others."""
    errors = np.empty(len(truth))
    place = np.array(names)
    for name in dict.fromkeys(names):
        rest = place != name
        errors[~rest] = np.log(parts[~rest] @ np.array(_corrected(parts[rest], truth[rest])) / truth[~rest])
    return errors


def _pair(cost: Cost) -> tuple[float, float]:
    return cost.joules, cost.seconds


def _is_cost(value: float) -> bool:
    return 0 <= value < math.inf
