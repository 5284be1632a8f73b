from __future__ import annotations

from pathlib import Path

import pytest

from wattmark.errors import ConfigError
from wattmark.impact.series.cells import intensity_unit, read_number
from wattmark.lifecycle.fleet.columns import kind_of, read_survey


def csv_of(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "survey.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Power (W)", "power"),
        ("TDP [W]", "power"),
        ("avg_power_kw", "power"),
        ("GPU hours", "time"),
        ("Training time (h)", "time"),
        ("duration", "time"),
        ("Energy consumption (kWh)", "energy"),
        ("energy_consumed", "energy"),
        ("energyKwh", "energy"),
        ("Carbon intensity (gCO2eq/kWh)", "intensity"),
        ("gCO2/kWh", "intensity"),
        ("CO2eq emissions (tonnes)", "carbon"),
        ("emissions", "carbon"),
        ("CO₂e_kg", "carbon"),
        ("emissions_rate", None),
        ("cpu_power", None),
        ("ram_energy", None),
        ("Year", "date"),
        ("Top1 accuracy", "quality"),
        ("Model", "name"),
        ("country", None),
        ("", None),
    ],
)
def test_columns_are_known_by_their_usual_names(header: str, kind: str | None) -> None:
    assert kind_of(header) == kind


@pytest.mark.parametrize(
    ("header", "factor"),
    [
        ("gCO2eq/kWh", 1.0),
        ("g / kWh", 1.0),
        ("kg CO2e per MWh", 1.0),
        ("kgCO2/kWh", 1000.0),
        ("lbs/MWh", 0.45359237),
        ("intensity", None),
        ("kWh", None),
    ],
)
def test_intensities_are_read_in_their_units(header: str, factor: float | None) -> None:
    assert intensity_unit(header) == factor


