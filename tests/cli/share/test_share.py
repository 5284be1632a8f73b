"""``stage``, ``card`` and ``skill`` as commands, and their functions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wattmark as wm


def wattmark(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wattmark", *words], cwd=folder, env=os.environ, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip


def test_a_stage_passes_its_exit_code_on_and_writes_metrics(tmp_path: Path, fake_machine: object) -> None:
    command = ["--", sys.executable, "-c", "import sys; print('out'); sys.exit(3)"]
    done = wattmark("stage", "train", "--metrics", "train.json", "--pipeline", "p", *command, folder=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stdout == "out\n"
    figures = json.loads((tmp_path / "train.json").read_text())["train"]
    assert figures["energy_low_j"] <= figures["energy_j"] <= figures["energy_high_j"]
    (run,) = wm.runs(tag="step=train")
    assert run.tags == {"pipeline": "p", "step": "train", "stage": "training"}
    assert run.status == "failed"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "--kind", "cooking", "--", "true"), "--kind cannot be 'cooking'"),
        (("train", "--metrics", "no/such/file.json", "--", "true"), "there is no folder no/such"),
    ],
)
def test_what_a_stage_cannot_do_is_said_before_the_work(
    words: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    done = wattmark("stage", *words, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_card_is_written_and_checked(tmp_path: Path, fake_machine: object) -> None:
    with wm.measure("mine"):
        sum(range(10_000))
    card = tmp_path / "README.md"
    card.write_text("# My model\n")
    bare = wattmark("card", "--check", "README.md", folder=tmp_path)
    assert bare.returncode == 1
    assert "says nothing of the energy" in bare.stdout
    done = wattmark("card", "mine", "-o", "README.md", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert wattmark("card", "--check", "README.md", folder=tmp_path).returncode == 0
    assert card.read_text().startswith("# My model\n\n<!-- wattmark:begin -->")
    assert wm.card("mine") in card.read_text()
    assert wm.check_card(card) == []
    assert wattmark("card", "mine", folder=tmp_path).stdout == wm.card("mine")
    missing = wattmark("card", "--check", "nowhere.md", folder=tmp_path)
    assert missing.returncode == 2
    assert "cannot be read" in missing.stderr


def test_the_skill_names_commands_that_there_are(tmp_path: Path) -> None:
    done = wattmark("skill", "-o", "skills/wattmark/SKILL.md", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "skills/wattmark/SKILL.md").read_text()
    assert text == wm.skill() == wattmark("skill", folder=tmp_path).stdout
    assert text.startswith("---\nname: wattmark\ndescription: ")
    import re

    from wattmark.cli.app import COMMANDS

    named = {words.split()[0] for words in re.findall(r"`wattmark ([^`]+)`", text)}
    assert named <= set(COMMANDS)
    assert {"run", "gate", "compare", "card", "show", "sources"} <= named
