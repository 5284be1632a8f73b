"""Narrower networks under an energy budget: searched with the predictor, trained for a while, and measured again.

The use that THOR (arXiv 2501.16397) has for its predictions. Nothing is trained during the search: a network of other widths
costs what its layers cost. Cut is always the width of which a given share saves most joules, so that what is left of the
network is as wide as the budget lets it be.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from wattmark.errors import ConfigError
from wattmark.predict.base import amount
from wattmark.predict.layers.calls import Cost, Training
from wattmark.predict.layers.device import Device, Network
from wattmark.predict.layers.predictor import LayerPredictor
from wattmark.quantity import Quantity

Widths = tuple[int, ...]
Data = tuple[Tensor, Tensor, Tensor, Tensor]
"""Inputs and classes to train on, inputs and classes to test on."""
CUT = 0.125
"""The share of a width that goes in one step of the search."""
LEAST_WIDTH = 4
FLOOR = 0.25
"""No width goes below this share of what it was while another can be cut: what lets nothing through is no saving."""
_RATE = 2e-3


@dataclass(frozen=True, slots=True)
class Variant:
    """A network of these widths. predicted: joules of a step. measured: joules and seconds of one, None before it is.
    accuracy: of the test data, 0 to 1, after the short training; None without data."""

    widths: Widths
    predicted: Quantity
    measured: Cost | None = None
    accuracy: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data; intervals of 90 %."""
        return {
            "widths": list(self.widths),
            "predicted_j": amount(self.predicted),
            "measured_j": None if self.measured is None else self.measured.joules,
            "measured_s": None if self.measured is None else self.measured.seconds,
            "accuracy": self.accuracy,
        }


@dataclass(frozen=True, slots=True)
class Pruning:
    """The network as it was and as it is under the budget. share: the budget, of the energy of a step."""

    full: Variant
    pruned: Variant
    share: float

    @property
    def predicted_share(self) -> float:
        """What a step of the pruned network costs of one of the full network, as predicted."""
        return self.pruned.predicted.value / self.full.predicted.value

    @property
    def measured_share(self) -> float | None:
        """The same as measured."""
        if self.full.measured is None or self.pruned.measured is None:
            return None
        return self.pruned.measured.joules / self.full.measured.joules

    @property
    def accuracy_lost(self) -> float | None:
        """Accuracy of the full network less that of the pruned one, both trained for as long."""
        if self.full.accuracy is None or self.pruned.accuracy is None:
            return None
        return self.full.accuracy - self.pruned.accuracy

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "budget_share": self.share,
            "full": self.full.as_dict(),
            "pruned": self.pruned.as_dict(),
            "predicted_share": self.predicted_share,
            "measured_share": self.measured_share,
            "accuracy_lost": self.accuracy_lost,
        }


@dataclass(frozen=True, slots=True)
class Family:
    """Networks that differ in their widths. build: the network of these widths. widths: of the full one. shape, dtype: of a
    sample of the input."""

    name: str
    build: Callable[[Widths], nn.Module]
    widths: Widths
    shape: tuple[int, ...]
    batch: int = 64
    optimizer: str = "adam"
    dtype: str | None = None

    def network(self, widths: Widths) -> Network:
        """The network of these widths."""
        words = "-".join(map(str, widths))
        return Network(
            f"{self.name} {words}",
            lambda: self.build(widths),
            self.shape,
            self.batch,
            self.dtype,
            self.optimizer,
        )

    def training(self, widths: Widths) -> Training:
        """A step of it."""
        return self.network(widths).training()


def search(family: Family, predictor: LayerPredictor, share: float) -> Widths:
    """The widths whose predicted step costs no more than ``share`` of the full network's.

    Raises ConfigError for a share that is none, and where the narrowest network costs more.
    """
    if not 0 < share < 1:
        raise ConfigError(f"a budget is a share between 0 and 1 of the network's energy, not {share:g}")
    if not family.widths:
        raise ConfigError(f"{family.name} has no widths to search")
    widths = family.widths
    cost = predictor.step(family.training(widths)).joules
    limit = share * cost
    while cost > limit:
        best = _best_cut(family, predictor, widths, cost, FLOOR) or _best_cut(
            family, predictor, widths, cost, 0.0
        )
        if best is None:
            raise ConfigError(
                f"the narrowest {family.name} costs {cost / (limit / share):.0%} of the full one, more than {share:.0%}",
                hint="take a shallower network, or a larger budget",
            )
        widths, cost = best
    return widths


def _best_cut(
    family: Family, predictor: LayerPredictor, widths: Widths, cost: float, floor: float
) -> tuple[Widths, float] | None:
    """The widths after the cut that saves most joules for its share, and what they cost; None where nothing can be cut."""
    best: tuple[float, Widths, float] | None = None
    for place, (width, full) in enumerate(zip(widths, family.widths, strict=True)):
        least = max(LEAST_WIDTH, math.ceil(floor * full))
        less = max(least, min(width - 1, math.floor(width * (1 - CUT))))
        if less >= width:
            continue
        narrower = (*widths[:place], less, *widths[place + 1 :])
        joules = predictor.step(family.training(narrower)).joules
        gain = (cost - joules) / math.log(width / less)
        if best is None or gain > best[0]:
            best = gain, narrower, joules
    return None if best is None else best[1:]


def prune(
    family: Family,
    predictor: LayerPredictor,
    device: Device,
    *,
    share: float = 0.5,
    data: Data | None = None,
    epochs: int = 3,
    seed: int = 0,
) -> Pruning:
    """Search, train the full and the pruned network for ``epochs`` (where there are data), and measure a step of both."""
    chosen = search(family, predictor, share)
    variants: list[Variant] = []
    samples: list[Any] = []
    for widths in (family.widths, chosen):
        training = family.training(widths)
        accuracy = (
            None if data is None else trained_accuracy(family.build, widths, data, family.batch, epochs, seed)
        )
        samples.append(device.whole(family.network(widths), training))
        variants.append(Variant(widths, predictor.predict(training).energy, None, accuracy))
    _, measured = device.finished([], samples)
    full, pruned = (
        Variant(variant.widths, variant.predicted, sample.cost, variant.accuracy)
        for variant, sample in zip(variants, measured, strict=True)
    )
    return Pruning(full, pruned, share)


def trained_accuracy(
    build: Callable[[Widths], nn.Module], widths: Widths, data: Data, batch: int, epochs: int, seed: int = 0
) -> float:
    """The share of test samples that the network tells right after so many epochs with Adam, from new weights."""
    inputs, classes, tests, answers = data
    torch.default_generator.manual_seed(seed)
    network = build(widths).train()
    updates = _adam(network)
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        for first in range(0, len(inputs), batch):
            rows = order[first : first + batch]
            if len(rows) < 2:  # a batch norm needs two
                continue
            updates.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(network(inputs[rows]), classes[rows]))
            updates.step()
    network.eval()
    with torch.no_grad():
        return float((network(tests).argmax(1) == answers).float().mean())


def _adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=_RATE)
