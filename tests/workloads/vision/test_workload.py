"""The vision workload of studies: its factors are the trainer's settings, its stages and results the study's."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from wattmark.errors import ConfigError  # noqa: E402
from wattmark.workloads import registry  # noqa: E402
from wattmark.workloads.vision.config import TrainConfig  # noqa: E402
from wattmark.workloads.vision.workload import VisionWorkload  # noqa: E402

TINY = {
    "model": "CNN:width=0.25",
    "data": "synthetic:1x8x8,classes=3,train=24,test=9",
    "batch_size": 8,
    "epochs": 2,
    "threads": 1,
}


class Spans:
    """Notes the stages that are marked."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextmanager
    def __call__(self, name: str, /, **_: Any) -> Generator[Any]:
        self.names.append(name)
        yield None


def complete(**changes: Any) -> dict[str, Any]:
    return registry.complete(VisionWorkload(), {**TINY, **changes})


def test_studies_find_it_by_name_and_every_setting_is_a_factor() -> None:
    workload = registry.load("vision")
    assert isinstance(workload, VisionWorkload)
    assert list(workload.factors) == [item.name for item in fields(TrainConfig)]
    assert all(workload.factors[item.name].default == item.default for item in fields(TrainConfig))


def test_factors_know_their_types_and_choices() -> None:
    factors = VisionWorkload().factors
    assert factors["precision"].choices == ("fp32", "bf16", "fp16")
    assert [factors[name].type for name in ("model", "samples", "batch_size", "learning_rate", "compile")] == [
        str, int, int, float, bool,
    ]  # fmt: skip
    assert factors["samples"].default is None
    for change, words in (
        ({"precision": "fp8"}, "precision cannot be 'fp8'"),
        ({"samples": 0.5}, "samples must be a whole number"),
        ({"compile": 1}, "compile must be true or false"),
        ({"batchsize": 8}, "no factor 'batchsize'"),
    ):
        with pytest.raises(ConfigError, match=words):
            complete(**change)
    assert complete(learning_rate=1)["learning_rate"] == 1


def test_it_marks_its_stages_and_describes_each_of_them() -> None:
    spans = Spans()
    found = VisionWorkload().run(complete(), spans)
    assert spans.names == [
        "data", "model", "warmup", "train", "epoch", "evaluation", "epoch", "evaluation", "export", "inference",
    ]  # fmt: skip
    assert [row["epoch"] for row in found["epoch"]] == [0, 1]
    for name in ("epoch", "evaluation", "inference"):
        assert len(found[name]) == spans.names.count(name)
        assert all(0 <= row["accuracy"] <= 1 and row["loss"] > 0 for row in found[name])
    assert found["accuracy"] == found["evaluation"][-1]["accuracy"]
    assert found["loss"] == found["epoch"][-1]["loss"]
    assert found["train_samples"] == 24
    assert found["parameters"] == found["trainable_parameters"] > 0
    assert found["model_bytes"] == 4 * found["parameters"]
    assert found["macs"] > found["activations"] > 0


def test_evaluation_after_the_last_epoch_only_is_described_once() -> None:
    found = VisionWorkload().run(complete(evaluate=False), Spans())
    assert [row["epoch"] for row in found["evaluation"]] == [1]


def test_a_seed_repeats_the_results() -> None:
    first, second, other = (VisionWorkload().run(complete(seed=seed), Spans()) for seed in (3, 3, 4))
    assert first == second
    assert first["loss"] != other["loss"]


def test_warming_up_touches_data_and_device_but_not_the_network() -> None:
    state = torch.get_num_threads()
    VisionWorkload().warm_up(complete(model="nothing of that name"))
    assert torch.get_num_threads() == state
    with pytest.raises(ConfigError, match="no data set"):
        VisionWorkload().warm_up(complete(data="nothing"))
