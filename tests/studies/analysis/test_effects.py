from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fakes.studies import study
from wattmark.studies.analysis.data.columns import frame
from wattmark.studies.analysis.data.metrics import metric_columns
from wattmark.studies.analysis.effects import Effect, effects, paired_permutation_p
from wattmark.studies.results import StudyResults


def found(results: StudyResults, factor: str, metric: str, **more: Any) -> Effect:
    trials = results.completed
    columns = metric_columns(frame(trials).columns)
    every = effects(trials, columns, results.factors, names=[metric], **more)
    return next(effect for effect in every if effect.factor == factor)


def test_a_planted_ratio_is_found_within_its_interval() -> None:
    energies = {"A": 1000.0, "B": 370.0}
    results = study({"model": ["A", "B"]}, 6, energy=lambda levels: energies[levels["model"]])
    pair = found(results, "model", "training_energy_j").differences[0]
    assert pair.low is not None
    assert pair.high is not None
    assert pair.low < 0.37 < pair.high
    assert pair.high - pair.low < 0.05
    assert pair.p_corrected is not None
    assert pair.p_corrected < 1e-6
    assert pair.test == "welch"
    assert pair.median_low < -630 < pair.median_high


def test_intervals_hold_the_planted_ratio_nineteen_times_in_twenty() -> None:
    held = []
    for seed in range(200):
        results = study(
            {"model": ["A", "B"]},
            3,
            seed=seed,
            energy=lambda levels: 1000.0 if levels["model"] == "A" else 800.0,
            epochs=1,
        )
        pair = found(results, "model", "training_energy_j").differences[0]
        assert pair.low is not None
        assert pair.high is not None
        held.append(pair.low <= 0.8 <= pair.high)
    assert np.mean(held) >= 0.92


def test_other_factors_cancel_in_blocks_even_when_the_design_is_unbalanced() -> None:
    results = study(
        {"model": ["A", "B"], "batch_size": [1, 100]},
        4,
        energy=lambda levels: (
            (1000 if levels["model"] == "A" else 900) * (1 if levels["batch_size"] == 1 else 0.01)
        ),
        noise=0.005,
    )
    kept = [t for t in results.trials if t.trial_id not in ("A-1-0", "A-1-1", "B-100-3")]
    pair = found(StudyResults("s", "S", {}, kept), "model", "training_energy_j").differences[0]
    assert pair.blocks == 2
    assert pair.value == pytest.approx(0.9, rel=0.01)


def test_without_repeats_settings_are_paired() -> None:
    results = study(
        {"precision": ["fp32", "bf16"], "model": list("ABCDEFGH")},
        1,
        energy=lambda levels: (
            100 * (1 + ord(levels["model"]) - ord("A")) * (1 if levels["precision"] == "fp32" else 0.7)
        ),
    )
    pair = found(results, "precision", "training_energy_j").differences[0]
    assert pair.test == "paired-permutation"
    assert pair.p == pytest.approx(2 / 2**8)
    assert pair.wilcoxon_p == pytest.approx(2 / 2**8)
    assert pair.value == pytest.approx(0.7, rel=0.03)


def test_one_trial_a_level_gives_a_size_but_no_test() -> None:
    pair = found(study({"model": ["A", "B"]}, 1), "model", "training_energy_j").differences[0]
    assert (pair.p, pair.low, pair.test) == (None, None, None)
    assert pair.value > 0


def test_levels_that_share_no_setting_are_not_compared() -> None:
    results = study({"model": ["A", "B"], "batch_size": [1, 2]}, 2)
    apart = [t for t in results.trials if (t.factors["model"] == "A") == (t.factors["batch_size"] == 1)]
    assert found(StudyResults("s", "S", {}, apart), "model", "training_energy_j").differences == ()


