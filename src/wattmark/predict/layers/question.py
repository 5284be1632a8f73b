"""``wm.predict_layers(...)`` learns what layers cost on this machine, ``wm.predict_model(...)`` adds them up."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from wattmark.errors import ConfigError, MissingExtra
from wattmark.predict.base import Prediction
from wattmark.predict.layers import storage
from wattmark.predict.layers.calls import LayerCost, Training
from wattmark.predict.layers.predictor import LayerPredictor
from wattmark.predict.layers.profiler import Budget, Profile, Progress, profile

if TYPE_CHECKING:
    from torch import nn

    from wattmark.predict.layers.pruning import Data, Pruning

CALIBRATION = 18
"""Whole networks that are measured for the intervals, a third of each family."""
_SEEDS = 1000
"""Their seeds begin here: benchmarks use others."""
_UNITS = {
    "s": (1.0, "s"), "sec": (1.0, "s"), "min": (60.0, "s"), "h": (3600.0, "s"),
    "j": (1.0, "J"), "kj": (1e3, "J"), "mj": (1e6, "J"), "wh": (3600.0, "J"), "kwh": (3.6e6, "J"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelPrediction:
    """What a training will take. layers: of one step. unknown: functions without a kind, and how they are treated."""

    training: Training
    prediction: Prediction
    layers: tuple[LayerCost, ...]
    device: str

    @property
    def unknown(self) -> tuple[str, ...]:
        """Functions without a kind of their own, and how each is treated."""
        return self.training.trace.unknown

    def as_dict(self) -> dict[str, Any]:
        """Plain data; intervals of 90 %."""
        return {
            **self.prediction.as_dict(),
            "device": self.device,
            "steps": self.training.steps,
            "batch": self.training.trace.batch,
            "optimizer": self.training.optimizer,
            "unknown": list(self.unknown),
            "layers": [
                {
                    "layer": row.layer,
                    "functions": list(row.functions),
                    **{
                        phase: {"joules": cost.joules * self.training.steps, "seconds": cost.seconds * self.training.steps}
                        for phase, cost in row.phases.items()
                    },
                }
                for row in self.layers
            ],
        }  # fmt: skip


def budget_of(text: str) -> Budget:
    """``5min`` or ``20kJ``, or both with a comma. Raises ConfigError for anything else."""
    seconds, joules = math.inf, math.inf
    for word in text.split(","):
        match = re.fullmatch(r"\s*([0-9.]+)\s*([a-zA-Z]+)\s*", word)
        unit = _UNITS.get(match[2].casefold()) if match else None
        try:
            value = float(match[1]) * unit[0] if match and unit else math.nan
        except ValueError:
            value = math.nan
        if unit is None or not value > 0:
            raise ConfigError(
                f"{text!r} is no budget", hint="seconds or joules, as 5min, 90s, 20kJ or 5min,20kJ"
            )
        if unit[1] == "s":
            seconds = value
        else:
            joules = value
    return Budget(seconds, joules)


def predict_layers(
    budget: str = "5min", *, threads: int | None = None, seed: int = 0, progress: Progress | None = None
) -> Profile:
    """Measure layers on this machine until the budget (seconds of CPU time, or joules) is spent, and keep what was learnt.

    threads: of PyTorch, by default as it is set. Raises ConfigError for a budget that cannot be, MissingExtra without torch
    and scikit-learn.
    """
    limit = budget_of(budget)
    _needs("torch", "sklearn")
    from wattmark.predict.layers.machine import Machine

    with Machine(threads or 0) as machine:
        done = profile(machine, calibration_networks(), limit, seed=seed, progress=progress)
    fitted(done)  # what cannot be used is not kept
    storage.save(done)
    return done


def calibration_networks() -> list[Any]:
    """The networks whose wholes are measured for the intervals, families in turn."""
    from wattmark.predict.layers.networks import FAMILIES, random_network

    return [
        random_network(family, _SEEDS + place)
        for place in range(CALIBRATION // len(FAMILIES))
        for family in FAMILIES
    ]


def predict_model(
    model: str | nn.Module,
    input: Sequence[int] | Sequence[Sequence[int]] = (3, 32, 32),
    *,
    batch: int = 64,
    samples: int | None = None,
    epochs: int = 1,
    optimizer: str = "sgd",
    dtype: str | None = None,
) -> ModelPrediction:
    """What training a network will take on this machine, before it runs.

    model: a module, ``package.module:factory``, a network of ours, ``timm:NAME`` or ``hf:NAME``. input: the shape of one
    sample. samples: of an epoch, by default one batch. optimizer: sgd (momentum), adam or adamw. dtype: of the input,
    as ``int64`` for token ids.

    Raises ConfigError for a network that cannot be traced and where no layers were profiled, MissingExtra without torch.
    """
    _needs("torch", "sklearn")
    if epochs < 1 or (samples is not None and samples < 1):
        raise ConfigError("an epoch has one sample at least, and a training one epoch")
    from wattmark.predict.layers.tracing import trace

    network, name = (build(model, input), model) if isinstance(model, str) else (model, type(model).__name__)
    found = trace(network, input, batch, name=name, dtype=dtype)
    steps = math.ceil((samples or batch) / batch) * epochs
    return answer(Training(found, steps, optimizer))


def answer(training: Training) -> ModelPrediction:
    """What the profile of this machine says of a training. Raises ConfigError where no layers were profiled."""
    kept = storage.load()
    predictor = fitted(kept)
    return ModelPrediction(
        training, predictor.predict(training), tuple(predictor.layers(training)), kept.device
    )


def fitted(kept: Profile) -> LayerPredictor:
    """The predictor that a profile makes."""
    return LayerPredictor.fit((*kept.layers, *kept.wholes), kept.device)


def predict_prune(
    network: str | Callable[[Sequence[int]], nn.Module],
    widths: Sequence[int],
    input: Sequence[int],
    *,
    share: float = 0.5,
    data: str | Data | None = None,
    batch: int = 64,
    epochs: int = 3,
    optimizer: str = "adam",
) -> Pruning:
    """Find narrower widths whose step takes ``share`` of the energy on this machine, train both networks for ``epochs``,
    and measure a step of both.

    network: makes one from a list of widths, or its name (``module:factory``). data: inputs and classes to train on and
    to test on, or the name of a function that returns them; without them no accuracy is told.
    Raises ConfigError for what cannot be and where no layers were profiled, MissingExtra without torch.
    """
    _needs("torch", "sklearn")
    from wattmark.anatomy import call_factory, load_factory
    from wattmark.predict.layers.machine import Machine
    from wattmark.predict.layers.pruning import Family, prune

    factory = load_factory(network) if isinstance(network, str) else network
    name = network if isinstance(network, str) else getattr(network, "__name__", "network")
    rows: Data | None = call_factory(data, load_factory(data)) if isinstance(data, str) else data
    if rows is not None and len(rows) != 4:
        raise ConfigError(
            f"data are four tensors, not {len(rows)}", hint="inputs and classes to train on, and to test on"
        )
    family = Family(name, lambda sizes: factory(list(sizes)), tuple(widths), tuple(input), batch, optimizer)
    predictor = fitted(storage.load())
    with Machine() as machine:
        return prune(family, predictor, machine, share=share, data=rows, epochs=epochs)


def build(model: str, input: Sequence[Any]) -> nn.Module:
    """The network of this name. Raises ConfigError for one that is not there."""
    from wattmark.workloads.vision.zoo import build as build_named

    size = [one for one in input if isinstance(one, int)]
    if len(size) == 3:
        return build_named(model, in_channels=size[0], input_size=max(size[1:]))
    from torch import nn

    from wattmark.anatomy import call_factory, load_factory

    if ":" not in model:
        raise ConfigError(f"{model} takes images", hint="for example --input 3,32,32")
    made = call_factory(model, load_factory(model))
    if not isinstance(made, nn.Module):
        raise ConfigError(f"{model} returned a {type(made).__name__}, not a torch.nn.Module")
    return made


def _needs(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra("scikit-learn" if package == "sklearn" else package, "study")
