"""Every interval there is: Student's t, means, order statistics, resampling; all hold 19 times in 20.

Nothing here needs scipy, which is an extra: the base install compares runs and predicts too. Tests hold each result
against scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist, fmean, stdev, variance
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import SCATTER, Quantity, own_error

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

CONFIDENCE = 0.95
"""How often an interval should hold the truth."""
ALPHA = 1 - CONFIDENCE
UPPER = (1 + CONFIDENCE) / 2
"""The probability at the upper end of a two-sided interval; the lower end has ``1 - UPPER``."""
RESAMPLES = 1_000
NORMAL_MEAN_FROM = 2_000
"""From so many values on their mean is taken to be normal: resampling them would cost seconds and change nothing."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure of a sample with the interval that the sample alone gives it.

    low or high is None where the sample is too small to bound it (the 99th percentile of 20 values has no upper end).
    """

    value: float
    low: float | None
    high: float | None


# --- means ---


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of what is known; None if nothing is."""
    numbers = [value for value in values if value is not None]
    return fmean(numbers) if numbers else None


def mean_half_width(values: Sequence[float]) -> float | None:
    """Half the interval of the mean of repeats, by Student's t; None below two values."""
    if len(values) < 2:
        return None
    return t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))


def mean_interval(values: Float64, unit: str = "", *, signed: bool = False) -> Quantity | None:
    """The mean over repeats (n,) with the interval that their scatter gives it (Student's t, from two on); None where no
    value is known (NaN: not known). What cannot be negative has no interval that is: where all values are at least 0, so is
    the lower bound, unless they are ``signed``.

    Of repeats that have errors of their own: :func:`wattmark.runs.differences.mean_with_scatter`.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return None
    repeats: list[float] = values[finite].tolist()
    mean = Quantity(
        fmean(repeats), unit=unit, at_least=0.0 if not signed and min(repeats) >= 0 else -math.inf
    )
    half = mean_half_width(repeats)
    return mean.with_error(f"{SCATTER}/{own_error()}", half) if half else mean


def resampled_mean(values: Float64, *, seed: int = 0) -> Estimate:
    """The mean of values (n,), n > 0, of any shape, with the percentile interval of the bootstrap (Efron and Tibshirani, An
    Introduction to the Bootstrap, 1993, chapter 13); that of the normal distribution from :data:`NORMAL_MEAN_FROM` on."""
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(mean, None, None)
    if len(values) > NORMAL_MEAN_FROM:
        half = t_quantile(math.inf) * float(values.std(ddof=1)) / math.sqrt(len(values))
        return Estimate(mean, mean - half, mean + half)
    low, high = central(resampled(values, seed=seed).mean(axis=1))
    return Estimate(mean, min(low, mean), max(high, mean))


def difference_of_means(reference: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """``other - reference`` of the means, and half its interval; at least one group has two values or more.

    Two groups: Welch's, degrees of freedom after Satterthwaite (B. L. Welch, The generalization of "Student's" problem
    when several different population variances are involved, Biometrika 34, 1947). A single value against a group is
    taken to spread as the group does (J. R. Crawford and D. C. Howell, Comparing an individual's test score against
    norms derived from small samples, The Clinical Neuropsychologist 12, 1998). Raises ValueError for two single values.
    """
    gap = fmean(other) - fmean(reference)
    repeated = [group for group in (reference, other) if len(group) > 1]
    if not repeated:
        raise ValueError("one of the groups needs two values or more")
    if len(repeated) == 1:
        (group,) = repeated
        return gap, t_quantile(len(group) - 1) * math.sqrt(variance(group) * (1 + 1 / len(group)))
    terms = [(variance(group) / len(group), len(group) - 1) for group in repeated]
    error, freedom = welch([term for term, _ in terms], [own for _, own in terms])
    return gap, 0.0 if error == 0 else t_quantile(freedom) * error


@dataclass(frozen=True, slots=True)
class Pooled:
    """The variance within groups that are taken to scatter alike, and its degrees of freedom."""

    variance: float
    freedom: int

    @classmethod
    def of(cls, groups: Iterable[Sequence[float]]) -> Pooled | None:
        """None unless some group has two values."""
        known = [group for group in groups if len(group) > 1]
        freedom = sum(len(group) - 1 for group in known)
        if not freedom:
            return None
        return cls(sum(variance(group) * (len(group) - 1) for group in known) / freedom, freedom)

    def half_width(self, *groups: Sequence[float]) -> float | None:
        """Half the interval of a difference of means of two of the groups; None where these scatter more than the others do
        (by an F test at 5 %), so that they must be judged by themselves."""
        own = Pooled.of(groups)
        scatters = own is not None and own.variance > 0
        if (
            own is not None
            and scatters
            and f_tail(own.variance, own.freedom, self.variance, self.freedom) < ALPHA
        ):
            return None
        return t_quantile(self.freedom) * math.sqrt(self.variance * sum(1 / len(group) for group in groups))


def f_tail(variance: float, freedom: float, of: float, of_freedom: float) -> float:
    """The chance that chance alone makes ``variance`` so many times ``of``: Fisher's F beyond their ratio (Abramowitz and
    Stegun, 26.6.2). Of no variance at all any is too much."""
    if of <= 0:
        return 0.0
    return beta_cdf(of_freedom / (of_freedom + freedom * variance / of), of_freedom / 2, freedom / 2)


def welch(variances: Sequence[float], freedoms: Sequence[float]) -> tuple[float, float]:
    """Standard error of a sum of independent means whose ``variances`` were estimated with ``freedoms``, and its degrees
    of freedom after Satterthwaite (Biometrics Bulletin 2, 1946); 1 where nothing scatters."""
    whole = sum(variances)
    if whole <= 0:
        return 0.0, 1.0
    shares = sum((own / whole) ** 2 / freedom for own, freedom in zip(variances, freedoms, strict=True))
    return math.sqrt(whole), 1 / shares


# --- lines ---


@dataclass(frozen=True, slots=True)
class LinearFit:
    """``values`` as ``design @ coefficients``, (k,), with their covariance (k, k), the degrees of freedom, and the deviation
    of what is left (root of the residual variance)."""

    coefficients: Float64
    covariance: Float64
    freedom: float
    residual: float

    def errors(self, probability: float = UPPER) -> Float64:
        """Independent errors of the coefficients, (k, k): row by row how far each error at the end of its 95 % interval
        moves all of them. Their squares add up to those of any sum of the coefficients (a Cholesky root of the
        covariance)."""
        scale = np.sqrt(np.maximum(np.diag(self.covariance), 1e-300))
        correlation = self.covariance / np.outer(scale, scale)
        root = np.linalg.cholesky(correlation + 1e-9 * np.eye(len(scale)))
        return _float64((root * scale[:, None]).T * t_quantile(self.freedom, probability))


def linear_fit(
    design: Float64, values: Float64, prior: Float64 | None = None, *, in_order: bool = False
) -> LinearFit:
    """Least squares of values (n,) on a design (n, k), n > k.

    prior: (k, 2), what is known of each coefficient beforehand: a value and its deviation, infinite where nothing is.
    in_order: the rows follow one another in time; if what is left of neighbours is alike, there is less to go by (the
    effective sample of a first-order autoregression, n (1 - r) / (1 + r): Bayley and Hammersley, J. R. Stat. Soc.
    Suppl. 8, 1946). Raises ValueError where the rows are too few, or are on fewer levels than there are coefficients
    without a prior.
    """
    count, width = design.shape
    known = np.array([[0.0, math.inf]] * width) if prior is None else prior
    weights = 1 / known[:, 1] ** 2
    if count <= width:
        raise ValueError("a line needs more values than it has coefficients")
    scale: Float64 = np.sqrt((design**2).sum(axis=0))
    scale[scale == 0] = 1.0
    x, precision, start = design / scale, weights / scale**2, known[:, 0] * scale
    normal = x.T @ x
    if prior is None and np.linalg.cond(normal) > 1e12:
        raise ValueError("the values are on fewer levels than there are coefficients")
    solution = start
    variance = float(np.var(values)) or 1e-300
    for _ in range(20):  # the prior's weight depends on the variance that is left
        system = normal + variance * np.diag(precision)
        if np.linalg.cond(system) > 1e13:
            raise ValueError("the values are on fewer levels than there are coefficients")
        solution = _float64(np.linalg.solve(system, x.T @ values + variance * precision * start))
        left = _float64(values - x @ solution)
        variance = max(float((left**2).sum()) / (count - width), 1e-300)
    covariance = _float64(variance * np.linalg.inv(normal + variance * np.diag(precision)))
    freedom = float(count - width)
    left = _float64(values - x @ solution)
    if in_order and variance > 1e-290:
        alike = float(np.clip((left[1:] * left[:-1]).sum() / max((left**2).sum(), 1e-300), 0.0, 0.95))
        inflation = (1 + alike) / (1 - alike)
        covariance, freedom = covariance * inflation, max(1.0, count / inflation - width)
    return LinearFit(solution / scale, covariance / np.outer(scale, scale), freedom, math.sqrt(variance))


# --- tests that may stop early ---

LOOKS = (5, 7, 10, 14, 20, 28, 40)
"""Numbers of pairs at which a sequential test looks: each some 1.4 times the one before."""


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """One-sided t-tests of a mean at some numbers of values, so that the chance to reject wrongly at any of them is
    ``alpha``.

    A group-sequential test: alpha is spent look by look (Lan and DeMets, Discrete sequential boundaries for clinical
    trials, Biometrika 70, 1983; the function of Pocock's kind), the boundaries of normal sums follow by recursive
    integration (Armitage, McPherson and Rowe, J. R. Stat. Soc. A 132, 1969), and their nominal levels are kept for
    Student's t (Jennison and Turnbull, Group Sequential Methods, 2000, section 4.4). Of few values t crosses them a
    little more often (0.0525 for 0.05 by simulation), so 94 % of alpha is spent. It may stop at any look, and need not.
    """

    looks: tuple[int, ...] = LOOKS
    alpha: float = ALPHA

    def __post_init__(self) -> None:
        if not self.looks or self.looks[0] < 3 or any(b <= a for a, b in pairwise(self.looks)):
            raise ValueError("looks are rising numbers of values, three at least")
        if not 0 < self.alpha < 0.5:
            raise ValueError("alpha is between 0 and 0.5")

    @property
    def levels(self) -> tuple[float, ...]:
        """The nominal one-sided level at each look."""
        return _levels(self.looks, _FOR_T * self.alpha)

    def rejects(
        self, values: Sequence[float], at_most: float, covariate: Sequence[float] | None = None
    ) -> bool:
        """Whether values (n,), n one of the looks, show that the mean is above ``at_most``. False at any other n.

        covariate: (n,), what disturbs each value, 0 where nothing does: the mean at 0 of a line through it is judged
        instead.
        """
        count = len(values)
        if count not in self.looks:
            return False
        level = self.levels[self.looks.index(count)]
        mean, error, freedom = mean_at_rest(values, covariate)
        if error == 0:
            return mean > at_most
        return t_tail(freedom, (mean - at_most) / error) <= level

    def stops(self, effect: float, *, simulations: int = 2_000, seed: int = 0) -> tuple[float, float]:
        """By simulation: how often it rejects that the mean is at most 0 where it is ``effect`` standard deviations,
        and the median number of values at which it does (NaN where it never does)."""
        rng = np.random.default_rng(seed)
        values = rng.normal(effect, 1.0, (simulations, self.looks[-1]))
        stopped = np.zeros(simulations, np.int64)
        for count, level in zip(self.looks, self.levels, strict=True):
            part = values[:, :count]
            t = part.mean(axis=1) / part.std(axis=1, ddof=1) * math.sqrt(count)
            stopped = np.where((stopped == 0) & (t >= t_quantile(count - 1, 1 - level)), count, stopped)
        power = float((stopped > 0).mean())
        return power, float(np.median(stopped[stopped > 0])) if power else math.nan


_FOR_T = 0.94


def mean_at_rest(
    values: Sequence[float], covariate: Sequence[float] | None = None
) -> tuple[float, float, float]:
    """Mean, standard error and degrees of freedom of values (n,), n > 1; with a covariate (n,), where a line through it
    is at 0."""
    if covariate is not None and len(values) > 3 and np.ptp(covariate) > 0:
        fit = linear_fit(np.column_stack([np.ones(len(values)), covariate]), np.array(values, np.float64))
        return float(fit.coefficients[0]), math.sqrt(float(fit.covariance[0, 0])), fit.freedom
    return fmean(values), stdev(values) / math.sqrt(len(values)), float(len(values) - 1)


@lru_cache(maxsize=64)
def _levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """Boundaries of a normal sum of so many values, as one-sided levels: what the spending function gives out at each
    look."""
    spent, levels = 0.0, list[float]()
    grid = np.zeros(1)
    density = np.ones(1)
    before = 0
    for count in looks:
        share = count / looks[-1]
        now = alpha * math.log(1 + (math.e - 1) * share) - spent
        step = math.sqrt(count - before)
        reach = 8 * math.sqrt(count)
        wide = np.linspace(-reach, reach, 2_001)
        weights = density * (grid[1] - grid[0] if len(grid) > 1 else 1.0)
        kernel = np.exp(-0.5 * ((wide[:, None] - grid[None, :]) / step) ** 2) / (
            step * math.sqrt(2 * math.pi)
        )
        mass = _float64(kernel @ weights)
        width = float(wide[1] - wide[0])
        beyond = np.cumsum(mass[::-1])[::-1] * width
        place = int(np.searchsorted(-beyond, -now))
        low, high = beyond[max(place - 1, 0)], beyond[min(place, len(beyond) - 1)]
        part = 0.0 if low == high else float((low - now) / (low - high))
        bound = float(wide[max(place - 1, 0)]) + part * width
        levels.append(1 - NormalDist().cdf(bound / math.sqrt(count)))
        keep = wide < bound
        grid, density = wide[keep], mass[keep]
        spent, before = spent + now, count
    return tuple(levels)


# --- order statistics ---


def percentile(values: Float64, percent: float) -> Estimate:
    """A percentile of values (n,), n > 0, with its interval from order statistics, whatever the shape (David and Nagaraja,
    Order Statistics, 3rd ed., section 7.1)."""
    ordered = np.sort(values)
    value = float(np.percentile(ordered, percent))
    low, high = ranks(len(ordered), percent / 100)
    bottom = None if low is None else min(float(ordered[low]), value)
    top = None if high is None else max(float(ordered[high]), value)
    return Estimate(value, bottom, top)


@lru_cache(maxsize=4096)
def ranks(count: int, share: float) -> tuple[int | None, int | None]:
    """The places (from 0) of the order statistics of ``count`` values that hold their ``share``-quantile, with at most 2.5 %
    beyond each; None where even the outermost one is passed more often.

    The number B of values below the true quantile is binomial, and P(B >= k) = I_share(k, count - k + 1).
    """

    def fewer(
        k: int,
    ) -> float:  # P(B < k), and from 1 - share's side P(B >= k), without a difference of near ones
        return beta_cdf(1 - share, count - k + 1, k) if k > 0 else 0.0

    def as_many(k: int) -> float:
        return beta_cdf(share, k, count - k + 1) if k > 0 else 1.0

    tail = 1 - UPPER
    reach = t_quantile(math.inf) * math.sqrt(count * share * (1 - share))
    low = min(count, max(0, math.floor(count * share - reach)))
    while low < count and fewer(low + 1) <= tail:
        low += 1
    while fewer(low) > tail:
        low -= 1
    high = min(count + 1, max(1, math.ceil(count * share + reach) + 1))
    while high > 1 and as_many(high - 1) <= tail:
        high -= 1
    while high <= count and as_many(high) > tail:
        high += 1
    return (low - 1 if low >= 1 else None), (high - 1 if high <= count else None)


# --- resampling ---


def resampled(values: NDArray[Any], resamples: int = RESAMPLES, *, seed: int = 0) -> NDArray[Any]:
    """``resamples`` samples of the size of values (n,), drawn from them with replacement: (resamples, n)."""
    return values[np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))]


def jointly_drawn(
    quantities: Sequence[Quantity],
    count: int,
    *,
    freedoms: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Float64:
    """``count`` draws of what some quantities may be together, (count, quantities): an error that several have is drawn once
    for them all. Errors are normal on either side; those named in ``freedoms`` are Student's t of so many degrees. What
    physics does not allow is cut off.
    """
    rng = np.random.default_rng(seed)
    drawn = np.tile(np.array([one.value for one in quantities], np.float64), (count, 1))
    moved: dict[str, list[tuple[int, tuple[float, float]]]] = {}
    for column, one in enumerate(quantities):
        for name, shift in one.terms.items():
            moved.setdefault(name, []).append((column, shift))
    for name, columns in moved.items():
        freedom = (freedoms or {}).get(name, math.inf)
        sizes = rng.standard_normal(count) if math.isinf(freedom) else rng.standard_t(freedom, count)
        ends = sizes / t_quantile(freedom)  # 1 at the end of the 95 % interval
        for column, (down, up) in columns:
            drawn[:, column] += np.where(ends < 0, -ends * down, ends * up)
    least, most = (np.array([getattr(one, side) for one in quantities]) for side in ("at_least", "at_most"))
    return np.clip(drawn, least, most)


def central(samples: Sequence[float] | Float64) -> tuple[float, float]:
    """The central 95 % of samples (n,) without holes."""
    low, high = np.quantile(samples, (1 - UPPER, UPPER))
    return float(low), float(high)


def _float64(values: NDArray[Any]) -> Float64:
    return np.asarray(values, np.float64)


def finite(value: float) -> float | None:
    """A float for plain data: None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


# --- Student's t ---

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
    for m in range(1, 10_000):
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
