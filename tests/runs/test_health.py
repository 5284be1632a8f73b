"""How far a run's numbers can be trusted, without a store or a server."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.records import example_record, rapl_record
from wattmark.runs.health import run_health
from wattmark.runs.view import RunView


def test_coverage_holes_and_gaps_of_a_channel():
    record = example_record("r1")
    health = run_health(RunView(record))
    package = next(channel for channel in health.channels if channel.id == "cpu0/package")
    assert package.coverage == pytest.approx(0.8, abs=0.01)
    assert len(package.holes) == 1
    assert 0 <= package.holes[0][0] < package.holes[0][1] <= record.duration_s
    assert package.usual_gap_s is not None
    assert package.max_gap_s is not None
    assert package.max_gap_s >= package.usual_gap_s
    assert next(advice.how for advice in health.advice if "holes" in advice.what) == "wattmark show r1"


@pytest.mark.parametrize(("factor", "agrees"), [(3, False), (1, True)])
def test_two_sensors_of_one_component_agree_or_not(factor: int, agrees: bool):
    record = rapl_record(100, channels=2)
    beside = record.curves[1]
    other = replace(
        beside, channel=beside.channel._replace(counted=False), energy_uj=beside.energy_uj * factor
    )
    health = run_health(RunView(replace(record, curves=(record.curves[0], other))))
    (pair,) = health.agreements
    assert pair.agrees is agrees
    assert pair.ratio == pytest.approx(factor, rel=0.2)
    assert (pair.first, pair.second) == (other.channel.id, record.curves[0].channel.id)


def test_a_run_without_channels_has_nothing_to_trust():
    health = run_health(RunView(replace(example_record("r1"), curves=())))
    assert (health.channels, health.agreements, health.coverage) == ((), (), 0.0)
