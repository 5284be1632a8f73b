from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.studies import study, trial
from wattmark.studies.analysis.data.cells import group
from wattmark.studies.analysis.data.columns import frame
from wattmark.studies.analysis.data.metrics import metric_columns
from wattmark.studies.analysis.outliers import Flag, outliers
from wattmark.studies.results import TrialResult


def flags(trials: list[TrialResult]) -> list[Flag]:
    return outliers(trials, metric_columns(frame(trials).columns), group(trials, ["model"]))


def test_a_trial_that_drew_half_as_much_again_is_flagged() -> None:
    trials = list(
        study(
            {"model": ["A", "B"]},
            6,
            noise=0.02,
            energy=lambda levels: 100.0 if levels["model"] == "A" else 900.0,
        ).trials
    )
    trials[8] = trial({"model": "B"}, repeat=2, training_j=1350.0, inference_j=90.0)
    found = flags(trials)
    assert {flag.trial_id for flag in found} == {"B-2"}
    assert found[0].cell == "B"
    assert found[0].score > 3.5


def test_three_repeats_borrow_the_spread_of_the_other_cells() -> None:
    trials = list(study({"model": list("ABCDE")}, 3, noise=0.02, seed=1).trials)
    trials[0] = replace(trial({"model": "A"}, training_j=1500.0), trial_id="odd")
    assert {flag.trial_id for flag in flags(trials)} == {"odd"}


@pytest.mark.parametrize("repeats", [3, 6])
def test_quiet_repeats_are_seldom_flagged(repeats: int) -> None:
    flagged = 0
    for seed in range(20):
        trials = list(study({"model": list("ABC")}, repeats, seed=seed).trials)
        flagged += len({flag.trial_id for flag in flags(trials)})
    assert flagged / (20 * 3 * repeats) < 0.08


def test_two_repeats_are_not_judged_and_equal_ones_not_flagged() -> None:
    pair = [trial({"model": "A"}, training_j=joules, repeat=i) for i, joules in enumerate((1.0, 1000.0))]
    assert flags(pair) == []
    assert flags([trial({"model": "A"}, repeat=i, training_j=1000 + 1e-6 * i) for i in range(6)]) == []
    assert flags([replace(trial({"model": "A"}), energy_j=None, stages=())] * 4) == []
