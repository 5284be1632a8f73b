from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wattmark.studies.analysis.correlate import CorrelationMap, correlate, predictors


def maps(
    columns: dict[str, np.ndarray], cell: np.ndarray | None = None, per: str = "model"
) -> dict[str, CorrelationMap]:
    n = len(next(iter(columns.values())))
    rows = np.arange(n) if cell is None else cell
    return {one.kind: one for one in correlate(columns, rows, per=per, scope="total")}  # type: ignore[arg-type]


def at(one: CorrelationMap, matrix: str, a: str, b: str) -> float:
    return float(getattr(one, matrix)[one.names.index(a), one.names.index(b)])


def test_coefficients_agree_with_scipy_with_and_without_holes() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=40)
    columns = {"power": x, "macs": x**3 + rng.normal(size=40), "loss": rng.normal(size=40)}
    columns["macs"][5:9] = np.nan
    columns["loss"][7:15] = np.nan
    found = maps(columns)
    for a, b in (("power", "macs"), ("power", "loss"), ("macs", "loss")):
        known = np.isfinite(columns[a]) & np.isfinite(columns[b])
        first, second = columns[a][known], columns[b][known]
        assert at(found["pearson"], "r", a, b) == pytest.approx(stats.pearsonr(first, second).statistic)
        assert at(found["pearson"], "r", b, a) == at(found["pearson"], "r", a, b)
        assert at(found["spearman"], "r", a, b) == pytest.approx(stats.spearmanr(first, second).statistic)
        assert at(found["pearson"], "cells", a, b) == known.sum()


def test_p_values_are_those_of_the_pairs_times_their_number_at_most() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=30)
    columns = {"power": x, "macs": x + rng.normal(size=30), "loss": rng.normal(size=30)}
    strongest = stats.pearsonr(columns["power"], columns["macs"]).pvalue
    assert at(maps(columns)["pearson"], "p_corrected", "power", "macs") == pytest.approx(3 * strongest)


def test_only_seven_tenths_and_more_are_shown() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=50)
    one = maps({"power": x, "macs": -x + 0.1 * rng.normal(size=50), "loss": rng.normal(size=50)})["pearson"]
    assert at(one, "shown", "power", "macs")
    assert not at(one, "shown", "power", "loss")


def test_constants_and_what_is_hardly_known_are_left_out() -> None:
    x = np.arange(10.0)
    rare = np.full(10, np.nan)
    rare[:3] = [1, 5, 2]
    one = maps({"power": x, "macs": x**2, "loss": np.ones(10), "cpu_power": rare})["pearson"]
    assert one.names == ("power", "macs")


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_few_points_give_no_map(rows: int) -> None:
    assert maps({"power": np.arange(float(rows)), "macs": np.arange(float(rows))}) == {}


def test_epochs_of_one_trial_are_not_independent_evidence() -> None:
    rng = np.random.default_rng(4)
    cell = np.repeat(np.arange(5), 200)
    levels = rng.normal(size=(2, 5))
    columns = {"power": levels[0][cell] + 0.01 * rng.normal(size=1000), "macs": levels[1][cell]}
    one = maps(columns, cell, per="epoch")["pearson"]
    plain = stats.pearsonr(columns["power"], columns["macs"])
    assert at(one, "r", "power", "macs") == pytest.approx(plain.statistic)
    honest = stats.pearsonr(levels[0], levels[1]).pvalue
    assert at(one, "p_corrected", "power", "macs") == pytest.approx(honest, rel=0.05)
    assert at(one, "high", "power", "macs") - at(one, "low", "power", "macs") > 0.5


def test_bootstrap_intervals_hold_the_truth() -> None:
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=60)
        one = maps({"power": x, "macs": x + rng.normal(size=60)})["pearson"]
        held.append(at(one, "low", "power", "macs") <= np.sqrt(0.5) <= at(one, "high", "power", "macs"))
    assert np.mean(held) >= 0.85


def networks(seed: int, exponent: float, noise: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    macs = np.exp(rng.uniform(10, 18, 14))
    parameters = np.exp(rng.uniform(10, 16, 14))
    energy = 1e-3 * macs**exponent * np.exp(rng.normal(0, noise, 14))
    nothing = np.full(14, np.nan)
    return {
        "parameters": parameters, "macs": macs, "macs_param": macs / parameters, "training_energy_j": energy,
        "energy_per_sample": energy / 100, "inference_energy_j": nothing, "inference_energy_per_sample": nothing,
    }  # fmt: skip


def test_the_planted_predictor_comes_first_with_its_exponent_and_error() -> None:
    found = predictors(networks(0, 0.8, 0.1), [f"net{i}" for i in range(14)], [""] * 14)
    best = found[0]
    assert (best.predictor, best.target, best.architectures) == ("macs", "training_energy_j", 14)
    assert best.exponent == pytest.approx(0.8, abs=0.05)
    assert 0.03 < best.error < 0.15
    assert best.error_low <= best.error <= best.error_high
    assert best.error_without > 1
    assert best.p_corrected < 0.05
    assert {one.target for one in found} == {"training_energy_j", "energy_per_sample"}


def test_the_error_is_that_of_refitting_without_the_architecture() -> None:
    columns = networks(1, 0.5, 0.3)
    found = predictors(columns, list(range(14)), [""] * 14)
    macs = next(one for one in found if (one.predictor, one.target) == ("macs", "training_energy_j"))
    x, y = np.log(columns["macs"]), np.log(columns["training_energy_j"])
    errors = []
    for i in range(14):
        rest = np.arange(14) != i
        slope, intercept = np.polyfit(x[rest], y[rest], 1)
        errors.append(abs(np.exp(intercept + slope * x[i] - y[i]) - 1))
    assert macs.error == pytest.approx(np.mean(errors))


def test_nothing_predicts_where_nothing_is_planted() -> None:
    silent = 0
    for seed in range(20):
        found = predictors(networks(seed, 0.0, 0.5), list(range(14)), [""] * 14, seed=seed)
        silent += min(one.p_corrected for one in found) >= 0.05
    assert silent >= 18


def test_architectures_are_compared_in_the_settings_that_all_share() -> None:
    columns = networks(2, 1.0, 0.0)
    doubled = {name: np.concatenate((values, values[:3])) for name, values in columns.items()}
    doubled["training_energy_j"][14:] *= 50  # three networks were tried under a costly setting, too
    settings = ["cheap"] * 14 + ["dear"] * 3
    found = predictors(doubled, [*range(14), 0, 1, 2], settings)
    assert found[0].error == pytest.approx(0, abs=1e-9)


def test_four_architectures_are_too_few_to_say() -> None:
    columns = {name: values[:4] for name, values in networks(3, 1.0, 0.1).items()}
    assert predictors(columns, list(range(4)), [""] * 4) == []
