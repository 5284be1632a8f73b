"""A run with a GPU, a CPU and epochs whose joules are known by heart."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wattmark.runs.record import Curve, RunRecord, SeriesData, Spans
from wattmark.runs.view import RunView
from wattmark.sources.base import Accuracy, Channel, Component, Method, Series

S = 1_000_000_000
GPU_W, CPU_W = 300, 50
EPYC = {"model": ["AMD EPYC 7763 64-Core Processor"], "sockets": 1, "cores": 64}


def a_run(
    *,
    gpu: str | None = "NVIDIA A100-SXM4-80GB",
    count: int = 1,
    epochs: int = 5,
    utilisation: float | None = 95.0,
    watts_of_epoch: list[int] | None = None,
    **changes: Any,
) -> RunView:
    """100 s: 10 s of preparation, epochs of equal length until 90 s, 10 s of export.

    Each GPU draws 300 W (``watts_of_epoch`` in the epochs, if given), measured; the CPU 50 W, modelled.
    """
    t = np.arange(0, 101) * S
    edges = np.linspace(10, 90, epochs + 1).round().astype(np.int64)
    watts = np.full(100, GPU_W)
    for number, level in enumerate(watts_of_epoch or []):
        watts[edges[number] : edges[number + 1]] = level
    accuracy = Accuracy(0.05, 0.05, 0.0, "made up")

    def curve(
        name: str, component: Component, method: Method, power: np.ndarray[Any, Any], label: str
    ) -> Curve:
        channel = Channel(name, component, "made", method, "board", "energy", accuracy, label=label)
        return Curve(channel, t, np.concatenate(([0], np.cumsum(power * 10**6))).astype(np.int64))

    boards = [
        curve(f"gpu{number}/board", "gpu", "integrated", watts, f"{gpu} GPU-{number}")
        for number in range(count if gpu else 0)
    ]
    spans = Spans(
        ("epoch",),
        np.zeros(epochs, np.int32),
        edges[:-1] * S,
        edges[1:] * S,
        np.full(epochs, -1, np.int32),
        np.ones(epochs, np.int64),
        np.ones(epochs, np.int64),
        np.zeros(epochs, np.bool_),
    )
    series = SeriesData(
        Series("gpu0/utilisation", "%", "made"), t, np.full(101, utilisation or 0.0, np.float32)
    )
    given: dict[str, Any] = {
        "environment": {"cpu": EPYC},
        "curves": (*boards, curve("cpu/package", "cpu", "modelled", np.full(100, CPU_W), "")),
        "spans": spans if epochs else Spans.empty(),
        "series": () if utilisation is None else (series,),
    }
    return RunView(
        replace(RunRecord("ab12", "a run", "completed", 0, 10**18, 0, 100 * S), **{**given, **changes})
    )
