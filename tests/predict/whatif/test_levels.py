"""Levels of a study: measured ratios, never a model."""

from __future__ import annotations

import pytest

from fakes.studies import study as a_study
from wattmark.predict.whatif.levels import from_study, levels_of
from wattmark.predict.whatif.state import State, Unpredictable
from wattmark.quantity import Quantity
from wattmark.studies.results import StudyResults

STATE = State({"gpu": Quantity.exact(750.0), "cpu": Quantity.exact(250.0)}, Quantity.exact(23.0, "s"))


def planted(repeats: int, noise: float = 0.02) -> StudyResults:
    """Batch 64 costs half of batch 16; the run "mine" is a trial of batch 16."""
    study = a_study(
        {"model": ["a", "b"], "batch_size": [16, 64]},
        repeats,
        noise=noise,
        energy=lambda f: 1000.0 * (0.5 if f["batch_size"] == 64 else 1.0) * (3 if f["model"] == "b" else 1),
    )
    object.__setattr__(study.trials[0], "run_id", "mine")
    return study


@pytest.mark.parametrize("repeats", [1, 3, 10])
def test_the_ratio_of_the_medians_is_found_with_its_interval(repeats: int):
    found = from_study(STATE, planted(repeats), "mine", {"batch_size": 64})
    assert not isinstance(found, Unpredictable)
    after, step = found
    assert step.energy.value == pytest.approx((10 + 550) / (10 + 1100), rel=0.05)
    assert step.energy.low <= 560 / 1110 * 1.02
    assert step.energy.high >= 560 / 1110 * 0.98
    assert after.by_component["gpu"].value == pytest.approx(750 * step.energy.value, rel=0.01)
    assert step.duration.value == 1.0
    assert f"{repeats} trials" in step.source


def test_the_runs_own_levels_change_nothing():
    found = from_study(STATE, planted(3), "mine", {"batch_size": 16})
    assert not isinstance(found, Unpredictable)
    assert found[0] == STATE


def test_other_factors_stay_as_they_are():
    found = from_study(STATE, planted(1, noise=0.0), "mine", {"model": "b"})
    assert not isinstance(found, Unpredictable)
    assert found[1].energy.value == pytest.approx((10 + 3300) / 1110)


@pytest.mark.parametrize(
    ("run_id", "levels", "why"),
    [
        ("other", {"batch_size": 64}, "no trial of the study"),
        ("mine", {"batch_size": 128}, "did not try batch_size=128"),
        ("mine", {"precision": "fp16"}, "no factor 'precision'"),
    ],
)
def test_what_the_study_did_not_try_is_refused(run_id: str, levels: dict[str, object], why: str):
    found = from_study(STATE, planted(2), run_id, levels)
    assert isinstance(found, Unpredictable)
    assert why in str(found)


def test_what_may_be_asked_is_what_varies():
    assert levels_of(planted(2), "mine") == {"model": ["a", "b"], "batch_size": [16, 64]}
    assert levels_of(planted(2), "other") == {}
