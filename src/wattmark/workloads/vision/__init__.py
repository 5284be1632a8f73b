"""Image classifiers as a workload: networks (``zoo``), data sets (``data``) and one trainer (``train``).

The networks and the training recipe are those of the study arXiv 2503.23934. ``data`` and ``config`` need
numpy only; ``zoo.build`` and ``run`` need torch, and raise MissingExtra without it.
"""

from __future__ import annotations

from importlib.util import find_spec

from wattmark.errors import MissingExtra
from wattmark.workloads.vision.config import Span, TrainConfig, TrainResult, no_span

__all__ = ["TrainConfig", "TrainResult", "run"]


def run(config: TrainConfig, span: Span = no_span) -> TrainResult:
    """Train and test one network, with its stages inside ``span(name, **counts)``; see ``train.train``."""
    if find_spec("torch") is None:
        raise MissingExtra("torch", "study")
    from wattmark.workloads.vision.train import train

    return train(config, span)
