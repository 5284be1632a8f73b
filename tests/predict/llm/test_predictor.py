"""The predictor of serving: its contract, its physics, and what it says of models and parts that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.predict.hardware import accelerators
from wattmark.predict.llm import architecture, physics
from wattmark.predict.llm.predictor import LlmPredictor, Observation, nonnegative, shipped
from wattmark.predict.llm.subject import Serving
from wattmark.testing.predictor_contract import PredictorContract

SERVER = Serving(
    architecture.find("llama-3.1-8b"), accelerators.find("h100-sxm"), 190, 400, 128, engine="vllm-0.5"
)


def observed(subject: Serving, factor: float = 2.0) -> Observation:
    seconds = physics.seconds(subject)
    return Observation(
        subject, float(seconds @ physics.watts(subject)) * factor, float(seconds.sum()) * factor
    )


def servers() -> list[Serving]:
    return [
        replace(SERVER, model=architecture.find(name), concurrency=batch)
        for name in ("llama-3.1-8b", "gemma-2-2b", "mistral-7b", "mixtral-8x7b", "phi-3-medium")
        for batch in (16.0, 64.0, 256.0)
    ]


class TestContract(PredictorContract):
    def fitted(self) -> LlmPredictor:
        return shipped()

    def subjects(self) -> Sequence[Serving]:
        return [replace(SERVER, output=float(tokens)) for tokens in (100, 200, 400)]

    def unusable(self) -> Sequence[Sequence[Any]]:
        return [[], [replace(observed(SERVER), joules=float("nan"))], [observed(SERVER)]]

    def outside(self) -> Serving:
        return replace(SERVER, hardware=accelerators.find("b200"), engine="vllm-v1", precision="fp8")


def test_a_fit_of_exact_physics_gives_the_physics_back() -> None:
    fitted = LlmPredictor.fit([observed(one) for one in servers()])
    for subject in servers():
        joules = fitted.predict(subject).energy.value / subject.output
        assert joules == pytest.approx(observed(subject).joules, rel=0.01)


def test_least_squares_without_negative_factors() -> None:
    rng = np.random.default_rng(3)
    a = rng.random((40, 5))
    truth = np.array([2.0, 0.0, 0.5, 0.0, 1.0])
    assert nonnegative(a, a @ truth) == pytest.approx(truth, abs=1e-9)
    unwilling = nonnegative(a, a @ np.array([2.0, -1.0, 0.5, 0.0, 1.0]))
    assert unwilling.min() == 0.0
    gradient = a.T @ (a @ np.array([2.0, -1.0, 0.5, 0.0, 1.0]) - a @ unwilling)
    assert gradient[unwilling > 0] == pytest.approx(0.0, abs=1e-9)
    assert (gradient[unwilling == 0] <= 1e-9).all()


@pytest.mark.parametrize("part", ["h100-sxm", "h200-sxm", "b200", "a100-sxm4-80", "mi300x"])
@pytest.mark.parametrize("model", ["llama-3.1-8b", "qwen3-30b-a3b", "deepseek-v3"])
def test_what_physics_says_holds_also_outside_of_the_data(model: str, part: str) -> None:
    subject = replace(
        SERVER,
        model=architecture.find(model),
        hardware=accelerators.find(part),
        tensor_parallel=8,
        engine="vllm-v1",
    )
    board = 8 * (subject.hardware.tdp_w or 0)
    batches = [shipped().predict(replace(subject, concurrency=float(b))) for b in (1, 8, 64, 256)]
    per_request = [one.energy.value for one in batches]
    assert per_request == sorted(per_request, reverse=True), "a larger batch shares the weights"
    assert all(0.05 * board < one.power.value <= board for one in batches)
    longer = shipped().predict(replace(subject, prompt=2000.0))
    assert longer.energy.value > shipped().predict(subject).energy.value
    alone = batches[0].time.value / subject.output
    weights = subject.model.touched(1) * 2 / (8 * (subject.hardware.bandwidth_gb_s or 0) * 1e9)
    assert alone >= weights, "no memory is faster than its data sheet"


def test_a_mixture_of_experts_costs_less_than_a_dense_model_of_its_size() -> None:
    mixture = shipped().predict(replace(SERVER, model=architecture.find("qwen3-30b-a3b"), engine="vllm-v1"))
    dense = shipped().predict(replace(SERVER, model=architecture.find("qwen3-32b"), engine="vllm-v1"))
    assert mixture.energy.value < 0.6 * dense.energy.value


def test_a_newer_part_of_more_bandwidth_per_watt_takes_fewer_joules() -> None:
    for model in ("llama-3.1-8b", "qwen3-30b-a3b"):
        subject = replace(SERVER, model=architecture.find(model), engine="vllm-v1")
        new = shipped().predict(replace(subject, hardware=accelerators.find("b200")))
        assert new.energy.value < shipped().predict(subject).energy.value
        assert any("b200" in reason for reason in new.outside)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"concurrency": 0.0}, "concurrency"),
        ({"output": float("nan")}, "output"),
        ({"prompt": -1.0}, "prompt"),
        ({"precision": "fp3"}, "precision"),
        ({"engine": "abacus"}, "engine"),
        ({"tensor_parallel": 0}, "accelerator"),
    ],
)
def test_what_cannot_be_served_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(SERVER, **changes)


def test_what_does_not_fit_into_the_memory_says_by_how_much() -> None:
    big = replace(SERVER, model=architecture.find("llama-3.1-405b"))
    assert "needs" in str(big.misfit)
    assert replace(big, tensor_parallel=8, pipeline_parallel=2).misfit is None


def test_models_that_are_unlike_have_wider_intervals() -> None:
    def width(name: str) -> float:
        low, high = shipped().predict(replace(SERVER, model=architecture.find(name))).energy.interval(0.9)
        return high / low

    assert width("gemma-2-2b") > 1.3 * width("llama-3.1-8b"), "small models erred more"
    assert width("llama-3.1-405b") > width("llama-3.1-8b")
