from __future__ import annotations

import json
from xml.etree import ElementTree

WORDS = [
    "cycle", "--stage", "big.training=100 kWh +-10%", "--stage", "big.inference=2 J",
    "--stage", "small.compression=5 kWh", "--stage", "small.inference=0.5-0.7 J", "--from", "small=big",
    "--uses", "1e6", "--uses", "1e9:2",
]  # fmt: skip


def test_the_command_tells_which_model_is_cheapest_for_how_much_use(cli) -> None:
    done = cli(*WORDS, "--svg", "cycle.svg")
    assert done.returncode == 0, done.stderr
    assert "small takes the least" in done.stdout
    assert "making small from big costs 18.0 MJ" in done.stdout
    assert "has paid after 12.9 million uses" in done.stdout
    assert "31%" in done.stdout
    root = ElementTree.fromstring((cli.folder / "cycle.svg").read_text())
    assert root.attrib["aria-label"] == "Energy over use of big, small"
    data = json.loads(cli(*WORDS, "--json", "-").stdout)
    assert data["crossings"][0]["uses"] == 18e6 / 1.4
    assert data["crossings"][0]["low"] < 18e6 / 1.4 < data["crossings"][0]["high"]


def test_models_may_stand_in_a_file(cli) -> None:
    (cli.folder / "models.toml").write_text(
        'uses = ["1e6"]\n[big]\ntraining = "100 kWh"\ninference = "2 J"\n'
        '[small]\nfrom = "big"\ncompression = ["4 kWh", "1 kWh"]\ninference = "0.6 J"\nquality = 0.9\n'
    )
    done = cli("cycle", "models.toml", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["break_even"][0]["cost_j"]["value"] == 5 * 3.6e6


def test_what_cannot_be_is_one_line(cli) -> None:
    (cli.folder / "bad.toml").write_text("big = 3\n")
    for wrong, why in (
        (["cycle"], "no run has the tags"),
        (["cycle", "--from", "a=b"], "belong to models"),
        (["cycle", "nowhere.toml"], "no file nowhere.toml"),
        (["cycle", "bad.toml"], "is no model"),
        (["cycle", "--stage", "a.training=1 kg"], "not understood"),
        ([*WORDS, "--uses", "-3"], "cannot be"),
        ([*WORDS, "--svg", "no/where.svg"], "cannot be written"),
    ):
        failed = cli(*wrong)
        assert failed.returncode == 2, (wrong, failed.stdout, failed.stderr)
        assert why in failed.stderr
        assert "Traceback" not in failed.stderr
