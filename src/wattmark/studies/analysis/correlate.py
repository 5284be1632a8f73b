"""Which metrics go together, and what predicts energy.

Pearson's and Spearman's coefficients of every pair, p-values corrected for the number of pairs (Holm), bootstrap
intervals that resample whole cells, and the study's rule of showing |r| >= 0.7 (``threshold_value`` in the authors'
published code, plots/plots.ipynb).

The epochs of one trial, and the repeats of one cell, are not independent observations: however many rows there
are, p-values count the cells, with cells - 2 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import Quantity
from wattmark.statistics import UPPER, Float64, Int64, central, jointly_drawn, resampled
from wattmark.studies.analysis.data.columns import Columns
from wattmark.studies.analysis.significance import holm, scipy_stats

SHOWN_FROM = 0.7
_FEWEST_CELLS = 4
_RESAMPLES = 500
_DRAWS = 400
_MOST_CELLS_DRAWN = 300
"""With more cells than this the errors of single ones do nothing to r that can be seen, and drawing them takes seconds."""
_ALMOST = 1 - 1e-12
_SAME_IN_OTHER_UNITS = ("training_energy_wh", "inference_energy_wh")
_KINDS: tuple[Literal["pearson", "spearman"], ...] = ("pearson", "spearman")


@dataclass(frozen=True, slots=True)
class CorrelationMap:
    """Symmetric matrices over ``names``, each (k, k) with NaN where a pair has too little in common.

    per: rows are ``epoch`` (all epochs) or ``model`` (means of the cells). scope: ``total`` or ``gpu`` energy. low,
    high: 95 % bootstrap interval over the cells (ranks are not renewed within the resamples), widened by what the
    errors of the cells' energies do to r (an error that all cells have by the same factor does nothing to it). cells:
    the number of cells behind each pair. shown: |r| >= 0.7.
    """

    kind: Literal["pearson", "spearman"]
    per: Literal["epoch", "model"]
    scope: Literal["total", "gpu"]
    names: tuple[str, ...]
    r: Float64
    low: Float64
    high: Float64
    p_corrected: Float64
    cells: Int64
    shown: NDArray[np.bool_]


def correlate(
    metrics: Columns,
    cell: Int64,
    *,
    per: Literal["epoch", "model"],
    scope: Literal["total", "gpu"],
    measured: Mapping[str, Sequence[Quantity]] | None = None,
    seed: int = 0,
) -> list[CorrelationMap]:
    """Both kinds of map over the metrics that vary. metrics: columns of n rows; cell: (n,) each row's cell. measured:
    for maps of cells, the means of metrics that have errors of their own, in the order of the cells.

    Metrics that are constant, or known in fewer than four cells, are left out. Raises MissingExtra without scipy.
    """
    if per == "model":
        metrics, cell = _cell_means(metrics, cell)
    names = [n for n in metrics if n not in _SAME_IN_OTHER_UNITS and _varies(metrics[n], cell)]
    if len(names) < 2:
        return []
    values = np.stack([metrics[name] for name in names], axis=1)
    _, cell = np.unique(cell, return_inverse=True)
    maps = [_map(kind, per, scope, tuple(names), values, cell, seed) for kind in _KINDS]
    if not measured or len(values) > _MOST_CELLS_DRAWN:
        return maps
    drawn = _drawn(names, values, measured, seed)
    return [_widened(one, drawn) for one in maps]


def _map(
    kind: Literal["pearson", "spearman"],
    per: Literal["epoch", "model"],
    scope: Literal["total", "gpu"],
    names: tuple[str, ...],
    values: Float64,
    cell: Int64,
    seed: int,
) -> CorrelationMap:
    k = len(names)
    r, low, high = (np.full((k, k), np.nan) for _ in range(3))
    number = np.zeros((k, k), np.int64)
    known = np.isfinite(values)
    # Metrics known in the same rows are done together; ranks are those of the rows that both metrics have.
    patterns: dict[bytes, list[int]] = {}
    for column in range(k):
        patterns.setdefault(known[:, column].tobytes(), []).append(column)
    groups = list(patterns.values())
    for place, first in enumerate(groups):
        for second in groups[place:]:
            rows = known[:, first[0]] & known[:, second[0]]
            count = len(np.unique(cell[rows]))
            columns = first if second is first else first + second
            box = np.ix_(columns, columns) if second is first else np.ix_(first, second)
            number[box] = count
            if count < _FEWEST_CELLS:
                continue
            got = _block(values[rows][:, columns], cell[rows], kind, seed)
            part = slice(None) if second is first else slice(len(first), None)
            own = slice(None) if second is first else slice(0, len(first))
            for matrix, block in zip((r, low, high), got, strict=True):
                matrix[box] = block[own, part]
    r, low, high = (_mirrored(matrix) for matrix in (r, low, high))
    number = np.maximum(number, number.T)
    return CorrelationMap(
        kind, per, scope, names, r, low, high, _p_values(r, number), number, np.abs(r) >= SHOWN_FROM
    )


def _drawn(
    names: Sequence[str], values: Float64, measured: Mapping[str, Sequence[Quantity]], seed: int
) -> Float64:
    """The table of cells as it may be, (draws, cells, metrics): errors that several numbers have are drawn once."""
    tables = np.tile(values, (_DRAWS, 1, 1))
    wanted = [name for name in names if len(measured.get(name, ())) == len(values)]
    parts = [quantity for name in wanted for quantity in measured[name]]
    if parts:
        drawn = jointly_drawn(parts, _DRAWS, seed=seed).reshape(_DRAWS, len(wanted), len(values))
        for place, name in enumerate(wanted):
            tables[:, :, names.index(name)] = drawn[:, place]
    return tables


def _widened(one: CorrelationMap, drawn: Float64) -> CorrelationMap:
    """With what the errors do to r, in quadrature on Fisher's z, on which r's distribution is nearly normal."""
    known = np.isfinite(drawn).all(axis=(0, 1))
    table = drawn[:, :, known]
    if one.kind == "spearman":
        table = np.asarray(scipy_stats().rankdata(table, axis=1), np.float64)
    centred = table - table.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1))
    unit = np.divide(centred, length[:, None], out=np.zeros_like(centred), where=length[:, None] > 0)
    z = _fisher(np.einsum("dci,dcj->dij", unit, unit))
    below, middle, above = np.quantile(z, (1 - UPPER, 0.5, UPPER), axis=0)
    low, high = one.low.copy(), one.high.copy()
    box = np.ix_(known, known)
    here, least, most = (_fisher(part[box]) for part in (one.r, one.low, one.high))
    low[box] = np.minimum(np.tanh(here - np.hypot(here - least, middle - below)), one.low[box])
    high[box] = np.maximum(np.tanh(here + np.hypot(most - here, above - middle)), one.high[box])
    return replace(one, low=low, high=high)


def _fisher(r: Float64) -> Float64:
    return np.arctanh(np.clip(r, -_ALMOST, _ALMOST))


def _block(x: Float64, cell: Int64, kind: str, seed: int) -> tuple[Float64, Float64, Float64]:
    """r with its interval for all pairs of columns of x (n, k) without holes."""
    if kind == "spearman":
        x = np.asarray(scipy_stats().rankdata(x, axis=0), np.float64)
    centred = x - x.mean(axis=0)
    scale = centred.std(axis=0)
    z = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)
    order = np.argsort(cell, kind="stable")
    z = z[order]
    _, starts, sizes = np.unique(cell[order], return_index=True, return_counts=True)
    count, k = len(starts), x.shape[1]
    n = sizes.astype(np.float64)
    sums = np.add.reduceat(z, starts, axis=0)
    # Not part.T @ part: on a busy machine the threads of a linear algebra library wait for one another a hundredfold.
    products = np.stack([np.einsum("ni,nj->ij", part, part) for part in np.split(z, starts[1:].tolist())])
    r = _from_moments(np.array([n.sum()]), sums.sum(axis=0)[None], products.sum(axis=0)[None])[0]
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), _RESAMPLES).astype(np.float64)
    drawn = _from_moments(
        weights @ n, weights @ sums, (weights @ products.reshape(count, k * k)).reshape(-1, k, k)
    )
    # A resample in which a metric happens to be constant has no r; it does not count.
    enough = np.isfinite(drawn).mean(axis=0) > 0.9
    filled = np.where(enough, drawn, 0.0)
    low, high = np.nanquantile(filled, (1 - UPPER, UPPER), axis=0)
    return r, np.where(enough, low, np.nan), np.where(enough, high, np.nan)


def _from_moments(n: Float64, sums: Float64, products: Float64) -> Float64:
    """(b,), (b, k), (b, k, k) -> r (b, k, k); NaN for constants."""
    mean = sums / n[:, None]
    covariance = products / n[:, None, None] - mean[:, :, None] * mean[:, None, :]
    variance = np.einsum("bii->bi", covariance)
    spread = np.sqrt(np.where(variance > 1e-12, variance, np.nan))
    return np.clip(covariance / (spread[:, :, None] * spread[:, None, :]), -1, 1)


def _p_values(r: Float64, cells: Int64) -> Float64:
    """Two-sided p from Student's t with cells - 2 degrees of freedom, corrected over the pairs."""
    upper = np.triu(np.ones_like(r, dtype=bool), 1)
    df = np.where(cells > 2, cells - 2, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(r) * np.sqrt(df / (1 - r**2))
    p = np.asarray(2 * scipy_stats().t.sf(t, df), np.float64)
    return _mirrored(holm(np.where(upper, p, np.nan)))


def _mirrored(matrix: Float64) -> Float64:
    return np.where(np.isfinite(matrix), matrix, matrix.T)


def _varies(values: Float64, cell: Int64) -> bool:
    known = np.isfinite(values)
    if len(np.unique(cell[known])) < _FEWEST_CELLS:
        return False
    some = values[known]
    return bool(np.ptp(some) > 1e-9 * np.abs(some).max())


def _cell_means(metrics: Columns, cell: Int64) -> tuple[Columns, Int64]:
    """Means over the rows that have the metric, one row per cell."""
    present, place = np.unique(cell, return_inverse=True)
    means: Columns = {}
    for name, values in metrics.items():
        known = np.isfinite(values)
        n = np.bincount(place[known], minlength=len(present))
        total = np.bincount(place[known], values[known], minlength=len(present))
        means[name] = np.divide(total, n, out=np.full(len(present), np.nan), where=n > 0)
    return means, np.arange(len(present))


# --- what predicts energy ---

PREDICTORS = ("parameters", "macs", "macs_param")
TARGETS = ("training_energy_j", "energy_per_sample", "inference_energy_j", "inference_energy_per_sample")


@dataclass(frozen=True, slots=True)
class Predictor:
    """How well one number about a model predicts energy: energy = scale * predictor ** exponent, fitted on logarithms.

    error: mean absolute relative error on the architecture left out; error_low, error_high: its 95 % bootstrap interval over
    architectures. error_without: the same for the geometric mean of the other architectures, no predictor used. p: that the
    squared logarithmic error is not smaller than without (one-sided permutation of the predictor over the architectures).
    """

    predictor: str
    target: str
    architectures: int
    exponent: float
    r_squared: float
    error: float
    error_low: float
    error_high: float
    error_without: float
    p: float
    p_corrected: float


def predictors(
    metrics: Columns, architectures: Sequence[Any], other_settings: Sequence[str], *, seed: int = 0
) -> list[Predictor]:
    """Every predictor of every target, by error within a target. Fewer than five architectures give nothing.

    metrics: columns of n trials; architectures: each trial's; other_settings: each trial's levels of all other factors.
    Only settings that all architectures were tried under are used, so that no architecture is judged by easier ones.
    """
    found: list[tuple[Predictor, float]] = []
    for target in TARGETS:
        for name in PREDICTORS:
            points = _points(metrics[name], metrics[target], architectures, other_settings)
            if len(points) >= 5 and len({x for x, _ in points.values()}) >= 3:
                found.append(_judge(name, target, points, seed))
    corrected = holm(np.array([p for _, p in found], np.float64)).tolist()
    done = [
        Predictor(**{**_fields(one), "p_corrected": p}) for (one, _), p in zip(found, corrected, strict=True)
    ]
    return sorted(done, key=lambda one: (TARGETS.index(one.target), one.error))


def _fields(one: Predictor) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Predictor.__dataclass_fields__}


