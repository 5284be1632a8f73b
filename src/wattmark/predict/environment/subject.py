"""What is asked of the predictor: a network, a machine, how many images and how often."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from wattmark.errors import ConfigError
from wattmark.predict.hardware.accelerators import Hardware

VALIDATION_COST = 1 / 3
"""A validation image is a forward pass; a training image that, and twice as much back."""


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """parameters: how many. macs: of one image of ``image`` pixels a side. depth: layers, with activations and norms."""

    name: str
    parameters: float
    macs: float
    image: int
    depth: int

    def at(self, image: int) -> NetworkFacts:
        """The same for images of another size: the work of convolutions goes with the pixels."""
        return replace(self, macs=self.macs * (image / self.image) ** 2, image=image)


@cache
def networks() -> Mapping[str, NetworkFacts]:
    """The table of published image classifiers, by name and other names."""
    found: dict[str, NetworkFacts] = {}
    with (Path(__file__).parent / "data" / "networks.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            facts = NetworkFacts(
                row["id"],
                1e6 * float(row["parameters_m"]),
                1e9 * float(row["gmacs"]),
                int(row["image"]),
                int(row["depth"]),
            )
            for name in (row["id"], *filter(None, row["aliases"].split(";"))):
                found[_fold(name)] = facts
    return found


def find_network(name: str) -> NetworkFacts:
    """The network of this name. Raises ConfigError with the nearest names."""
    from difflib import get_close_matches

    facts = networks().get(_fold(name))
    if facts is None:
        near = get_close_matches(_fold(name), networks(), 3, 0.5)
        names = (
            ", ".join(dict.fromkeys(networks()[one].name for one in near)) or "resnet50, vgg16, mobilenet_v2"
        )
        raise ConfigError(
            f"no network of the table is called {name!r}",
            hint=f"did you mean {names}? Any other by its size: --parameters 25.6e6 --macs 4.1e9 --depth 107",
        )
    return facts


def _fold(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


@dataclass(frozen=True, slots=True)
class Environment:
    """A training of image classifiers. samples, validation: images of an epoch. epochs: how many. ram_gb: of the machine,
    None where it is not known. Raises ConfigError for what cannot be."""

    network: NetworkFacts
    gpu: Hardware
    batch: int = 32
    samples: int = 50_000
    validation: int = 0
    epochs: int = 1
    machine: str = ""
    ram_gb: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("samples", 1), ("epochs", 1), ("validation", 0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ConfigError(f"{name} is {least} or more, not {value}")
        for name, value in (
            ("parameters", self.network.parameters),
            ("macs", self.network.macs),
            ("depth", self.network.depth),
        ):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} of {self.network.name} must be a number above zero, not {value}")
        if self.gpu.tdp_w is None or "fp32" not in self.gpu.throughput or self.gpu.bandwidth_gb_s is None:
            raise ConfigError(
                f"{self.gpu.name} has no published power, throughput and bandwidth to predict from",
                hint="measure it: wattmark run -- python train.py",
            )

    def __str__(self) -> str:
        return f"{self.network.name} on {self.gpu.id}, {self.epochs} epochs of {self.samples} images"

    @property
    def images(self) -> float:
        """Images of an epoch, each weighed by its work."""
        return self.samples + VALIDATION_COST * self.validation

    @property
    def tdp_w(self) -> float:
        """The GPU's board power."""
        assert self.gpu.tdp_w is not None
        return self.gpu.tdp_w


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A training that was measured: mean power (W) and joules of an epoch, of the GPU. seconds: of an epoch."""

    subject: Environment
    power_w: float
    epoch_j: float
    epoch_s: float
    accuracy: float | None = None
    row: int = 0
