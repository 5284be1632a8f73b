"""Samples from elsewhere become curves: sums, copies, gaps and clocks."""

from __future__ import annotations

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.runs.energy import CurveEnergy
from wattmark.serving.power.names import meaning_of
from wattmark.serving.power.remote_clock import Reading, offset_of
from wattmark.serving.power.samples import Samples, curves_of

S = 1_000_000_000


def series(values: list[float], times_s: list[float] | None = None, **labels: str) -> Samples:
    times = np.array(times_s if times_s is not None else range(len(values)), np.float64)
    return Samples(labels or {"gpu": "0"}, (times * S).astype(np.int64), np.array(values, np.float64))


def joules(curve, start_s: float, end_s: float) -> tuple[float, float]:
    got = CurveEnergy(curve).between(np.array([int(start_s * S)]), np.array([int(end_s * S)]))
    return float(got.value_j[0]), float(got.covered_s[0])


WATTS, MILLIJOULES = meaning_of("DCGM_FI_DEV_POWER_USAGE"), meaning_of("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")


def test_boards_of_several_nodes_are_curves_of_their_own() -> None:
    given = [series([100.0] * 11, Hostname=node, gpu=gpu) for node in "ab" for gpu in "01"]
    curves, notes = curves_of(given, WATTS, source="prometheus")
    assert sorted(curve.channel.id for curve in curves) == ["a/0", "a/1", "b/0", "b/1"]
    assert sum(joules(curve, 2, 8)[0] for curve in curves) == pytest.approx(4 * 600)
    assert notes == ()


def test_a_counter_is_exact_between_its_readings_whatever_the_power_did() -> None:
    (curve,), _ = curves_of([series([0, 0.1e6, 5e6, 5.1e6], [0, 10, 20, 30])], MILLIJOULES, source="exporter")
    assert joules(curve, 0, 30) == (pytest.approx(5_100), pytest.approx(30))


