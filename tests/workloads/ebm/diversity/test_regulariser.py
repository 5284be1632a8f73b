"""The spread in O(D) is that over all pairs, in any order of features."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from wattmark.workloads.ebm.diversity.regulariser import diversity, pairwise_spread


def _features(seed: int, inputs: int, count: int, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(inputs, count, generator=generator, dtype=torch.float64)


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(1e-3, 1e3))
def test_it_is_the_sum_over_all_pairs(seed: int, count: int, scale: float) -> None:
    features = _features(seed, 5, count, scale)
    pairs = (features[:, :, None] - features[:, None, :]).square().sum((1, 2))
    torch.testing.assert_close(pairwise_spread(features), pairs, rtol=1e-9, atol=1e-9 * scale**2)


@given(st.integers(0, 10_000), st.integers(2, 12))
def test_the_order_and_a_common_shift_do_not_matter(seed: int, count: int) -> None:
    features = _features(seed, 4, count)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(pairwise_spread(features[:, order]), pairwise_spread(features))
    torch.testing.assert_close(pairwise_spread(features + 3.5), pairwise_spread(features))


def test_equal_features_have_none() -> None:
    assert pairwise_spread(torch.ones(3, 7)).tolist() == [0.0, 0.0, 0.0]


@given(st.integers(0, 1_000), st.sampled_from([0.5, 0.9, 0.95, 1.0]))
def test_so_many_inputs_are_as_diverse_as_theta_says(seed: int, tau: float) -> None:
    features = _features(seed, 40, 5)
    theta = float(diversity(features, tau))
    enough = pairwise_spread(features) / 2 >= theta**2 * (1 - 1e-12)
    assert float(enough.double().mean()) >= tau - 1e-12
