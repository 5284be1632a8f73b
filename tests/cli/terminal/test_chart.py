from __future__ import annotations

from wattmark.cli.terminal.chart import block_chart

NAN = float("nan")


def test_the_tallest_value_fills_the_height_and_half_of_it_half() -> None:
    assert block_chart([0.0, 1.0, 2.0], height=1) == [" ▄█"]
    assert block_chart([1.0, 2.0], height=2) == [" █", "██"]


def test_what_is_not_known_is_a_dot_at_the_foot() -> None:
    assert block_chart([2.0, NAN], height=2) == ["█ ", "█·"]


def test_no_power_at_all_is_a_flat_line() -> None:
    assert block_chart([0.0, 0.0], height=1) == ["  "]
    assert block_chart([], height=1) == [""]
    assert block_chart([NAN], height=1) == ["·"]
