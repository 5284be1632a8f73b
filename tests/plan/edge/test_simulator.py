from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.plan.edge.rules import greedy, random_controller, simulate
from wattmark.plan.edge.scenario import Scenario, from_traces, synthetic
from wattmark.plan.edge.simulator import EdgeGrid, Site


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 0.9), st.booleans())
def test_energy_is_balanced_in_every_step(
    seed: int, into: float, out: float, line: float, sharing: bool
) -> None:
    """Of each site, of its storage, and of all sites together; to the bit, which is less than 1e-9 J."""
    site = Site(charge_loss=into, discharge_loss=out, line_loss=line)
    grid = EdgeGrid(
        [synthetic(seed, steps=24, past=48), synthetic(seed + 1, steps=24, past=48)], site, sharing=sharing
    )
    rng = np.random.default_rng(seed)
    while not grid.over:
        before = grid.stored
        flows = grid.step(rng.uniform(-2, 2, before.shape), rng.uniform(-1, 2, before.shape))
        assert np.all(np.abs(flows.imbalance()) <= 1e-9)
        assert np.all(grid.stored == before - flows.leak + flows.charged - flows.charge_loss - flows.drawn)
        assert np.all((grid.stored >= 0) & (grid.stored <= site.capacity_j + 1e-3))
        assert np.all(flows.received.sum(axis=1) <= flows.sent.sum(axis=1) * (1 - line) + 1e-3)
        assert np.all(flows.grid <= site.grid_j + 1e-3)
        parts = (
            flows.charged,
            flows.drawn,
            flows.sent,
            flows.received,
            flows.grid,
            flows.generator,
            flows.curtailed,
        )
        assert all(np.all(part >= 0) for part in parts)
        assert sharing or not flows.sent.any()


def one_site(renewable: list[float], demand: list[float], price: float = 0.2, past: int = 0) -> Scenario:
    shape = (len(renewable), 1)
    sun, compute, network = (
        np.array(part, float).reshape(shape) for part in (renewable, demand, [0.0] * len(demand))
    )
    return Scenario(sun, compute, network, np.full(len(renewable), price), past)


def test_what_there_is_no_room_for_is_curtailed_and_beyond_the_grid_the_generator_runs() -> None:
    site = Site(
        capacity_j=100.0,
        charge_j=1e9,
        discharge_j=1e9,
        charge_loss=0,
        discharge_loss=0,
        leak=0,
        grid_j=50.0,
        begin=0.5,
    )
    grid = EdgeGrid([one_site([500.0, 0.0], [100.0, 300.0])], site)
    flows = grid.step(*greedy(grid))
    assert (flows.charged.item(), flows.curtailed.item(), grid.stored.item()) == (50.0, 350.0, 100.0)
    flows = grid.step(*greedy(grid))
    assert (flows.discharged.item(), flows.grid.item(), flows.generator.item()) == (100.0, 50.0, 150.0)
    assert flows.nonrenewable.item() == 150.0 + 0.6 * 50.0


def test_a_surplus_helps_a_site_that_lacks() -> None:
    table = np.array([[1000.0, 0.0]])
    scenario = Scenario(table, np.array([[0.0, 300.0]]), np.zeros((1, 2)), np.array([0.2]), 0)
    site = Site(capacity_j=0.0, begin=0.0, line_loss=0.25)
    flows = EdgeGrid([scenario], site).step(np.zeros((1, 2)), np.ones((1, 2)))
    assert flows.received[0, 1] == 300.0
    assert flows.sent[0, 0] == 400.0
    assert flows.grid.sum() == 0


def test_the_same_seed_gives_the_same_and_sharing_helps() -> None:
    assert np.array_equal(synthetic(3).renewable, synthetic(3).renewable)
    assert not np.array_equal(synthetic(3).demand, synthetic(4).demand)
    weeks = [synthetic(at, steps=48) for at in range(4)]
    alone = sum(simulate(one, greedy, sharing=False).cost for one in weeks)
    assert sum(simulate(one, greedy).cost for one in weeks) <= alone
    assert alone < sum(simulate(one, random_controller(0)).cost for one in weeks)


def test_what_cannot_be_is_said(tmp_path) -> None:
    with pytest.raises(ConfigError, match="a share"):
        Site(leak=2.0)
    with pytest.raises(ConfigError, match="0 or more"):
        Site(capacity_j=float("nan"))
    with pytest.raises(ConfigError, match="as many sites"):
        EdgeGrid([synthetic(1, sites=2), synthetic(1, sites=3)])
    grid = EdgeGrid([synthetic(1, steps=1)])
    grid.step(*greedy(grid))
    with pytest.raises(ConfigError, match="is over"):
        grid.step(*(np.zeros((1, 4)), np.zeros((1, 4))))
    with pytest.raises(ConfigError, match="cannot be read"):
        from_traces(tmp_path, 0)
    (tmp_path / "solar_example.csv").write_text("time,a\n0,x\n")
    with pytest.raises(ConfigError, match="no table"):
        from_traces(tmp_path, 0)


def test_traces_of_sun_and_load_are_a_scenario(tmp_path) -> None:
    sun = "\n".join(f"{300 * at},{0.5 + at % 2 / 10}" for at in range(12 * 24 * 20))
    load = "\n".join(f"{3600 * at},0.4" for at in range(24 * 20))
    (tmp_path / "solar_example.csv").write_text("time,a\n" + sun + "\n")
    (tmp_path / "load_example.csv").write_text("time,m\n" + load + "\n")
    scenario = from_traces(tmp_path, 1, sites=3, steps=48)
    assert (scenario.sites, scenario.steps) == (3, 48)
    assert scenario.compute.mean() == pytest.approx(0.4 * 650 * 3600, rel=1e-6)
    with pytest.raises(ConfigError, match="fewer than"):
        from_traces(tmp_path, 1, steps=24 * 30)
