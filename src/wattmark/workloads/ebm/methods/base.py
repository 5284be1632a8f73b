"""What every way to learn a discrete density can do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from wattmark.workloads.ebm.gibbs import LogWeight

LEARNING_RATE = 1e-3
GRADIENT_NORM = 5.0
"""Adam's step and the largest norm of a gradient, as in arXiv 2011.05363, appendix."""


class Method(Protocol):
    """A model and how it learns."""

    @property
    def parameters(self) -> int:
        """Weights of all of its networks."""
        ...

    @property
    def log_weight(self) -> LogWeight:
        """f of p(x) ~ exp f(x); log p itself where the density is normalised."""
        ...

    def step(self, words: Tensor) -> float:
        """Learn from words of the data (n, bits); a loss in nats that falls as it learns, as far as the method has one."""
        ...

    def sample(self, count: int) -> Tensor:
        """Words (count, bits) as the method itself draws them."""
        ...


@dataclass(frozen=True, slots=True)
class Trainer:
    """Networks with their optimiser."""

    networks: tuple[nn.Module, ...]
    optimizer: torch.optim.Adam

    @classmethod
    def of(cls, *networks: nn.Module, rate: float = LEARNING_RATE) -> Trainer:
        """Adam over all weights of the networks."""
        return cls(networks, torch.optim.Adam(_weights(networks), lr=rate))

    def descend(self, loss: Tensor) -> float:
        """One step down the loss, its gradient clipped; the loss before it."""
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        clip_grad_norm_(_weights(self.networks), GRADIENT_NORM)
        self.optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        return float(loss.detach())


def _weights(networks: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [weight for network in networks for weight in network.parameters()]


def count_weights(*networks: nn.Module) -> int:
    """Weights of networks."""
    return sum(weight.numel() for weight in _weights(networks))
