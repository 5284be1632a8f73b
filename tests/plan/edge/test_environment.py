from __future__ import annotations

import warnings

import pytest

from wattmark.plan.edge.environment import parallel_env, single_env
from wattmark.plan.edge.scenario import synthetic


def test_pettingzoos_own_checks_pass() -> None:
    pytest.importorskip("pettingzoo")
    from pettingzoo.test import parallel_api_test

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parallel_api_test(parallel_env(sites=3, steps=24), num_cycles=60)


def test_gymnasiums_own_checks_pass() -> None:
    pytest.importorskip("gymnasium")
    from gymnasium.utils.env_checker import check_env

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(single_env(sites=2, steps=24), skip_render_check=True)


def test_rewards_are_the_cost_of_the_same_scenario() -> None:
    pytest.importorskip("pettingzoo")
    import numpy as np

    from wattmark.plan.edge.simulator import EdgeGrid

    scenario = synthetic(4, sites=2, steps=6)
    env, grid = parallel_env(scenario), EdgeGrid([scenario])
    env.reset(seed=1)
    for _ in range(6):
        _, rewards, _, cut, _ = env.step({agent: np.array([0.0, 1.0], np.float32) for agent in env.agents})
        flows = grid.step(np.zeros((1, 2)), np.ones((1, 2)))
        assert list(rewards.values()) == pytest.approx((-flows.cost[0]).tolist())
    assert all(cut.values())
    assert env.agents == []
