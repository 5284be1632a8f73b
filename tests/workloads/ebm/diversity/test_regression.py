"""Energies of p(y | x): normalised as they are said to be, paired by seed, and better for learning."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from wattmark.workloads.ebm.diversity.curves import CURVES, REACH, draw  # noqa: E402
from wattmark.workloads.ebm.diversity.regression import (  # noqa: E402
    Models,
    Plan,
    learn,
    negative_log_likelihood,
)

SMALL = Plan(inputs=60, steps=30, batch=16, judged=60)


@pytest.mark.parametrize("name", CURVES)
def test_the_sets_are_repeated_by_their_seed(name: str) -> None:
    x, y = draw(name, 2_000, np.random.default_rng(1))
    np.testing.assert_array_equal(y, draw(name, 2_000, np.random.default_rng(1))[1])
    assert (np.abs(x) <= REACH).all()
    assert (np.abs(y) < REACH).all()


def test_the_likelihood_integrates_to_one() -> None:
    models = Models([3])
    grid = torch.linspace(-REACH, REACH, 2_001)[None]
    nll = negative_log_likelihood(models, torch.zeros_like(grid) + 0.7, grid)
    assert float(torch.trapezoid(torch.exp(-nll[0]), grid[0])) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("loss", ["mle", "nce"])
def test_it_learns(loss: str) -> None:
    before, after = (learn(Plan(loss=loss, inputs=60, steps=n, judged=60), [0], [0.0])[0] for n in (1, 60))
    assert after.nll < before.nll - 0.3


def test_models_learn_side_by_side_as_they_do_alone() -> None:
    together = learn(SMALL, [1, 2, 1], [0.0, 0.0, 1e-3])
    for place, (seed, beta) in enumerate([(1, 0.0), (2, 0.0), (1, 1e-3)]):
        (alone,) = learn(SMALL, [seed], [beta])
        assert alone.nll == pytest.approx(together[place].nll, rel=1e-3)
    assert together[2].theta > together[0].theta  # rewarded, and a pair