def test_kruskal_wallis_agrees_with_scipy_and_epsilon_squared_is_h_over_n_minus_one() -> None:
    results = study(
        {"model": list("ABC")}, 5, energy=lambda levels: {"A": 100.0, "B": 101.0, "C": 103.0}[levels["model"]]
    )
    effect = found(results, "model", "training_energy_j")
    y = metric_columns(frame(results.completed).columns)["training_energy_j"].reshape(3, 5)
    expected = stats.kruskal(*y)
    assert effect.kruskal_h == pytest.approx(expected.statistic)
    assert effect.p == pytest.approx(expected.pvalue)
    assert effect.epsilon_squared == pytest.approx(expected.statistic / 14)


def test_accuracy_is_compared_as_a_difference() -> None:
    results = study({"model": ["A", "B"]}, 6, accuracy=lambda levels: 0.9 if levels["model"] == "A" else 0.92)
    pair = found(results, "model", "accuracy").differences[0]
    assert pair.scale == "difference"
    assert pair.value == pytest.approx(0.02, abs=0.003)


def test_repeats_that_agree_to_the_last_bit_do_not_break_the_test() -> None:
    results = study({"model": ["A", "B"]}, 3, noise=0.0)
    pair = found(results, "model", "training_energy_j").differences[0]
    assert (pair.value, pair.p) == (1.0, 1.0)


def test_p_values_are_corrected_over_every_pair_of_the_study() -> None:
    results = study({"model": list("ABCD")}, 3)
    effect = found(results, "model", "training_energy_j")
    worst = min(effect.differences, key=lambda pair: math.inf if pair.p is None else pair.p)
    assert worst.p is not None
    assert worst.p_corrected == pytest.approx(min(1.0, 6 * worst.p))


def test_paired_permutation_by_hand() -> None:
    assert paired_permutation_p(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 8)
    assert paired_permutation_p(np.ones(20)) == pytest.approx(1e-4, rel=0.2)
    assert paired_permutation_p(np.zeros(4)) == 1.0


def test_single_trials_have_no_kruskal_wallis_and_explain_nothing() -> None:
    effect = found(study({"model": list("ABCDE")}, 1), "model", "training_energy_j")
    assert (effect.kruskal_h, effect.p, effect.epsilon_squared, effect.eta_squared) == (
        None,
        None,
        None,
        None,
    )


def test_eta_squared_is_nothing_on_average_where_nothing_is_planted() -> None:
    etas = [
        found(study({"model": list("ABCD")}, 3, seed=seed), "model", "training_energy_j").eta_squared
        for seed in range(60)
    ]
    assert np.mean([eta for eta in etas if eta is not None]) == pytest.approx(0, abs=0.1)


def test_a_factor_is_not_given_what_another_one_does() -> None:
    """The big batch, a hundredth of the energy, is tried with B alone: Kruskal-Wallis must not lay that to the model."""
    results = study(
        {"model": ["A", "B"], "batch_size": [1, 100]},
        5,
        energy=lambda levels: 1000.0 if levels["batch_size"] == 1 else 10.0,
    )
    kept = [t for t in results.trials if (t.factors["model"], t.factors["batch_size"]) != ("A", 100)]
    effect = found(StudyResults("s", "S", {}, kept), "model", "training_energy_j")
    assert effect.p is not None
    assert effect.p > 0.05
    apart = [t for t in results.trials if (t.factors["model"] == "A") == (t.factors["batch_size"] == 1)]
    assert found(StudyResults("s", "S", {}, apart), "model", "training_energy_j").p is None


def test_a_planted_fifth_is_found_and_its_interval_holds_it() -> None:
    """Three repeats, noise of 2 %: found nearly always, and the interval misses no more often than it says."""
    seen, held = [], []
    for seed in range(60):
        results = study(
            {"model": ["A", "B"], "batch_size": [8, 64]},
            3,
            seed=seed,
            energy=lambda levels: 1000.0 if levels["model"] == "A" else 800.0,
            epochs=1,
        )
        pair = found(results, "model", "training_energy_j").differences[0]
        assert pair.low is not None
        assert pair.high is not None
        seen.append(pair.p_corrected is not None and pair.p_corrected < 0.05)
        held.append(pair.low <= 0.8 <= pair.high)
    assert np.mean(seen) >= 0.95
    assert np.mean(held) >= 0.88
