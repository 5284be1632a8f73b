"""A device that computes nothing: what each layer costs on it is known, so a prediction can be held against the truth.

It has what makes real devices hard to predict: a launch costs something however small the work is; widths are padded to
whole tiles; work that fills the device badly is slow; what does not fit into a cache is read at the speed of the next one,
at more joules a byte; and every measurement has noise, always the same for the same seed. Inside a network a part of each
launch is hidden behind the work before it, so that sums of layers are not quite the whole.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from wattmark.predict.layers.calls import OPTIMIZERS, Call, Cost, Sample, Training, WholeSample
from wattmark.predict.layers.device import Network
from wattmark.predict.layers.kinds import KINDS

_CACHES = ((512e3, 4e11, 4e-12), (6e6, 2e11, 9e-12), (math.inf, 5e10, 3e-11))
"""Up to so many bytes, bytes per second, joules per byte."""


@dataclass(slots=True)
class SimulatedDevice:
    """launch_s, launch_j: of a kernel. peak: operations per second. flop_j: joules of one. idle_w: while it works. fill:
    operations at which it works at half its peak. tile: to whose multiples widths are padded. noise: relative, of one
    measurement. hidden: the share of a launch that is not seen inside a network. repeats: of one measurement."""

    launch_s: float = 6e-6
    launch_j: float = 4e-5
    peak: float = 4e12
    flop_j: float = 1.2e-11
    idle_w: float = 18.0
    fill: float = 2e6
    tile: int = 48
    noise: float = 0.02
    hidden: float = 0.15
    repeats: int = 10
    seed: int = 0
    name: str = "simulated"
    _spent: list[Cost] = field(default_factory=list[Cost])

    def truth(self, call: Call) -> dict[str, Cost]:
        """What a call costs, by phase, alone and without noise."""
        return {phase: self._cost(call, phase, self.launch_s, self.launch_j) for phase in _phases(call)}

    def step(self, training: Training) -> Cost:
        """What a step of a network costs without noise."""
        seen = 1 - self.hidden
        parts = [
            self._cost(call, phase, seen * self.launch_s, seen * self.launch_j)
            for call in training.calls()
            for phase in _phases(call)
        ]
        return sum(parts, Cost())

    def spent(self) -> Cost:
        """See :class:`wattmark.predict.layers.device.Device`: simulated seconds and joules."""
        return sum(self._spent, Cost())

    def layer(self, call: Call) -> Sample:
        """The truth with noise."""
        costs = {phase: self._noisy(cost, f"{call} {phase}") for phase, cost in self.truth(call).items()}
        return Sample(call, costs, self.noise)

    def chain(self, calls: Sequence[Call]) -> Sample:
        """Layers one after another, with noise; the launches are those of a network."""
        seen = 1 - self.hidden
        whole = sum(
            (
                self._cost(call, phase, seen * self.launch_s, seen * self.launch_j)
                for call in calls
                for phase in _phases(call)
            ),
            Cost(),
        )
        return Sample(calls[0], {"forward": self._noisy(whole, f"chain {calls}")}, self.noise)

    def whole(self, network: Network, training: Training) -> WholeSample:
        """A step of the network with noise."""
        return WholeSample(training, self._noisy(self.step(training), training.trace.name), self.noise)

    def finished(
        self, layers: Sequence[Sample], wholes: Sequence[WholeSample]
    ) -> tuple[list[Sample], list[WholeSample]]:
        """Nothing is left to be known."""
        return list(layers), list(wholes)

    def _cost(self, call: Call, phase: str, launch_s: float, launch_j: float) -> Cost:
        if call.kind in ("view", "module"):
            return Cost(0.2 * launch_j, 0.2 * launch_s)
        if call.kind.endswith("_step"):
            return Cost(2 * launch_j, 2 * launch_s)
        work = KINDS[call.kind].work_of(call.sizes)
        times = 1.0 if phase == "forward" or not call.gradient or not work.weights else 2.0
        if call.kind in OPTIMIZERS:
            times = 1.0 if call.kind == "sgd" else 2.5
        width = max(call.sizes[1:3], default=1.0) if len(call.sizes) > 2 else 1.0
        pads = self.tile * math.ceil(width / self.tile) / width if width > 1 else 1.0
        flops = times * work.flops * (pads if width > self.tile / 2 else 1.0)
        moved = times * (work.activations + work.weights)
        speed, joules = next((speed, joules) for most, speed, joules in _CACHES if moved <= most)
        busy_s = max(flops / self.peak * (1 + self.fill / max(flops, 1.0)) if flops else 0.0, moved / speed)
        seconds = launch_s + busy_s
        return Cost(launch_j + flops * self.flop_j + moved * joules + self.idle_w * seconds, seconds)

    def _noisy(self, cost: Cost, what: str) -> Cost:
        """One error for time and one for power."""
        rng = np.random.default_rng((self.seed, zlib.crc32(what.encode())))
        slower, hungrier = np.exp(self.noise * rng.standard_normal(2))
        noisy = Cost(cost.joules * slower * hungrier, cost.seconds * slower)
        self._spent.append(Cost(noisy.joules * self.repeats, noisy.seconds * self.repeats + 0.02))
        return noisy


def _phases(call: Call) -> list[str]:
    kind = KINDS[call.kind]
    idle = not call.gradient and len(kind.roles) == 1 and kind.roles != (False,) and not kind.trains
    return [phase for phase in kind.phases if not (phase == "backward" and idle)]
