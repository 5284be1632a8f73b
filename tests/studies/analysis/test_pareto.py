from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.studies.analysis.data.cells import Cells
from wattmark.studies.analysis.data.quality import Quality
from wattmark.studies.analysis.pareto import front, pareto


def cells(*code: int) -> Cells:
    names = [f"c{k}" for k in range(max(code) + 1)]
    return Cells(np.array(code), tuple({"model": name} for name in names), tuple(names))


points = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5)), min_size=1, max_size=12)


@given(points)
def test_the_front_is_what_nothing_beats(some: list[tuple[int, int]]) -> None:
    energy, accuracy = (np.array(values, np.float64) for values in zip(*some, strict=True))
    found = front(energy, accuracy) > 0
    for i, (e, a) in enumerate(some):
        beaten = any(f <= e and b >= a and (f, b) != (e, a) for f, b in some)
        if found[i]:
            assert not beaten
        elif not beaten:  # equal points are on the front once
            assert any(found[j] and some[j] == (e, a) for j in range(len(some)))


def test_marginal_joules_per_point_between_neighbours_on_the_front() -> None:
    found = pareto(np.array([100.0, 300.0, 200.0]), np.array([0.80, 0.90, 0.70]), cells(0, 1, 2))
    assert [(p.cell, p.on_front) for p in found] == [("c0", True), ("c2", False), ("c1", True)]
    assert found[2].joules_per_point == pytest.approx(20.0)
    assert found[2].joules_per_point_low is None  # a single trial has no spread
    assert found[0].on_front_share is None


def test_repeats_give_the_cost_of_a_point_an_interval_that_holds_the_truth() -> None:
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        energy = np.concatenate((rng.normal(100, 3, 5), rng.normal(300, 9, 5)))
        accuracy = np.concatenate((rng.normal(0.8, 0.004, 5), rng.normal(0.9, 0.004, 5)))
        step = pareto(energy, accuracy, cells(*[0] * 5, *[1] * 5), seed=seed)[1]
        assert step.joules_per_point_low is not None
        assert step.joules_per_point_high is not None
        held.append(step.joules_per_point_low <= 20 <= step.joules_per_point_high)
    assert np.mean(held) >= 0.9


def test_a_gain_within_noise_has_no_interval() -> None:
    energy = np.array([100.0, 101, 99, 300, 301, 299])
    accuracy = np.array([0.80, 0.82, 0.81, 0.83, 0.79, 0.82])
    last = pareto(energy, accuracy, cells(0, 0, 0, 1, 1, 1))[-1]
    assert last.joules_per_point_low is None
    assert last.on_front_share is not None
    assert 0.1 < last.on_front_share < 0.95


def test_unmeasured_cells_are_not_on_any_front() -> None:
    assert pareto(np.array([np.nan]), np.array([0.9]), cells(0)) == []


def test_where_less_is_better_the_front_is_on_the_other_side() -> None:
    error = Quality("wer", higher_is_better=False, share=False)
    found = pareto(np.array([100.0, 300.0, 200.0]), np.array([0.20, 0.10, 0.30]), cells(0, 1, 2), of=error)
    assert [(p.cell, p.on_front) for p in found] == [("c0", True), ("c2", False), ("c1", True)]
    assert found[2].quality == pytest.approx(0.10)
    assert found[2].joules_per_point == pytest.approx(200 / 0.1)
