"""Training and testing an image classifier as the workload of a study; every field of ``TrainConfig`` is a factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from importlib import import_module
from typing import Any, get_args, get_type_hints

from wattmark.workloads.registry import Config, Factor, SpanMaker
from wattmark.workloads.vision import run
from wattmark.workloads.vision.config import TrainConfig


class VisionWorkload:
    """See :func:`wattmark.workloads.vision.run`."""

    @cached_property
    def factors(self) -> Mapping[str, Factor]:
        """The fields of ``TrainConfig`` with their defaults and choices."""
        hints = get_type_hints(TrainConfig)
        return {item.name: _factor(hints[item.name], item.default) for item in fields(TrainConfig)}

    def warm_up(self, config: Config) -> None:
        """Load torch and start its threads; the trainer warms the network up in a stage of its own."""
        torch: Any = import_module("torch")
        TrainConfig.from_mapping(dict(config))
        torch.ones(64, 64).mm(torch.ones(64, 64))

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
