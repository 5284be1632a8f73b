from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.lifecycle.fleet.rows import Row
from wattmark.lifecycle.fleet.variance import decompose, factors_of


@given(st.integers(0, 2**32 - 1), st.integers(5, 60))
def test_shares_sum_to_one_exactly(seed: int, rows: int) -> None:
    table = np.random.default_rng(seed).standard_normal((3, rows)) * [[1.0], [3.0], [0.2]]
    found = decompose(dict(zip("abc", table, strict=True)), resamples=50)
    assert sum(one.value for one in (*found.own.values(), *found.together.values())) == pytest.approx(
        1, abs=1e-12
    )
    assert sum(one.value for one in found.in_all.values()) == pytest.approx(1, abs=1e-12)
    assert found.log_variance == pytest.approx(float(np.var(table.sum(axis=0), ddof=1)))


def test_planted_shares_are_held_by_their_intervals() -> None:
    """A hundred fleets of eighty rows; benchmarks/fleet_shares.py has more laws and sizes."""
    law = np.array([[0.5, 0.4, -0.2], [0.4, 1.6, -0.3], [-0.2, -0.3, 0.7]])
    root, rng = np.linalg.cholesky(law), np.random.default_rng(1)
    held = np.zeros(3)
    for seed in range(100):
        table = root @ rng.standard_normal((3, 80))
        found = decompose(dict(zip("abc", table, strict=True)), resamples=300, seed=seed)
        for at, name in enumerate("abc"):
            one = found.own[name]
            held[at] += one.low <= law[at, at] / law.sum() <= one.high
    assert np.all(held >= 90)


def test_too_few_rows_and_no_variance_are_said() -> None:
    with pytest.raises(ConfigError, match="too few"):
        decompose({"a": np.zeros(3)})
    with pytest.raises(ConfigError, match="no variance"):
        decompose({"a": np.ones(9), "b": np.ones(9)})


def test_an_overhead_is_a_factor_only_where_there_is_one() -> None:
    rows = [Row("a", 100.0, 60.0, 300.0), Row("b", 200.0, 60.0, 300.0)]
    assert list(factors_of(rows)) == ["power", "time", "intensity"]
    assert list(factors_of([*rows, Row("c", 1.0, 1.0, 1.0, overhead=1.2)]))[-1] == "overhead"


def test_a_factor_that_never_varies_has_no_share() -> None:
    rng = np.random.default_rng(0)
    found = decompose({"a": rng.standard_normal(50), "b": np.full(50, 2.0)}, resamples=100)
    assert found.own["b"].value == 0
    assert (found.own["a"].value, found.own["a"].low, found.own["a"].high) == pytest.approx((1, 1, 1))
