"""Totals of a store: carbon at each run's place, measured and modelled apart, days of a time zone."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.store import RunSummary
from wattmark.workspace.totals import totals


def run(run_id: str, method: str, energy: Quantity, minute: int, **settings: str) -> RunSummary:
    return RunSummary(
        run_id=run_id,
        name=run_id,
        status="completed",
        exit_code=0,
        host="node1",
        parent_id=None,
        started_at=datetime(2026, 3, 4, 23, minute, tzinfo=timezone.utc),
        duration_s=10.0,
        energy_j=energy.value,
        energy_low_j=energy.low,
        energy_high_j=energy.high,
        energy_by_component={},
        coverage=1.0,
        tags={},
        note="",
        stored_bytes=0,
        energy_by_method={method: energy},
        settings=settings,
    )


def ends(amount):
    return (amount.value, amount.low, amount.high)


def test_measured_modelled_and_carbon_are_apart(monkeypatch):
    monkeypatch.delenv("WATTMARK_ZONE", raising=False)
    runs = [
        run("a", "counter", Quantity(100, 90, 120), 0, zone="FR"),
        run("b", "modelled", Quantity(40, 10, 80), 20),
        run("c", "integrated", Quantity(1, 1, 1), 40, zone="no such place"),
    ]
    total = totals(runs).all
    assert ends(total.measured) == pytest.approx((101, 91, 121))
    assert ends(total.modelled) == pytest.approx((40, 10, 80))
    assert 0 < total.carbon.low <= total.carbon.value <= total.carbon.high
    assert total.no_zone == 2


def test_days_are_those_of_the_zone():
    runs = [run("a", "counter", Quantity(100, 90, 120), 30)]
    assert totals(runs, "day").groups[0].key == "2026-03-04"
    assert totals(runs, "day", timezone="Europe/Paris").groups[0].key == "2026-03-05"
    with pytest.raises(ConfigError, match="time zone"):
        totals(runs, timezone="Mars/Olympus")
