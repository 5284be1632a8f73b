"""Sums of layers: the contract, the truth of a simulated device, additivity, what was not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from predict.layers.conftest import mlp, simulated_profile
from wattmark.errors import ConfigError
from wattmark.predict.layers.calls import Call, Cost, Sample, Trace, Training, WholeSample
from wattmark.predict.layers.predictor import LayerPredictor
from wattmark.predict.layers.profiler import Profile
from wattmark.predict.layers.tracing import trace
from wattmark.testing.predictor_contract import PredictorContract
from wattmark.testing.simulated_device import SimulatedDevice


@cache
def predictor() -> LayerPredictor:
    kept = simulated_profile()[1]
    return LayerPredictor.fit((*kept.layers, *kept.wholes), "simulated")


def training(widths: tuple[int, ...] = (200, 300), steps: int = 10, batch: int = 64) -> Training:
    return Training(trace(mlp(widths), (100,), batch, name="new"), steps)


class TestContract(PredictorContract):
    def fitted(self) -> LayerPredictor:
        return predictor()

    def subjects(self) -> Sequence[Training]:
        return [training(steps=steps) for steps in (10, 100, 1000)]

    def unusable(self) -> Sequence[Sequence[Any]]:
        layer = Sample(Call("relu", (10.0,)), {"forward": Cost(1.0, 1.0)})
        whole = WholeSample(training(), Cost(math.nan, 1.0))
        bad = replace(layer, costs={"forward": Cost(math.nan, 1.0)})
        return [[], [bad], [layer, whole], [layer]]

    def outside(self) -> Training:
        odd = trace(mlp((200,)), (100,), 64)
        return Training(Trace("odd", (*odd.calls, Call("lstm", (8.0, 8.0, 8.0, 8.0))), odd.parameters, 4, 64))


def test_new_networks_cost_what_the_device_says(simulated: tuple[SimulatedDevice, Profile]) -> None:
    device, fitted = simulated[0], predictor()
    errors: list[float] = []
    held: list[bool] = []
    rng = np.random.default_rng(5)
    for _ in range(12):
        widths = tuple(int(width) for width in rng.integers(16, 900, int(rng.integers(1, 5))))
        new = training(widths, 1, int(rng.integers(8, 256)))
        prediction, truth = fitted.predict(new), device.step(new)
        errors.append(abs(prediction.energy.value / truth.joules - 1))
        low, high = prediction.energy.interval(0.9)
        held.append(low <= truth.joules <= high)
    assert float(np.mean(errors)) < 0.10
    assert sum(held) >= 9


def test_a_step_is_the_sum_of_its_layers_and_phases() -> None:
    rows = predictor().layers(training())
    assert [row.layer for row in rows][:3] == ["0", "1", "2"]
    assert set(rows[0].phases) == {"forward", "backward", "optimizer"}
    assert set(rows[1].phases) == {"forward", "backward"}
    total = sum((row.total for row in rows), Cost())
    prediction = predictor().predict(training(steps=7))
    assert prediction.energy.value == pytest.approx(7 * total.joules)
    assert prediction.time.value == pytest.approx(7 * total.seconds)


def test_costs_add_up_whatever_is_beside_them() -> None:
    alone = [
        Training(Trace("a", calls))
        for calls in ((Call("relu", (5e4,)),), (Call("linear", (64, 512, 512, 2)),))
    ]
    both = Training(Trace("b", tuple(call for part in alone for call in part.trace.calls)))
    nothing = predictor().step(Training(Trace("c", ())))
    parts = [predictor().step(part) for part in alone]
    assert predictor().step(both).joules == pytest.approx(sum(part.joules for part in parts) - nothing.joules)


def test_the_first_layer_needs_no_gradient_of_its_input() -> None:
    call = Call("linear", (256, 512, 512, 2))
    hidden, first = (
        predictor().layers(Training(Trace("x", (replace(call, gradient=gradient),))))[0].phases
        for gradient in (True, False)
    )
    assert first["forward"] == hidden["forward"]
    assert first["backward"].seconds < 0.75 * hidden["backward"].seconds


def test_a_relu_of_the_input_does_nothing_backward() -> None:
    rows = predictor().layers(Training(Trace("x", (Call("relu", (1e4,), "act", gradient=False),))))
    assert set(rows[0].phases) == {"forward"}


def test_what_is_unknown_or_far_is_named_and_widens() -> None:
    plain = training()
    fitted = predictor()
    odd = replace(
        plain.trace, calls=tuple(replace(call, treated="taken for another") for call in plain.trace.calls)
    )
    prediction = fitted.predict(replace(plain, trace=odd))
    assert any("taken for another" in reason for reason in prediction.outside)
    assert _ratio(prediction) > _ratio(fitted.predict(plain))
    far = replace(plain.trace, calls=(Call("linear", (1e6, 512, 512, 2)),))
    assert "rows" in fitted.predict(replace(plain, trace=far)).outside[0]
    half = replace(plain.trace, dtype="bfloat16")
    assert "bfloat16" in fitted.predict(replace(plain, trace=half)).outside[0]


def _ratio(prediction: Any) -> float:
    low, high = prediction.energy.interval(0.9)
    return high / low


@pytest.mark.parametrize(("changes", "words"), [({"optimizer": "lion"}, "lion"), ({"steps": 0}, "one step")])
def test_what_is_no_training_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(training(), **changes)