def test_a_counter_that_comes_again_was_not_renewed() -> None:
    """Scraped each second, renewed each five: 100 W all the time."""
    values = [100e3 * 5 * (second // 5) for second in range(31)]
    (curve,), _ = curves_of([series(values)], MILLIJOULES, source="exporter")
    assert joules(curve, 5, 25)[0] == pytest.approx(2_000)
    assert joules(curve, 7, 12)[0] == pytest.approx(500)  # not 0 or 1,000
    assert curve.channel.update_period_s == 5.0


def test_a_counter_that_began_anew_leaves_a_hole_and_no_negative_joules() -> None:
    values = [1e6, 1.1e6, 1.2e6, 0.05e6, 0.15e6]
    (curve,), notes = curves_of([series(values)], MILLIJOULES, source="exporter")
    value, covered_s = joules(curve, 0, 4)
    assert value == pytest.approx(300)
    assert covered_s == pytest.approx(3)
    assert "began anew 1 times" in notes[0]


def test_a_gauge_that_was_not_told_is_a_hole_with_a_reason() -> None:
    times = [*range(10), *range(20, 31)]
    (curve,), notes = curves_of([series([50.0] * 21, times)], WATTS, source="prometheus")
    value, covered_s = joules(curve, 0, 30)
    assert (value, covered_s) == (pytest.approx(50 * 19), pytest.approx(19))
    assert curve.holes.tolist() == [[9 * S, 20 * S]]
    assert "nothing was told for 11 s" in notes[0]


@pytest.mark.parametrize(
    ("labels", "curves", "twice"),
    [
        ([{"gpu": "0", "replica": "a"}, {"gpu": "0", "replica": "b"}], 1, True),
        ([{"gpu": "0", "GPU_I_ID": "1"}, {"gpu": "0", "GPU_I_ID": "2"}], 1, True),
        ([{"gpu": "0", "Hostname": "a"}, {"gpu": "0", "Hostname": "b"}], 2, False),
        ([{"path": "package-0", "instance": "a"}, {"path": "package-1", "instance": "a"}], 2, False),
    ],
)
def test_one_board_counts_once(labels: list[dict[str, str]], curves: int, twice: bool) -> None:
    found, notes = curves_of([series([50.0] * 5, **own) for own in labels], WATTS, source="prometheus")
    assert len(found) == curves
    assert any("counts once" in note for note in notes) is twice


def test_a_pod_that_was_replaced_goes_on_in_the_same_curve() -> None:
    first = series([50.0] * 5, [0, 1, 2, 3, 4], gpu="0", pod="x")
    second = series([50.0] * 5, [5, 6, 7, 8, 9], gpu="0", pod="y")
    (curve,), notes = curves_of([second, first], WATTS, source="prometheus")
    assert joules(curve, 0, 9)[0] == pytest.approx(450)
    assert notes == ()


def test_the_clock_widens_the_interval() -> None:
    rapl = meaning_of("node_rapl_package_joules_total")  # read when it is asked for
    widths: list[float] = []
    for clock_s in (0.0, 2.0):
        (curve,), _ = curves_of([series([100.0 * n for n in range(61)])], rapl, source="p", clock_s=clock_s)
        got = CurveEnergy(curve).between(np.array([10 * S]), np.array([50 * S])).quantity(0)
        widths.append(got.only("edges").half_width)
    # two edges, each up to 2 s off at 100 W: 95 % of the differences of two even errors of 200 J lie within this
    assert widths[0] == pytest.approx(0, abs=1e-3)
    assert widths[1] == pytest.approx((1 - 0.05**0.5) * 200, rel=0.01)


def test_one_sample_is_no_energy_and_that_is_said() -> None:
    curves, notes = curves_of([series([1.0])], WATTS, source="p")
    assert curves == ()
    assert "too few" in notes[0]


@pytest.mark.parametrize(
    ("expression", "unit", "scale", "counter", "component"),
    [
        ("DCGM_FI_DEV_POWER_USAGE", None, 1.0, False, "gpu"),
        ('sum(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{a="b"})', None, 1e-3, True, "gpu"),
        ("sum(rate(node_rapl_package_joules_total[1m]))", None, 1.0, False, "cpu"),
        ("my_pdu_watts", None, 1.0, False, "host"),
        ("rack_energy_kwh_total", None, 3.6e6, True, "host"),
        ("board_power_milliwatts", None, 1e-3, False, "host"),
        ("gpu_energy_joules_total", None, 1.0, True, "gpu"),
        ("anything", "mJ", 1e-3, True, "host"),
    ],
)
def test_units_are_known_by_name_by_ending_or_by_word(
    expression: str, unit: str | None, scale: float, counter: bool, component: str
) -> None:
    meaning = meaning_of(expression, unit)
    assert (meaning.scale, meaning.counter, meaning.component) == (scale, counter, component)


def test_what_nothing_tells_the_unit_of_is_refused() -> None:
    with pytest.raises(ConfigError, match="not known") as raised:
        meaning_of("fan_speed")
    assert "&unit=W" in str(raised.value.hint)
    with pytest.raises(ConfigError, match="no unit"):
        meaning_of("x", "BTU")
    with pytest.raises(ConfigError, match="no component"):
        meaning_of("x_watts", None, "fan")


def test_an_offset_is_what_all_answers_allow() -> None:
    """Their clock is 100 s ahead; answers took 10 and 200 ms, and cut milliseconds off."""
    fast = Reading(1 * S, 1 * S + 10_000_000, 101.004)
    slow = Reading(2 * S, 2 * S + 200_000_000, 102.150)
    offset = offset_of([slow, fast])
    assert abs(offset.offset_s - 100.0) <= offset.half_width_s
    assert offset.half_width_s <= 0.0055 + 1e-9
    assert offset.monotonic_ns(offset.there_s(5 * S)) == pytest.approx(5 * S, abs=1_000)


def test_dates_of_whole_seconds_narrow_each_other() -> None:
    true_s = 1_000.4
    dates = [
        Reading(int(at * S), int(at * S) + 1_000_000, float(int(at + true_s)), 1.0)
        for at in (0.1, 0.3, 0.5, 0.7, 0.9)
    ]
    offset = offset_of(dates)
    assert abs(offset.offset_s - true_s) <= offset.half_width_s
    assert offset.half_width_s < 0.15
    assert offset_of(dates[:1]).half_width_s == pytest.approx(0.5, abs=0.01)


def test_a_clock_that_was_set_in_between_is_uncertain_by_as_much() -> None:
    offset = offset_of([Reading(0, 1_000, 100.0), Reading(S, S + 1_000, 103.0)])
    assert offset.half_width_s >= 1.0
    assert offset.offset_s == pytest.approx(101.0, abs=0.01)
