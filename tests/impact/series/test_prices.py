"""Money over time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from fakes.records import rapl_record
from wattmark.errors import ConfigError
from wattmark.impact import as_pue
from wattmark.impact.series.prices import money, read_tariff
from wattmark.runs.record import Curve
from wattmark.runs.view import RunView
from wattmark.units import J_PER_KWH

NOON = 1_767_268_800


def steady(watts: float, seconds: int, wall_s: float = NOON) -> RunView:
    base = rapl_record(3)
    t_ns = np.arange(0, seconds + 1, dtype=np.int64) * 10**9
    curve = Curve(base.curves[0].channel, t_ns, (t_ns // 1000 * watts).astype(np.int64))
    record = replace(
        base, curves=(curve,), start_ns=0, end_ns=seconds * 10**9, started_wall_ns=round(wall_s * 1e9)
    )
    return RunView(record)


PARIS = ZoneInfo("Europe/Paris")
TABLE = 'from,to,price,days\n22:00,06:00,0.10,\n06:00,22:00,0.30,mon-fri\n06:00,22:00,0.20,"sat,sun"\n'


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).timestamp()


def write(folder: Path, text: str, name: str = "t.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def cost(folder: Path, text: str, start: str, hours: float, **words: str) -> float:
    stage, why = money(
        steady(1000, round(hours * 3600), at(start)),
        write(folder, text),
        as_pue(1.0),
        timezone="Europe/Paris",
        **words,
    )
    assert why == ""
    assert stage is not None
    return stage.amount.value


def test_a_flat_price_and_a_range() -> None:
    stage, _ = money(steady(1000, 7200), "0.25-0.35", as_pue(1.5), currency="EUR")
    assert stage is not None
    assert stage.amount.value == pytest.approx(2 * 1.5 * 0.30)
    assert stage.amount.unit == "EUR"
    assert stage.amount.only("price").high == pytest.approx(2 * 1.5 * 0.35)


@pytest.mark.parametrize(
    ("start", "hours", "expected"),
    [
        ("2026-01-14T21:00", 2, 0.30 + 0.10),  # Wednesday evening
        ("2026-01-16T23:00", 8, 7 * 0.10 + 0.20),  # Friday night into Saturday
        ("2026-03-29T00:00", 24, 5 * 0.10 + 16 * 0.20 + 2 * 0.10 + 0.10),  # 23 hours of Sunday, one of Monday
        ("2026-10-25T00:00", 25, 7 * 0.10 + 16 * 0.20 + 2 * 0.10),  # 25 hours
    ],
)
def test_a_table_by_the_time_of_day(tmp_path: Path, start: str, hours: float, expected: float) -> None:
    assert cost(tmp_path, TABLE, start, hours) == pytest.approx(expected)


def test_pieces_tile_the_time_and_holes_are_told(tmp_path: Path) -> None:
    tariff = read_tariff(write(tmp_path, TABLE), "Europe/Paris")
    assert tariff is not None
    start, end = at("2026-03-28T13:07"), at("2026-03-31T02:11")
    pieces = tariff.pieces(start, end)
    assert (pieces[0].start_s, pieces[-1].end_s) == (start, end)
    assert all(a.end_s == b.start_s for a, b in pairwise(pieces))
    stage, why = money(
        steady(1, 3600, at("2026-01-14T12:00")), write(tmp_path, "from,to,price\n1:00,2:00,1\n"), as_pue(1.0)
    )
    assert stage is None
    assert "no price for a part" in why


def test_a_spot_price_may_be_below_zero(tmp_path: Path) -> None:
    begin = int(at("2026-01-14T12:00"))
    text = f"time,price\n{begin},-40\n{begin + 3600},100\n"
    assert cost(tmp_path, text, "2026-01-14T12:00", 2, per="MWh") == pytest.approx(-0.04 + 0.1)
    assert cost(tmp_path, text, "2026-01-14T12:00", 1, per="MWh") == pytest.approx(-0.04)


def test_a_file_that_says_what_its_prices_are_per_is_believed(tmp_path: Path) -> None:
    begin = int(at("2026-01-14T12:00"))
    text = f"time,price EUR/MWh\n{begin},100\n{begin + 3600},300\n"
    assert cost(tmp_path, text, "2026-01-14T12:00", 2) == pytest.approx(0.4)
    with pytest.raises(ConfigError, match="says itself"):
        cost(tmp_path, text, "2026-01-14T12:00", 1, per="kWh")
    ms = begin * 1000
    spot = (
        f'{{"data": [{{"start_timestamp": {ms}, "end_timestamp": {ms + 3_600_000}, "marketprice": -50.0, '
        '"unit": "Eur/MWh"}]}'
    )
    assert cost(tmp_path, spot, "2026-01-14T12:00", 1) == pytest.approx(-0.05)
    beside = f'{{"unix_seconds": [{begin}, {begin + 3600}], "price": [50, 70], "unit": "EUR / MWh"}}'
    assert cost(tmp_path, beside, "2026-01-14T12:00", 2) == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("text", "words", "why"),
    [
        ("from,to,price\n06:00,22:00,0.3\n22:00,25:61,x\n", {}, "line 3"),
        ("from,to,price,days\n06:00,22:00,0.3,someday\n", {}, "line 2"),
        (TABLE, {"timezone": "Europe/Nowhere"}, "no time zone"),
        (TABLE, {"per": "GWh"}, "per 'GWh'"),
    ],
)
def test_what_is_no_price_says_why(tmp_path: Path, text: str, words: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        money(steady(1, 60), write(tmp_path, text), as_pue(1.0), **words)  # pyright: ignore[reportArgumentType]
    for wrong in ("cheap", "nowhere.csv"):
        with pytest.raises(ConfigError, match="no such file"):
            money(steady(1, 60), wrong, as_pue(1.0))


def test_the_energy_is_what_is_paid_for(tmp_path: Path) -> None:
    view = steady(500, 5000)
    stage, _ = money(view, 1.0, as_pue(1.0))
    assert stage is not None
    assert view.energy is not None
    assert stage.amount.value == pytest.approx(view.energy.value / J_PER_KWH)
