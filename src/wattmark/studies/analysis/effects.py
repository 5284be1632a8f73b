"""What each factor does to energy, time and accuracy.

Two levels are compared inside blocks, the combinations of all other factors that hold both levels, so that other
factors cancel. Energies, times and powers are compared as ratios (on logarithms), accuracies as differences. The test is
chosen by the design, never by its outcome:

- every block holds at least two repeats of both levels: Welch's t on the mean over the blocks, with Satterthwaite's
  degrees of freedom; it speaks of these blocks;
- otherwise, with at least two blocks: the paired permutation test (sign flips of the blocks' differences; it speaks of
  blocks like these) with the paired t interval; from six blocks Wilcoxon's signed-rank p stands beside it;
- otherwise there is no test: p and interval are None.

All p-values of one call are corrected together (Holm); they hold the scatter of the runs. The interval of a ratio of
energies holds besides what the sensors leave open between the two levels, block by block: not their scale, which both have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import EDGES, Quantity
from wattmark.runs.differences import mean_of, of_quantities
from wattmark.statistics import (
    Float64,
    Int64,
    central,
    finite,
    percentile,
    resampled,
    t_quantile,
    t_tail,
    welch,
)
from wattmark.studies.analysis.data.cells import group, levels
from wattmark.studies.analysis.data.columns import Columns
from wattmark.studies.analysis.significance import holm, scipy_stats
from wattmark.studies.results import TrialResult

Test = Literal["welch", "paired-permutation"]

EFFECT_METRICS = (
    "total_energy",
    "training_energy_j",
    "inference_energy_j",
    "energy_per_sample",
    "inference_energy_per_sample",
    "epoch_duration",
    "power",
    "accuracy",
)
DIFFERENCES = ("accuracy", "loss")
_EXACT_FLIPS = 12  # 4096 sign patterns are still enumerated
_RANDOM_FLIPS = 9_999
_RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a factor. median with an interval that holds it nineteen times in twenty (None below six trials)."""

    level: Any
    trials: int
    median: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Level ``b`` against level ``a``. value: b / a (``scale`` ratio, geometric mean over the blocks) or b - a
    (``scale`` difference), with its 95 % interval. median_difference: b - a of the medians in the metric's
    unit, with a bootstrap interval (too narrow below some ten trials a level; ``low`` and ``high`` are not)."""

    a: Any
    b: Any
    scale: Literal["ratio", "difference"]
    blocks: int
    value: float
    low: float | None
    high: float | None
    test: Test | None
    p: float | None
    wilcoxon_p: float | None
    median_difference: float
    median_low: float
    median_high: float
    p_corrected: float | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """One factor on one metric. trials: all that have it.

    kruskal_h, p: Kruskal-Wallis over the blocks that hold every level. epsilon_squared: H / (n - 1), the share of the ranks'
    variance that the factor explains, 0..1. eta_squared: (H - k + 1) / (n - k), the same less what k levels explain by
    chance, below 0 where they explain less than that (both: Tomczak and Tomczak, Trends in Sport Sciences 1(21), 2014).
    All are None where no level has repeats, as every order of n single trials has the same H.
    """

    factor: str
    metric: str
    trials: int
    levels: tuple[Level, ...]
    kruskal_h: float | None
    p: float | None
    epsilon_squared: float | None
    eta_squared: float | None
    differences: tuple[Difference, ...]
    p_corrected: float | None = None


def effects(
    trials: Sequence[TrialResult],
    metrics: Columns,
    factors: Sequence[str],
    *,
    names: Sequence[str] = EFFECT_METRICS,
    differences: Sequence[str] = DIFFERENCES,
    measured: Callable[[str], Sequence[Quantity | None]] | None = None,
    seed: int = 0,
) -> list[Effect]:
    """Every factor's effect on every metric of ``names`` that at least two of its levels have.

    trials: completed; metrics: their columns by name, (n,) float64 with NaN. differences: the metrics that are compared as
    differences, the others are ratios. measured: gives a metric's values by trial with their errors, for those that are
    made of joules. Raises MissingExtra without scipy.
    """
    found: list[Effect] = []
    for factor in factors:
        values, code = levels(trials, factor)
        others = [name for name in factors if name != factor]
        block = group(trials, others).code
        for name in names:
            told = () if measured is None or name in differences else measured(name)
            effect = _effect(
                factor, name, values, code, block, metrics[name], name not in differences, told, seed
            )
            if effect is not None:
                found.append(effect)
    return _corrected(found)


def _effect(
    factor: str,
    metric: str,
    values: list[Any],
    code: Int64,
    block: Int64,
    y: Float64,
    ratio: bool,
    measured: Sequence[Quantity | None],
    seed: int,
) -> Effect | None:
    known = np.isfinite(y) & ((y > 0) | (not ratio))
    sensors = _Sensors.of(code, block, known, measured)
    code, block, y = code[known], block[known], y[known]
    present: list[int] = np.unique(code).tolist()
    if len(present) < 2:
        return None
    samples = {k: y[code == k] for k in present}
    medians = {k: np.median(resampled(samples[k], _RESAMPLES, seed=seed + k), axis=1) for k in present}
    summaries: list[Level] = []
    for k in present:
        median = percentile(samples[k], 50)
        bounds = (None, None) if median.low is None else (median.low, median.high)
        summaries.append(Level(values[k], len(samples[k]), median.value, *bounds))
    moments = _moments(code, block, np.log(y) if ratio else y, len(values))
    pairs: list[Difference] = []
    for i, j in combinations(present, 2):
        contrast = _contrast(moments, i, j, seed)
        if contrast is not None:
            contrast = sensors.widened(contrast, i, j)
            low, high = central(medians[j] - medians[i])
            change = float(np.median(samples[j]) - np.median(samples[i]))
            pairs.append(_difference(values[i], values[j], ratio, contrast, (change, low, high)))
    # Only blocks that hold every level: else a factor would be given what the settings of its levels do.
    whole: NDArray[np.bool_] = np.all(moments.n[present] > 0, axis=0)[block]
    h, p = _kruskal([y[whole & (code == k)] for k in present])
    n = int(whole.sum())
    epsilon = None if h is None else min(1.0, max(0.0, h / (n - 1)))
    eta = None if h is None else (h - len(present) + 1) / (n - len(present))
    return Effect(factor, metric, len(y), tuple(summaries), h, p, epsilon, eta, tuple(pairs))


@dataclass(frozen=True, slots=True)
class _Moments:
    """Number, mean and variance (NaN below two) by level and block, each (levels, blocks)."""

    n: Float64
    mean: Float64
    variance: Float64


@dataclass(frozen=True, slots=True)
class _Contrast:
    value: float
    low: float | None
    high: float | None
    blocks: int
    test: Test | None
    p: float | None
    wilcoxon_p: float | None


@dataclass(frozen=True, slots=True)
class _Sensors:
    """Mean energies by level and block, with what repeating does not shrink; empty for what is not made of joules."""

    cells: Mapping[tuple[int, int], Quantity]

    @classmethod
    def of(
        cls,
        code: Int64,
        block: Int64,
        known: NDArray[np.bool_],
        measured: Sequence[Quantity | None],
    ) -> _Sensors:
        groups: dict[tuple[int, int], list[Quantity]] = {}
        for row, quantity in enumerate(measured):
            if known[row] and quantity is not None:
                groups.setdefault((int(code[row]), int(block[row])), []).append(quantity.without(EDGES))
        return cls({cell: mean_of(group) for cell, group in groups.items()})

    def widened(self, contrast: _Contrast, i: int, j: int) -> _Contrast:
        """With what the sensors leave open between two levels: the mean over the blocks, as the character of the work need
        not differ from block to block, so that it may not shrink by their number. On logarithms."""
        if contrast.low is None or contrast.high is None:
            return contrast
        below: list[float] = []
        above: list[float] = []
        for level, block in self.cells:
            if level == i and (j, block) in self.cells:
                ratio = of_quantities(self.cells[i, block], self.cells[j, block]).ratio
                if ratio is None or ratio.low <= 0:
                    return replace(contrast, low=-math.inf, high=math.inf)
                below.append(math.log(ratio.value / ratio.low))
                above.append(math.log(ratio.high / ratio.value))
        if not below:
            return contrast
        return replace(
            contrast,
            low=contrast.value - math.hypot(contrast.value - contrast.low, sum(below) / len(below)),
            high=contrast.value + math.hypot(contrast.high - contrast.value, sum(above) / len(above)),
        )


def _moments(code: Int64, block: Int64, y: Float64, count: int) -> _Moments:
    blocks = int(block.max()) + 1
    cell = code * blocks + block
    size = count * blocks
    n = np.bincount(cell, minlength=size).astype(np.float64)
    mean = np.divide(np.bincount(cell, y, minlength=size), n, out=np.full(size, np.nan), where=n > 0)
    squares = np.bincount(cell, (y - mean[cell]) ** 2, minlength=size)
    variance = np.divide(squares, n - 1, out=np.full(size, np.nan), where=n > 1)
    return _Moments(*(part.reshape(count, blocks) for part in (n, mean, variance)))


def _contrast(cells: _Moments, i: int, j: int, seed: int) -> _Contrast | None:
    common = (cells.n[i] > 0) & (cells.n[j] > 0)
    blocks = int(common.sum())
    if not blocks:
        return None
    d = cells.mean[j, common] - cells.mean[i, common]
    value = float(d.mean())
    if (cells.n[[i, j]][:, common] > 1).all():
        parts = np.concatenate([cells.variance[k, common] / cells.n[k, common] for k in (i, j)])
        freedom = np.concatenate([cells.n[k, common] - 1 for k in (i, j)])
        error, df = welch(parts.tolist(), freedom.tolist())
        return _t_contrast(value, error / blocks, df, blocks)
    if blocks < 2:
        return _Contrast(value, None, None, blocks, None, None, None)
    plain = _t_contrast(value, float(d.std(ddof=1) / np.sqrt(blocks)), blocks - 1, blocks)
    wilcoxon = float(scipy_stats().wilcoxon(d).pvalue) if blocks >= 6 and d.any() else None
    return replace(plain, test="paired-permutation", p=paired_permutation_p(d, seed), wilcoxon_p=wilcoxon)


def _t_contrast(value: float, error: float, df: float, blocks: int) -> _Contrast:
    if error == 0:  # repeats that agree to the last bit: the difference is what it is
        return _Contrast(value, value, value, blocks, "welch", 1.0 if value == 0 else 0.0, None)
    reach, p = t_quantile(df) * error, 2 * t_tail(df, abs(value) / error)
    return _Contrast(value, value - reach, value + reach, blocks, "welch", p, None)


def paired_permutation_p(differences: Float64, seed: int = 0) -> float:
    """Two-sided p of the mean of paired differences (n,) under flips of their signs; exact up to 12 pairs."""
    n = len(differences)
    if n <= _EXACT_FLIPS:
        patterns = np.arange(2**n, dtype=np.int64)[:, None] >> np.arange(n, dtype=np.int64)
        signs = np.asarray(1 - 2 * (patterns & 1), np.float64)
        extra = 0
    else:
        signs = np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), (_RANDOM_FLIPS, n))
        extra = 1  # the data themselves are one of the patterns
    sums = np.abs(signs @ differences)
    reached = int((sums >= abs(float(differences.sum())) * (1 - 1e-12)).sum())
    return (reached + extra) / (len(signs) + extra)


def _difference(
    a: Any, b: Any, ratio: bool, contrast: _Contrast, medians: tuple[float, float, float]
) -> Difference:
    def shown(value: float | None) -> float | None:
        return value if value is None or not ratio else float(np.exp(min(value, 700.0)))

    value = shown(contrast.value)
    assert value is not None
    return Difference(
        a,
        b,
        "ratio" if ratio else "difference",
        contrast.blocks,
        value,
        shown(contrast.low),
        shown(contrast.high),
        contrast.test,
        contrast.p,
        contrast.wilcoxon_p,
        *medians,
    )


def _kruskal(samples: list[Float64]) -> tuple[float | None, float | None]:
    pooled = np.concatenate(samples)
    if len(pooled) == len(samples) or len(pooled) < 3 or np.ptp(pooled) == 0:
        return None, None
    result = scipy_stats().kruskal(*samples)
    return finite(result.statistic), finite(result.pvalue)


def _corrected(found: list[Effect]) -> list[Effect]:
    """Pairs corrected over all pairs, Kruskal-Wallis over all effects."""
    nan = float("nan")
    pairs = holm(np.array([nan if d.p is None else d.p for e in found for d in e.differences], np.float64))
    wholes = holm(np.array([nan if e.p is None else e.p for e in found], np.float64))
    done: list[Effect] = []
    place = 0
    for effect, whole in zip(found, wholes.tolist(), strict=True):
        count = len(effect.differences)
        own = pairs[place : place + count].tolist()
        place += count
        differences = tuple(
            replace(d, p_corrected=finite(p)) for d, p in zip(effect.differences, own, strict=True)
        )
        done.append(replace(effect, differences=differences, p_corrected=finite(whole)))
    return done
