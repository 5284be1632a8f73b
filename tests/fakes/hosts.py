"""Hosts of a job with clocks of their own, as records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wattmark.runs.hosts.merging import MEET
from wattmark.runs.record import Anchor, Curve, RunRecord, Spans
from wattmark.sources.base import Accuracy, Channel

S = 1_000_000_000
WALL = 1_790_000_000 * S
CHANNEL = Channel(
    "cpu0/package", "cpu", "rapl", "counter", "package", "counter", Accuracy(0.01, 0.01, 0.0, "made up")
)
DRAM = CHANNEL._replace(id="cpu0/dram", component="dram")


def host_record(
    name: str = "n0",
    *,
    start_s: float = 0.0,
    end_s: float = 100.0,
    watts: float = 50.0,
    wave_w: float = 0.0,
    offset_s: float = 0.0,
    drift: float = 0.0,
    boot: str | None = None,
    node: int | None = 0,
    hosts: int | None = 2,
    meets_s: tuple[float, ...] = (),
    wait_s: float = 0.0,
    mono0: int = 0,
    unique: bool = True,
    **changes: Any,
) -> RunRecord:
    """One host's part, of true times start_s to end_s. Its wall clock is offset_s ahead and runs by drift too fast; its
    monotonic clock is the wall clock less mono0. Power is watts, with a square wave of wave_w at 1 Hz."""

    def wall(true_s: float) -> int:
        return WALL + round((offset_s + true_s * (1 + drift)) * S)

    def mono(true_s: float) -> int:
        return wall(true_s) - WALL + mono0

    true = np.arange(start_s - 0.2, end_s + 0.2, 0.1)
    energy = watts * true + wave_w * (np.floor(true) * 0.5 + np.minimum(true % 1.0, 0.5))
    t_ns = np.array([mono(t) for t in true], np.int64)
    uj = np.round((energy - energy[0]) * 1e6).astype(np.int64)
    spans = Spans.empty()
    if meets_s:
        spans = Spans(
            names=("barrier",),
            name_ids=np.zeros(len(meets_s), np.int32),
            start_ns=np.array([mono(t - wait_s) for t in meets_s], np.int64),
            end_ns=np.array([mono(t + 0.001) for t in meets_s], np.int64),
            parents=np.full(len(meets_s), -1, np.int32),
            pids=np.ones(len(meets_s), np.int64),
            tids=np.ones(len(meets_s), np.int64),
            open=np.zeros(len(meets_s), np.bool_),
            details={row: {"attrs": {MEET: row}} for row in range(len(meets_s))},
        )
    job = {
        "id": "slurm-7-0", "unique": unique, "hosts": hosts, "node": node, "rank": node,
        "names": [], "boot": boot or f"boot-{name}", "ordinal": 0,
    }  # fmt: skip
    record = RunRecord(
        run_id=f"run-{name}-{start_s:g}",
        name="train",
        status="completed",
        exit_code=0,
        started_wall_ns=wall(start_s),
        start_ns=mono(start_s),
        end_ns=mono(end_s),
        tags={"part-of": "slurm-7-0"},
        environment={"host": name},
        curves=(Curve(CHANNEL, t_ns, uj), Curve(DRAM, t_ns, uj // 5)),
        anchors=tuple(Anchor(mono(t), mono(t), wall(t)) for t in np.arange(start_s, end_s + 1, 10.0)),
        spans=spans,
        extra={"job": job},
    )
    return replace(record, **changes)