def _points(
    x: Float64, y: Float64, architectures: Sequence[Any], settings: Sequence[str]
) -> Mapping[str, tuple[float, float]]:
    """(log predictor, mean log energy) by architecture, over the settings that all of them share."""
    usable = np.flatnonzero((x > 0) & (y > 0)).tolist()
    by_setting: dict[str, dict[str, list[int]]] = {}
    for index in usable:
        by_setting.setdefault(settings[index], {}).setdefault(str(architectures[index]), []).append(index)
    names = {str(architectures[index]) for index in usable}
    shared = [by for by in by_setting.values() if set(by) == names]
    if not shared:
        return {}
    return {
        name: (
            float(np.mean([np.log(x[by[name]]).mean() for by in shared])),
            float(np.mean([np.log(y[by[name]]).mean() for by in shared])),
        )
        for name in sorted(names)
    }


def _judge(
    name: str, target: str, points: Mapping[str, tuple[float, float]], seed: int
) -> tuple[Predictor, float]:
    x, y = (np.array(values) for values in zip(*points.values(), strict=True))
    n = len(x)
    residual = _left_out(x, y)
    without = (y - y.mean()) * n / (n - 1)
    relative = np.abs(np.exp(-residual) - 1)
    rng = np.random.default_rng(seed)
    low, high = central(resampled(relative, seed=seed).mean(axis=1))
    shuffled = _left_out(rng.permuted(np.tile(x, (1999, 1)), axis=1), y)
    p = (1 + int(((shuffled**2).sum(axis=1) <= (residual**2).sum()).sum())) / 2000
    slope = float(np.cov(x, y)[0, 1] / x.var(ddof=1))
    r = float(np.corrcoef(x, y)[0, 1])
    error_without = float(np.abs(np.exp(-without) - 1).mean())
    error = float(relative.mean())
    return Predictor(name, target, n, slope, r**2, error, low, high, error_without, p, p), p


def _left_out(x: Float64, y: Float64) -> Float64:
    """Residuals y - prediction of the line fitted without the point itself (closed form with leverages).

    x: (..., n), leading axes are separate fits; y: (n,).
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    squares = (centred**2).sum(axis=-1, keepdims=True)
    slope = (centred @ y)[..., None] / squares
    leverage = 1 / len(y) + centred**2 / squares
    return (y - y.mean() - slope * centred) / np.maximum(1 - leverage, 1e-12)
