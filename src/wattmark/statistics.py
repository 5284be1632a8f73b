"""Every interval there is: Student's t, means, order statistics, resampling; all hold 19 times in 20.

Nothing here needs scipy, which is an extra: the base install compares runs and predicts too. Tests hold each result
against scipy's.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

CONFIDENCE = 0.95
"""How often an interval should hold the truth."""
UPPER = (1 + CONFIDENCE) / 2
"""The probability at the upper end of a two-sided interval; the lower end has ``1 - UPPER``."""

_NORMAL_FROM = 1_000.0
"""From so many degrees of freedom on, Student's t by its expansion about the normal is good to 1e-11."""


@lru_cache(maxsize=4096)
def t_quantile(freedom: float, probability: float = UPPER) -> float:
    """The quantile of Student's t, to a relative error below 1e-9. freedom: above 0, also fractions and infinity.

    Raises ValueError for a freedom that is not positive and for a probability outside (0, 1).
    """
    if not freedom > 0 or not 0 < probability < 1:
        raise ValueError(f"no quantile of t with {freedom} degrees of freedom at {probability}")
    if probability < 0.5:
        return -t_quantile(freedom, 1 - probability)
    if probability == 0.5:
        return 0.0
    if freedom >= _NORMAL_FROM:
        return _t_near_normal(freedom, NormalDist().inv_cdf(probability))
    # Newton's method for log(tail) over log(t): concave, so that it converges from everywhere
    target, t = math.log(1 - probability), 1.0
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    for _ in range(100):
        tail = t_tail(freedom, t)
        density = math.exp(scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))
        step = (math.log(tail) - target) * tail / (density * t)
        t *= math.exp(min(step, 1.0))
        if abs(step) < 1e-13:
            break
    return t


def t_tail(freedom: float, t: float) -> float:
    """The chance that Student's t lies above ``t``: half the regularised incomplete beta function (Abramowitz and
    Stegun, Handbook of Mathematical Functions, 26.7.1)."""
    if t < 0:
        return 1 - t_tail(freedom, -t)
    return beta_cdf(freedom / (freedom + t * t), freedom / 2, 0.5) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), 0 <= x <= 1, a and b above 0.

    The continued fraction of the NIST Digital Library of Mathematical Functions, 8.17.22, by Lentz's method; beyond the
    mean from the other end, where it converges quickly.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    front = a * math.log(x) + b * math.log1p(-x) - math.lgamma(a) - math.lgamma(b) + math.lgamma(a + b)
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    fraction = d
    for m in range(1, 1_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / (1 + term * d or tiny)
            c = 1 + term / c or tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return math.exp(front) * fraction / a


def _t_near_normal(freedom: float, z: float) -> float:
    """Abramowitz and Stegun, 26.7.5."""
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
