"""More or fewer epochs: what was measured stays, what is to come has an interval that holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.what_if import CPU_W, GPU_W, a_run
from wattmark.predict.extrapolate import (
    Extrapolation,
    epochs_of,
    extrapolate,
    future,
    settled_epochs,
)
from wattmark.predict.whatif.state import Unpredictable
from wattmark.quantity import Quantity
from wattmark.runs.record import Spans


def extrapolated(count: int, **run: object) -> Extrapolation:
    found = extrapolate(a_run(**run), count)  # pyright: ignore[reportArgumentType]
    assert isinstance(found, Extrapolation), str(found)
    return found


def test_epochs_have_their_joules_and_times():
    epochs = epochs_of(a_run(epochs=5))
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4, 5]
    assert [epoch.duration_s.value for epoch in epochs] == [16] * 5
    assert [epoch.start_s for epoch in epochs] == [10, 26, 42, 58, 74]
    assert [epoch.by_component["gpu"].value for epoch in epochs] == pytest.approx([16 * GPU_W] * 5)


def test_the_same_number_is_what_was_measured_exactly():
    view = a_run(epochs=5)
    found = extrapolated(5)
    assert found.by_component == view.energy_by_component
    assert found.duration_s == Quantity.exact(100.0, "s", "measured")


def test_twice_the_epochs_do_not_prepare_twice():
    found = extrapolated(10, epochs=5)
    assert found.by_component["gpu"].value == pytest.approx((20 + 160) * GPU_W)
    assert found.by_component["cpu"].value == pytest.approx((20 + 160) * CPU_W)
    assert found.duration_s.value == pytest.approx(180)


def test_fewer_epochs_take_off_what_these_epochs_cost():
    found = extrapolated(2, watts_of_epoch=[100, 200, 300, 400, 500])
    assert found.by_component["gpu"].value == pytest.approx(20 * GPU_W + 16 * 300)
    assert found.duration_s.value == pytest.approx(100 - 48)


def test_epochs_that_differ_make_the_interval_wider():
    calm = extrapolated(20, watts_of_epoch=[300, 301, 300, 301, 300]).by_component["gpu"]
    wild = extrapolated(20, watts_of_epoch=[300, 400, 250, 350, 280]).by_component["gpu"]
    assert wild.half_width > 2 * calm.half_width


def test_a_slow_first_epoch_is_not_taken_for_the_rest():
    found = extrapolated(30, epochs=10, watts_of_epoch=[900] + [300, 302] * 4 + [300])
    more = found.by_component["gpu"].value - (20 * GPU_W + 8 * 900 + 8 * (302 * 4 + 300 * 5))
    assert more == pytest.approx(20 * 8 * 301, rel=0.01)


@given(st.integers(6, 500), st.integers(1, 500))
def test_more_epochs_never_cost_less(count: int, step: int):
    few, many = extrapolated(count), extrapolated(count + step)
    for name, quantity in few.by_component.items():
        assert many.by_component[name].value > quantity.value
        assert many.by_component[name].half_width >= quantity.half_width
    assert many.duration_s.value > few.duration_s.value


def test_more_measured_epochs_make_it_narrower():
    one = [Quantity.exact(100.0)]
    assert future(one * 20, 50, "J", "").half_width < future(one * 5, 50, "J", "").half_width


def test_the_interval_of_noise_that_knows_no_time_holds_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        all_epochs = rng.normal(100, 5, 25)
        measured = [Quantity.exact(value) for value in all_epochs[:5]]
        interval = future(measured, 20, "J", "")
        hits += interval.low <= all_epochs[5:].sum() <= interval.high
    assert hits / 400 >= 0.95


@pytest.mark.parametrize(
    ("run", "count", "why"),
    [
        ({"epochs": 0}, 10, "no spans named 'epoch'"),
        ({"epochs": 1}, 10, "one settled epoch"),
        ({"epochs": 5}, 10**7, "number of epochs"),
    ],
)
def test_what_does_not_tell_is_refused(run: dict[str, int], count: int, why: str):
    found = extrapolate(a_run(**run), count)  # pyright: ignore[reportArgumentType]
    assert isinstance(found, Unpredictable)
    assert why in str(found)


def test_epochs_inside_epochs_and_of_other_processes_do_not_count():
    rows = [(10, 20, 1), (11, 12, 1), (12, 18, 2), (20, 30, 1), (30, 41, 1)]
    starts, ends, pids = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    count = len(rows)
    spans = Spans(
        ("epoch",), np.zeros(count, np.int32), starts * 10**9, ends * 10**9, np.full(count, -1, np.int32), pids, pids,
        np.array([False] * count),
    )  # fmt: skip
    epochs = epochs_of(a_run(spans=spans))
    assert [(epoch.start_s, epoch.duration_s.value) for epoch in epochs] == [(10, 10), (20, 10), (30, 11)]


def test_what_lies_between_epochs_belongs_to_them():
    edges = np.array([10, 20, 30, 40], np.int64) * 10**9
    spans = Spans(
        ("epoch",), np.zeros(4, np.int32), edges, edges + 8 * 10**9, np.full(4, -1, np.int32), np.ones(4, np.int64),
        np.ones(4, np.int64), np.zeros(4, np.bool_),
    )  # fmt: skip
    assert [epoch.duration_s.value for epoch in epochs_of(a_run(spans=spans))] == [10, 10, 10, 10]


def test_settling_drops_at_most_a_third():
    epochs = epochs_of(a_run(epochs=8, watts_of_epoch=[900, 800, 700, 600, 300, 300, 300, 300]))
    assert [epoch.number for epoch in settled_epochs(epochs)] == [3, 4, 5, 6, 7, 8]
