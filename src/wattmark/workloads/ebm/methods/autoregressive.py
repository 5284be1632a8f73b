"""A density that is made bit by bit and learnt by its own likelihood: no sampling while learning."""

from __future__ import annotations

import torch
from torch import Tensor

from wattmark.workloads.ebm.gibbs import LogWeight
from wattmark.workloads.ebm.methods.base import Trainer, count_weights
from wattmark.workloads.ebm.networks import WIDTH, Autoregressive


class AutoregressiveMethod:
    """Maximum likelihood of :class:`~wattmark.workloads.ebm.networks.Autoregressive`."""

    def __init__(self, bits: int, seed: int, width: int = WIDTH) -> None:
        torch.default_generator.manual_seed(seed)
        self.density = Autoregressive(bits, width)
        self._trainer = Trainer(self.density)
        self._chance = torch.Generator().manual_seed(seed + 1)

    @property
    def parameters(self) -> int:
        """Weights of the density."""
        return count_weights(self.density)

    @property
    def log_weight(self) -> LogWeight:
        """log q, of the averaged density."""
        return self._trainer.average

    def step(self, words: Tensor) -> float:
        """One step of maximum likelihood; nats a word."""
        return self._trainer.descend(-self.density(words).mean())

    def sample(self, count: int) -> Tensor:
        """Bit by bit."""
        return self._trainer.average.sample(count, self._chance)
