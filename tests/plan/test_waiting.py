from __future__ import annotations

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.impact.series import IntensitySeries
from wattmark.plan.waiting import outlook, wait

START = 1_767_225_600.0  # 2026-01-01T00:00Z
HOUR = 3600.0
DAILY = 300 - 200 * np.cos((np.arange(24 * 6) - 11.5) / 24 * 2 * np.pi)  # the least before noon


def series(values: np.ndarray, start: float = START) -> IntensitySeries:
    return IntensitySeries.of([(start + HOUR * at, None, float(value)) for at, value in enumerate(values)])


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now
        self.slept = 0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 60
        self.now += seconds
        self.slept += 1


def waited(read, clock: Clock, hours: float, within: float) -> tuple[float, list[str]]:
    said: list[str] = []
    wait(read, hours * HOUR, within * HOUR, tell=said.append, clock=clock, sleep=clock.sleep)
    return (clock.now - START) / HOUR, said


def test_a_known_series_starts_at_its_best_moment() -> None:
    clock = Clock(START + 48 * HOUR)
    at, said = waited(lambda: series(DAILY), clock, 4, 24)
    assert at == pytest.approx(48 + 10)
    assert said == ["waiting until Sat 10:00 UTC: 108 g/kWh instead of 466"]


def test_a_forecast_waits_for_the_usual_time_of_day() -> None:
    clock = Clock(START + 72 * HOUR)
    at, said = waited(lambda: series(DAILY[:72]), clock, 4, 24)
    assert 72 + 9 <= at <= 72 + 11
    assert "expected" in said[0]


def test_what_comes_in_meanwhile_counts() -> None:
    """The forecast says noon; at five o'clock the grid is cleaner than ever, and the file says so."""
    values = DAILY.copy()
    values[72 + 5 :] = 400.0
    values[72 + 5 : 72 + 7] = 1.0
    clock = Clock(START + 72 * HOUR)
    at, _ = waited(lambda: series(values[: int((clock.now - START) / HOUR) + 1]), clock, 2, 24)
    assert at == pytest.approx(72 + 5)


def test_the_deadline_is_kept() -> None:
    clock = Clock(START)
    rising = series(np.linspace(500, 10, 24))
    at, _ = waited(lambda: rising, clock, 4, 10)
    assert at == pytest.approx(6)


def test_now_may_be_the_best() -> None:
    clock = Clock(START)
    at, said = waited(lambda: series(np.linspace(10, 500, 24)), clock, 4, 10)
    assert (at, said) == (0, [])
    assert outlook(series(np.full(24, 50.0)), START, 4 * HOUR, START + 20 * HOUR).start


def test_a_series_that_vanishes_is_what_it_was() -> None:
    clock = Clock(START + 48 * HOUR)
    asked = iter([series(DAILY)])

    def read() -> IntensitySeries:
        for one in asked:
            return one
        raise ConfigError("grid.csv: No such file")

    at, said = waited(read, clock, 4, 24)
    assert at == pytest.approx(58)
    assert any("is what it was" in line for line in said)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be done within"):
        waited(lambda: series(DAILY), Clock(START), 5, 4)
