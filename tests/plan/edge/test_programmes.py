from __future__ import annotations

import numpy as np
import pytest

from wattmark.plan.edge.programmes import Rolling, bound, possible, solve
from wattmark.plan.edge.rules import greedy, random_controller, simulate
from wattmark.plan.edge.scenario import DAY, Scenario, synthetic
from wattmark.plan.edge.simulator import Site

pytest.importorskip("scipy")


def test_nobody_passes_the_bound_and_foresight_helps() -> None:
    for seed in range(3):
        week = synthetic(seed, sites=3, steps=2 * DAY)
        least = bound(week).cost
        found = simulate(week, greedy).cost
        planned = simulate(week, Rolling()).cost
        staged = simulate(week, Rolling(futures=3, ahead=12)).cost
        for cost in (found, planned, staged, simulate(week, random_controller(seed)).cost):
            assert cost >= least - 1e-6
        assert planned < found


def test_a_programme_by_hand() -> None:
    """One site: a kWh is bought in the cheap step for the dear one, as far as losses and wear are worth it."""
    kwh = 3.6e6
    site = Site(capacity_j=10 * kwh, charge_j=kwh, discharge_j=kwh, charge_loss=0, discharge_loss=0, leak=0, grid_j=5 * kwh,
                wear_price=0.01, begin=0.0)  # fmt: skip
    future = (np.zeros((2, 1)), np.array([[0.0], [2 * kwh]]), np.array([0.1, 0.5]))
    flows, cost = solve([future], np.zeros(1), site)
    assert flows["charged"][0, :, 0] == pytest.approx([kwh, 0], abs=1)
    assert cost == pytest.approx(1 * 0.1 + 1 * 0.5 + 2 * 0.01)


def test_two_stages_do_the_same_now_in_all_futures() -> None:
    rng = np.random.default_rng(0)
    scenario = synthetic(2, sites=2, steps=DAY)
    futures = possible(scenario, scenario.past, 12, 4, rng)
    flows, _ = solve(futures, np.full(2, 3e6), Site())
    assert np.allclose(flows["charged"][:, 0], flows["charged"][0, 0], atol=1.0)
    assert np.allclose(flows["drawn"][:, 0], flows["drawn"][0, 0], atol=1.0)
    assert not np.allclose(futures[1][0], futures[2][0])


def test_a_forecast_knows_nothing_of_what_comes() -> None:
    """The same past with another future gives the same forecast."""
    one = synthetic(5, sites=2, steps=DAY)
    renewable, compute, network, price = changed = [
        part.copy() for part in (one.renewable, one.compute, one.network, one.price)
    ]
    for part in changed:
        part[one.past + 1 :] *= 3
    other = Scenario(renewable, compute, network, price, one.past)
    rng = [np.random.default_rng(1) for _ in range(2)]
    pairs = zip(possible(one, one.past, 12, 3, rng[0]), possible(other, one.past, 12, 3, rng[1]), strict=True)
    assert all(np.array_equal(a, b) for pair in pairs for a, b in zip(*pair, strict=True))
