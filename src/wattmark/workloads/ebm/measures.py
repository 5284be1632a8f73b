"""How good a model of a discrete density is: kernel distance of its samples, and likelihoods, exact where that can be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wattmark.statistics import Float64
from wattmark.workloads.ebm.codes import Bits, Code, number
from wattmark.workloads.ebm.gibbs import LogWeight
from wattmark.workloads.ebm.points import draw

BANDWIDTH = 0.1
"""Of the kernel exp(-0.1 d) of the Hamming distance d."""
_ROWS = 8_192


def mmd(first: Bits, second: Bits) -> float:
    """The unbiased estimate of the squared maximum mean discrepancy of two samples (n, bits) and (m, bits), n and m above 1
    (Gretton et al., JMLR 13, 2012, equation 3), with the kernel exp(-0.1 x Hamming distance). It may be below 0."""
    n, m = len(first), len(second)
    within = (_kernel_sum(first, first) - n) / (n * (n - 1)) + (_kernel_sum(second, second) - m) / (
        m * (m - 1)
    )
    return within - 2 * _kernel_sum(first, second) / (n * m)


def _kernel_sum(first: Bits, second: Bits) -> float:
    """The kernel summed over all pairs."""
    bits: int = first.shape[1]
    kernel = np.exp(-BANDWIDTH * np.arange(bits + 1, dtype=np.float64))
    a, b = (2.0 * words.astype(np.float32) - 1.0 for words in (first, second))
    total = 0.0
    for start in range(0, len(a), 1_024):
        agree = a[start : start + 1_024] @ b.T
        distance = np.asarray((bits - agree) / 2, np.int64)
        total += float(kernel @ np.bincount(distance.ravel(), minlength=bits + 1))
    return total


@dataclass(frozen=True, slots=True)
class Truth:
    """The density of a set's words: chances (2^bits,) estimated from ``draws`` points, and its entropy in nats."""

    chances: Float64
    entropy: float
    draws: int

    @classmethod
    def of(cls, name: str, code: Code, draws: int = 1_000_000, seed: int = 1_234_567) -> Truth:
        """By counting points. The entropy is put right by (cells - 1) / (2 draws) (G. A. Miller, Note on the bias of
        information estimates, 1955)."""
        rng = np.random.default_rng(seed)
        counts = np.zeros(1 << code.bits, np.int64)
        left = draws
        while left:
            part = min(left, 500_000)
            counts += np.bincount(number(code.encode(draw(name, part, rng))), minlength=len(counts))
            left -= part
        chances = counts / draws
        seen = chances[chances > 0]
        entropy = float(-(seen * np.log(seen)).sum()) + (len(seen) - 1) / (2 * draws)
        return cls(chances, entropy, draws)

    def cross_entropy(self, log_model: Float64) -> float:
        """Nats a word under log chances (2^bits,): the negative log-likelihood of the set itself."""
        seen = self.chances > 0
        return float(-(self.chances[seen] * log_model[seen]).sum())


@torch.no_grad()
def log_weights(energy: LogWeight, words: Bits) -> Float64:
    """f of words (n, bits), in float64."""
    parts = [
        energy(as_tensor(words[start : start + _ROWS])).double().numpy()
        for start in range(0, len(words), _ROWS)
    ]
    return np.concatenate(parts)


def log_sum(values: Float64) -> float:
    """log of the sum of exp of values, without overflow."""
    top = float(values.max())
    return top + math.log(float(np.exp(values - top).sum()))


def exact_log_z(energy: LogWeight, code: Code) -> float:
    """log of the sum of exp f over all words. Raises ValueError where they are too many."""
    return log_sum(log_weights(energy, code.every()))


@dataclass(frozen=True, slots=True)
class ImportanceSum:
    """An estimate of log Z; ``effective`` is the effective number of its samples (L. Kish, Survey Sampling, 1965)."""

    log_z: float
    effective: float


def sampled_log_z(energy: LogWeight, words: Bits, log_proposal: Float64) -> ImportanceSum:
    """log Z from words (n, bits) that were drawn with log chances (n,): the mean of exp f / q. The estimate of Z is
    unbiased, so that of log Z is too low rather than too high."""
    log_ratio = log_weights(energy, words) - log_proposal
    log_z = log_sum(log_ratio) - math.log(len(words))
    effective = math.exp(2 * log_sum(log_ratio) - log_sum(2 * log_ratio))
    return ImportanceSum(log_z, effective)


def as_tensor(words: Bits) -> Tensor:
    """Words as the networks take them."""
    return torch.tensor(words, dtype=torch.float32)


def as_bits(words: Tensor) -> Bits:
    """Words as the measures take them."""
    return words.to(torch.uint8).numpy()
