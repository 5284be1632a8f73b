"""``wm.fleet("survey.csv")``: what drives the carbon of many runs or models, how it moved, and where a run stands."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.errors import ConfigError
from wattmark.impact import as_pue, intensity_of
from wattmark.lifecycle.fleet.columns import read_survey
from wattmark.lifecycle.fleet.rows import Row, Survey, Told, survey
from wattmark.lifecycle.fleet.variance import FEWEST, Decomposition, decompose, factors_of
from wattmark.statistics import (
    Estimate,
    Float64,
    beta_cdf,
    central,
    finite,
    linear_fit,
    resampled,
    t_quantile,
)
from wattmark.store import RunSummary
from wattmark.units import J_PER_KWH
from wattmark.workspace import runs as workspace
from wattmark.workspace.library import RunLike, RunList, list_runs, view_of


@dataclass(frozen=True, slots=True)
class Trend:
    """How a number moved: its factor per year, over so many rows. clear: the interval does not hold 1."""

    of: str
    per_year: Estimate
    rows: int

    @property
    def clear(self) -> bool:
        """Whether it moved at all."""
        return (self.per_year.low or 0.0) > 1 or (self.per_year.high or math.inf) < 1


@dataclass(frozen=True, slots=True)
class Quality:
    """Energy against quality: Spearman's rank correlation, and the factor of energy from the worst quarter's mean quality to
    the best quarter's, by a line through log energy."""

    rank_correlation: Estimate
    energy_factor: Estimate
    rows: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands: so many of the others take less energy; share: of all such, with its interval."""

    name: str
    energy_j: float
    below: int
    others: int
    share: Estimate
    nearest: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fleet:
    """survey: the rows, and what was left out. shares: None where there are too few rows or they do not vary; why: then, in
    words. standing: of a run among the rows' energies, if it was asked."""

    survey: Survey
    shares: Decomposition | None
    why: str
    trends: tuple[Trend, ...]
    quality: Quality | None
    standing: Standing | None
    among: str

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows of which all is known."""
        return self.survey.rows

    @property
    def carbon_g(self) -> float | None:
        """Grams of all rows; None without any."""
        return math.fsum(row.carbon_g for row in self.rows) if self.rows else None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        shares, quality, standing = self.shares, self.quality, self.standing
        return {
            "rows": len(self.rows),
            "left_out": dict(self.survey.left_out),
            "energy_j": math.fsum(row.energy_j for row in self.rows) if self.rows else None,
            "carbon_g": self.carbon_g,
            "shares": None
            if shares is None
            else {
                "log_variance": shares.log_variance,
                "own": {name: _plain(one) for name, one in shares.own.items()},
                "together": [{"factors": list(pair), **_plain(one)} for pair, one in shares.together.items()],
                "in_all": {name: _plain(one) for name, one in shares.in_all.items()},
            },
            "why_no_shares": self.why or None,
            "trends": [
                {"of": one.of, "rows": one.rows, "clear": one.clear, **_plain(one.per_year)}
                for one in self.trends
            ],
            "quality": None
            if quality is None
            else {
                "rows": quality.rows,
                "rank_correlation": _plain(quality.rank_correlation),
                "energy_factor": _plain(quality.energy_factor),
            },
            "standing": None
            if standing is None
            else {
                "name": standing.name,
                "energy_j": standing.energy_j,
                "below": standing.below,
                "others": standing.others,
                "share": _plain(standing.share),
                "nearest": list(standing.nearest),
                "among": self.among,
            },
            "notes": list(self.survey.notes),
        }


def fleet(
    runs: str | Path | Iterable[RunLike] | None = None,
    *,
    place: RunLike | float | None = None,
    published: bool = False,
    columns: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
    seed: int = 0,
) -> Fleet:
    """What drives the carbon of many runs: shares of the variance of its logarithm by power, time, intensity and what they
    share, each with its interval; trends by year; energy against quality.

    runs: a CSV of a survey (power, time, energy, intensity, carbon, date, quality, name under their usual names), or runs
    (default: all that are kept). place: a run, or joules, whose standing among them is asked; ``published``: among models
    whose training energy was published, instead. columns, units: kind -> header or unit where names say too little. seed:
    of the resampling.

    Rows with a zero, a negative number or nothing in place of a factor are left out, counted by reason. Raises ConfigError
    for a file that cannot be understood and where no row is left.
    """
    if isinstance(runs, str | Path):
        read = read_survey(runs, columns=columns, units=units)
    else:
        if columns or units:
            raise ConfigError("columns and units are of a file", hint="give the CSV")
        read = of_runs(runs)
    if not read.rows and not (read.energies and place is not None):
        reasons = "; ".join(f"{count}: {why}" for why, count in read.left_out.items()) or "there is none"
        raise ConfigError(
            f"no row has power, time and intensity ({reasons})", hint="wattmark config set zone FR"
        )
    shares, why = None, ""
    try:
        shares = decompose(factors_of(read.rows), seed=seed) if read.rows else None
    except ConfigError as error:
        why = str(error)
    among = published_energies() if published else read.energies
    return Fleet(
        read,
        shares,
        why,
        _trends(read.rows),
        _quality(read.rows, seed),
        None if place is None else _standing(place, among),
        "models whose training energy was published" if published else "these",
    )


def of_runs(runs: Iterable[RunLike] | None = None) -> Survey:
    """The rows of kept runs (default: all): energy, time, and the intensity of each one's place; its PUE is what is left
    over."""
    if runs is None:
        runs = list_runs(status=("completed", "failed", "interrupted"))
    summaries = (
        runs.summaries if isinstance(runs, RunList) else [workspace.summary_of(view_of(run)) for run in runs]
    )
    whole = {run.run_id for run in summaries}
    return survey([_told(run) for run in summaries if run.parent_id not in whole])


def _told(run: RunSummary) -> Told:
    energy = run.headline
    place, ratio = workspace.place_for(run.host, run.settings)
    grid = None if place is None else intensity_of(place.zone).g_per_kwh.value
    pue = as_pue(ratio).ratio.value
    joules = None if energy is None else energy.value
    grams = None if joules is None or grid is None else joules / J_PER_KWH * grid * pue
    started = run.started_at
    year = started.year + (started.timetuple().tm_yday - 0.5) / 365.25
    quality = next(
        (float(v) for k, v in run.tags.items() if k in ("accuracy", "quality") and _number(v)), None
    )
    return Told(run.name, None, run.duration_s, joules, grid, grams, year, quality)


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _trends(rows: tuple[Row, ...]) -> tuple[Trend, ...]:
    """Lines through logarithms over years, where years differ."""
    dated = [row for row in rows if row.year is not None]
    years = np.array([row.year for row in dated if row.year is not None])
    if len(dated) < FEWEST or float(np.ptp(years)) < 1 / 12:
        return ()
    design = np.column_stack((np.ones(len(years)), years - years.mean()))
    found: list[Trend] = []
    values = {
        "carbon": [row.carbon_g for row in dated],
        "energy": [row.energy_j for row in dated],
        "power": [row.power_w for row in dated],
        "time": [row.time_s for row in dated],
        "intensity": [row.g_per_kwh for row in dated],
    }
    for name, numbers in values.items():
        try:
            fit = linear_fit(design, np.log(numbers))
        except ValueError:
            continue
        slope = float(fit.coefficients[1])
        half = t_quantile(fit.freedom) * math.sqrt(float(fit.covariance[1, 1]))
        found.append(Trend(name, Estimate(_exp(slope), _exp(slope - half), _exp(slope + half)), len(dated)))
    return tuple(found)


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))


def _quality(rows: tuple[Row, ...], seed: int) -> Quality | None:
    pairs = np.array([(row.quality, math.log(row.energy_j)) for row in rows if row.quality is not None])
    if len(pairs) < FEWEST or float(np.ptp(pairs[:, 0])) == 0:
        return None
    ordered = np.sort(pairs[:, 0])
    quarter = max(1, len(ordered) // 4)
    gap = float(ordered[-quarter:].mean() - ordered[:quarter].mean())
    drawn = [one for one in resampled(pairs, seed=seed) if np.ptp(one[:, 0]) > 0 and np.ptp(one[:, 1]) > 0]
    ranks = [_spearman(one) for one in drawn]
    slopes = [_slope(one) * gap for one in drawn]
    correlation, slope = _spearman(pairs), _slope(pairs) * gap
    low, high = central(ranks)
    least, most = central(slopes)
    return Quality(
        Estimate(correlation, min(low, correlation), max(high, correlation)),
        Estimate(_exp(slope), _exp(min(least, slope)), _exp(max(most, slope))),
        len(pairs),
    )


def _slope(pairs: Float64) -> float:
    x, y = pairs[:, 0] - pairs[:, 0].mean(), pairs[:, 1]
    return float((x * y).sum() / (x * x).sum())


def _spearman(pairs: Float64) -> float:
    ranked = np.column_stack([_ranks(pairs[:, column]) for column in (0, 1)])
    if np.ptp(ranked[:, 0]) == 0 or np.ptp(ranked[:, 1]) == 0:
        return 0.0
    x, y = (ranked - ranked.mean(axis=0)).T
    return float((x * y).sum() / math.sqrt(float((x * x).sum() * (y * y).sum())))


def _ranks(values: Float64) -> Float64:
    """Ranks; equal values share the mean of theirs."""
    ordered = np.sort(values)
    first, last = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.asarray((first + last + 1) / 2, np.float64)


def _standing(place: RunLike | float, among: tuple[tuple[str, float], ...]) -> Standing:
    if isinstance(place, int | float):
        name, energy = "this", float(place)
    else:
        view = view_of(place)
        quantity = workspace.summary_of(view).headline
        if quantity is None:
            raise ConfigError(f"no energy of {view.name} was measured", hint="wattmark sources")
        name, energy = view.name, quantity.value
        same = [
            at
            for at, one in enumerate(among)
            if one[0] == name and math.isclose(one[1], energy, rel_tol=1e-6)
        ]
        among = tuple(one for at, one in enumerate(among) if at not in same[:1])  # itself
    if not among:
        raise ConfigError("there is nothing to stand among")
    if not (math.isfinite(energy) and energy > 0):
        raise ConfigError(f"{energy:g} J has no place among energies above zero")
    below, count = sum(one < energy for _, one in among), len(among)
    near = sorted(among, key=lambda one: abs(math.log(one[1] / energy)))[:3]
    return Standing(name, energy, below, count, binomial(below, count), tuple(name for name, _ in near))


def binomial(successes: int, trials: int) -> Estimate:
    """A share with its exact interval (C. J. Clopper and E. S. Pearson, Biometrika 26, 1934)."""

    def root(probability: float, a: float, b: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if beta_cdf(middle, a, b) < probability else (low, middle)
        return low

    least = 0.0 if successes == 0 else root(0.025, successes, trials - successes + 1)
    most = 1.0 if successes == trials else root(0.975, successes + 1, trials - successes)
    return Estimate(successes / trials, least, most)


@cache
def published_energies() -> tuple[tuple[str, float], ...]:
    """Training energies that were published, in J, by model (``data/published.csv`` has year and source)."""
    text = files("wattmark.lifecycle.fleet").joinpath("data/published.csv").read_text(encoding="utf-8")
    return tuple(
        (row["model"], float(row["energy_kwh"]) * J_PER_KWH) for row in csv.DictReader(text.splitlines())
    )


def _plain(one: Estimate) -> dict[str, float | None]:
    return {
        "value": finite(one.value),
        "low": None if one.low is None else finite(one.low),
        "high": None if one.high is None else finite(one.high),
    }
