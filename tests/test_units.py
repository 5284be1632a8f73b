"""Numbers as people read them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark import units


@pytest.mark.parametrize(
    ("joules", "text"),
    [
        (0.0, "0 J"), (2.5e-6, "2.50 µJ"), (0.0125, "12.5 mJ"), (1.0, "1.00 J"), (123.4, "123 J"), (9_999.0, "9,999 J"),
        (12_345.0, "12.3 kJ"), (1_234_567.0, "1.23 MJ"), (3.2e9, "3.20 GJ"), (-500.0, "-500 J"),
    ],
)  # fmt: skip
def test_energy(joules: float, text: str):
    assert units.format_energy(joules) == text


@pytest.mark.parametrize(
    ("watts", "text"),
    [(0.0, "0 W"), (0.5, "500 mW"), (65.25, "65.2 W"), (1_250.0, "1.25 kW"), (2e6, "2.00 MW")],
)
def test_power(watts: float, text: str):
    assert units.format_power(watts) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2e-6, "2.00 µs"), (0.0123, "12.3 ms"), (1.5, "1.50 s"), (75.2, "1 min 15 s"), (3_725.0, "1 h 2 min"),
        (90_000.0, "1 d 1 h"),
    ],
)  # fmt: skip
def test_duration(seconds: float, text: str):
    assert units.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("grams", "text"),
    [(0.0, "0 g"), (0.0021, "2.10 mg"), (33.0, "33.0 g"), (1_520.0, "1.52 kg"), (4.5e6, "4.50 t")],
)
def test_mass(grams: float, text: str):
    assert units.format_mass(grams) == text


@given(st.floats(1e-6, 1e12))
def test_energy_is_shown_within_a_percent_and_never_in_scientific_notation(joules: float):
    number, unit = units.format_energy(joules).split()
    scale = {"µJ": 1e-6, "mJ": 1e-3, "J": 1.0, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9}[unit]
    assert "e" not in number
    assert float(number.replace(",", "")) * scale == pytest.approx(joules, rel=0.01)


@pytest.mark.parametrize(
    ("unit", "joules", "text"),
    [
        ("J", 7_200.0, "7,200 J"), ("J", 0.05, "0.0500 J"), ("Wh", 7_200.0, "2.00 Wh"), ("Wh", 1.0, "0.000278 Wh"),
        ("kWh", 7.2e6, "2.00 kWh"), ("kWh", 0.0, "0 kWh"),
    ],
)  # fmt: skip
def test_energies_are_shown_in_the_unit_that_is_set(unit: str, joules: float, text: str):
    units.show_energies_in(unit)
    try:
        assert units.format_energy(joules) == text
    finally:
        units.show_energies_in("auto")


def test_a_value_and_its_ends_have_one_unit():
    assert [units.format_energy(end, 12_000.0) for end in (9_000.0, 12_000.0, 15_000.0)] == [
        "9.00 kJ", "12.0 kJ", "15.0 kJ",
    ]  # fmt: skip
    assert units.format_energy(0.0, 12_000.0) == "0 kJ"


def test_the_page_has_the_same_table_and_shows_the_same_texts():
    """frontend/tests/format.test.ts holds the page to these texts."""
    path = Path(__file__).parents[1] / "tools/units.py"
    tool = runpy.run_path(str(path))
    assert tool["TABLE"].read_text(encoding="utf-8") == tool["table"](), "run: python tools/units.py"
    assert tool["TEXTS"].read_text(encoding="utf-8") == tool["texts"](), "run: python tools/units.py"
