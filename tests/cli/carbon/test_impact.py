from __future__ import annotations

import itertools
import json
import time
from datetime import datetime, timezone

import pytest

from wattmark.testing.carbon import Asked, IntensityServer, Said


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
    done = cli("impact", "work", "--zone", "FR")
    assert done.returncode == 0
    assert "CO2e by the yearly figure" in done.stdout
    for wrong, why in (
        (("--provider", "nobody", "--zone", "FR"), "no provider"),
        (("--provider", "uk", "--series", "grid.csv"), "two answers"),
        (("--zone", "XX-NOWHERE"), "no zone"),
        (("--signal", "both"), "average or marginal"),
        (("--provider", "electricitymaps", "--zone", "FR"), "wants a key"),
    ):
        done = cli("impact", "work", *wrong)
        assert (done.returncode, why in done.stderr) == (2, True), done.stderr
        assert "Traceback" not in done.stderr


def test_a_provider_is_asked_once_and_its_failure_leaves_the_yearly_figure(cli) -> None:
    assert cli("run", "--quiet", "--name", "work", "--", "sleep", "0.3").returncode == 0

    def answer(asked: Asked) -> Said:
        hour = int(time.time()) // 3600 * 3600
        stamps = [
            datetime.fromtimestamp(hour + 3600 * step, timezone.utc).isoformat() for step in range(-2, 3)
        ]
        points = [
            {"start": start, "end": end, "g_per_kwh": 321.0} for start, end in itertools.pairwise(stamps)
        ]
        return Said(
            json={"zone": "DE", "signal": "average", "unit": "g/kWh", "source": "us", "points": points}
        )

    with IntensityServer(answer) as server:
        words = ("impact", "work", "--provider", f"proxy={server.url}", "--zone", "DE", "--json", "-")
        data = json.loads(cli(*words).stdout)
        assert all(part["g_per_kwh"] == pytest.approx(321.0) for part in data["hours"])
        assert data["zone"] == "DE"
        assert len(server.asked) == 1
    again = json.loads(cli(*words, "--offline").stdout)
    assert again["grams"]["value"] == pytest.approx(data["grams"]["value"])
    gone = cli("impact", "work", "--provider", f"proxy={server.url}", "--zone", "FR")
    assert gone.returncode == 0
    assert "proxy failed" in gone.stdout
    assert "by the yearly figure" in gone.stdout
    nowhere = cli("impact", "work", "--provider", f"proxy={server.url}", "--zone", "NO-WHERE")
    assert nowhere.returncode == 2
    assert "nor is a yearly figure known" in nowhere.stderr


def test_runs_in_formats_that_others_ask_for(cli) -> None:
    for model in ("small", "large"):
        words = ("--name", "serve", "--tag", f"model={model}", "--tag", "paper")
        assert cli("run", "--quiet", *words, "--", "sleep", "0.2").returncode == 0
    done = cli("impact", "--tag", "paper", "--zone", "FR")
    assert done.returncode == 0, done.stderr
    assert "2 runs" in done.stdout
    done = cli("impact", "last", "--format", "boamps", "--fact", "stage=training", "-o", "report.json")
    assert done.returncode == 0
    assert json.loads((cli.folder / "report.json").read_text())["task"]["taskStage"] == "training"
    assert "left empty: task.taskFamily" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (("--format", "md", "--fact", "stage"), "says nothing"),
        (("--tag", "nowhere"), "no run fits"),
        (("--fact", "stage=training"), "belong to a format"),
        (("serve", "--tag", "paper", "--format", "md"), "give one of them"),
    ],
)
def test_a_format_that_cannot_be_says_why(cli, wrong: tuple[str, ...], why: str) -> None:
    done = cli("impact", *wrong)
    assert (done.returncode, why in done.stderr) == (2, True), done.stderr
