from __future__ import annotations

from functools import cache

import pytest
from torch import nn

from wattmark.predict.layers.device import Network
from wattmark.predict.layers.profiler import Budget, Profile, profile
from wattmark.testing.simulated_device import SimulatedDevice

KINDS = ("linear", "relu", "cross_entropy", "view", "module", "sgd", "sgd_step")
WIDTHS = ((64,), (128, 64), (256, 256), (512, 32, 512), (96, 96, 96, 96), (1024, 512), (48, 640))


def mlp(widths: tuple[int, ...], inputs: int = 100, classes: int = 10) -> nn.Module:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def networks() -> list[Network]:
    return [
        Network(f"mlp {place}", lambda widths=widths: mlp(widths), (100,), 16 * (place + 1))
        for place, widths in enumerate(WIDTHS)
    ]


@cache
def simulated_profile() -> tuple[SimulatedDevice, Profile]:
    device = SimulatedDevice()
    return device, profile(device, networks(), Budget(7.0), kinds=KINDS)


@pytest.fixture
def simulated() -> tuple[SimulatedDevice, Profile]:
    return simulated_profile()
