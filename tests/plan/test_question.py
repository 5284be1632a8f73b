from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

import wattmark as wm
from wattmark.errors import ConfigError
from wattmark.impact.series import IntensitySeries
from wattmark.plan import forecast
from wattmark.plan.handover import SCHEDULERS, handover
from wattmark.quantity import Quantity
from wattmark.testing.carbon import Asked, IntensityServer, Said

START = 1_767_225_600.0  # 2026-01-01T00:00Z
HOURS = np.arange(24 * 20)
DAILY = 300 - 200 * np.cos((HOURS - 11.5) / 24 * 2 * np.pi)  # the least before noon


def series(values: np.ndarray = DAILY, **more: object) -> IntensitySeries:
    return IntensitySeries.of(
        [(START + 3600.0 * at, None, float(value)) for at, value in enumerate(values)], **more
    )  # pyright: ignore[reportArgumentType]


def test_a_known_series_is_planned_exactly() -> None:
    answer = wm.plan("4h", deadline="24h", series=series(), now=START + 10 * 24 * 3600, pausable=True)
    assert answer.known
    now, one, pieces = answer.ways
    assert one.starts == (START + (10 * 24 + 10) * 3600.0,)
    assert one.g_per_kwh.value == pytest.approx(DAILY[10:14].mean())
    assert one.g_per_kwh.low == one.g_per_kwh.high
    assert now.g_per_kwh.value == pytest.approx(DAILY[:4].mean())
    assert pieces.g_per_kwh.value == pytest.approx(one.g_per_kwh.value)
    assert answer.advised is one
    assert "saves 77%" in answer.why


def test_a_forecast_has_an_interval_and_was_tried_on_the_past() -> None:
    noise = np.random.default_rng(0).normal(0, 15, len(DAILY))
    answer = wm.plan("4h", deadline="24h", series=series(DAILY + noise), now=START + len(DAILY) * 3600.0)
    assert not answer.known
    one = next(way for way in answer.ways if way.name == "one")
    assert one.g_per_kwh.low < DAILY[10:14].mean() < one.g_per_kwh.high
    assert one.savings is not None
    assert 0.6 < one.savings.mean < 0.85
    assert answer.advised.name in ("one", "along")
    assert "times of the past it saved" in answer.why


def test_a_plan_that_lost_in_the_past_is_not_advised() -> None:
    walk = 300 + np.cumsum(np.random.default_rng(3).choice([-12.0, 12.0], len(HOURS)))
    answer = wm.plan("20h", deadline="24h", series=series(walk), now=START + len(walk) * 3600.0)
    advised = answer.advised
    assert advised.name == "now" or (advised.savings is not None and advised.savings.mean > 0)


def test_grams_follow_the_energy_and_places_are_compared() -> None:
    dirty, clean = series(), series(DAILY / 10, zone="SE")
    answer = wm.plan(
        3600,
        deadline="24h",
        series={"here": dirty, "SE": clean},
        now=START,
        energy=Quantity(3.6e6, 3.2e6, 4e6),
    )
    assert answer.advised.place == "SE"
    grams = answer.advised.grams
    assert grams is not None
    assert grams.value == pytest.approx(DAILY.min() / 10)
    assert grams.low == pytest.approx(grams.value * 3.2 / 3.6)


def test_flat_series_start_now() -> None:
    answer = wm.plan("1h", deadline="10h", series=series(np.full(480, 100.0)), now=START + 480 * 3600.0)
    assert answer.advised.name == "now"


