"""Power caps: no effect above the draw, slower below, and refused where the board cannot be set so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.predict.hardware.accelerators import find
from wattmark.predict.hardware.caps import cap_step, capped, slowdown
from wattmark.predict.hardware.devices import Installed
from wattmark.predict.whatif.state import State, Unpredictable
from wattmark.quantity import Quantity


def state(
    gpu: str = "v100-pcie-16", watts: float = 220.0, count: int = 1, utilisation: float | None = None
) -> State:
    return State(
        {"gpu": Quantity.exact(watts * count * 100), "cpu": Quantity.exact(4_000.0)},
        Quantity.exact(100.0, "s"),
        (Installed(find(gpu), count),),
        utilisation=utilisation,
    )


def test_a_cap_above_what_the_board_draws_changes_nothing_but_noise():
    found = cap_step(state(watts=120), 250)
    assert not isinstance(found, Unpredictable)
    after, step = found
    assert step.energy.value == pytest.approx(1.0)
    assert after.duration_s is not None
    assert after.duration_s.value == 100
    assert 90 < after.duration_s.low < 100 < after.duration_s.high < 110


def test_published_caps_of_a_training_lie_in_the_interval():
    # Zeus, NSDI 2023: ResNet-50 on a V100 drew 222 W; under 150 W epochs took 1.1775 times as long at 145.5 W.
    time, joules = capped(222.4, 222.4, 1.0, 150.0)
    assert time.low < 1.1775 < time.high
    assert joules.low < 1.1775 * 145.5 / 222.4 < joules.high


@given(st.floats(60, 600), st.floats(50, 600), st.floats(1.01, 2))
def test_a_lower_cap_never_makes_the_work_faster(watts: float, cap: float, step: float):
    low, high = slowdown(watts, cap), slowdown(watts, cap * step)
    assert low.value >= high.value >= 1
    assert low.high >= high.high


@given(st.floats(50, 400), st.floats(0.05, 1), st.floats(30, 500))
def test_bounds_hold_the_value(mean: float, busy: float, cap: float):
    for quantity in capped(mean, mean / busy, busy, cap):
        assert 0 < quantity.low <= quantity.value <= quantity.high


def test_a_board_that_is_rarely_busy_is_slowed_less():
    often, _ = capped(200, 200, 1.0, 120)
    rarely, _ = capped(50, 200, 0.25, 120)
    assert rarely.value < often.value


@pytest.mark.parametrize(
    ("gpu", "cap", "why"),
    [
        ("v100-pcie-16", 50, "cannot be capped below 100 W"),
        ("v100-pcie-16", 300, "cannot draw more than 250 W"),
    ],
)
def test_a_cap_that_the_board_cannot_have_is_refused(gpu: str, cap: float, why: str):
    found = cap_step(state(gpu), cap)
    assert isinstance(found, Unpredictable)
    assert why in str(found)


def test_without_an_accelerator_there_is_nothing_to_cap():
    found = cap_step(State({"cpu": Quantity.exact(1.0)}, Quantity.exact(1.0, "s")), 100)
    assert isinstance(found, Unpredictable)
    assert "no joules of an accelerator" in str(found)
