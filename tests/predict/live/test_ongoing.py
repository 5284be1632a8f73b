"""A run that goes on, second by second."""

from __future__ import annotations

import math

import pytest

from wattmark.errors import ConfigError
from wattmark.predict.early import SHIPPED
from wattmark.predict.live.ongoing import MOST_POINTS, Ongoing
from wattmark.predict.live.progress import Progress


def watched(until_s: float, watts: float = 100.0, every_s: float = 0.5, **more) -> Ongoing:
    ongoing = Ongoing(SHIPPED, "training", **more)
    for tick in range(1, int(until_s / every_s) + 1):
        ongoing.see(tick * every_s, tick * every_s * watts)
    return ongoing


def epochs(done: int, total: float | None = 20.0, each_s: float = 10.0) -> Progress:
    progress = Progress("epochs", total)
    for number in range(1, done + 1):
        progress.mark(number * each_s, float(number))
    return progress


def test_a_steady_run_is_predicted_and_the_interval_narrows() -> None:
    widths: list[float] = []
    for done in (1, 4, 10, 18):
        prediction = watched(done * 10.0).predict(epochs(done))
        low, high = prediction.energy.interval(0.9)
        assert low <= 20_000 <= high
        assert prediction.energy.value == pytest.approx(20_000, rel=0.02)
        assert prediction.time.value == pytest.approx(200, rel=0.02)
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.1 * 20_000


def test_what_was_spent_is_in_it_to_the_joule() -> None:
    ongoing = watched(100.0)
    prediction = ongoing.predict(epochs(10))
    assert prediction.terms is not None
    assert prediction.terms["seen"] == pytest.approx(ongoing.joules) == pytest.approx(10_000)
    assert prediction.energy.interval(0.9)[0] >= 10_000


def test_many_readings_are_kept_in_bounds() -> None:
    ongoing = watched(5000.0)
    assert len(ongoing._points) <= MOST_POINTS + 1
    assert ongoing.predict(epochs(500, 1000)).energy.value == pytest.approx(1_000_000, rel=0.02)


def test_what_is_no_reading_is_passed_over() -> None:
    ongoing = watched(50.0)
    for t_s, joules in ((50.5, math.nan), (math.inf, 1.0), (51.0, 10.0), (20.0, 6000.0)):
        ongoing.see(t_s, joules)
    assert ongoing.joules == 5000.0


def test_a_length_that_nobody_says_is_asked_for() -> None:
    with pytest.raises(ConfigError) as error:
        watched(50.0).predict(None)
    assert "--epochs" in str(error.value.hint)
    with pytest.raises(ConfigError, match="none of 20 epochs"):
        watched(50.0).predict(Progress("epochs", 20.0))
    with pytest.raises(ConfigError, match="readings"):
        watched(1.0).predict(epochs(1))


def test_earlier_runs_stand_in_for_a_length_and_that_is_said() -> None:
    prediction = watched(50.0, earlier_s=[190.0, 200.0, 210.0]).predict(None)
    assert prediction.time.value == pytest.approx(200.0)
    assert "3 earlier runs" in prediction.outside[-1]
    low, high = prediction.energy.interval(0.9)
    assert low < 20_000 < high


def test_seconds_that_were_said_are_taken() -> None:
    assert watched(50.0).predict(None, 200.0).energy.value == pytest.approx(20_000, rel=0.02)
