"""The published table of arXiv 2311.16863, recomputed."""

from __future__ import annotations

import pytest

from wattmark.workloads.tasks.catalogue import OURS
from wattmark.workloads.tasks.data.power_hungry import (
    IDLE_W,
    MEMORY_W,
    published_ratios,
    published_runs,
    published_tasks,
)


def test_the_ratios_of_the_paper_come_out():
    found = [round(one.published, 1) for one in published_ratios()]
    assert found[:3] == [22.7, 26.3, 3.9]
    assert round(published_ratios()[3].published) == 544


def test_above_idle_the_tasks_lie_further_apart():
    for one in published_ratios():
        assert one.above_idle > one.published
    assert [round(one.above_idle, 1) for one in published_ratios()][:3] == [23.5, 47.0, 6.8]


@pytest.mark.parametrize("idle_w", [400.0, 430.0, IDLE_W])
def test_less_idle_takes_less_away(idle_w: float):
    for less, most in zip(published_ratios(idle_w), published_ratios(), strict=True):
        assert less.above_idle <= most.above_idle * (1 + 1e-12)


def test_all_runs_are_there_and_no_energy_is_below_nothing():
    runs = published_runs()
    assert sum(one.runs for one in runs) == 4_170
    assert all(one.above_idle_wh() >= -1e-3 * one.gpu_wh for one in runs)
    for one in runs:
        assert one.ram_wh * 3_600 / one.covered_s == pytest.approx(MEMORY_W, rel=1e-3)


def test_the_ten_tasks_are_ours_too_cheapest_first():
    found = published_tasks()
    assert len(found) == 10
    assert {one.task for one in found} <= set(OURS)
    assert [one.energy_wh for one in found] == sorted(one.energy_wh for one in found)
    assert all(0.2 < one.memory_share < 0.5 for one in found)
    assert all(one.above_idle_wh < 0.5 * one.energy_wh for one in found)
