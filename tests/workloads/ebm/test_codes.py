"""Points as words of bits and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.workloads.ebm.codes import Code, number
from wattmark.workloads.ebm.points import LIMIT, SETS, draw


@pytest.mark.parametrize("name", SETS)
def test_every_set_lies_within_the_limit_and_is_repeated_by_its_seed(name: str) -> None:
    points = draw(name, 5_000, np.random.default_rng(3))
    assert points.shape == (5_000, 2)
    assert (np.abs(points) < LIMIT).mean() > 0.999
    assert points.std(axis=0).min() > 0.5  # it fills the plane in both directions
    np.testing.assert_array_equal(points, draw(name, 5_000, np.random.default_rng(3)))


@given(st.sampled_from([4, 8, 16, 32]), st.lists(st.floats(-LIMIT, LIMIT), min_size=2, max_size=2))
def test_a_point_comes_back_within_its_square(bits: int, point: list[float]) -> None:
    code = Code(bits)
    there = np.array([point])
    back = code.decode(code.encode(there))
    assert np.abs(back - there).max() <= LIMIT / code.levels / 2 + 1e-12


def test_each_word_is_one_square_and_zero_has_two_codes() -> None:
    code = Code(8)
    words = code.every()
    np.testing.assert_array_equal(number(words), np.arange(256))
    np.testing.assert_array_equal(code.encode(code.decode(words)), words)
    assert len(np.unique(code.decode(words), axis=0)) == 256
    left, right = code.encode(np.array([[-1e-9, 1.0], [1e-9, 1.0]]))
    assert (left != right).sum() == 1  # the sign alone


def test_neighbouring_magnitudes_differ_in_one_bit() -> None:
    code = Code(16)
    steps = (np.arange(code.levels) + 0.5) * LIMIT / code.levels
    words = code.encode(np.stack((steps, np.full_like(steps, 2.0)), 1))
    assert (np.abs(np.diff(words.astype(int), axis=0)).sum(1) == 1).all()


@pytest.mark.parametrize("bits", [3, 2, 64])
def test_other_lengths_are_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="even number of bits"):
        Code(bits)


def test_what_is_too_long_is_not_gone_through() -> None:
    with pytest.raises(ValueError, match="too many"):
        Code(32).every()
