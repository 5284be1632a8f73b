from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fakes.studies import study, trial
from wattmark.studies.analysis import METRICS, table
from wattmark.studies.results import StudyResults, TrialResult

MODEL = {"parameters": 2e6, "trainable_parameters": 1e6, "macs": 5e7, "model_bytes": 8e6}


def one() -> TrialResult:
    """Two epochs of 500 J and 10 s each, a quarter of it the CPU's, 1000 samples and 10 steps an epoch."""
    return trial({"model": "A"}, metrics=MODEL)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("total_energy", 1110.0),
        ("training_energy_j", 1000.0),
        ("training_energy_wh", 1000 / 3600),
        ("inference_energy_j", 100.0),
        ("epoch_energy", 500.0),
        ("epoch_duration", 10.0),
        ("energy_per_sample", 0.5),
        ("inference_energy_per_sample", 0.1),
        ("energy_per_step", 50.0),
        ("power", 50.0),
        ("cpu_power", 12.5),
        ("gpu_power", 37.5),
        ("macs_param", 50.0),
        ("work_done", 1e5),
        ("work_per_unit_energy", 200.0),
        ("cpu_efficiency", 12.5 / 40),
        ("gpu_efficiency", 37.5 / 80),
        ("system_efficiency", 120 / 50),
        ("gpu_thermal_efficiency", 60 / 37.5),
        ("overall_efficiency", 0.9 * 2000 / 1000),
    ],
)
def test_formulas_by_hand(name: str, expected: float) -> None:
    assert METRICS[name](one()) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["dram_power", "cpu_thermal_efficiency", "memory_efficiency"])
def test_missing_is_none(name: str) -> None:
    assert METRICS[name](one()) is None


def test_memory_efficiency_is_percent_of_both_memories_over_watts_of_both_processors() -> None:
    memory = {
        "memory/used": 4e9,
        "memory/total": 16e9,
        "gpu0/memory_used": 6e9,
        "gpu0/memory_total": 8e9,
    }
    filled = one()
    stages = tuple(replace(stage, series={**stage.series, **memory}) for stage in filled.stages)
    assert METRICS["memory_efficiency"](replace(filled, stages=stages)) == pytest.approx((25 + 75) / 50)


def test_system_efficiency_of_a_machine_without_a_gpu_is_the_cpus_alone() -> None:
    whole = one()
    stages = tuple(
        replace(stage, by_component_j={"cpu": stage.by_component_j["cpu"]}, series={"cpu/utilisation": 40.0})
        for stage in whole.stages
    )
    assert METRICS["system_efficiency"](replace(whole, stages=stages)) == pytest.approx(40 / 12.5)


def test_system_efficiency_needs_the_utilisation_of_a_gpu_that_draws_power() -> None:
    whole = one()
    stages = tuple(replace(stage, series={"cpu/utilisation": 40.0}) for stage in whole.stages)
    assert METRICS["system_efficiency"](replace(whole, stages=stages)) is None


def test_utilisation_is_averaged_over_gpus_and_memory_summed() -> None:
    series = {
        "gpu0/utilisation": 100.0,
        "gpu1/utilisation": 50.0,
        "gpu0/memory_used": 1e9,
        "gpu1/memory_used": 2e9,
    }
    filled = one()
    filled = replace(filled, stages=tuple(replace(stage, series=series) for stage in filled.stages))
    assert METRICS["gpu_utilisation"](filled) == 75.0
    assert METRICS["gpu_memory"](filled) == 3e9


def test_an_unmeasured_epoch_leaves_the_training_energy_unknown() -> None:
    whole = one()
    broken = [replace(s, energy_j=None) if s.attrs.get("epoch") == 1 else s for s in whole.stages]
    assert METRICS["training_energy_j"](replace(whole, stages=tuple(broken))) is None


def test_a_trial_with_no_stages_is_taken_as_a_whole_but_has_no_training_energy() -> None:
    bare = replace(one(), stages=(), duration_s=37.0)
    assert METRICS["training_energy_j"](bare) is None
    assert METRICS["power"](bare) == pytest.approx(1110 / 37)


def test_an_unmeasured_trial_has_no_energy_and_keeps_its_accuracy() -> None:
    bare = replace(one(), stages=(), energy_j=None)
    assert METRICS["total_energy"](bare) is None
    assert METRICS["accuracy"](bare) == 0.9


def test_tables_have_one_row_per_trial_or_epoch_and_the_varying_factors() -> None:
    results = study({"model": ["A", "B"], "precision": ["fp32"]}, 3, epochs=4)
    trials, epochs = table(results, "trial"), table(results, "epoch")
    assert {len(column) for column in trials.values()} == {6}
    assert {len(column) for column in epochs.values()} == {24}
    assert epochs["epoch"].tolist() == [0, 1, 2, 3] * 6
    assert "precision" not in trials
    assert epochs["model"].tolist() == ["A"] * 12 + ["B"] * 12
    assert np.bincount(np.repeat(np.arange(6), 4), epochs["epoch_energy"]) == pytest.approx(
        trials["training_energy_j"]
    )


def test_a_factor_that_is_called_like_a_metric_keeps_its_own_column() -> None:
    results = study({"parameters": [1, 2]}, 1, metrics=lambda levels: MODEL)
    found = table(results)
    assert found["factor_parameters"].tolist() == [1, 2]
    assert found["parameters"].tolist() == [2e6, 2e6]


def test_failed_trials_are_not_in_the_table() -> None:
    results = study({"model": ["A", "B"]}, 1)
    trials = [*results.trials, replace(one(), status="failed")]
    assert len(table(StudyResults("s", "S", {}, trials))["training_energy_j"]) == 2


def test_an_empty_study_has_empty_tables() -> None:
    assert len(table(StudyResults("s", "S", {}, []), "epoch")["power"]) == 0
