"""Terms of the bounds on the generalisation gap that diversity makes smaller.

For h(x) = w . phi(x) with D features that are not negative and of norm at most A: (sum phi)^2 = D sum phi^2 - half the
pairwise spread, so with (theta, tau)-diverse features |h| is at most S = |w|_max sqrt(D A^2 - theta^2) with chance tau (the
form of arXiv 2306.01489, derived anew; of features of both signs S is a measure, and no bound). By bounded differences
(C. McDiarmid, 1989) the gap of a loss in [0, L] is then below 2 R + L sqrt(2 ln(2 / delta) / m), where R is the Rademacher
complexity of the losses over m inputs; the Lipschitz factor says how R grows with that of the functions. R is not estimated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BoundTerms:
    """S: the largest |h|. lipschitz: of the loss in h. largest_loss: L. deviation: L sqrt(2 ln(2 / delta) / m)."""

    largest_output: float
    lipschitz: float
    largest_loss: float
    deviation: float


def largest_output(weight: float, features: int, norm: float, theta: float) -> float:
    """S, from the largest absolute weight, the number of features D, their norm A and theta."""
    return weight * math.sqrt(max(0.0, features * norm**2 - theta**2))


def regression_terms(largest: float, target: float, inputs: int, delta: float = 0.05) -> BoundTerms:
    """Of the energy half (h(x) - y)^2 with |y| at most ``target``."""
    reach = largest + target
    return _terms(largest, reach, reach**2 / 2, inputs, delta)


def classification_terms(largest: float, inputs: int, delta: float = 0.05) -> BoundTerms:
    """Of the energy -y h(x) with y of -1 and 1."""
    return _terms(largest, 1.0, largest, inputs, delta)


def implicit_terms(first: float, second: float, outputs: int, inputs: int, delta: float = 0.05) -> BoundTerms:
    """Of the energy half |g(x) - h(y)|^2 over ``outputs`` numbers, each at most ``first`` and ``second``."""
    reach = first + second
    return _terms(reach, math.sqrt(outputs) * reach, outputs * reach**2 / 2, inputs, delta)


def _terms(largest: float, lipschitz: float, loss: float, inputs: int, delta: float) -> BoundTerms:
    return BoundTerms(largest, lipschitz, loss, loss * math.sqrt(2 * math.log(2 / delta) / inputs))