@pytest.mark.parametrize(
    ("text", "comma", "value"),
    [
        ("1,234.5", False, 1234.5),
        ("1 234", False, 1234.0),
        ("1.234,5", True, 1234.5),
        ("0,5", True, 0.5),
        ("~3", False, 3.0),
        ("85 %", False, 85.0),
        ("1e3", False, 1000.0),
        ("n/a", False, None),
        ("", False, None),
        ("inf", False, None),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, comma: bool, value: float | None) -> None:
    assert read_number(text, comma=comma) == value


def test_a_survey_in_any_usual_form_is_the_same_fleet(tmp_path: Path) -> None:
    forms = [
        "Model,Power (W),GPU hours,gCO2eq/kWh\na,300,10,400\nb,250,20,50\n",
        "name;TDP [kW];Time (min);Carbon intensity (kg/kWh)\na;0,3;600;0,4\nb;0,25;1.200;0,05\n".replace(
            "1.200", "1200"
        ),
        "\ufeffmodel\tenergy_kwh\ttraining days\tco2e_kg\na\t3\t0.4166666667\t1.2\nb\t5\t0.8333333333\t0.25\n",
        "\n\nmodel,Energy (MJ),duration,emissions (g)\na,10.8,36000,1200\nb,18,72000,250\n",
    ]
    for form in forms:
        rows = read_survey(csv_of(tmp_path, form)).rows
        assert [row.name for row in rows] == ["a", "b"]
        assert [row.power_w for row in rows] == pytest.approx([300.0, 250.0])
        assert [row.time_s for row in rows] == pytest.approx([36_000.0, 72_000.0])
        assert [row.g_per_kwh for row in rows] == pytest.approx([400.0, 50.0])
        assert [row.overhead for row in rows] == [1.0, 1.0]
        assert [row.carbon_g for row in rows] == pytest.approx([1_200.0, 250.0])


def test_rows_that_have_no_logarithm_are_left_out_in_words(tmp_path: Path) -> None:
    text = "model,power_w,hours,g/kWh\nok,300,10,400\nhydro,300,10,0\nodd,-5,10,400\n"
    text += "short,300,,400\nwords,much,10,400\nragged\n"
    found = read_survey(csv_of(tmp_path, text))
    assert [row.name for row in found.rows] == ["ok"]
    assert found.left_out == {
        "intensity is zero": 1,
        "power is negative": 1,
        "no time, and nothing that it follows from": 2,
        "no power or energy, and nothing that it follows from": 1,
    }
    assert dict(found.energies) == {"ok": 300 * 36_000.0, "hydro": 300 * 36_000.0}


def test_what_is_left_over_is_a_factor(tmp_path: Path) -> None:
    (row,) = read_survey(csv_of(tmp_path, "m,power_w,hours,g/kWh,co2e_kg\na,1000,10,500,6\n")).rows
    assert row.overhead == pytest.approx(1.2)
    assert row.carbon_g == pytest.approx(6_000.0)


def test_units_that_are_not_said_are_assumed_aloud(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "model,power,time,intensity\na,300,10,400\n")
    found = read_survey(path)
    assert "time is taken to be in h: --unit says otherwise" in found.notes
    (row,) = read_survey(path, units={"time": "min", "power": "kW", "intensity": "lb/MWh"}).rows
    assert (row.time_s, row.power_w) == (600.0, 300_000.0)
    assert row.g_per_kwh == pytest.approx(400 * 0.45359237)
    other = csv_of(tmp_path, "wer,Leistung,Stunden,g/kWh\na,300,10,400\n")
    columns = {"power": "Leistung", "time": "Stunden", "name": "wer"}
    assert read_survey(other, columns=columns).rows[0].energy_j == 300 * 36_000.0


def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path) -> None:
    cases: list[tuple[str, dict[str, dict[str, str]], str]] = [
        ("", {}, "no rows"),
        ("a,b\n1,2\n", {}, "too few are understood"),
        ("model,power_w,hours\n", {}, "no rows"),
        ("power_w,hours\n1,2\n", {"columns": {"power": "Powr"}}, "no column 'Powr'"),
        ("power_w,hours\n1,2\n", {"columns": {"might": "hours"}}, "there is no 'might'"),
        ("power_w,hours\n1,2\n", {"units": {"time": "fortnight"}}, "no unit of time"),
    ]
    for text, more, why in cases:
        with pytest.raises(ConfigError, match=why):
            read_survey(csv_of(tmp_path, text), **more)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_survey(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_survey(csv_of(tmp_path, "Modèl,power_w,hours\n", "latin-1"))


def test_codecarbons_file_is_a_survey(tmp_path: Path) -> None:
    text = (
        "timestamp,project_name,run_id,duration,emissions,emissions_rate,cpu_power,gpu_power,ram_power,cpu_energy,"
        "gpu_energy,ram_energy,energy_consumed\n"
        "2024-03-01T10:00:00,p,r1,3600,0.05,0.1,42,100,6,0.01,0.1,0.001,0.111\n"
    )
    (row,) = read_survey(csv_of(tmp_path, text)).rows
    assert row.energy_j == pytest.approx(0.111 * 3.6e6)
    assert row.time_s == 3_600.0
    assert row.carbon_g == pytest.approx(50.0)
    assert row.year == pytest.approx(2024.166, abs=0.01)


def test_stated_joules_count_more_than_a_power_that_does_not_fit_them(tmp_path: Path) -> None:
    """A sum of samples, or a limit, that is called power: energy over time is the mean power."""
    text = "m,duration (h),total power (W),max power limit (W),energy (MJ),emissions (g)\na,0.5,414805,350,0.36,20\n"
    (row,) = read_survey(csv_of(tmp_path, text)).rows
    assert row.energy_j == pytest.approx(360_000.0)
    assert row.power_w == pytest.approx(200.0)
    assert row.overhead == 1.0
    assert row.g_per_kwh == pytest.approx(200.0)


def test_a_number_that_may_be_a_thousand_is_refused_not_guessed(tmp_path: Path) -> None:
    head = "model;power_w;hours;g/kWh\n"
    with pytest.raises(ConfigError, match="thousand or a fraction"):
        read_survey(csv_of(tmp_path, head + "a;1.000;2;300\nb;2.000;3;200\n"))
    by_comma = read_survey(csv_of(tmp_path, head + "a;1.000;2,5;300\nb;2.000;3;200\n"))
    assert [row.power_w for row in by_comma.rows] == [1000.0, 2000.0]
    by_point = read_survey(csv_of(tmp_path, head + "a;1.000;2.5;300\nb;2.000;3;200\n"))
    assert [row.power_w for row in by_point.rows] == [1.0, 2.0]
