"""Which shapes are measured: first a few of each kind, then always the one that is least known, until all are known or the
budget is spent; at the end whole networks, which say how far sums of layers are off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict.layers.calls import Call, Sample, WholeSample
from wattmark.predict.layers.device import Device, Network
from wattmark.predict.layers.kinds import KINDS, Kind
from wattmark.predict.layers.predictor import keys
from wattmark.predict.layers.process import Process

CERTAIN = 0.05
"""A kind is known when no shape's deviation is above this share of its value (which is less than of the range)."""
WHOLE_SHARE = 0.25
"""The share of the budget that is kept for whole networks and chains."""
FIRST = 8
"""Shapes of a kind to begin with, for each of its sizes and one more: a process of fewer is too sure of itself."""
_CANDIDATES = 48
MOST = 40
"""Shapes of a kind at most, for each of its sizes and one more."""
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Budget:
    """seconds: of measuring. joules: of measuring; both may be given, the first that is spent ends it."""

    seconds: float = 300.0
    joules: float = math.inf

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and self.joules > 0):
            raise ConfigError("a budget is above zero", hint="for example --budget 5min, or --budget 5kJ")


@dataclass(frozen=True, slots=True)
class Chain:
    """Three-layer variants: what two layers cost together, and the sum of what each alone costs."""

    kinds: tuple[str, ...]
    together_s: float
    sum_s: float


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured on a device. unsure: by kind, the largest deviation that is left. seconds: that it took."""

    device: str
    layers: tuple[Sample, ...]
    wholes: tuple[WholeSample, ...]
    chains: tuple[Chain, ...] = ()
    unsure: dict[str, float] = field(default_factory=dict[str, float])
    seconds: float = 0.0

    @property
    def additivity(self) -> float | None:
        """Mean relative difference of chains from the sum of their layers; None without chains."""
        if not self.chains:
            return None
        return float(np.mean([abs(one.together_s / one.sum_s - 1) for one in self.chains]))


def profile(
    device: Device,
    networks: Sequence[Network],
    budget: Budget | None = None,
    *,
    kinds: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Profile:
    """Measure layers and ``networks`` on the device within the budget. kinds: by default all."""
    budget = budget or Budget()
    search = _Search(device, budget, [KINDS[name] for name in kinds or KINDS], np.random.default_rng(seed))
    tell = progress or _silent
    search.first(tell)
    search.least_known(tell, 1 - WHOLE_SHARE)
    chains = _chains(device, search.rng)
    wholes: list[WholeSample] = []
    for network in networks:
        if search.spent() >= 1.0 and wholes:
            break
        tell(f"network {network.name}", search.spent())
        wholes.append(device.whole(network, network.training()))
    seconds = device.spent().seconds
    layers, wholes = device.finished(search.samples, wholes)
    return Profile(device.name, tuple(layers), tuple(wholes), chains, search.deviations(), seconds)


class _Search:
    """The state of a profile that goes on."""

    def __init__(
        self, device: Device, budget: Budget, kinds: Sequence[Kind], rng: np.random.Generator
    ) -> None:
        self.rng = rng
        self.samples: list[Sample] = []
        self._device, self._budget, self._kinds = device, budget, kinds
        self._of: dict[str, list[Sample]] = {kind.name: [] for kind in kinds}
        self._fits: dict[str, dict[str, Process]] = {}
        self._best: dict[str, tuple[float, Call]] = {}

    def spent(self) -> float:
        """The share of the budget."""
        spent = self._device.spent()
        return max(spent.seconds / self._budget.seconds, spent.joules / self._budget.joules)

    def deviations(self) -> dict[str, float]:
        """By kind, the largest that was seen when it was looked at last."""
        return {name: best[0] for name, best in self._best.items()}

    def first(self, tell: Progress) -> None:
        """A few shapes of each kind, evenly."""
        for kind in self._kinds:
            tell(f"first shapes: {kind.name}", self.spent())
            free = _free(kind)
            for place in range(FIRST * (free + 1)):
                self._measure(self._draw(kind, place))
        for kind in self._kinds:
            self._look(kind)

    def least_known(self, tell: Progress, share: float) -> None:
        """Always the shape of the largest deviation, the kinds in turn by it."""
        while self._best and self.spent() < share:
            name = max(self._best, key=lambda one: self._priority(one))
            deviation, call = self._best[name]
            if self._priority(name) <= CERTAIN:
                break
            tell(f"{name}, {100 * deviation:.0f} % unsure", self.spent())
            self._measure(call)
            self._look(KINDS[name])

    def _priority(self, name: str) -> float:
        return self._best[name][0] if len(self._of[name]) < MOST * (_free(KINDS[name]) + 1) else 0.0

    def _measure(self, call: Call) -> None:
        sample = self._device.layer(call)
        self.samples.append(sample)
        self._of[call.kind].append(sample)

    def _draw(self, kind: Kind, place: int) -> Call:
        roles = kind.roles
        return Call(kind.name, kind.draw(self.rng), gradient=roles[0] if place % 3 else roles[-1])

    def _look(self, kind: Kind) -> None:
        """Find the shape of this kind that is least known."""
        if not _free(kind):
            return
        samples = self._of[kind.name]
        fits = self._fits.setdefault(kind.name, {})
        renew = (len(samples) & (len(samples) - 1)) == 0 or not fits
        candidates = [self._draw(kind, int(self.rng.integers(3))) for _ in range(_CANDIDATES)]
        worst = np.zeros(len(candidates))
        for phase in kind.phases:
            rows = [
                one
                for one in samples
                if phase in one.costs and any(key[1] == phase for key in keys(one.call))
            ]
            for role in {key[2] for one in rows for key in keys(one.call) if key[1] == phase}:
                some = [one for one in rows if (kind.name, phase, role) in keys(one.call)]
                name = f"{phase} {role}"
                old = fits.get(name)
                fits[name] = Process.fit(
                    kind,
                    [one.call.sizes for one in some],
                    [one.costs[phase].seconds for one in some],
                    [one.error for one in some],
                    None if renew or old is None else old.hyperparameters,
                )
                _, deviation = fits[name].predict([one.sizes for one in candidates])
                fitting = np.array([(kind.name, phase, role) in keys(one) for one in candidates])
                worst = np.maximum(worst, np.where(fitting, deviation, 0.0))
        place = int(np.argmax(worst))
        self._best[kind.name] = float(worst[place]), candidates[place]


def _free(kind: Kind) -> int:
    """How many of its sizes vary."""
    return sum(size.high > size.low for size in kind.sizes)


def _chains(device: Device, rng: np.random.Generator) -> tuple[Chain, ...]:
    """Pairs of layers that follow one another in most networks, at a few shapes."""
    found: list[Chain] = []
    for _ in range(4):
        rows, width = float(2 ** rng.integers(4, 9)), float(2 ** rng.integers(5, 10))
        inputs = float(2 ** rng.integers(5, 10))
        batch, channels, side = float(2 ** rng.integers(2, 6)), float(2 ** rng.integers(3, 7)), 16.0
        for calls in (
            (Call("linear", (rows, inputs, width, 2.0)), Call("gelu", (rows * width,))),
            (
                Call("conv", (batch, channels, channels, 1.0, side, 3.0, 1.0, 1.0)),
                Call("relu", (batch * channels * side**2,)),
            ),
        ):
            together = device.chain(calls)
            alone = [device.layer(call) for call in calls]
            found.append(
                Chain(tuple(call.kind for call in calls), _seconds(together), sum(map(_seconds, alone)))
            )
    return tuple(found)


def _seconds(sample: Sample) -> float:
    return sum(cost.seconds for cost in sample.costs.values())


def _silent(_: str, __: float) -> None:
    pass
