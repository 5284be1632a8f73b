"""Pictures that travel in results."""

from __future__ import annotations

import numpy as np
import pytest

from wattmark.workloads.ebm.codes import Code
from wattmark.workloads.ebm.picture import SIDE, Picture
from wattmark.workloads.ebm.points import draw


def test_a_picture_comes_back_as_it_was() -> None:
    rng = np.random.default_rng(0)
    points = draw("moons", 2_000, rng)
    there = Picture.of(points, points[:500], np.full(256, 1 / 256))
    back = Picture.read(there.as_dict())
    assert back is not None
    np.testing.assert_array_equal(back.data, there.data)
    assert back.density is not None
    assert back.data.shape == (SIDE, SIDE)
    assert Code(8).levels == 8


def test_up_is_up() -> None:
    picture = Picture.of(np.array([[0.0, 4.0]]), np.array([[4.0, 0.0]]))
    (row,), (column,) = np.nonzero(picture.data)
    assert row > SIDE * 0.9
    assert abs(column - SIDE / 2) < 2


@pytest.mark.parametrize(
    "attributes", [{}, {"data": "no base64", "samples": "AA=="}, {"data": 3, "samples": None}]
)
def test_what_is_no_picture_is_none(attributes: dict[str, object]) -> None:
    assert Picture.read(attributes) is None
