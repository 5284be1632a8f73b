"""Sentences that the data at hand carry, each with its evidence; silence where they carry none.

A difference between two levels of a factor is said only if its p-value, corrected over every pair of every factor and metric
in the study, is below 0.05, and if it is larger than what the measurement leaves open: the measured intervals of the two
levels must not overlap. Which sentences are chosen is not allowed to matter: the correction covers all that could be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wattmark.statistics import ALPHA
from wattmark.studies.analysis.correlate import Predictor
from wattmark.studies.analysis.data.cells import label, levels
from wattmark.studies.analysis.data.columns import Columns
from wattmark.studies.analysis.data.quality import ACCURACY, Quality
from wattmark.studies.analysis.effects import Difference, Effect
from wattmark.studies.analysis.pareto import ParetoPoint
from wattmark.studies.results import TrialResult
from wattmark.units import format_energy, significant

Strength = Literal["strong", "moderate", "weak"]

NEAR_BEST_ACCURACY = 0.02
"""A level counts as an alternative to the best one if it loses at most two points, or, where the quality is no share, if it
is not worse beyond noise."""
_STRONG, _MODERATE = 0.20, 0.05
_BOUNDS = {
    "training_energy_j": ("training energy", "training_j", "energy_low_j", "energy_high_j"),
    "inference_energy_j": ("inference energy", "inference_j", "inference_low_j", "inference_high_j"),
    "total_energy": ("energy", "total_j", "total_low_j", "total_high_j"),
}
_PREDICTOR_WORDS = {"parameters": "parameters", "macs": "MACs", "macs_param": "MACs per parameter"}
_TARGET_WORDS = {"training_energy_j": "training energy", "inference_energy_j": "inference energy"}


@dataclass(frozen=True, slots=True)
class Guideline:
    """One sentence. evidence: plain data (kind, factor, metric, levels, value, low, high, p_corrected, ...). strength:
    ``strong`` when even the weaker end of the interval is an effect of 20 %, ``moderate`` at 5 %, else ``weak``."""

    text: str
    evidence: Mapping[str, Any]
    strength: Strength


def guidelines(
    trials: Sequence[TrialResult],
    columns: Columns,
    effects: Sequence[Effect],
    predictors: Sequence[Predictor],
    pareto: Sequence[ParetoPoint],
    quality: Quality | None = ACCURACY,
) -> list[Guideline]:
    """All sentences, strongest first. trials and columns: the completed trials and their columns."""
    quality = quality or ACCURACY
    by_name = {(effect.factor, effect.metric): effect for effect in effects}
    names = (
        ["training_energy_j", "inference_energy_j"]
        if any(effect.metric in ("training_energy_j", "inference_energy_j") for effect in effects)
        else ["total_energy"]
    )
    found: list[Guideline] = []
    for effect in effects:
        if effect.metric in names:
            sayable = [d for d in effect.differences if _sayable(d, effect, trials, columns)]
            outcome = by_name.get((effect.factor, quality.name))
            chosen = _choice(sayable, outcome, quality)
            if chosen is not None:
                found.append(_saving(chosen, effect, outcome, quality))
    found += _prediction(predictors)
    found += _last_points(pareto, effects, quality)
    order = ("strong", "moderate", "weak")
    return sorted(found, key=lambda one: order.index(one.strength))


# --- differences between levels ---


@dataclass(frozen=True, slots=True)
class _Saving:
    """``frugal`` against ``other``: ratio below 1 with its interval."""

    frugal: Any
    other: Any
    ratio: float
    low: float
    high: float
    p: float


def _sayable(d: Difference, effect: Effect, trials: Sequence[TrialResult], columns: Columns) -> bool:
    if d.p_corrected is None or d.p_corrected >= ALPHA or d.low is None or d.high is None:
        return False
    _, value, low, high = _BOUNDS[effect.metric]
    names, code = levels(trials, effect.factor)
    a, b = (_relative_bounds(code == _place(names, one), columns, value, low, high) for one in (d.a, d.b))
    if a is None or b is None:
        return False
    return d.value * b[1] < a[0] or d.value * b[0] > a[1]


def _relative_bounds(
    rows: np.ndarray[Any, np.dtype[np.bool_]], columns: Columns, value: str, low: str, high: str
) -> tuple[float, float] | None:
    """Mean low / value and high / value of the rows that have all three."""
    parts = np.stack([columns[name][rows] for name in (value, low, high)])
    parts = parts[:, np.isfinite(parts).all(axis=0) & (parts[0] > 0)]
    if not parts.shape[1]:
        return None
    return float((parts[1] / parts[0]).mean()), float((parts[2] / parts[0]).mean())


def _choice(sayable: Sequence[Difference], outcome: Effect | None, quality: Quality) -> _Saving | None:
    """The largest saving against the best level at hardly any loss, else the largest of all."""
    savings = [_as_saving(d) for d in sayable]
    if not savings:
        return None
    best = None if outcome is None else max(outcome.levels, key=lambda one: quality.sign * one.median).level
    near = [s for s in savings if str(s.other) == str(best) and _is_near(_gain(outcome, s), quality)]
    return min(near or savings, key=lambda s: s.ratio)


def _is_near(gain: _Gain, quality: Quality) -> bool:
    if quality.share:
        return quality.sign * gain.value >= -NEAR_BEST_ACCURACY
    return not np.isnan(gain.value) and (quality.sign * gain.value >= 0 or not gain.certain)


def _as_saving(d: Difference) -> _Saving:
    low, high, p = d.low, d.high, d.p_corrected
    assert low is not None
    assert high is not None
    assert p is not None
    if d.value < 1:
        return _Saving(d.b, d.a, d.value, low, high, p)
    return _Saving(d.a, d.b, 1 / d.value, 1 / high, 1 / low, p)


@dataclass(frozen=True, slots=True)
class _Gain:
    """Quality that the frugal level has more than the other, in its own unit; NaN where it is not known."""

    value: float
    low: float | None = None
    high: float | None = None
    certain: bool = False


def _gain(outcome: Effect | None, saving: _Saving) -> _Gain:
    wanted = {str(saving.frugal), str(saving.other)}
    pairs = () if outcome is None else outcome.differences
    for d in pairs:
        if {str(d.a), str(d.b)} == wanted:
            certain = d.p_corrected is not None and d.p_corrected < ALPHA
            if str(d.b) == str(saving.frugal):
                return _Gain(d.value, d.low, d.high, certain)
            flipped = (None, None) if d.low is None or d.high is None else (-d.high, -d.low)
            return _Gain(-d.value, *flipped, certain)
    return _Gain(float("nan"))


def _saving(saving: _Saving, effect: Effect, outcome: Effect | None, quality: Quality) -> Guideline:
    gain = _gain(outcome, saving)
    less, least, most = (100 * (1 - ratio) for ratio in (saving.ratio, saving.high, saving.low))
    words = _BOUNDS[effect.metric][0]
    frugal, other = (label({effect.factor: one}).replace("=", " ") for one in (saving.frugal, saving.other))
    text = (
        f"{frugal} needs {significant(less, 2)} % less {words} than {other}"
        f"{_gain_words(gain, quality)}; 95 % interval {significant(least, 2)} to {significant(most, 2)} %."
    )
    evidence = {
        "kind": "difference",
        "factor": effect.factor,
        "metric": effect.metric,
        "level": saving.frugal,
        "against": saving.other,
        "ratio": saving.ratio,
        "low": saving.low,
        "high": saving.high,
        "p_corrected": saving.p,
        "trials": effect.trials,
        "quality": quality.name,
        "quality_gain": None if np.isnan(gain.value) else gain.value,
        "quality_low": gain.low,
        "quality_high": gain.high,
    }
    return Guideline(text, evidence, _strength(1 - saving.high))


def _gain_words(gain: _Gain, quality: Quality) -> str:
    if np.isnan(gain.value):
        return ""
    size = abs(gain.value / quality.step)
    side = "less" if gain.value < 0 else "more"
    if gain.certain or (gain.low is None and gain.value != 0):
        untested = "" if gain.certain else " (without repeats, not tested)"
        return f" for {significant(size, 2)} {quality.unit} {side}{untested}"
    if gain.low is None or gain.high is None or gain.low == gain.high:
        return f" at the same {quality.name}"
    low, high = (significant(end / quality.step, 2) for end in (gain.low, gain.high))
    points = " points" if quality.share else ""
    return f" with no difference in {quality.name} beyond noise ({low} to {high}{points})"


def _strength(effect: float) -> Strength:
    return "strong" if effect >= _STRONG else "moderate" if effect >= _MODERATE else "weak"


def _place(names: Sequence[Any], level: Any) -> int:
    return [str(one) for one in names].index(str(level))


# --- prediction ---


def _prediction(predictors: Sequence[Predictor]) -> list[Guideline]:
    """The best predictor of a target, where it halves the error of knowing nothing about the model."""
    found: list[Guideline] = []
    for target, words in _TARGET_WORDS.items():
        own = [one for one in predictors if one.target == target]
        if not own:
            continue
        best = own[0]
        if best.p_corrected >= ALPHA or best.error_high > 0.5 * best.error_without:
            continue
        others = "".join(f"; {_PREDICTOR_WORDS[o.predictor]} {100 * o.error:.0f} %" for o in own[1:])
        text = (
            f"{_PREDICTOR_WORDS[best.predictor]} tell the {words} of a model that was not measured to "
            f"{100 * best.error:.0f} % on average (95 % interval {100 * best.error_low:.0f} to "
            f"{100 * best.error_high:.0f} %; "
            f"without, {100 * best.error_without:.0f} %{others})."
        )
        evidence = {
            "kind": "prediction",
            "predictor": best.predictor,
            "metric": target,
            "value": best.error,
            "low": best.error_low,
            "high": best.error_high,
            "error_without": best.error_without,
            "p_corrected": best.p_corrected,
            "architectures": best.architectures,
        }
        found.append(Guideline(text, evidence, _strength(1 - best.error_high / best.error_without)))
    return found


# --- the last points of quality ---


def _last_points(
    pareto: Sequence[ParetoPoint], effects: Sequence[Effect], quality: Quality
) -> list[Guideline]:
    """What the last step along the front costs, where both of its differences stand the corrected tests.

    Only for studies of one factor, in which the front's cells are its levels.
    """
    factors = {effect.factor for effect in effects}
    members = [point for point in pareto if point.on_front]
    if len(factors) != 1 or len(members) < 2:
        return []
    cheap, dear = members[-2:]
    if (
        dear.joules_per_point is None
        or dear.joules_per_point_low is None
        or dear.joules_per_point_high is None
    ):
        return []
    energy = _tested(effects, ("training_energy_j", "total_energy"), cheap.cell, dear.cell)
    if not (energy and _tested(effects, (quality.name,), cheap.cell, dear.cell)):
        return []
    points = abs(dear.quality - cheap.quality) / quality.step
    low, high = (format_energy(end) for end in (dear.joules_per_point_low, dear.joules_per_point_high))
    text = (
        f"The last {significant(points, 2)} {quality.unit}, from {cheap.cell} to {dear.cell}, cost "
        f"{format_energy(dear.joules_per_point)} {'a point' if quality.share else 'for each 1'}; "
        f"95 % interval {low} to {high}."
    )
    evidence = {
        "kind": "last-points",
        "quality": quality.name,
        "factor": next(iter(factors)),
        "from": cheap.cell,
        "to": dear.cell,
        "value": dear.joules_per_point,
        "low": dear.joules_per_point_low,
        "high": dear.joules_per_point_high,
    }
    return [Guideline(text, evidence, _strength(1 - cheap.energy_j / dear.energy_j))]


def _tested(effects: Sequence[Effect], metrics: Sequence[str], a: str, b: str) -> bool:
    """Whether the first of the metrics that the study has differs between two cells beyond the corrected test."""
    for name in metrics:
        for effect in effects:
            if effect.metric == name:
                return any(
                    {label({effect.factor: d.a}), label({effect.factor: d.b})} == {a, b}
                    and d.p_corrected is not None
                    and d.p_corrected < ALPHA
                    for d in effect.differences
                )
    return False
