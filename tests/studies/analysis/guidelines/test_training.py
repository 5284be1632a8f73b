from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fakes.studies import bounds, study
from wattmark.studies.analysis import Guideline, analyse
from wattmark.studies.analysis.correlate import predictors
from wattmark.studies.analysis.data.cells import group
from wattmark.studies.analysis.data.columns import frame
from wattmark.studies.analysis.data.metrics import metric_columns
from wattmark.studies.analysis.effects import effects
from wattmark.studies.analysis.guidelines.training import bounded_strength, guidelines
from wattmark.studies.analysis.pareto import pareto
from wattmark.studies.results import StudyResults, TrialResult

ENERGY = {"ResNet18": 1000.0, "MobileNetV2": 370.0, "LeNet": 60.0}
ACCURACY = {"ResNet18": 0.930, "MobileNetV2": 0.926, "LeNet": 0.70}


def zoo(seed: int = 0, repeats: int = 5, of_measurement: float = 0.02) -> StudyResults:
    return study(
        {"model": list(ENERGY)},
        repeats,
        seed=seed,
        energy=lambda levels: ENERGY[levels["model"]],
        accuracy=lambda levels: ACCURACY[levels["model"]],
        accuracy_noise=0.0005,
        accuracy_of_measurement=of_measurement,
    )


def of_kind(guidelines: tuple[Guideline, ...], kind: str) -> list[Guideline]:
    return [one for one in guidelines if one.evidence["kind"] == kind]


def test_the_frugal_network_of_nearly_the_same_accuracy_is_named_with_size_and_interval() -> None:
    saving = of_kind(analyse(zoo()).guidelines, "difference")[0]
    assert re.match(
        r"ResNet18 needs 2\.\d+ times \[2\.\d+, 2\.\d+\] the (training|inference) energy of MobileNetV2: more, clearly\. "
        r"MobileNetV2 needs 6\d % less for 0\.\d+ points of accuracy less; 95 % interval 6\d to 6\d %\.",
        saving.text,
    )
    assert saving.evidence["low"] < 0.37 < saving.evidence["high"]
    assert saving.evidence["quality_gain"] == pytest.approx(-0.004, abs=0.001)
    assert saving.strength == "strong"


def test_the_last_points_of_accuracy_have_their_price() -> None:
    (last,) = of_kind(analyse(zoo()).guidelines, "last-points")
    assert (last.evidence["from"], last.evidence["to"]) == ("MobileNetV2", "ResNet18")
    assert last.evidence["low"] < 630 / 0.4 < last.evidence["high"]


def test_a_saving_without_loss_says_so() -> None:
    results = study(
        {"batch_size": [4, 64]}, 6, energy=lambda levels: 1000.0 if levels["batch_size"] == 4 else 600.0
    )
    text = of_kind(analyse(results).guidelines, "difference")[0].text
    assert text.startswith("batch_size 4 needs 1.")
    assert "batch_size 64 needs" in text
    assert "% less with no difference in accuracy beyond noise" in text


def differing(kind: str, share: float) -> StudyResults:
    """Two networks, 15 % apart, read by a sensor that errs by this share in a way that is named for each network, or for the
    host."""
    results = study(
        {"model": ["A", "B"]}, 8, energy=lambda levels: 1000.0 if levels["model"] == "A" else 850.0
    )
    trials: list[TrialResult] = []
    for trial in results.trials:
        own = f"{kind}/lab" if kind == "scale" else f"{kind}/{trial.factors['model']}"
        energy = {
            name: {
                **bounds(part["value"], share),
                "terms": {own: [-share * part["value"], share * part["value"]]},
            }
            for name, part in (trial.energy_j or {}).items()
        }
        stages = tuple(
            replace(
                stage, energy_j=None if stage.energy_j is None else bounds(stage.energy_j["value"], share)
            )
            for stage in trial.stages
        )
        trials.append(replace(trial, energy_j=energy, stages=stages))
    return replace(results, trials=trials)


@pytest.mark.parametrize("share", [0.15, 0.3])
def test_a_difference_inside_what_the_sensor_does_not_see_is_not_said(share: float) -> None:
    found = analyse(differing("character", share))
    assert found.effects[0].differences[0].p_corrected < 1e-6  # type: ignore[operator]
    assert of_kind(found.guidelines, "difference") == []


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_a_difference_is_said_however_far_the_scale_of_the_sensor_may_be_off(share: float) -> None:
    found = of_kind(analyse(differing("scale", share)).guidelines, "difference")
    assert found
    assert all(1 / 0.9 < 1 / one.evidence["ratio"] < 1 / 0.8 for one in found)


