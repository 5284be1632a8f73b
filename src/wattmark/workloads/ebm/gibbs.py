"""Gibbs sampling of discrete energy-based models: each bit in turn, given all others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

LogWeight = Callable[[Tensor], Tensor]
"""f: words (n, bits) -> (n,), of p(x) ~ exp f(x)."""


@torch.no_grad()
def sweep(energy: LogWeight, words: Tensor, generator: torch.Generator, sweeps: int = 1) -> Tensor:
    """The words after ``sweeps`` rounds over all bits, in an order that is drawn anew in each; the given ones stay as they
    are. It costs one evaluation a bit and one more."""
    words = words.clone()
    now = energy(words)
    for _ in range(sweeps):
        for place in torch.randperm(words.shape[1], generator=generator):
            bit = int(place)
            other = words.clone()
            other[:, bit] = 1 - other[:, bit]
            then = energy(other)
            taken = torch.rand(len(words), generator=generator) < torch.sigmoid(then - now)
            words = torch.where(taken[:, None], other, words)
            now = torch.where(taken, then, now)
    return words


@torch.no_grad()
def transition(energy: LogWeight, every: Tensor, bit: int) -> Tensor:
    """The chances (2^bits, 2^bits) of one update of ``bit`` from each word to each, words in the order of their number."""
    flipped = every.clone()
    flipped[:, bit] = 1 - flipped[:, bit]
    places = 2 ** torch.arange(every.shape[1] - 1, -1, -1, dtype=torch.float64)
    target = (flipped.double() @ places).long()
    chance = torch.sigmoid(energy(flipped) - energy(every)).double()
    rows = torch.arange(len(every))
    table = torch.zeros(len(every), len(every), dtype=torch.float64)
    table[rows, target] = chance
    table[rows, rows] = 1 - chance
    return table
