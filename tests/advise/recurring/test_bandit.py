"""Sizes are chosen by what they have cost, and the dear ones are given up soon."""

from __future__ import annotations

import numpy as np
import pytest

from wattmark.advise.recurring import Bandit
from wattmark.errors import ConfigError

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)


def truth(size: int) -> float:
    """The mean cost of a run: least at 128."""
    return 1000 * float(np.exp(0.25 * (np.log2(size) - 7) ** 2))


def replay(seed: int, times: int = 60, noise: float = 0.08) -> tuple[Bandit, list[int], float]:
    rng = np.random.default_rng(seed)
    bandit = Bandit(SIZES, 32, seed)
    chosen, spent = [], 0.0
    for _ in range(times):
        size = bandit.choose()
        bound = bandit.stop_at() or np.inf
        cost = truth(size) * float(np.exp(noise * rng.standard_normal()))
        reached = cost <= bound
        bandit.observe(size, min(cost, bound), reached=reached)
        chosen.append(size)
        spent += min(cost, bound)
    return bandit, chosen, spent


def test_the_default_goes_first():
    assert Bandit(SIZES, 32, 0).choose() == 32


@pytest.mark.parametrize("seed", range(5))
def test_the_best_size_is_found_and_stayed_with(seed):
    bandit, chosen, spent = replay(seed)
    assert bandit.best() in (64, 128, 256)
    assert abs(np.log2(bandit.best()) - 7) <= 1
    assert spent / (60 * truth(128)) < 1.25
    assert sum(size in (64, 128, 256) for size in chosen[-20:]) >= 15


def test_sizes_that_neighbours_show_to_be_bad_are_hardly_ever_run():
    seldom = [sum(size in (8, 1024) for size in replay(seed)[1]) for seed in range(5)]
    assert max(seldom) <= 4  # a policy that visits each size twice has 4 at the least


def test_a_size_that_fails_is_taken_to_be_dear_and_so_are_those_beside_it():
    bandit = Bandit(SIZES, 64, 0)
    bandit.observe(64, 100.0, reached=True)
    before = bandit.expected()
    bandit.observe(512, 150.0, reached=False)
    after = bandit.expected()
    assert after[512] > 1.3 * before[512]
    assert after[1024] > before[1024]
    assert after[512] / before[512] > 2 * after[8] / before[8] / 1.5


def test_a_run_is_given_up_when_it_costs_much_more_than_the_best():
    bandit = Bandit(SIZES, 64, 0)
    assert bandit.stop_at() is None
    for cost in (100.0, 102.0, 98.0):
        bandit.observe(64, cost, reached=True)
    assert 140 < (bandit.stop_at() or 0) < 190


def test_until_one_has_reached_its_target_sizes_near_the_default_are_tried():
    bandit = Bandit(SIZES, 64, 0)
    bandit.observe(64, 10.0, reached=False)
    assert bandit.choose() in (32, 128)


@pytest.mark.parametrize(("sizes", "default"), [((), 1), ((0, 2), 2), ((2, 4), 3)])
def test_sizes_that_cannot_be_are_refused(sizes, default):
    with pytest.raises(ConfigError):
        Bandit(sizes, default)


@pytest.mark.parametrize(("size", "cost"), [(3, 1.0), (8, 0.0), (8, float("nan")), (8, float("inf"))])
def test_a_run_that_cannot_be_is_refused(size, cost):
    with pytest.raises(ConfigError):
        Bandit(SIZES, 8).observe(size, cost, reached=True)
