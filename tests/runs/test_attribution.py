from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wattmark.runs.attribution import above_idle, attributed
from wattmark.runs.record import Curve, RunRecord
from wattmark.runs.view import RunView
from wattmark.sources.base import Accuracy, Channel

S = 1_000_000_000


def curve(channel_id: str, component: Any, watts: float, seconds: int = 10) -> Curve:
    channel = Channel(
        channel_id, component, "x", "counter", "package", "counter", Accuracy(0.0, 0.0, 0.0, "exact")
    )._replace(update_period_s=0.0, resolution_uj=0.0)
    t = np.arange(0, seconds + 1) * S
    return Curve(channel, t.astype(np.int64), (np.arange(0, seconds + 1) * watts * 1e6).astype(np.int64))


def view(*curves: Curve, **changes: Any) -> RunView:
    return RunView(RunRecord("r", "r", "completed", 0, 0, 0, 10 * S, curves=curves, **changes))


def tree(own_share: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    t = np.arange(0, 11)
    return np.stack([t * S, t * 2.0 * own_share, t * 2.0], axis=1).astype(np.float64)


def test_the_process_tree_gets_its_share_of_busy_time() -> None:
    share = attributed(view(curve("cpu0/package", "cpu", 40), curve("dram", "dram", 10), tree_cpu=tree(0.25)))
    assert share is not None
    assert share.energy.value == pytest.approx(0.25 * 500)
    assert share.energy.low < share.energy.value < share.energy.high
    assert "busy CPU time" in share.rule


def test_an_idle_tree_has_nothing_and_a_lonely_one_all() -> None:
    for own, joules in ((0.0, 0.0), (1.0, 400.0)):
        share = attributed(view(curve("cpu0/package", "cpu", 40), tree_cpu=tree(own)))
        assert share is not None
        assert share.energy.value == pytest.approx(joules)


def test_gpus_are_shared_by_who_uses_them() -> None:
    board = curve("gpu0/board", "gpu", 100)
    alone = attributed(view(board, tree_cpu=tree(1.0)))
    half_time = [[0, {"gpu0/board": [1.0, "memory"]}], [5 * S, {"gpu0/board": [0.5, "memory"]}]]
    shared = attributed(view(board, tree_cpu=tree(1.0), extra={"gpu_shares": half_time}))
    assert alone is not None
    assert shared is not None
    assert alone.energy.value == pytest.approx(1000)
    assert "GPUs whole" in alone.rule
    assert shared.energy.value == pytest.approx(500 + 250, rel=0.11)
    assert "share of their use" in shared.rule


def test_without_cpu_times_nothing_is_attributed() -> None:
    assert attributed(view(curve("cpu0/package", "cpu", 40))) is None


def test_idle_power_is_taken_off_the_covered_time() -> None:
    measured = view(curve("cpu0/package", "cpu", 40), curve("psys", "host", 90), baseline_w={"cpu": 15.0})
    share = above_idle(measured)
    assert share is not None
    assert share.energy.value == pytest.approx(250)
    assert "cpu 15.0 W" in share.rule


def test_above_idle_is_never_negative_and_needs_a_baseline() -> None:
    assert above_idle(view(curve("cpu0/package", "cpu", 40))) is None
    share = above_idle(view(curve("cpu0/package", "cpu", 40), baseline_w={"cpu": 60.0}))
    assert share is not None
    assert share.energy.value == 0


def test_cpu_times_that_were_not_seen_during_the_run_say_nothing() -> None:
    early = tree(1.0)[:3]
    assert attributed(view(curve("cpu0/package", "cpu", 40), tree_cpu=early)) is None
