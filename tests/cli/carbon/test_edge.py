from __future__ import annotations

import json


def test_the_command_compares_and_recommends(cli) -> None:
    done = cli("edge", "--weeks", "1", "--sites", "2", "--days", "1", "--updates", "0", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "two-stage" in done.stdout
    assert "The cheapest that needs no foresight" in done.stdout
    data = json.loads(
        cli(
            "edge", "--weeks", "1", "--sites", "2", "--days", "1", "--updates", "0", "-q", "--json", "-"
        ).stdout
    )
    assert data["rows"][0]["clairvoyant"]


def test_what_cannot_be_is_one_line(cli) -> None:
    failed = cli("edge", "--updates", "0", "--weeks", "1", "--traces", "nowhere")
    assert failed.returncode == 2
    assert "cannot be read" in failed.stderr
