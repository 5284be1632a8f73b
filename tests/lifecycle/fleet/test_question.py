from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wattmark as wm
from fakes.records import rapl_record
from wattmark.errors import ConfigError
from wattmark.lifecycle.fleet.question import binomial, published_energies
from wattmark.workspace.runs import keep, store_here


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Sixty models: energy doubles each year, the better ones take more, intensity does not move."""
    rng = np.random.default_rng(4)
    path = tmp_path / "fleet.csv"
    lines = ["model,year,power_w,hours,g/kWh,accuracy"]
    for at in range(60):
        year = 2018 + at % 6
        quality = rng.uniform(0.5, 0.9)
        hours = 10 * 2 ** (year - 2018) * np.exp(4 * (quality - 0.7)) * np.exp(rng.normal(0, 0.2))
        power, grid = 300 * np.exp(rng.normal(0, 0.1)), rng.uniform(20, 700)
        lines.append(f"m{at},{year},{power:.3f},{hours:.4f},{grid:.1f},{quality:.4f}")
    path.write_text("\n".join(lines))
    return path


def test_trends_and_quality_of_a_survey(planted: Path) -> None:
    answer = wm.fleet(planted, place=300 * 3600 * 100.0)
    trends = {one.of: one for one in answer.trends}
    energy = trends["energy"]
    assert energy.per_year.low is not None
    assert energy.per_year.high is not None
    assert energy.per_year.low < 2 < energy.per_year.high
    assert energy.clear
    assert 0.95 < trends["power"].per_year.value < 1.05
    assert answer.quality is not None
    assert answer.quality.rows == 60
    assert answer.shares is not None
    assert answer.shares.own["power"].value < 0.05
    assert answer.standing is not None
    energies = [row.energy_j for row in answer.rows]
    assert answer.standing.below == sum(one < 300 * 3600 * 100.0 for one in energies)
    assert answer.as_dict()["shares"]["own"]["time"]["value"] == answer.shares.own["time"].value


def test_runs_are_a_fleet_with_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_ZONE", "FR")
    with store_here() as store:
        for at in range(6):
            record = rapl_record(100 + 80 * at, seed=at)
            keep(
                store,
                replace(
                    record,
                    run_id=f"r{at}",
                    name=f"r{at}",
                    extra={"settings": {"zone": "FR" if at % 2 else "DE"}},
                ),
            )
    answer = wm.fleet(place="r0")
    assert len(answer.rows) == 6
    assert len({row.g_per_kwh for row in answer.rows}) == 2
    assert answer.shares is not None
    assert answer.shares.own["intensity"].value > 0
    assert answer.standing is not None
    assert (answer.standing.below, answer.standing.others) == (0, 5)
    assert sum(row.energy_j for row in answer.rows) == pytest.approx(
        sum(run.energy.value for run in wm.runs())
    )
    assert wm.fleet(place="r0", published=True).standing.others == len(published_energies())


def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no row has power"):
        wm.fleet()
    path = tmp_path / "zero.csv"
    path.write_text("power_w,hours,g/kWh\n" + "100,1,0\n" * 9)
    with pytest.raises(ConfigError, match="9: intensity is zero"):
        wm.fleet(path)
    path.write_text("power_w,hours,g/kWh\n" + "100,1,50\n" * 3)
    assert "too few" in wm.fleet(path).why
    with pytest.raises(ConfigError, match="no place among"):
        wm.fleet(path, place=0.0)
    with pytest.raises(ConfigError, match="of a file"):
        wm.fleet(columns={"power": "x"})


def test_a_share_has_its_exact_interval() -> None:
    """5 of 10: Clopper and Pearson's table has 0.187 to 0.813."""
    one = binomial(5, 10)
    assert (one.low, one.high) == (pytest.approx(0.1871, abs=1e-3), pytest.approx(0.8129, abs=1e-3))
    assert (binomial(0, 10).low, binomial(10, 10).high) == (0.0, 1.0)


def test_published_energies_have_their_sources() -> None:
    import csv
    from importlib.resources import files

    text = files("wattmark.lifecycle.fleet").joinpath("data/published.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert all("arXiv" in row["source"] and float(row["energy_kwh"]) > 0 for row in rows)
    assert len(published_energies()) == len(rows)
