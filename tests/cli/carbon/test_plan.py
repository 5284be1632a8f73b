from __future__ import annotations

import json
import time

import numpy as np

START = 1_767_225_600.0  # 2026-01-01T00:00Z
HOURS = np.arange(24 * 20)
DAILY = 300 - 200 * np.cos((HOURS - 11.5) / 24 * 2 * np.pi)  # the least before noon


def test_the_command_tells_and_hands_over(cli) -> None:
    rows = "".join(f"{START + 3600 * at:.0f},{value}\n" for at, value in enumerate(DAILY))
    (cli.folder / "grid.csv").write_text("time,intensity\n" + rows)
    words = ["plan", "--series", "grid.csv", "--duration", "4h", "--now", "2026-01-11T00:00Z"]
    done = cli(*words, "--for", "slurm", "--", "python", "train.py", "a b")
    assert done.returncode == 0, done.stderr
    assert "One piece, begun later" in done.stdout
    assert "sbatch --begin=2026-01-11T10:00:00" in done.stdout
    data = json.loads(cli(*words, "--json", "-").stdout)
    assert data["advised"] == "one"
    assert data["start"] == "2026-01-11T10:00:00+00:00"
    assert [way["name"] for way in data["ways"]] == ["now", "one"]
    for wrong, why in (
        (["plan", "--duration", "4h"], "no series"),
        (["plan", "--series", "grid.csv"], "how long"),
        ([*words, "--for", "pbs"], "--for cannot be"),
        ([*words, "--for", "at"], "needs the command"),
        ([*words, "--now", "noon"], "is no time"),
    ):
        failed = cli(*wrong)
        assert failed.returncode == 2
        assert why in failed.stderr


def test_a_run_waits_for_clean_power_and_says_what_is_missing(cli) -> None:
    now = int(time.time()) // 3600 * 3600
    (cli.folder / "grid.csv").write_text(
        "time,g\n" + "".join(f"{now + 3600 * at},{100 + at}\n" for at in range(-2, 30))
    )
    words = ["run", "--quiet", "--when", "green", "--series", "grid.csv"]
    done = cli(*words, "--duration", "1h", "--deadline", "4h", "--", "sh", "-c", "echo ran; exit 3")
    assert (done.returncode, done.stdout) == (3, "ran\n")
    for wrong, why in (
        ([*words, "--", "true"], "needs --duration"),
        ([*words, "--duration", "5h", "--deadline", "4h", "--", "true"], "cannot be done within"),
        (["run", "--series", "grid.csv", "--", "true"], "belong to --when green"),
        (
            ["run", "--when", "green", "--series", "no.csv", "--duration", "1h", "--deadline", "2h", "true"],
            "no.csv",
        ),
    ):
        failed = cli(*wrong)
        assert failed.returncode == 2
        assert why in failed.stderr


def test_the_other_signal_stands_beside_it(cli) -> None:
    for name, values in (("average.csv", DAILY), ("marginal.csv", np.roll(DAILY, 12))):
        rows = "".join(f"{START + 3600 * at:.0f},{value}\n" for at, value in enumerate(values))
        (cli.folder / name).write_text("time,intensity\n" + rows)
    words = [
        "plan",
        "--series",
        "average.csv",
        "--beside",
        "marginal.csv",
        "--duration",
        "4h",
        "--now",
        "2026-01-11T00:00Z",
    ]
    done = cli(*words)
    assert done.returncode == 0, done.stderr
    assert "marginal intensity advises otherwise" in done.stdout
    data = json.loads(cli(*words, "--json", "-").stdout)
    assert data["disagrees"]
    assert (data["signal"], data["beside"]["signal"]) == ("average", "marginal")
    assert data["start"] != data["beside"]["start"]
    swapped = cli(
        "plan",
        "--series",
        "marginal.csv",
        "--marginal",
        "--beside",
        "average.csv",
        "--duration",
        "4h",
        "--json",
        "-",
    )
    assert json.loads(swapped.stdout)["beside"]["signal"] == "average"
