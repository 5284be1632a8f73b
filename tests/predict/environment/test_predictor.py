"""M1 and M2: the contract, the data that they come with, what is new, what savings they tell."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import wattmark as wm
from wattmark.cli.predict.command import app
from wattmark.errors import ConfigError
from wattmark.predict.environment.gaissa import IMAGE, trainings
from wattmark.predict.environment.predictor import (
    EnvironmentPredictor,
    errors_left_out,
    machine_of,
    network_of,
)
from wattmark.predict.environment.question import shipped
from wattmark.predict.environment.subject import Environment, TrainingRun, find_network
from wattmark.predict.hardware.accelerators import find
from wattmark.testing.predictor_contract import PredictorContract

SEEN = Environment(find_network("resnet50").at(IMAGE), find("rtx-3090"), 32, 23_807, 10_203, 10)


def made(network: str, gpu: str, factor: float = 1.0) -> TrainingRun:
    """Power 60 % of the board's, a joule for each tenth of a GMAC and watt of the board."""
    subject = Environment(find_network(network).at(IMAGE), find(gpu))
    watts = 0.6 * subject.tdp_w
    joules = factor * subject.network.macs / 1e8 * subject.tdp_w / 300 * subject.images
    return TrainingRun(subject, watts, joules, joules / watts)


class TestContract(PredictorContract):
    def fitted(self) -> EnvironmentPredictor:
        return shipped()

    def subjects(self) -> Sequence[Environment]:
        return [replace(SEEN, epochs=epochs) for epochs in (1, 10, 90)]

    def unusable(self) -> Sequence[Sequence[Any]]:
        run = made("vgg16", "rtx-3090")
        return [
            [],
            [replace(run, power_w=math.nan)],
            [replace(run, epoch_j=0.0)],
            [run],
            [run, made("vgg19", "rtx-3090")],
        ]

    def outside(self) -> Environment:
        return replace(SEEN, network=find_network("densenet121"), gpu=find("h100-sxm"), batch=256)


def test_what_was_measured_is_the_mean_of_its_runs() -> None:
    runs = [run for run in trainings() if network_of(run) == "resnet50" and machine_of(run) == "rtx-3090"]
    answer = shipped().predict(SEEN)
    assert len(runs) == 30
    assert not answer.outside
    assert answer.energy.value == pytest.approx(10 * np.mean([run.epoch_j for run in runs]), rel=0.02)
    assert answer.power.value == pytest.approx(np.mean([run.power_w for run in runs]), rel=0.02)


def test_an_interval_of_a_repeat_holds_nine_of_ten_runs() -> None:
    runs = trainings()
    ends = [shipped().predict(replace(run.subject, epochs=1)).energy.interval(0.9) for run in runs]
    held = np.mean([low <= run.epoch_j <= high for run, (low, high) in zip(runs, ends, strict=True)])
    assert 0.85 <= held <= 0.95


def test_what_is_new_is_named_and_wider() -> None:
    seen, network, gpu, both = (
        shipped().predict(subject)
        for subject in (
            SEEN,
            replace(SEEN, network=find_network("resnet101").at(IMAGE)),
            replace(SEEN, gpu=find("rtx-4090")),
            replace(SEEN, network=find_network("resnet101").at(IMAGE), gpu=find("rtx-4090")),
        )
    )
    assert "resnet101 was not measured" in network.outside[0]
    assert "rtx-4090 was not measured" in gpu.outside[0]
    widths = [
        prediction.energy.interval(0.9)[1] / prediction.energy.value for prediction in (seen, network, both)
    ]
    assert widths == sorted(widths)
    assert widths[0] < 1.5 < widths[1]
    assert gpu.energy.interval(0.9)[1] / gpu.energy.value > 1.5


def test_a_power_is_within_the_board() -> None:
    answer = shipped().predict(replace(SEEN, network=find_network("efficientnet_b7")))
    assert answer.power.interval(0.9)[1] <= 350.0


def test_more_images_and_more_work_cost_more() -> None:
    more = [shipped().predict(replace(SEEN, samples=n)).energy.value for n in (10_000, 20_000, 40_000)]
    assert more == sorted(more)
    deeper = [
        shipped().predict(replace(SEEN, network=find_network(name), gpu=find("rtx-4090"))).energy.value
        for name in ("resnet50", "resnet101", "resnet152")
    ]
    assert deeper == sorted(deeper)


def test_a_law_is_found_again_for_networks_that_were_left_out() -> None:
    networks = ("resnet50", "resnet101", "resnet152", "vgg16", "densenet201", "mobilenet", "inception_v3")
    runs = [made(network, gpu) for network in networks for gpu in ("rtx-3090", "rtx-3070", "a100-sxm4-80")]
    errors = errors_left_out("energy", runs, network_of, names=("MACs", "maximum power"))
    assert np.abs(errors).max() < 0.01
    assert np.abs(errors_left_out("power", runs, machine_of)).max() < 0.05


def test_the_choice_of_the_network_saves_what_the_paper_says() -> None:
    for gpu, low, high in (("rtx-3090", 0.60, 0.68), ("rtx-3070", 0.78, 0.84)):
        small, large = (
            shipped().predict(replace(SEEN, network=find_network(name).at(IMAGE), gpu=find(gpu))).energy.value
            for name in ("mobilenet_v2", "vgg16")
        )
        assert low <= 1 - small / large <= high


def test_the_command_says_what_the_function_says() -> None:
    words = ["training", "--gpu", "rtx-3090", "--network", "ResNet-50", "--image", "128", "--epochs", "90"]
    answer = wm.predict_training("resnet50", gpu="rtx-3090", image=128, epochs=90)
    data = json.loads(CliRunner().invoke(app, [*words, "--json", "-"]).output)
    assert data["energy_j"]["value"] == pytest.approx(answer.energy.value)
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.output
    assert "90 epochs" in shown.output
    own = ["--parameters", "9e6", "--macs", "1.2e9", "--depth", "120"]
    other = CliRunner().invoke(app, ["training", "--gpu", "rtx-3070", "--network", "mine", *own])
    assert "mine was not measured" in other.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"network": "resnet5000"}, "no network of the table"),
        ({"gpu": "abacus"}, "no hardware"),
        ({"macs": 1e9}, "parameters, MACs and a depth"),
        ({"macs": math.nan, "parameters": 1.0, "depth": 3}, "macs"),
        ({"image": 0}, "pixel"),
        ({"epochs": 0}, "epochs"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        wm.predict_training(**({"network": "resnet50", "gpu": "rtx-3090"} | options))
