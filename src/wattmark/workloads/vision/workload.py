"""Training and testing an image classifier as the workload of a study; every field of ``TrainConfig`` is a factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any, get_args, get_type_hints

from wattmark.workloads.registry import Config, Factor, SpanMaker
from wattmark.workloads.vision import run
from wattmark.workloads.vision.config import TrainConfig
from wattmark.workloads.vision.data import load


class VisionWorkload:
    """See :func:`wattmark.workloads.vision.run`."""

    @cached_property
    def factors(self) -> Mapping[str, Factor]:
        """The fields of ``TrainConfig`` with their defaults and choices."""
        hints = get_type_hints(TrainConfig)
        return {item.name: _factor(hints[item.name], item.default) for item in fields(TrainConfig)}

    def warm_up(self, config: Config) -> None:
        """Load the libraries, open the device, and read the data once, so that no stage pays for it.

        The network itself is warmed up by the trainer, in a stage of its own.
        """
        chosen = TrainConfig.from_mapping(dict(config))
        load(chosen.data, input_size=chosen.input_size, samples=chosen.samples, seed=chosen.seed)
        tiny = "synthetic:3x8x8,classes=2,train=4,test=2"
        run(TrainConfig(model="MLP", data=tiny, batch_size=2, device=chosen.device, threads=chosen.threads))

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """``accuracy`` 0..1, ``loss``, what the network is made of, and what each epoch reached."""
        result = run(TrainConfig.from_mapping(dict(config)), span)
        tested = [epoch for epoch in result.epochs if epoch.test is not None]
        return {
            "accuracy": result.accuracy,
            "loss": result.epochs[-1].train.loss,
            "parameters": result.parameters,
            "trainable_parameters": result.trainable_parameters,
            "model_bytes": result.parameter_bytes,
            "macs": result.macs,
            "activations": result.activations,
            "train_samples": result.train_samples,
            "test_samples": result.test_samples,
            "epoch": [
                {
                    "epoch": epoch.number,
                    "learning_rate": epoch.learning_rate,
                    "loss": epoch.train.loss,
                    "accuracy": epoch.train.accuracy,
                }
                for epoch in result.epochs
            ],
            "evaluation": [
                {"epoch": epoch.number, "loss": epoch.test.loss, "accuracy": epoch.test.accuracy}
                for epoch in tested
                if epoch.test is not None
            ],
            "inference": [{"loss": result.inference.loss, "accuracy": result.inference.accuracy}],
        }


def _factor(hint: Any, default: Any) -> Factor:
    parts = [part for part in get_args(hint) if part is not type(None)]
    choices = tuple(part for part in parts if isinstance(part, str))
    kinds = [part for part in (parts or [hint]) if isinstance(part, type)]
    return Factor(default, choices=choices, kind=kinds[0] if kinds else str)
