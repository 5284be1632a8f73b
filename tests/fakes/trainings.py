"""A training as a machine with a GPU would have recorded it, small and with watts that are known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wattmark.runs.record import Anchor, Curve, RunRecord, SeriesData, Spans
from wattmark.sources.base import Accuracy, Channel, Series

S = 1_000_000_000


def training(
    run_id: str = "train1",
    name: str = "training",
    *,
    epochs: int = 8,
    gpu: str = "NVIDIA A100-SXM4-40GB",
    cpu: str = "AMD EPYC 7763 64-Core Processor",
    gpu_w: float = 300,
    zone: str | None = "FR",
    tags: Mapping[str, str] | None = None,
) -> RunRecord:
    """100 s: 10 s of preparation, epochs until 90 s; the GPU measured, the CPU (50 W) modelled."""
    t = np.arange(0, 101) * S
    accuracy = Accuracy(0.05, 0.05, 0.0, "made up")
    curves = tuple(
        Curve(
            Channel(identity, component, "made", method, "board", "energy", accuracy, label=label),  # pyright: ignore
            t,
            (np.arange(0, 101) * watts * 1e6).astype(np.int64),
        )
        for identity, component, method, watts, label in (
            ("gpu0/board", "gpu", "integrated", gpu_w, f"{gpu} GPU-12345678-1234"),
            ("cpu/package", "cpu", "modelled", 50.0, ""),
        )
    )
    edges = np.linspace(10 * S, 90 * S, epochs + 1).astype(np.int64)
    # epochs are not quite alike, so that there is something to be uncertain about
    ends = edges[1:] - (np.arange(epochs) % 3) * S // 100
    spans = Spans(
        ("epoch",), np.zeros(epochs, np.int32), edges[:-1], ends, np.full(epochs, -1, np.int32),
        np.ones(epochs, np.int64), np.ones(epochs, np.int64), np.zeros(epochs, np.bool_),
    )  # fmt: skip
    return RunRecord(
        run_id, name, "completed", 0, 1_790_000_000 * S, 0, 100 * S,
        tags=dict(tags or {}),
        environment={"host": "elsewhere", "cpu": {"model": [cpu], "sockets": 1, "cores": 64}},
        curves=curves,
        series=(SeriesData(Series("gpu0/utilisation", "%", "made"), t, np.full(101, 90.0, np.float32)),),
        spans=spans,
        anchors=(Anchor(0, 0, 1_790_000_000 * S),),
        extra={"settings": {"zone": zone}} if zone else {},
    )  # fmt: skip
