"""Budgets in every unit, and what is none."""

from __future__ import annotations

import pytest

from wattmark.errors import ConfigError
from wattmark.predict.live.budget import budget
from wattmark.quantity import Quantity


@pytest.mark.parametrize(
    ("text", "joules"),
    [
        ("50kJ", 5e4),
        ("50 kJ", 5e4),
        ("12Wh", 43_200),
        ("0.5kWh", 1.8e6),
        ("1e3J", 1e3),
        (".5MWh", 1.8e9),
        ("2MJ", 2e6),
    ],
)
def test_energies(text: str, joules: float) -> None:
    assert budget(text).joules == pytest.approx(joules)


def test_carbon_by_the_grid_and_the_building() -> None:
    assert budget("20gCO2e", g_per_kwh=50).joules == pytest.approx(0.4 * 3.6e6)
    assert budget("1kgCO2", g_per_kwh=500, pue=2).joules == pytest.approx(3.6e6)
    assert "50 gCO2e/kWh" in str(budget("20gCO2e", g_per_kwh=50))
    with pytest.raises(ConfigError) as error:
        budget("20gCO2e")
    assert "--zone" in str(error.value.hint)


def test_money_by_its_price() -> None:
    assert budget("2EUR", price_per_kwh=0.25).joules == pytest.approx(8 * 3.6e6)
    assert budget("2€", price_per_kwh=0.25, pue=2).joules == pytest.approx(4 * 3.6e6)
    with pytest.raises(ConfigError) as error:
        budget("2EUR")
    assert "--price" in str(error.value.hint)


@pytest.mark.parametrize(
    "text", ["", "50", "kJ", "-5kJ", "0J", "nanJ", "1e999J", "50 kj", "5 parsecs", "5kJ 3"]
)
def test_what_is_no_budget_is_refused_with_how_one_looks(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        budget(text)
    assert "kJ" in str(error.value.hint)


def test_a_budget_is_crossed_by_the_lower_end_of_the_interval() -> None:
    limit = budget("100J")
    scale = 1.959963984540054 / 1.6448536269514722
    assert not limit.is_crossed_by(Quantity(150.0, terms={"fit": (-51 * scale, 51 * scale)}))
    assert limit.is_crossed_by(Quantity(150.0, terms={"fit": (-49 * scale, 49 * scale)}))
