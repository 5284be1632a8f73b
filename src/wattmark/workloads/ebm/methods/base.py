"""What every way to learn a discrete density can do."""

from __future__ import annotations

from copy import deepcopy
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from wattmark.workloads.ebm.gibbs import LogWeight

Network = TypeVar("Network", bound=nn.Module)
LEARNING_RATE = 1e-3
GRADIENT_NORM = 5.0
"""Adam's step and the largest norm of a gradient, as in arXiv 2011.05363, appendix."""
AVERAGED = 0.99
"""How much of the average of weights stays with each step. Sampler and energy chase one another, so that the last step's
weights say less than their average (Yazici et al., arXiv 1806.04498); all methods are judged by it, so that none is
favoured."""


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


class Trainer(Generic[Network]):
    """A network with its optimiser, and its average over the last steps."""

    def __init__(self, network: Network, rate: float = LEARNING_RATE) -> None:
        self.network = network
        self.average = deepcopy(network).requires_grad_(False)
        self._optimizer = torch.optim.Adam(network.parameters(), lr=rate)
        self._steps = 0

    def descend(self, loss: Tensor) -> float:
        """One step of Adam down the loss, its gradient clipped; the loss before it."""
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
        self._optimizer.step()  # pyright: ignore[reportUnknownMemberType]
        self._steps += 1
        share = max(1 - AVERAGED, 9 / (9 + self._steps))  # at first of few steps
        with torch.no_grad():
            for average, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
                average.lerp_(weight, share)
        return float(loss.detach())


def count_weights(*networks: nn.Module) -> int:
    """Weights of networks."""
    return sum(weight.numel() for network in networks for weight in network.parameters())
