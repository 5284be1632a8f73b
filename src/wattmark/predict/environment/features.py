"""What the regressions see of a training, as logarithms: the network, the images, the GPU of the accelerator table.

Trainings of a network and a machine that were measured are told apart by all of them. What is new is seen by a few that
go on sensibly where nothing was measured: by power, MACs, the board's power and its operations per second; by energy, the
board's power and the effort of an image, GMACs + depth / 100 (work that fills the device, and launches that do not). The
data chose that form and its 100, with five networks: MACs alone are 0.7 off for a network left out, and it is 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from wattmark.predict.environment.subject import Environment

Target = Literal["power", "energy"]
NAMES = (
    "MACs", "parameters", "depth", "image size", "batch", "maximum power", "operations per second", "memory", "bandwidth",
    "effort",
)  # fmt: skip
"""RAM, core counts and the number of images are left out: the data do not say the first, the table not the second, and by
the third the energy of an epoch is divided."""
OF_NEW: dict[Target, tuple[str, ...]] = {
    "power": ("MACs", "maximum power", "operations per second"),
    "energy": ("effort", "maximum power"),
}
FAMILIES_OF_NEW: dict[Target, tuple[str, ...]] = {"power": ("linear", "ridge", "svr"), "energy": ("linear",)}
"""Those that go on where nothing was measured; kernels and trees fall back to a mean. With a dozen configurations a search
among more chooses by chance."""
DEPTH_OF_A_GMAC = 100.0


def features(subject: Environment, names: Sequence[str] = NAMES) -> list[float]:
    """The logarithms of these, in their order."""
    gpu, network = subject.gpu, subject.network
    values: dict[str, float] = {
        "MACs": network.macs,
        "parameters": network.parameters,
        "depth": network.depth,
        "image size": network.image,
        "batch": subject.batch,
        "maximum power": subject.tdp_w,
        "operations per second": gpu.throughput["fp32"],
        "memory": gpu.memory_gb or 1.0,
        "bandwidth": gpu.bandwidth_gb_s or 1.0,
        "effort": network.macs / 1e9 + network.depth / DEPTH_OF_A_GMAC,
    }
    return [math.log(values[name]) for name in names]


def ranges(subject: Environment) -> dict[str, float]:
    """What a subject may lie outside of the observations in."""
    return {
        "MACs of an image": subject.network.macs,
        "depth": subject.network.depth,
        "image size": subject.network.image,
        "batch": subject.batch,
    }
