"""Budgets of pyproject.toml: read once for tests and commands, judged by repeats, and bad ones told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wattmark.advise.gate import budgets
from wattmark.advise.gate.budgets import Budget, judge_budgets, project_budgets
from wattmark.advise.gate.repeat import Repeat
from wattmark.errors import ConfigError

REPO = Path(__file__).parents[3]
BOOT = "import sys; from wattmark.cli import main; main()"


class Scripted:
    """A command whose CPU seconds are known."""

    value = 1.0

    def __init__(self, command: tuple[str, ...], metric: str, tag: str) -> None:
        self.metric, self.count = metric, 0

    def run(self, folder: str, side: str) -> Repeat:
        self.count += 1
        return Repeat({self.metric: self.value * (1 + 0.01 * (-1) ** self.count)}, 0.0, {})


def project(tmp_path: Path, text: str) -> str:
    (tmp_path / "pyproject.toml").write_text(text)
    return str(tmp_path)


@pytest.mark.parametrize(("value", "outcome"), [(0.5, "within"), (1.5, "over"), (1.0005, "undecided")])
def test_a_command_is_held_against_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, outcome: str
) -> None:
    monkeypatch.setattr(budgets, "Bench", Scripted)
    monkeypatch.setattr(Scripted, "value", value)
    folder = project(
        tmp_path,
        '[tool.wattmark.budgets]\nbench = { cpu_s = 1.0, command = "python b.py" }\ntest_a = { cpu_s = 1 }\n',
    )
    (one,) = judge_budgets(folder)
    assert one.outcome == outcome
    assert one.low <= one.mean <= one.high
    assert one.repeats == (20 if outcome == "undecided" else 5)
    assert "the budget is 1" in one.words
    with pytest.raises(ConfigError, match="no budget 'test_a' with a command"):
        judge_budgets(folder, only=["test_a"])


def test_a_project_without_such_budgets_says_how(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no budget here has a command"):
        judge_budgets(project(tmp_path, "[tool.other]\n"))
    with pytest.raises(ConfigError, match="a table of budgets"):
        project_budgets(project(tmp_path, "[tool.wattmark]\nbudgets = 3\n"))


@pytest.mark.parametrize(
    "given",
    [
        5,
        {},
        {"joules": -1},
        {"joules": True},
        {"watts": 3},
        {"cpu_s": 1, "per": 3},
        {"cpu_s": 1, "command": [1]},
        {"cpu_s": 1, "command": "'"},
    ],
)
def test_a_budget_that_cannot_be_is_told(given: object) -> None:
    with pytest.raises(ConfigError, match="an energy budget is"):
        Budget.of(given, "here")
    assert Budget.of({"joules": 1, "per": "sample", "command": ["a", "b c"]}, "here").limits == {
        "j_per_sample": 1.0
    }


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path) -> None:
    project(
        tmp_path,
        "[tool.wattmark.budgets]\n"
        f'quick = {{ cpu_s = 30.0, command = ["{sys.executable}", "-I", "-S", "-c", "pass"] }}\n'
        f'slow = {{ cpu_s = 1e-4, command = ["{sys.executable}", "-I", "-S", "-c", "pass"] }}\n',
    )
    env = {key: value for key, value in os.environ.items() if not key.startswith("WATTMARK_")}
    env |= {"PYTHONPATH": str(REPO / "src"), "WATTMARK_DATA_DIR": str(tmp_path / "data"), "NO_COLOR": "1"}

    def gate(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", BOOT, "gate", "--budgets", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False
        )

    whole = gate("--json", "-")
    assert whole.returncode == 3, whole.stderr
    assert [one["outcome"] for one in json.loads(whole.stdout)["budgets"]] == ["within", "over"]
    good = gate("quick")
    assert good.returncode == 0, good.stderr
    assert "quick: within" in good.stdout
    bad = gate("none")
    assert bad.returncode == 2
    assert "there is no budget 'none'" in bad.stderr
