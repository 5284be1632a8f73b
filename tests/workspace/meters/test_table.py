"""Files of meters under the names and in the shapes that loggers give them."""

from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.workspace.meters.table import read_meter_file

BERLIN = timezone(timedelta(hours=1))
FIRST = 1_795_788_180  # 2026-11-27 14:03:00 UTC
WATTS = [40.0, 42.0, 41.0, 60.0, 61.0, 62.0, 80.0, 81.0, 40.0, 41.0]


def lines(header: str, row: str, step_s: int = 1, **more: object) -> str:
    """A file with one line a second; ``row`` is filled with what a logger might write."""
    out = [header]
    total = 0.0
    for place, watts in enumerate(WATTS):
        second = FIRST + place * step_s
        minute, sec = divmod(second - (FIRST - 180), 60)
        total += watts * step_s
        out.append(
            row.format(
                t=second, w=watts, kw=watts / 1000, comma=str(watts).replace(".", ","), hm=f"14:{minute:02d}:{sec:02d}",
                local=f"15:{minute:02d}:{sec:02d}", half=f"2:{minute:02d}:{sec:02d} PM", wh=1000 + total / 3600,
                kwh=1 + total / 3.6e6, ms=second * 1000, **more,
            )
        )  # fmt: skip
    return "\n".join(out) + "\n"


POWER = {
    "epoch": ("timestamp,power", "{t},{w}"),
    "milliseconds": ("Time,Power (W)", "{ms},{w}"),
    "iso": ("time,power_w", "2026-11-27T{hm}Z,{w}"),
    "iso with offset": ("time,watts", "2026-11-27T{local}+01:00,{w}"),
    "local": ("Zeitstempel;Leistung [W]", "2026-11-27 {local};{comma}"),
    "german date": ("Zeit;Wirkleistung (kW)", "27.11.2026 {local};0,0{w:.0f}"),
    "american": ("Date,Time,Watts", "11/27/2026,{local},{w}"),
    "half days": ("timestamp,Active Power (W)", "2026-11-27 {half} +00:00,{w}"),
    "home assistant": ("entity_id,state,last_changed", "sensor.plug_power,{w},2026-11-27T{hm}.000Z"),
    "units beside": ("time,value,unit", "{t},{kw},kW"),
    "units in cells": ("time\tvalue", "{t}\t{w} W"),
    "shelly": ("timestamp,voltage,current,apower,pf", "{t},230.1,0.2,{w},0.9"),
    "device before": ("time,desk_plug_power", "{t},{w}"),
}


@pytest.mark.parametrize("name", POWER)
def test_powers_under_many_names(name: str, tmp_path: Path) -> None:
    header, row = POWER[name]
    path = tmp_path / "m.csv"
    path.write_text("# plug 7\n" * (name == "shelly") + lines(header, row), encoding="utf-8")
    readings = read_meter_file(str(path), zone=BERLIN)
    assert readings.kind == "power"
    assert readings.t_ns[0] == FIRST * 10**9
    edges = readings.t_ns[[0, 1, 2]]
    assert readings.power_w(edges) == pytest.approx([41.0, 41.5])


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("time,energy_wh", "{t},{wh:.6f}"),
        ("time,Total (kWh)", "{t},{kwh:.9f}"),
        ("Datum;Uhrzeit;Zählerstand (kWh)", "27.11.2026;{local};{kwh:.9f}"),
    ],
)
def test_counters_of_energy(header: str, row: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(lines(header, row), encoding="utf-8")
    readings = read_meter_file(str(path), zone=BERLIN)
    assert readings.kind == "energy"
    assert readings.power_w(readings.t_ns) == pytest.approx(WATTS[1:], rel=0.01)


def test_the_unit_can_be_said_against_the_header(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(lines("time,power", "{t},{kw}"))
    readings = read_meter_file(str(path), "kW")
    assert readings.power_w(readings.t_ns[:2]) == pytest.approx([41.0])
    with pytest.raises(ConfigError, match="no unit of a meter"):
        read_meter_file(str(path), "furlongs")


def test_newest_first_is_turned_round_and_said(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    head, *rest = lines("time,power_w", "{t},{w}").splitlines()
    path.write_text("\n".join([head, *reversed(rest)]))
    readings = read_meter_file(str(path))
    assert np.all(np.diff(readings.t_ns) > 0)
    assert readings.power_w(readings.t_ns[:2]) == pytest.approx([41.0])
    assert any("reversed order" in note for note in readings.notes)


def test_gaps_empty_cells_and_doubles_are_told(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    rows = lines("time,power_w", "{t},{w}").splitlines()
    rows[4] = rows[4].split(",")[0] + ",unavailable"
    late = [f"{FIRST + 300 + place},{90 + place}" for place in range(4)]
    path.write_text("\n".join([*rows, *late, late[-1], "yesterday,5"]))
    readings = read_meter_file(str(path))
    words = " ".join(readings.notes)
    assert "1 readings are empty" in words
    assert "1 readings have the time of another" in words
    assert "1 lines have no time" in words
    assert "1 gaps, 4 min 51 s" in words
    across = np.array([FIRST + 5, FIRST + 302]) * 10**9
    assert np.isnan(readings.power_w(across)).all()


def test_a_value_holds_where_a_log_has_only_changes(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    times = [0, 1, 2, 60, 65, 70, 120, 180, 181, 230]
    path.write_text(
        "time,power_w\n" + "".join(f"{FIRST + t},{w}\n" for t, w in zip(times, WATTS, strict=True))
    )
    readings = read_meter_file(str(path))
    assert readings.power_w(np.array([FIRST + 10, FIRST + 50]) * 10**9) == pytest.approx([41.0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no readings"),
        ("a,b\n1,2\n", "no line names a time and a power"),
        ("time,energy\n" + "1795788180,5\n" * 3, "does not say its unit"),
        ("time,power_w\n" + "soon,5\n" * 9, "no line has a time that can be read"),
        (lines("time,power_w", "{t},n/a"), "no column of watts"),
        (lines("time,power_w", "{t},45.0"), "always says 45.0 W: it is stuck"),
        (lines("time,energy_kwh", "{t},5.0"), "the counter always says the same"),
        (
            lines("time,energy_wh", "{t},{saw}", saw=7).replace(",7\n", ",7\n", 1),
            "the counter always says the same",
        ),
        ("time,energy_wh\n" + "".join(f"{FIRST + t},{5 + t % 2}\n" for t in range(12)), "it is no counter"),
        ("time,power_w\n1795788180,5\n1795788181,6\n", "2 readings are too few"),
        (lines("time,power_w", "03/04/2026 {hm},{w}"), "may be a day of either month"),
    ],
)
def test_bad_files_are_told_in_words(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as error:
        read_meter_file(str(path))
    assert error.value.hint or "no counter" in words


def test_no_file_says_what_a_meter_may_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read") as error:
        read_meter_file(str(tmp_path / "none.csv"))
    assert "shelly://" in str(error.value.hint)


def test_a_meter_put_in_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text(lines("time,power_w", "{t},-{w}"))
    readings = read_meter_file(str(path))
    assert readings.power_w(readings.t_ns[:2]) == pytest.approx([41.0])
    assert any("other way round" in note for note in readings.notes)
