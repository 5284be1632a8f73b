from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.impact import as_pue
from wattmark.impact.stages import gpu_hours, making, water
from wattmark.quantity import Quantity

KWH = Quantity(3.6e6, 3.0e6, 4.2e6, "J", error="scale/x")


def test_water_has_the_pue_once() -> None:
    """E x (WUE + PUE x grid), arXiv 2304.03271."""
    stage = water(KWH, as_pue(1.5), 0.5, 3.0)
    assert stage is not None
    assert stage.amount.value == pytest.approx(0.5 + 1.5 * 3.0)
    assert stage.amount.unit == "L"
    on_site = water(KWH, as_pue(1.5), 0.5, None)
    assert on_site is not None
    assert on_site.amount.value == pytest.approx(0.5)
    assert "of the grid not given" in on_site.formula
    assert water(KWH, as_pue(1.5), None, None) is None


def test_ranges_are_named_errors() -> None:
    stage = water(KWH, as_pue("1.1-1.3"), "0.1-0.9", "2-4")
    assert stage is not None
    kinds = {kind for kind, _, _ in stage.amount.budget()}
    assert {"water", "pue", "scale"} <= kinds
    assert stage.amount.low < stage.amount.value < stage.amount.high
    one, two = (making(3600, "1000-2000", lifetime) for lifetime in (4, 5))
    assert one is not None
    assert two is not None
    ratio = one.amount / two.amount  # of one device: its making cancels
    assert (ratio.low, ratio.high) == (pytest.approx(1.25), pytest.approx(1.25))


def test_making_is_the_share_of_a_life() -> None:
    stage = making(365.25 * 86_400, 1500, 5, count=2)
    assert stage is not None
    assert stage.amount.value == pytest.approx(2 * 1500e3 / 5)
    known = making(3600, "A100")
    assert known is not None
    assert known.year == 2023
    assert "Chien" in known.source
    assert making(3600, None) is None
    server = making(365.25 * 86_400, "aws-p4d", 5)
    assert server is not None
    assert server.amount.value == pytest.approx(3_000_000 / 5)
    assert server.amount.low < server.amount.value / 1.9
    with pytest.raises(ConfigError) as refused:
        making(1, "aws-p4x")
    assert "aws-p4d" in str(refused.value.hint)


def test_gpu_hours() -> None:
    stage = gpu_hours(1800, "2-3", 8, "EUR")
    assert stage is not None
    assert (stage.amount.value, stage.amount.unit) == (10.0, "EUR")
    assert (stage.amount.low, stage.amount.high) == (pytest.approx(8), pytest.approx(12))
    with pytest.raises(ConfigError, match="how many GPUs"):
        gpu_hours(1800, 2, 0, "EUR")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: water(KWH, as_pue(1.0), "much", None),
        lambda: water(KWH, as_pue(1.0), -1, None),
        lambda: making(1, "b9000"),
        lambda: making(1, 100, 0),
        lambda: gpu_hours(1, float("nan"), 1, ""),
    ],
)
def test_what_is_no_number_is_refused(wrong) -> None:
    with pytest.raises(ConfigError):
        wrong()


@given(st.floats(0, 1e12), st.floats(1, 3), st.floats(0, 100), st.floats(0, 100))
def test_water_is_its_formula(joules: float, pue: float, wue: float, grid: float) -> None:
    stage = water(Quantity.exact(joules), as_pue(pue), wue, grid)
    assert stage is not None
    assert stage.amount.value == pytest.approx(joules / 3.6e6 * (wue + pue * grid), rel=1e-9, abs=1e-12)
