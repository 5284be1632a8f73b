from __future__ import annotations

import json

import numpy as np


def test_the_command_shares_the_variance_of_a_survey(cli) -> None:
    rng = np.random.default_rng(0)

    def line(at: int) -> str:
        power, hours = 100 * np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 2))
        return f"m{at};{power:.2f};{hours:.4f};{rng.uniform(20, 700):.1f};{2015 + at % 9}\n"

    rows = "".join(line(at) for at in range(80)).replace(".", ",")
    (cli.folder / "survey.csv").write_text(
        "Model;Power (W);Time (h);g/kWh;Year\n" + rows + "odd;0;1;1;2020\n"
    )
    done = cli("fleet", "survey.csv")
    assert done.returncode == 0, done.stderr
    assert "80 rows" in done.stdout
    assert "1 left out: power is zero" in done.stdout
    assert "time with intensity" in done.stdout
    data = json.loads(cli("fleet", "survey.csv", "--json", "-").stdout)
    parts = [one["value"] for one in (*data["shares"]["own"].values(), *data["shares"]["together"])]
    assert abs(sum(parts) - 1) < 1e-12


def test_what_cannot_be_is_one_line(cli) -> None:
    (cli.folder / "odd.csv").write_text("a,b\n1,2\n")
    for wrong, why in (
        (["fleet"], "no row has power"),
        (["fleet", "odd.csv"], "too few are understood"),
        (["fleet", "odd.csv", "--tag", "a"], "not rows of a file"),
        (["fleet", "odd.csv", "--published"], "needs the run"),
        (["fleet", "odd.csv", "--unit", "time"], "not understood"),
        (["fleet", "none.csv"], "cannot be read"),
    ):
        failed = cli(*wrong)
        assert failed.returncode == 2, (wrong, failed.stdout, failed.stderr)
        assert why in failed.stderr
        assert "Traceback" not in failed.stderr