def test_little_history_says_so() -> None:
    answer = wm.plan("1h", deadline="5h", series=series(DAILY[:5]), now=START + 5 * 3600.0)
    assert any("too short to try" in note for note in answer.notes)
    assert answer.ways[0].g_per_kwh.low < answer.ways[0].g_per_kwh.high


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"duration": "5h", "deadline": "4h"}, "cannot be done within"),
        ({"duration": "0h", "deadline": "4h"}, "more than nothing"),
        ({"duration": "soon", "deadline": "4h"}, "no length of time"),
        ({"duration": "1h", "deadline": "4h", "checkpoint_s": 7200}, "checkpoint"),
        ({"duration": "1h", "deadline": "4h", "series": []}, "no series"),
        (
            {
                "duration": "1h",
                "deadline": "4h",
                "series": {"a": series(), "b": series(signal="marginal")},
            },
            "two questions",
        ),
    ],
)
def test_what_cannot_be_planned_says_why(given: dict[str, object], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        wm.plan(**{"series": series(), "now": START, **given})  # pyright: ignore[reportArgumentType]


def test_intervals_of_the_forecast_hold_on_a_noisy_day() -> None:
    rng = np.random.default_rng(5)
    inside: list[float] = []
    for _ in range(20):
        values = np.tile(DAILY[:24], 20) + rng.normal(0, 20, 480)
        got = forecast(values[:-24], 3600.0, 24)
        inside.append(float(((got.low <= values[-24:]) & (values[-24:] <= got.high)).mean()))
    assert 0.85 <= np.mean(inside) <= 0.97


def test_handovers_quote_what_they_are_given() -> None:
    command = ["sh", "-c", "echo 'a b'; date +%s"]
    texts = {name: handover(name, START, command) for name in SCHEDULERS}
    assert "2026-01-01 00:00:00 UTC" in texts["systemd"]
    assert r"\%s" in texts["cron"]
    assert texts["at"].endswith("at -t 202601010000.00")
    assert "- \"echo 'a b'; date +%s\"" in texts["kubernetes"]
    assert 'schedule: "0 0 1 1 *"' in texts["kubernetes"]


def test_of_what_is_below_nothing_there_is_no_share() -> None:
    for shift in (280.0, 600.0):
        answer = wm.plan("4h", deadline="24h", series=series(DAILY - shift), now=START + 10 * 24 * 3600)
        assert answer.advised.name == "one"
        assert "%" not in answer.why
        assert f"instead of {answer.ways[0].g_per_kwh.value:.3g}"[:14] in answer.why


def test_places_are_asked_of_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that is not answered is left out and told; the same is answered from the cache afterwards."""
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WATTMARK_PROXY_TOKEN", "t")
    now = START + 15 * 86_400

    def answer(asked: Asked) -> Said:
        zone = asked.query["zone"]
        if zone == "Nowhere":
            return Said(404, {"message": "no such zone"})
        level = {"A": 300.0, "B": 100.0}[zone]
        points = [
            {"start": stamp(START + 3600.0 * at), "end": stamp(START + 3600.0 * (at + 1)),
             "g_per_kwh": level + 50.0 * (at % 24 < 12), "forecast": START + 3600.0 * at >= now}
            for at in range(24 * 17)
        ]  # fmt: skip
        return Said(
            json={"zone": zone, "signal": "average", "unit": "g/kWh", "source": "x", "points": points}
        )

    with IntensityServer(answer) as server:
        zones = ["A", "Nowhere", "B"]
        words = {"deadline": "24h", "zones": zones, "provider": f"proxy={server.url}", "now": now}
        plan = wm.plan("4h", **words)  # pyright: ignore[reportArgumentType]
        asked = len(server.asked)
        again = wm.plan("4h", **words, offline=True)  # pyright: ignore[reportArgumentType]
        assert len(server.asked) == asked
    assert plan.advised.place == again.advised.place == "B"
    assert plan.advised.starts[0] == now + 12 * 3600
    assert any("Nowhere is left out" in note for note in plan.notes)
    assert plan.signal == "average"


def test_places_without_a_provider_are_told_apart_by_the_year(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    plan = wm.plan("4h", deadline="24h", zones=["DE", "FR"], now=START)
    assert plan.advised.place == "FR"
    assert plan.advised.name == "now"
    assert any("not times" in note for note in plan.notes)
    with pytest.raises(ConfigError, match="zones"):
        wm.plan("4h", deadline="24h", zones=[" "])
    with pytest.raises(ConfigError, match="two answers"):
        wm.plan("4h", deadline="24h", zones=["DE"], series=series())


def stamp(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, timezone.utc).isoformat()
