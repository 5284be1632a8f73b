"""Power from an exporter's own page."""

from __future__ import annotations

import time

import numpy as np
import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.runs.energy import CurveEnergy
from wattmark.serving.power.exporter import ExporterPower
from wattmark.serving.power.meter import power_meter
from wattmark.testing.power_exporter import PowerExporter


def measured(url: str, seconds: float = 0.6) -> tuple[list[float], tuple[str, ...]]:
    """Watts of each board in that time, and what was noted."""
    meter = ExporterPower(url, period_s=0.05)
    meter.begin()
    try:
        start = time.monotonic_ns() + 100_000_000
        time.sleep(seconds)
        end = time.monotonic_ns()
        told = meter.readings(start, end)
    finally:
        meter.close()
    watts: list[float] = []
    for curve in told.curves:
        got = CurveEnergy(curve).between(np.array([start]), np.array([end]))
        watts.append(float(got.value_j[0] / got.covered_s[0]))
    return watts, told.notes


def test_counters_come_before_gauges_and_boards_are_all_counted() -> None:
    with PowerExporter((100.0, 150.0)) as exporter:
        watts, notes = measured(exporter.url)
    assert watts == [pytest.approx(100, rel=0.05), pytest.approx(150, rel=0.05)]
    assert notes == ()


def test_a_metric_and_a_board_can_be_named() -> None:
    with PowerExporter((100.0, 150.0)) as exporter:
        watts, _ = measured(exporter.url + '#DCGM_FI_DEV_POWER_USAGE{gpu="1"}', 0.3)
    assert watts == [pytest.approx(150)]


def test_an_exporter_that_fails_for_a_while_is_told_of() -> None:
    pages = iter(["x_watts 5\n"] * 4 + [None] * 12)
    with PowerExporter(page=lambda: next(pages, "x_watts 5\n")) as exporter:
        watts, notes = measured(exporter.url + "#x_watts", 1.2)
    assert watts == [pytest.approx(5)]
    assert any("readings of" in note and "HTTP 503" in note for note in notes)
    assert any("nothing was told" in note for note in notes)


@pytest.mark.parametrize(
    ("page", "wanted", "said", "hint"),
    [
        ("up 1\n", "", "no metric of power that is known here", "after a #"),
        ("DCGM_FI_DEV_POWER_USAGE 5\n", "#other_watts", "no other_watts", "DCGM_FI_DEV_POWER_USAGE"),
        ('x_watts{a="1"} 5\n', '#x_watts{a="2"}', "no x_watts", "must be equal"),
    ],
)
def test_what_is_not_there_is_told(page: str, wanted: str, said: str, hint: str) -> None:
    with PowerExporter(page=lambda: page) as exporter, pytest.raises(ServerError, match=said) as raised:
        ExporterPower(exporter.url + wanted).begin()
    assert hint in str(raised.value.hint)


def test_nobody_there() -> None:
    with pytest.raises(ServerError, match="refused"):
        ExporterPower("http://127.0.0.1:9/metrics").begin()
    for address in (
        "ftp://x",
        "nonsense",
        "http://user:pw@h/metrics",
        "prometheus://u:p@h/?query=x",
        "prometheus://h/?q=x",
    ):
        with pytest.raises(ConfigError):
            power_meter(address)
