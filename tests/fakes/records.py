"""Builders of RunRecords for tests: the store contract's example, and traces as hardware gives them."""

from __future__ import annotations

import numpy as np

from wattmark.runs.record import Curve, RunRecord, Spans
from wattmark.sources.base import Accuracy, Channel
from wattmark.testing.store_contract import assert_same_record, example_record, example_summary

__all__ = [
    "assert_same_record",
    "example_record",
    "example_summary",
    "rapl_record",
    "shared_record",
    "spans_record",
]

_ACCURACY = Accuracy(0.02, 0.02, 0.1, "made up")


def rapl_record(samples: int, channels: int = 1, seed: int = 0, period_s: float = 0.1) -> RunRecord:
    """Packages that draw some 20 W with noise, read at 10 Hz with 100 µs of jitter, in RAPL's 61 µJ."""
    rng = np.random.default_rng(seed)
    t_ns = (np.arange(samples) * period_s * 1e9 + rng.normal(0, 1e5, samples)).astype(np.int64)
    t_ns = np.maximum.accumulate(t_ns) + np.arange(samples)
    curves: list[Curve] = []
    for index in range(channels):
        level = 20 + 10 * np.sin(np.arange(samples) / 500) + rng.normal(0, 2, samples)
        counts = np.cumsum(level * np.diff(t_ns, prepend=t_ns[0] - 10**8) / 1e3 / 61.035).astype(np.int64)
        energy_uj = (
            (counts + 10**6) * 61_035 // 1000
        )  # as Linux multiplies (intel_rapl_common.c, rapl_unit_xlate)
        channel = Channel(
            f"cpu{index}/package",
            "cpu",
            "rapl",
            "counter",
            "package",
            "counter",
            _ACCURACY,
            resolution_uj=61.03515625,
        )
        curves.append(Curve(channel, t_ns, energy_uj))
    return RunRecord(
        "ab12", "rapl", "completed", 0, 10**18, int(t_ns[0]), int(t_ns[-1]), curves=tuple(curves)
    )


def shared_record(run_id: str, others: float, seconds: int = 10, level_w: float = 40.0) -> RunRecord:
    """A steady run on two CPUs that keeps one of them busy for ``seconds``, while others use ``others`` CPU seconds."""
    base = rapl_record(3)
    t_ns = np.arange(seconds * 10 + 1, dtype=np.int64) * 10**8
    curve = Curve(base.curves[0].channel, t_ns, (t_ns // 1000 * level_w).astype(np.int64))
    shares = np.linspace(0.0, 1.0, 11)
    looks = np.stack((shares * seconds * 1e9, shares * seconds, shares * (seconds + others)), axis=1)
    return RunRecord(
        run_id, run_id, "completed", 0, 10**18, 0, seconds * 10**9, curves=(curve,), tree_cpu=looks,
        environment={"host": "node1", "cpu": {"threads": 2}},
    )  # fmt: skip


def spans_record(rows: int, details: bool = True) -> RunRecord:
    """A long training: epochs of a hundred steps each, every step with a count and an attribute."""
    index = np.arange(rows)
    epoch = index % 101 == 0
    rng = np.random.default_rng(0)
    start = np.cumsum(rng.integers(1_000, 2_000_000, rows))
    spans = Spans(
        ("epoch", "step"),
        np.where(epoch, 0, 1).astype(np.int32),
        start,
        start + np.where(epoch, 200_000_000, 900),
        np.where(epoch, -1, index // 101 * 101).astype(np.int32),
        np.full(rows, 4711),
        np.full(rows, 4712),
        np.zeros(rows, np.bool_),
        {row: {"counts": {"samples": 64}, "attrs": {"step": row}} for row in range(rows)} if details else {},
    )
    return RunRecord("cd34", "spans", "completed", 0, 10**18, 0, int(start[-1]) + 10**9, spans=spans)
