"""Serving studies: pairs are compared like with like, chance alone finds nothing, and guidelines carry their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fakes.studies import study
from wattmark.studies.analysis.guidelines.serving import serving_guidelines
from wattmark.studies.analysis.serving import crossings, like_with_like, load_factor, serving_cells
from wattmark.studies.results import StudyResults

SIZES = {"1m": 1e6, "5m": 5e6, "20m": 2e7}
LOADS = [1.0, 3.0, 12.0]


def planted(
    *, effect: bool = True, repeats: int = 2, noise: float = 0.02, seed: int = 0, unknown: int = 0, slow: float = 0.0,
    limits: bool = False,
) -> StudyResults:  # fmt: skip
    """10 W of idle shared by 16 tokens a request; the models' own joules differ by their size. Without an effect every
    cell is alike. unknown: so many trials do not know their idle watts, and hold three times the joules."""
    rng = np.random.default_rng(seed)
    count = [0]

    def metrics(levels: Mapping[str, Any]) -> dict[str, float]:
        count[0] += 1
        rate, size = float(levels["rate"]), SIZES[str(levels["model"])]
        own = 0.02 * size / 1e6
        idle = 10 / rate
        request_j = (idle + own if effect else 5.0) * float(np.exp(rng.normal(0, noise)))
        found = {
            "j_per_token": request_j / 16,
            "j_per_request": request_j,
            "parameters": size,
            "requests_per_s": rate,
        }
        if limits:
            found["in_time"] = float(own * rate <= slow)
        if count[0] <= unknown:
            return {name: value * (3 if name.startswith("j_") else 1) for name, value in found.items()}
        return {**found, "idle_share": idle / (idle + own) if effect else 0.3}

    results = study({"model": list(SIZES), "rate": LOADS}, repeats, metrics=metrics)
    fixed = {"ttft_limit_s": 1.0, "tpot_limit_s": 0.1}
    return StudyResults("planted", "", {**results.design, "fixed": fixed}, results.trials)


def found_in(results: StudyResults, kind: str) -> list[Any]:
    return [one for one in serving_guidelines(results) if one.evidence["kind"] == kind]


def test_a_planted_crossing_is_found_with_its_size() -> None:
    cells, left_out = like_with_like(serving_cells(planted()))
    assert left_out == 0
    found = crossings(cells, "rate")
    assert len(found) == 3 * 3  # pairs of sizes, pairs of loads
    (best,) = [
        one for one in found if one.larger == "5m at 12 requests/s" and one.smaller == "1m at 1 requests/s"
    ]
    assert best.ratio.low < (10 / 12 + 0.1) / (10 + 0.02) < best.ratio.high < 1
    assert best.p < 0.001
    assert best.probability > 0.999


@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_chance_alone_finds_a_crossing_in_at_most_one_study_in_twenty(noise: float) -> None:
    studies = 100
    wrong = 0
    for seed in range(studies):
        cells, _ = like_with_like(serving_cells(planted(effect=False, noise=noise, seed=seed)))
        wrong += any(one.p < 0.05 for one in crossings(cells, "rate"))
    assert wrong <= 9  # more than that has a chance of 3 % at a rate of 5 %


def test_trials_whose_idle_is_not_known_are_compared_with_none() -> None:
    cells, left_out = like_with_like(serving_cells(planted(unknown=2)))
    assert left_out == 2
    assert not any(cell.label == "1m at 1 requests/s" for cell in cells)
    assert not any(one.smaller == "1m at 1 requests/s" for one in crossings(cells, "rate"))
    everything, left_out = like_with_like(serving_cells(planted(unknown=100)))
    assert left_out == 0
    assert len(everything) == 9


def test_only_equal_settings_are_compared_in_size_and_load() -> None:
    results = planted()
    trials = [
        type(trial)(**{**{name: getattr(trial, name) for name in trial.__slots__},
                       "factors": {**trial.factors, "number_format": "f16" if trial.factors["rate"] == 1.0 else "q8_0"}})
        for trial in results.trials
    ]  # fmt: skip
    cells = serving_cells(StudyResults("mixed", "", results.design, trials))
    pairs = crossings(cells, "rate")
    assert pairs
    assert not any("at 1 " in one.smaller for one in pairs)


def test_idle_is_told_up_to_the_load_at_which_it_is_sure_to_be_most() -> None:
    (one,) = found_in(planted(), "serving-idle")
    # at 12 requests/s the large model uses 0.4 J of its own and 0.83 J of idle: 68 %
    assert one.evidence["level"] == 12.0
    assert one.evidence["value"] == pytest.approx((10 / 12) / (10 / 12 + 0.4))
    assert one.evidence["low"] <= one.evidence["value"] <= one.evidence["high"]
    assert "at least 68 % of the energy whatever the model" in one.text
    assert not found_in(planted(effect=False), "serving-idle")


def test_the_crossing_is_told_with_its_interval_and_silence_kept_without_one() -> None:
    (one,) = found_in(planted(), "serving-crossing")
    assert one.evidence["high"] < 1
    assert one.evidence["p_corrected"] < 0.05
    assert one.strength == "moderate"
    assert serving_guidelines(planted(effect=False, seed=3)) == []


def test_modelled_joules_are_told_as_such() -> None:
    results = planted()
    trials = [
        type(trial)(
            **{**{name: getattr(trial, name) for name in trial.__slots__}, "methods": {"cpu": "modelled"}}
        )
        for trial in results.trials
    ]
    assert all(
        "modelled" in one.text for one in serving_guidelines(StudyResults("m", "", results.design, trials))
    )


def test_the_cheapest_configuration_that_keeps_within_the_limits_is_named() -> None:
    (one,) = found_in(planted(limits=True, slow=0.3), "serving-in-time")
    # 20m is too slow at 12 requests/s (0.4 > 0.3); 5m is not (0.1 * 12 = 1.2 > 0.3): 1m at 12 has 0.24
    assert one.evidence["cell"] == "1m at 12 requests/s"
    assert "1 s to the first token and 0.1 s per further token" in one.text
    assert one.evidence["value"] == pytest.approx(10 / 12 + 0.02, rel=0.05)
    assert "next is 1m at 3 requests/s with 4.0" in one.text
    assert "chance" not in one.text
    assert not found_in(planted(limits=True, slow=0.0), "serving-in-time")
    assert not found_in(planted(), "serving-in-time")


def test_a_cheapest_configuration_that_may_be_so_by_chance_is_told_as_such() -> None:
    (one,) = found_in(planted(limits=True, slow=9.0, effect=False, noise=0.2), "serving-in-time")
    assert "may be chance" in one.text
    assert one.strength == "weak"


def tasks(right: Mapping[tuple[str, str], int], repeats: int = 2) -> StudyResults:
    def metrics(levels: Mapping[str, Any]) -> dict[str, float]:
        correct = right[str(levels["model"]), str(levels["mode"])]
        return {
            "j_per_token": 0.01, "j_per_request": 1.0 if levels["mode"] == "answer" else 2.0, "answered": 50,
            "correct": correct, "idle_share": 0.3,
        }  # fmt: skip

    results = study({"model": ["small", "big"], "mode": ["answer", "steps"]}, repeats, metrics=metrics)
    return StudyResults(
        "tasks", "", {**results.design, "fixed": {"task": "addition", "level": 3}}, results.trials
    )


def test_steps_that_pay_are_told_with_the_price_of_a_right_answer() -> None:
    results = tasks(
        {("small", "answer"): 5, ("small", "steps"): 50, ("big", "answer"): 40, ("big", "steps"): 40}
    )
    (one,) = found_in(results, "serving-steps")
    assert one.evidence["accuracy"] == 1.0
    assert one.evidence["accuracy_against"] == pytest.approx(0.1)
    assert one.evidence["ratio"] == pytest.approx(2 / (1 / 0.1))
    assert one.evidence["low"] < one.evidence["ratio"] < one.evidence["high"] < 1
    assert (
        "In mode steps, small on addition of level 3 is right in 100 % of its answers, against 10 % at once"
        in one.text
    )


def test_steps_without_which_nothing_is_right_have_no_ratio() -> None:
    (one, _) = found_in(
        tasks({("small", "answer"): 0, ("small", "steps"): 50, ("big", "answer"): 0, ("big", "steps"): 50}),
        "serving-steps",
    )
    assert one.evidence["ratio"] is None
    assert "none was right" in one.text


def test_other_studies_have_no_sentences_on_serving() -> None:
    other = study({"model": ["a", "b"]}, 2)
    assert serving_cells(other) == []
    assert load_factor(other) is None
    assert serving_guidelines(other) == []
