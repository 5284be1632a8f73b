"""How different the features of one input are from one another."""

from __future__ import annotations

import torch
from torch import Tensor


def pairwise_spread(features: Tensor) -> Tensor:
    """Sum over all i != j of (phi_i - phi_j)^2, of features (..., D): (...,).

    In O(D), as 2 (D sum phi^2 - (sum phi)^2): each square stands in D - 1 pairs twice, and the mixed products are the square
    of the sum less the squares.
    """
    count = features.shape[-1]
    return 2 * (count * features.square().sum(-1) - features.sum(-1).square())


def diversity(features: Tensor, tau: float = 0.95) -> Tensor:
    """The largest theta for which features (..., n, D) of n inputs are (theta, tau)-diverse: with chance tau, half the
    pairwise spread of an input is theta^2 or more. (...,)."""
    half = (pairwise_spread(features) / 2).clamp(min=0.0)
    return torch.quantile(half, 1 - tau, dim=-1, interpolation="lower").sqrt()
