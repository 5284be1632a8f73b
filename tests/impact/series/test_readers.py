"""Series as their publishers write them (shapes of their documentation, made-up values)."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.impact.series import IntensitySeries, Piece, read_series

NOON = 1_767_268_800.0  # 2026-01-01T12:00Z


def write(folder: Path, data: object, name: str = "series.json") -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def test_electricity_maps(tmp_path: Path) -> None:
    history = [
        {"zone": "DE", "carbonIntensity": 302, "datetime": "2026-01-01T12:00:00.000Z", "isEstimated": False},
        {"zone": "DE", "carbonIntensity": None, "datetime": "2026-01-01T13:00:00.000Z", "isEstimated": False},
        {"zone": "DE", "carbonIntensity": 350.5, "datetime": "2026-01-01T14:00:00.000Z", "isEstimated": True},
    ]
    for key in ("history", "data", "forecast"):
        series = read_series(write(tmp_path, {"zone": "DE", key: history}))
        assert series.pieces(NOON, NOON + 3 * 3600) == [
            Piece(NOON, NOON + 3600, 302.0),
            Piece(NOON + 3600, NOON + 7200, None),
            Piece(NOON + 7200, NOON + 10800, 350.5),
        ]
        assert (series.zone, series.signal, series.estimated) == ("DE", "average", 1)


def test_watttime_is_marginal_and_in_pounds(tmp_path: Path) -> None:
    data = {
        "data": [
            {"point_time": "2026-01-01T12:00:00+00:00", "value": 1000.0},
            {"point_time": "2026-01-01T12:05:00+00:00", "value": 870.0},
        ],
        "meta": {"region": "CAISO_NORTH", "signal_type": "co2_moer", "units": "lbs_co2_per_mwh"},
    }
    series = read_series(write(tmp_path, data))
    assert series.values == pytest.approx((453.59237, 394.6253619))
    assert (series.zone, series.signal, series.end_s) == ("CAISO_NORTH", "marginal", NOON + 600)


def test_uk_takes_what_was_and_else_what_was_expected(tmp_path: Path) -> None:
    half = {"from": "2026-01-01T12:00Z", "to": "2026-01-01T12:30Z"}
    rows = [
        {**half, "intensity": {"forecast": 190, "actual": 200, "index": "moderate"}},
        {
            "from": "2026-01-01T12:30Z",
            "to": "2026-01-01T13:00Z",
            "intensity": {"forecast": 210, "actual": None},
        },
    ]
    series = read_series(write(tmp_path, {"data": rows}))
    assert series.values == (200.0, 210.0)
    assert (series.end_s, series.estimated) == (NOON + 3600, 1)
    regional = {"data": [{"regionid": 13, "shortname": "London", "data": [rows[1]]}]}
    assert read_series(write(tmp_path, regional)).values == (210.0,)


def test_carbon_aware_sdk(tmp_path: Path) -> None:
    rows = [{"location": "eastus", "time": "2026-01-01T12:00:00Z", "rating": 57.1, "duration": "01:00:00"}]
    assert read_series(write(tmp_path, rows)).values == (57.1,)
    forecast = [
        {
            "location": "eastus",
            "forecastData": [{"timestamp": "2026-01-01T12:00:00Z", "value": 60, "duration": 5}],
        }
    ]
    assert read_series(write(tmp_path, forecast)).zone == "eastus"


@pytest.mark.parametrize(
    ("text", "values", "signal"),
    [
        ("time,Caiso_North\n2026-01-01 12:00:00,425.0\n2026-01-01 12:05:00,-3.5\n", (425.0, -3.5), "average"),
        (
            "Datetime (UTC),Country,Zone id,Carbon intensity gCO₂eq/kWh (direct),Carbon intensity gCO₂eq/kWh (Life cycle)\n"
            "2026-01-01 12:00:00,Germany,DE,300,340\n2026-01-01 13:00:00,Germany,DE,310,350\n",
            (340.0, 350.0),
            "average",
        ),
        ("timestamp;MOER (lb/MWh)\n1767268800;1000\n1767269100;2000\n", (453.59237, 907.18474), "marginal"),
        ("\ufefftime,value\n1767268800000,1\n1767272400000,2\n", (1.0, 2.0), "average"),
    ],
)  # fmt: skip
def test_csv(tmp_path: Path, text: str, values: tuple[float, ...], signal: str) -> None:
    path = tmp_path / "grid.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    series = read_series(path)
    assert series.values == pytest.approx(values)
    assert series.start_s == NOON
    assert series.signal == signal


def test_parquet(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    times = pa.array([1767268800, 1767272400], pa.timestamp("s", "UTC"))
    parquet.write_table(
        pa.table({"time": times, "carbon intensity": [300.5, None]}), tmp_path / "grid.parquet"
    )
    series = read_series(tmp_path / "grid.parquet")
    assert (series.start_s, series.values) == (NOON, (300.5,))
    write(tmp_path, "no table", "bad.parquet")
    with pytest.raises(ConfigError, match="no Parquet table"):
        read_series(tmp_path / "bad.parquet")


def test_a_day_that_changes_its_clocks(tmp_path: Path) -> None:
    """Local stamps with their offsets: an hour that is left out in March is no gap, one that is there twice in October is
    two."""
    spring = "time,value\n2026-03-29T01:00+01:00,1\n2026-03-29T03:00+02:00,2\n2026-03-29T04:00+02:00,3\n"
    series = read_series(write(tmp_path, spring, "a.csv"))
    assert series.notes == ()
    assert [end - start for start, end in zip(series.starts, series.ends, strict=True)] == [3600] * 2 + [
        series.ends[-1] - series.starts[-1]
    ]
    autumn = "time,value\n2026-10-25T02:00+02:00,1\n2026-10-25T02:00+01:00,2\n2026-10-25T03:00+01:00,3\n"
    series = read_series(write(tmp_path, autumn, "b.csv"))
    assert series.values == (1.0, 2.0, 3.0)
    assert series.notes == ()
    assert series.mean(series.start_s, series.start_s + 7200) == 1.5


def test_gaps_duplicates_disorder_and_bad_lines_are_named(tmp_path: Path) -> None:
    text = "time,g\n1767276000,30\n1767268800,10\nsoon,5\n1767272400,x\n1767268800,11\n1767286800,40\n1767290400,50\n"
    series = read_series(write(tmp_path, text, "grid.csv"))
    assert series.values == (11.0, 30.0, 40.0, 50.0)
    assert series.pieces(NOON, NOON + 9 * 3600) == [
        Piece(NOON, NOON + 3600, 11.0),
        Piece(NOON + 3600, NOON + 7200, None),
        Piece(NOON + 7200, NOON + 10800, 30.0),
        Piece(NOON + 10800, NOON + 18000, None),
        Piece(NOON + 18000, NOON + 21600, 40.0),
        Piece(NOON + 21600, NOON + 25200, 50.0),
        Piece(NOON + 25200, NOON + 32400, None),
    ]
    said = " ".join(series.notes)
    assert "lines that cannot be read: 4, 5" in said
    assert "1 moments are there twice" in said
    assert "gaps" in said


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.csv", "", "no rows"),
        ("a.csv", "x,y\n1,2\n", "no column of times"),
        ("a.csv", "time,a,b\n2026-01-01,1,2\n", "which column"),
        ("a.csv", "time,value\nnever,1\n", "no line has a time"),
        ("a.csv", "time,value\n2026-01-01,\n", "no value"),
        ("a.csv", "time,zone,value\n2026-01-01,DE,1\n2026-01-02,FR,1\n", "2 of zone"),
        ("a.json", "{", "no JSON"),
        ("a.json", "[" * 5000, "no JSON"),
        ("a.json", '{"error": "no zone"}', "no times"),
        ("a.json", '{"history": [{"datetime": "2026-01-01T00:00Z", "carbonIntensity": null}]}', "no value"),
        ("a.json", '{"history": [{"datetime": "2026-01-01T00:00Z", "carbonIntensity": true}]}', "no value"),
        ("a.csv.gz", "not compressed", "a.csv.gz"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, name: str, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read_series(write(tmp_path, text, name))
    with pytest.raises(ConfigError, match="nowhere"):
        read_series(tmp_path / "nowhere.csv")


def test_units_can_be_given_and_must_be_known(tmp_path: Path) -> None:
    path = write(tmp_path, "time,value\n2026-01-01,1000\n", "a.csv")
    assert read_series(path, unit="lb/MWh", signal="marginal").values == pytest.approx((453.59237,))
    with pytest.raises(ConfigError, match="no unit of carbon intensity"):
        read_series(path, unit="t/kWh")


@given(st.binary(max_size=300), st.sampled_from(["a.csv", "a.json", "a.csv.gz"]))
def test_any_bytes_give_a_series_or_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str
) -> None:
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(data)
    with contextlib.suppress(ConfigError):
        assert read_series(path).values


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(-100, 900)), min_size=1, max_size=30),
    st.floats(-5, 60),
    st.floats(0.1, 30),
)
def test_pieces_tile_any_stretch(points: list[tuple[int, float]], start: float, length: float) -> None:
    series = IntensitySeries.of([(float(at), None, value) for at, value in points])
    pieces = series.pieces(start, start + length)
    assert pieces[0].start_s == start
    assert pieces[-1].end_s == start + length
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(pieces))
    assert all(piece.end_s > piece.start_s for piece in pieces)


@pytest.mark.parametrize(
    "text",
    [
        "time,a,carbon\n2024\n",
        "a,b\n1\n2\n",
        "time\n2024-01-01T00:00:00Z,5\n",
        "\n,\n",
        'datetime,carbon_intensity\n"' + "x" * 200_000 + "\n",
    ],
)
def test_rows_shorter_or_longer_than_the_titles_are_told_in_words(tmp_path: Path, text: str) -> None:
    """Found by fuzzing: each of these once ended in an IndexError or an error of the csv module."""
    path = tmp_path / "series.csv"
    path.write_text(text)
    with pytest.raises(ConfigError):
        read_series(path)


ROWS = "2026-01-01T12:00Z{0}{1}\n2026-01-01T13:00Z{0}{2}\n"


@pytest.mark.parametrize(
    ("title", "factor"),
    [
        ("kgCO2/kWh", 1000.0),
        ("Carbon intensity (t/MWh)", 1000.0),
        ("lbs CO2 per kWh", 453.59237),
        ("gCO₂eq/kWh (Life cycle)", 1.0),
        ("g CO2 / MJ", 3.6),
        ("co2_lbs_per_mwh", 0.45359237),
    ],
)
def test_the_unit_in_a_title_counts(tmp_path: Path, title: str, factor: float) -> None:
    path = write(tmp_path, f"time,{title}\n" + ROWS.format(",", 0.5, 0.25), "a.csv")
    assert read_series(path).values == pytest.approx((0.5 * factor, 0.25 * factor))
    if factor != 1.0:
        with pytest.raises(ConfigError, match="says its unit itself"):
            read_series(path, unit="g/kWh")


def test_a_unit_that_is_none_of_intensity_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "time,value EUR/MWh\n" + ROWS.format(",", 50, 60), "a.csv")
    with pytest.raises(ConfigError, match="no unit of carbon intensity"):
        read_series(path)


def test_columns_of_units_and_signals_count(tmp_path: Path) -> None:
    text = "time,signal,units,value\n2026-01-01T12:00Z,co2_moer,lbs_co2_per_mwh,1000\n"
    series = read_series(write(tmp_path, text, "a.csv"))
    assert (series.signal, series.values) == ("marginal", pytest.approx((453.59237,)))
    with pytest.raises(ConfigError, match="marginal intensities, not average"):
        read_series(tmp_path / "a.csv", signal="average")
    mixed = text + "2026-01-01T13:00Z,co2_moer,g/kWh,1000\n"
    with pytest.raises(ConfigError, match="2 of units"):
        read_series(write(tmp_path, mixed, "b.csv"))


def test_decimal_commas_are_read_and_what_may_be_a_thousand_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "time;g/kWh\n" + ROWS.format(";", "1.400,5", "12,25"), "a.csv")
    assert read_series(path).values == (1400.5, 12.25)
    path = write(tmp_path, "time;g/kWh\n" + ROWS.format(";", "1.400", "0.255"), "b.csv")
    assert read_series(path).values == (1.4, 0.255)
    with pytest.raises(ConfigError, match="thousand or a fraction"):
        read_series(write(tmp_path, "time;g/kWh\n" + ROWS.format(";", "1.400", "2.255"), "c.csv"))


@pytest.mark.parametrize(
    ("stamps", "first"),
    [
        (("01.02.2026 12:00", "01.02.2026 13:00"), 1_769_947_200.0),
        (("31/12/2025 23:00", "01/01/2026 00:00"), 1_767_222_000.0),
        (("12/31/2025 23:00", "01/01/2026 00:00"), 1_767_222_000.0),
    ],
)
def test_days_and_months_in_their_orders(tmp_path: Path, stamps: tuple[str, str], first: float) -> None:
    series = read_series(write(tmp_path, f"time,value\n{stamps[0]},5\n{stamps[1]},6\n", "a.csv"))
    assert series.starts == (first, first + 3600)
    assert "its times name no zone, and are taken for UTC" in series.notes


def test_hours_of_a_day_and_years_are_no_times(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no line has a time"):
        read_series(write(tmp_path, "time,value\n0,300\n1,310\n", "a.csv"))


def test_what_was_counts_before_what_was_expected(tmp_path: Path) -> None:
    text = "time,carbon_intensity_forecast,carbon_intensity_actual,source\n2026-01-01T12:00Z,9,10,x\n"
    assert read_series(write(tmp_path, text, "a.csv")).values == (10.0,)


def test_a_step_lasts_as_long_as_the_publisher_says(tmp_path: Path) -> None:
    about = {"units": "lbs_co2_per_mwh", "signal_type": "co2_moer", "data_point_period_seconds": 300}
    data = {"data": [{"point_time": "2026-01-01T12:00:00+00:00", "value": 1000}], "meta": about}
    assert read_series(write(tmp_path, data)).end_s == NOON + 300
    rows = [{"location": "a", "time": "2026-01-01T12:00:00Z", "rating": 5, "duration": "00:15:00"}]
    assert read_series(write(tmp_path, rows)).end_s == NOON + 900
