from __future__ import annotations

import json
import time

import pytest


def test_the_carbon_of_a_run_by_the_hour(cli) -> None:
    assert cli("run", "--quiet", "--name", "work", "--", "sleep", "0.4").returncode == 0
    hour = int(time.time()) // 3600 * 3600
    rows = "".join(f"{hour + 3600 * step},{100 * (step + 3)}\n" for step in range(-2, 3))
    (cli.folder / "grid.csv").write_text("time,intensity\n" + rows)
    data = json.loads(cli("impact", "work", "--series", "grid.csv", "--zone", "FR", "--json", "-").stdout)
    joules = data["energy_j"]["value"]
    assert data["told"] == pytest.approx(1.0)
    assert sum(part["energy_j"] for part in data["hours"]) == pytest.approx(joules)
    assert sum(part["grams"] for part in data["hours"]) == pytest.approx(data["grams"]["value"])
    rates = {part["g_per_kwh"] for part in data["hours"]}
    assert rates <= {200, 300, 400}
    shown = cli("impact", "work", "--series", "grid.csv", "--zone", "FR")
    assert "by the yearly figure" in shown.stdout


def test_what_cannot_be_says_why(cli) -> None:
    assert cli("run", "--quiet", "--name", "work", "--", "true").returncode == 0
    done = cli("impact", "work", "--series", "nowhere.csv")
    assert done.returncode == 2
    assert "nowhere.csv" in done.stderr
    (cli.folder / "grid.csv").write_text("time,intensity\n2020-01-01,5\n")
    done = cli("impact", "work", "--series", "grid.csv")
    assert done.returncode == 0
    assert "not known" in done.stdout
    assert cli("impact", "work").returncode == 2
