from __future__ import annotations

import json
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from wattmark.recorder.launch import SESSION_ENV
from wattmark.studies.designs.builtin import find_design
from wattmark.workloads import tools

pytest.importorskip("sklearn")

# A peer whose training takes no time: what its environment's Python prints.
PEER = """#!/bin/sh
echo a word of the tool
echo "session: ${WATTMARK_SESSION:-none}"
echo '{"accuracy": 0.9, "training_s": 1.0, "tool_s": 0.1, "tool_energy_j": 5.0}'
"""


@pytest.fixture
def peer() -> Path:
    python = tools.environment_of("eco2ai") / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PEER)
    python.chmod(0o755)
    return python


def test_training_repeats_itself_under_every_tool() -> None:
    first, second = tools.trained("none", 1), tools.trained("none", 1)
    assert first["accuracy"] == second["accuracy"] > 0.3
    assert first["training_s"] > 0
    assert "tool_energy_j" not in first  # no tool, no joules: not 0


def test_wattmark_is_one_of_the_tools(fake_machine: object) -> None:
    found = tools.trained("wattmark", 1)
    assert 0 < found["tool_energy_j"] < 50 * (found["training_s"] + found["tool_s"]) * 1.1


def test_a_trial_is_one_line_with_the_time_of_the_whole_process(
    peer: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SESSION_ENV, "/of/the/study")
    assert tools.run("eco2ai", 1) == 0
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert (found["accuracy"], found["tool_energy_j"]) == (0.9, 5.0)
    assert found["whole_s"] > 0
    assert found["cpu_s"] >= 0
    assert "a word of the tool" in err
    assert "session: none" in err  # Wattmark must start a recorder of its own, as it would outside of a study


def test_a_peer_that_fails_fails_the_trial(peer: Path, capfd: pytest.CaptureFixture[str]) -> None:
    peer.write_text("#!/bin/sh\necho what happened\nexit 3\n")
    assert tools.run("eco2ai", 1) == 3
    assert capfd.readouterr() == ("", "what happened\n")


def test_a_peer_that_is_not_installed_says_how(capfd: pytest.CaptureFixture[str]) -> None:
    assert tools.run("codecarbon", 1) == 2
    assert "python -m wattmark.workloads.tools install codecarbon" in capfd.readouterr().err


def test_peers_cannot_look_up_a_host() -> None:
    code = "import socket; from wattmark.workloads.tools import _go_offline; _go_offline(); "
    look = "socket.create_connection(('ipinfo.io', 80), 1)"
    done = subprocess.run([sys.executable, "-c", code + look], capture_output=True, text=True)
    assert done.returncode == 1
    assert "OSError: tools are compared without a network" in done.stderr
    assert socket.getaddrinfo("127.0.0.1", 80)  # this process is as it was


def test_every_environment_trains_with_the_versions_that_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        ran.append(command)

    monkeypatch.setattr(subprocess, "run", run)
    tools.install(["codecarbon", "eco2ai"])
    assert [command[1:3] for command in ran] == [["-m", "venv"], ["-m", "pip"]] * 2
    for command, package in zip(ran[1::2], ("codecarbon", "eco2ai"), strict=True):
        assert command[0] == str(tools.environment_of(package) / "bin" / "python")
        assert {package, f"scikit-learn=={version('scikit-learn')}", f"numpy=={version('numpy')}"} <= set(
            command
        )


def test_the_built_in_study_has_every_tool() -> None:
    assert find_design("tools").factors["tool"] == list(tools.TOOLS)
    assert set(tools.TOOLS) == {*tools.OWN, *tools.PEERS}
