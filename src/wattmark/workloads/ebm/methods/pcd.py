"""Persistent contrastive divergence (T. Tieleman, ICML 2008) with Gibbs sweeps and restarts of its chains at random."""

from __future__ import annotations

import torch
from torch import Tensor

from wattmark.workloads.ebm.gibbs import LogWeight, sweep
from wattmark.workloads.ebm.methods.base import Trainer, count_weights
from wattmark.workloads.ebm.networks import WIDTH, Energy

CHAINS = 4_000
"""Words that are kept between steps; each step moves as many of them as it has words of data."""
RESTARTS = 0.05
"""Share of the chains of a step that begin anew at a random word (Du and Mordatch, arXiv 1903.08689)."""


class PersistentMethod:
    """An energy learnt against chains of Gibbs sampling that go on from step to step."""

    def __init__(self, bits: int, seed: int, width: int = WIDTH) -> None:
        torch.default_generator.manual_seed(seed)
        self.energy = Energy(bits, width)
        self._trainer = Trainer(self.energy)
        self._chance = torch.Generator().manual_seed(seed + 1)
        self._chains = self._random(CHAINS)

    @property
    def parameters(self) -> int:
        """Weights of the energy."""
        return count_weights(self.energy)

    @property
    def log_weight(self) -> LogWeight:
        """f, of the averaged energy."""
        return self._trainer.average

    def step(self, words: Tensor) -> float:
        """One step; the energy's gap between data and chains, which says little of the likelihood."""
        rows = torch.randint(0, CHAINS, (len(words),), generator=self._chance)
        chains = self._chains[rows]
        anew = torch.rand(len(words), 1, generator=self._chance) < RESTARTS
        chains = torch.where(anew, self._random(len(words)), chains)
        chains = sweep(self.energy, chains, self._chance)
        self._chains[rows] = chains
        return self._trainer.descend(self.energy(chains).mean() - self.energy(words).mean())

    def sample(self, count: int) -> Tensor:
        """The chains, after one more sweep, under the averaged energy; each sweep of the same chains is drawn anew."""
        times = -(-count // CHAINS)
        return torch.cat([sweep(self.log_weight, self._chains, self._chance) for _ in range(times)])[:count]

    def _random(self, count: int) -> Tensor:
        return torch.randint(0, 2, (count, self.energy.bits), generator=self._chance).float()
