from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from fakes.studies import study, trial
from wattmark.quantity import Quantity, QuantityDict
from wattmark.studies.analysis import analyse
from wattmark.studies.results import StudyResults, TrialResult


def test_everything_of_a_small_study() -> None:
    results = study(
        {"model": list("ABCDE"), "batch_size": [8, 64]},
        2,
        energy=lambda levels: 100.0 * (1 + "ABCDE".index(levels["model"])),
    )
    failed = replace(trial({"model": "A", "batch_size": 8}), status="out-of-memory")
    found = analyse(StudyResults("s", "S", {}, [*results.trials, failed]))
    assert found.statuses == {"completed": 20, "out-of-memory": 1}
    assert found.methods == {"cpu": ("counter",), "gpu": ("integrated",)}
    assert found.architecture_factor == "model"
    assert [cell.label for cell in found.cells[:2]] == ["A, batch_size 8", "A, batch_size 64"]
    one = found.cells[0].means["training_energy_j"]
    assert one.low < one.value
    assert {(m.per, m.scope, m.kind) for m in found.correlations} == {
        (per, scope, kind)
        for per in ("model", "epoch")
        for scope in ("total", "gpu")
        for kind in ("pearson", "spearman")
    }
    assert found.pareto_metric == "training_energy_j"
    assert len(found.epochs["power"]) == 40


def test_gpu_only_maps_hold_the_gpus_energy_and_nothing_of_the_cpu() -> None:
    results = study(
        {"model": list("ABCDE")}, 1, energy=lambda levels: 100.0 * (1 + "ABCDE".index(levels["model"]))
    )
    gpu = next(m for m in analyse(results).correlations if m.scope == "gpu" and m.per == "model")
    assert "training_energy_j" in gpu.names
    assert not {"cpu_power", "cpu_utilisation", "system_efficiency"} & set(gpu.names)


def test_shares_of_stages_and_components() -> None:
    (share,) = analyse(StudyResults("s", "S", {}, [trial({}), trial({}, repeat=1)])).shares
    joules = {name: stage.value for name, stage in share.stages_j.items()}
    assert joules == pytest.approx({"data": 10, "train": 1000, "inference": 100, "outside stages": 0})
    assert share.ratio is not None
    assert [one.value for one in share.ratio] == pytest.approx([10 / 1110, 1000 / 1110, 100 / 1110])
    gpu = share.components_j["gpu"]
    assert (gpu.value, gpu.low, gpu.high) == pytest.approx((832.5, 815.85, 849.15))
    assert share.samples_to_match_training == pytest.approx(10_000)


def test_a_share_does_not_know_the_scale_of_the_sensor_and_stays_within_0_and_1() -> None:
    def wide(part: Mapping[str, float], **own: float) -> QuantityDict:
        terms = {"scale/lab": (-0.4, 0.7), **{f"edges/{name}": (-off, off) for name, off in own.items()}}
        value = part["value"]
        shifts = {name: (down * value, up * value) for name, (down, up) in terms.items()}
        return Quantity(value, terms=shifts).as_dict()

    whole = trial({})
    energy = {name: wide(part) for name, part in (whole.energy_j or {}).items()}
    stages = tuple(
        replace(stage, energy_j=dict(wide(stage.energy_j or {}, own=0.1))) for stage in whole.stages
    )
    (share,) = analyse(StudyResults("s", "S", {}, [replace(whole, energy_j=energy, stages=stages)])).shares
    train = share.stages_of["train"]
    assert share.stages_j["train"].high > 1690  # the scale is in the joules
    assert train.value == pytest.approx(1000 / 1110)
    assert 0.85 < train.low < train.value < train.high <= 1.0  # and only the edges in the share


def test_a_missing_stage_leaves_the_ratio_unknown() -> None:
    whole = trial({})
    no_data = replace(whole, stages=tuple(s for s in whole.stages if s.name != "data"))
    assert analyse(StudyResults("s", "S", {}, [no_data])).shares[0].ratio is None


def unmeasured() -> TrialResult:
    return replace(trial({}), energy_j=None, stages=(), series={}, metrics={})


@pytest.mark.parametrize("trials", [[], [trial({})], [unmeasured()], [replace(trial({}), status="failed")]])
def test_little_or_nothing_is_analysed_without_complaint(trials: list[TrialResult]) -> None:
    found = analyse(StudyResults("s", "S", {}, trials))
    assert found.effects == ()
    assert found.guidelines == ()


def test_equal_results_give_an_equal_analysis() -> None:
    results = study({"model": list("ABCDE")}, 2)
    first, second = analyse(results), analyse(results)
    assert first.effects == second.effects
    assert first.pareto == second.pareto
    for one, other in zip(first.correlations, second.correlations, strict=True):
        assert np.array_equal(one.low, other.low, equal_nan=True)


def test_the_declared_quality_is_weighed_against_energy_and_less_of_it_may_be_better() -> None:
    results = study(
        {"model": ["A", "B"]},
        4,
        energy=lambda levels: 1000.0 if levels["model"] == "A" else 600.0,
        metrics=lambda levels: {"wer": 0.2 if levels["model"] == "A" else 0.5},
    )
    bare = [replace(t, metrics={"wer": t.metrics["wer"]}) for t in results.trials]
    design = {"quality": {"metric": "wer", "better": "lower"}}
    found = analyse(StudyResults("s", "S", design, bare))
    assert found.quality is not None
    assert (found.quality.name, found.quality.higher_is_better) == ("wer", False)
    assert [(p.cell, p.quality) for p in found.pareto if p.on_front] == [("B", 0.5), ("A", 0.2)]
    assert any(
        "for 0.300 of wer more" in one.text or "for 0.30 of wer more" in one.text for one in found.guidelines
    )
