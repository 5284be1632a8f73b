from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from wattmark.cli import main
from wattmark.studies.execution.state import StudyFolder

TOML = """
name = "cli"
repeats = 2
[factors]
n = [1, 2]
[command]
argv = ["echo", '{"accuracy": 0.{n}}']
[quiet]
baseline_s = 0
cooldown_max_s = 0
"""


def wattmark(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["study", *words])
    return int(caught.value.code or 0)


def test_a_study_from_its_file_to_its_tables(
    fake_machine: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cli.toml").write_text(TOML)
    assert wattmark("run", "cli.toml", "--set", "repeats=1", "--json", "out.json") == 0
    shown = capsys.readouterr()
    assert "2/2" in shown.err
    assert "so far" in shown.err
    data = json.loads(Path("out.json").read_text())
    assert (data["done"], data["left"], data["failed"]) == (2, 0, 0)
    assert [cell["metrics"]["accuracy"] for cell in data["cells"]] == [0.1, 0.2]

    assert wattmark("status", "cli") == 0
    assert "2 of 2 trials, done" in capsys.readouterr().out
    assert wattmark("ls", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["studies"][0]["name"] == "cli"

    assert wattmark("export", "cli", "-o", "cli.csv") == 0
    rows = list(csv.DictReader(Path("cli.csv").read_text().splitlines()))
    assert {row["n"] for row in rows} == {"1", "2"}
    assert all(float(row["energy_total_value_j"]) > 0 for row in rows)

    # the same study from another machine
    assert wattmark("export", "cli", "-o", "here.json") == 0
    Path("there.json").write_text(Path("here.json").read_text().replace('"host": "', '"host": "other-'))
    assert wattmark("merge", "--name", "both", "here.json", "there.json") == 0
    merged = StudyFolder.open("both").results()
    assert len(merged.trials) == 4
    assert merged.factors == ["n", "host"]
    assert wattmark("merge", "--name", "again", "here.json", "here.json") == 2


def test_a_new_study_begins_with_a_built_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert wattmark("new", "mine", "--from", "batch-size") == 0
    assert 'name = "mine"' in Path("mine.toml").read_text()
    assert wattmark("new", "mine", "--from", "batch-size") == 2


@pytest.mark.parametrize("command", ["new", "run", "resume", "status", "ls", "report", "export", "merge"])
def test_every_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert wattmark(command, "--help") == 0
    assert f"Example: wattmark study {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("run", "visoin"), ("status", "nothing"), ("export", "nothing", "-o", "x.csv")]
)
def test_what_is_not_there_is_a_line_and_a_hint(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert wattmark(*words) == 2
    error = capsys.readouterr().err
    assert "hint:" in error
    assert "Traceback" not in error