@pytest.mark.parametrize(
    ("given", "strength", "words"),
    [
        ({}, "strong", ""),
        ({"repeats": 2}, "moderate", "2 repeats"),
        ({"repeats": 1}, "weak", "1 repeat of"),
        ({"others": 0.3}, "weak", "30% of the machine, and is in the joules"),
        ({"others": 0.3, "tree": True}, "moderate", "left out"),
        ({"agree": False}, "moderate", "the tests differ"),
        ({"effect": 0.01, "repeats": 2}, "weak", ""),
    ],
)
def test_words_are_no_stronger_than_repeats_other_work_and_tests_allow(
    given: dict[str, Any], strength: str, words: str
) -> None:
    got, limits = bounded_strength(**{"effect": 0.5, "repeats": 3, "others": 0.0, **given})
    assert got == strength
    assert words in "; ".join(limits)
    assert bool(limits) == bool(words)


def test_a_single_trial_per_level_says_nothing() -> None:
    assert analyse(zoo(repeats=1)).guidelines == ()


def said(results: StudyResults) -> list[Guideline]:
    """The guidelines alone, without the correlation maps and tables of a whole analysis."""
    data = frame(results.completed)
    metrics = metric_columns(data.columns)
    found = effects(data.trials, metrics, results.factors)
    cells = group(data.trials, results.factors)
    front = pareto(metrics["training_energy_j"], metrics["accuracy"], cells)
    names = [one.factors["model"] for one in data.trials]
    predicted = predictors(metrics, names, [str(one.factors.get("batch_size")) for one in data.trials])
    return guidelines(data.trials, found, predicted, front)


@pytest.mark.parametrize(
    "factors", [{"model": list("ABCDE"), "batch_size": [8, 64]}, {"model": list("ABCDE")}]
)
def test_silence_where_nothing_is_planted(factors: dict[str, list[object]]) -> None:
    """Nothing differs but noise, the sensor's interval is no help, and the networks differ in size."""
    macs = dict(zip("ABCDE", (1e6, 5e7, 2e7, 1e9, 3e8), strict=True))
    sizes = dict(zip("ABCDE", (1e5, 2e5, 5e6, 1e6, 7e6), strict=True))
    spoken = 0
    for seed in range(30):
        results = study(
            factors,
            3,
            seed=seed,
            noise=0.05,
            epochs=1,
            accuracy_of_measurement=0.0,
            metrics=lambda levels: {
                "macs": macs[levels["model"]],
                "parameters": sizes[levels["model"]],
                "trainable_parameters": sizes[levels["model"]],
            },
        )
        spoken += bool(said(results))
    assert spoken <= 1  # at most five in a hundred


def test_the_best_predictor_is_named_with_its_error_on_unseen_architectures() -> None:
    rng = np.random.default_rng(0)
    macs = {f"net{i}": float(m) for i, m in enumerate(np.exp(rng.uniform(12, 20, 10)))}
    sizes = {name: float(p) for name, p in zip(macs, np.exp(rng.uniform(12, 16, 10)), strict=True)}
    results = study(
        {"model": list(macs)},
        2,
        energy=lambda levels: 1e-4 * macs[levels["model"]],
        metrics=lambda levels: {
            "macs": macs[levels["model"]],
            "parameters": sizes[levels["model"]],
            "trainable_parameters": sizes[levels["model"]],
        },
    )
    told = of_kind(analyse(results).guidelines, "prediction")
    assert {one.evidence["metric"] for one in told} == {"training_energy_j", "inference_energy_j"}
    assert all(one.text.startswith("MACs tell the ") for one in told)
    assert all(one.evidence["value"] < 0.05 for one in told)


def test_a_study_without_stages_speaks_of_the_whole_trials() -> None:
    bare = [replace(one, stages=()) for one in zoo().trials]
    texts = [one.text for one in analyse(StudyResults("s", "S", {}, bare)).guidelines]
    assert any(" times [" in text and " the energy of MobileNetV2" in text for text in texts)
