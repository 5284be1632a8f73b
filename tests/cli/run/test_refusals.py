"""What cannot be measured is said before the work, with the shell's exit codes, and leaves no run behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import wattmark as wm


@pytest.mark.parametrize(("command", "code"), [("./not-executable", 126), ("no-such-command-here", 127)])
def test_a_command_that_cannot_start_keeps_no_run(cli, here: Path, command: str, code: int) -> None:
    Path("not-executable").write_text("echo hello\n")
    assert cli("run", "--", command).returncode == code
    assert json.loads(cli("ls", "--json", "-").stdout) == []


def test_a_folder_for_the_results_that_is_not_there_is_said_before_the_work(cli, here: Path) -> None:
    done = cli("run", "--json", "no/such/dir/run.json", "--", "touch", "was-run")
    assert done.returncode == 2
    assert "there is no folder" in done.stderr
    assert not Path("was-run").exists()


def test_a_span_called_by_a_number_does_not_reach_the_users_code(fake_machine: object) -> None:
    with wm.measure("work") as run, wm.span(5):  # type: ignore[arg-type]
        pass
    assert [span.name for span in run.spans()] == ["5"]
