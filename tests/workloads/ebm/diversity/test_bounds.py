"""The bound's terms hold for what they are about."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from wattmark.workloads.ebm.diversity.bounds import (  # noqa: E402
    classification_terms,
    implicit_terms,
    largest_output,
    regression_terms,
)
from wattmark.workloads.ebm.diversity.regulariser import diversity  # noqa: E402


@given(st.integers(0, 2_000), st.integers(1, 8))
def test_no_output_is_beyond_the_largest(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.random((30, count)) * rng.uniform(0.1, 3, count)
    weights = rng.normal(0, 1, count)
    theta = float(diversity(torch.tensor(features), tau=1.0))
    norm = float(np.linalg.norm(features, axis=1).max())
    largest = largest_output(float(np.abs(weights).max()), count, norm, theta)
    assert np.abs(features @ weights).max() <= largest * (1 + 1e-9) + 1e-9


def test_more_diversity_makes_every_term_smaller() -> None:
    less, more = (largest_output(1.0, 10, 2.0, theta) for theta in (1.0, 5.0))
    assert more < less
    for terms in (
        lambda s: regression_terms(s, 3.0, 1_000),
        lambda s: classification_terms(s, 1_000),
        lambda s: implicit_terms(s, 1.0, 2, 1_000),
    ):
        assert terms(more).deviation < terms(less).deviation


def test_the_terms_are_those_of_their_losses() -> None:
    terms = regression_terms(2.0, 1.0, 200, delta=0.1)
    assert (terms.lipschitz, terms.largest_loss) == (3.0, 4.5)
    assert terms.deviation == pytest.approx(4.5 * math.sqrt(2 * math.log(20) / 200))
    assert classification_terms(2.0, 200).largest_loss == 2.0
    assert implicit_terms(2.0, 1.0, 4, 200).largest_loss == 18.0


def test_beyond_its_norm_nothing_is_left() -> None:
    assert largest_output(1.0, 4, 1.0, 3.0) == 0.0
