from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wattmark.runs.attribution import above_idle, attributed, contention, headline_of
from wattmark.runs.record import Curve, RunRecord
from wattmark.runs.result import RunResult
from wattmark.runs.summary import summarise
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


def modelled(others: float) -> RunView:
    """One of four CPUs is ours; a model whose curve rises faster at first reads the machine, with others busy or not."""
    curve_w = (10.0, 25.0, 35.0, 42.0, 46.0)
    used = 0.25 * (1 + others)
    watts = float(np.interp(used, np.linspace(0, 1, 5), curve_w))
    base = curve("cpu/package-model", "cpu", watts)
    model = Curve(base.channel._replace(curve_w=curve_w, method="modelled"), base.t_ns, base.energy_uj)
    t = np.arange(0, 11)
    times = np.stack([t * S, t * 1.0, t * (1.0 + others)], axis=1).astype(np.float64)
    return view(model, tree_cpu=times, environment={"cpu": {"threads": 4}})


@pytest.mark.parametrize("others", [0.0, 1.0, 3.0])
def test_no_neighbour_changes_what_a_modelled_tree_used(others: float) -> None:
    share = attributed(modelled(others))
    assert share is not None
    assert share.energy.value == pytest.approx(
        150 + 0.25 * 100, rel=0.01
    )  # 15 W above idle, a quarter of 10 W idle
    assert "CPU time" in share.rule


def test_the_tree_comes_first_only_where_others_were_busy() -> None:
    assert contention(modelled(0.2).record) == pytest.approx(0.05)
    assert summarise(modelled(0.2)).scope == "machine"
    busy = summarise(modelled(3.0))
    assert (busy.scope, busy.others_busy) == ("tree", pytest.approx(0.75))
    assert busy.headline is not None
    assert busy.headline.value == pytest.approx(175, rel=0.01)
    assert busy.to_dict()["headline"]["energy_j"]["value"] == busy.headline.value


def test_a_part_of_a_run_has_its_part_of_the_tree() -> None:
    measured = modelled(1.0)
    whole, part = attributed(measured), attributed(measured, 2 * S, 7 * S)
    assert whole is not None
    assert part is not None
    assert part.energy.value == pytest.approx(whole.energy.value / 2, rel=0.01)


def test_the_headline_is_the_trees_where_others_used_more_than_a_tenth_and_is_told_by_method() -> None:
    cpu, dram = curve("cpu0/package", "cpu", 40), curve("dram/model", "dram", 10)
    modelled = Curve(dram.channel._replace(method="modelled"), dram.t_ns, dram.energy_uj)
    for own, scope, joules in ((0.5, "tree", 250.0), (0.95, "machine", 500.0)):
        run = view(cpu, modelled, tree_cpu=tree(own), environment={"cpu": {"threads": 2}})
        found, energy = headline_of(run)
        assert energy is not None
        assert (found, energy.value) == (scope, pytest.approx(joules))
        result = summarise(run)
        assert result.headline_power_w == pytest.approx(joules / 10)
        told = result.to_dict()["headline"]
        assert told["power_w"] == pytest.approx(joules / 10)
        if scope == "tree":
            assert {name: part["value"] for name, part in told["by_method"].items()} == pytest.approx(
                {"counter": 200.0, "modelled": 50.0}
            )
            back = RunResult.from_dict(result.to_dict())
            assert back.attributed is not None
            assert back.attributed.by_method["modelled"].value == pytest.approx(50.0)
    assert headline_of(view(cpu)) == ("machine", view(cpu).energy)  # no one looked at CPU times
