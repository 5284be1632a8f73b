"""The command: what it refuses, and how it shows whose the joules are."""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fakes.node import SOURCES, FakeNode
from wattmark.agent.attribution import Attribution
from wattmark.agent.node import Node
from wattmark.agent.server import Answers, SocketServer
from wattmark.agent.shares import Idle
from wattmark.cli.machine import agent
from wattmark.errors import ConfigError, ServerError


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--listen", "nowhere"], "is no address"),
        (["--listen", "127.0.0.1:99999"], "is no address"),
        (["--listen", "0.0.0.0:0"], "needs a token"),
    ],
)
def test_addresses_that_cannot_be_are_refused(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WATTMARK_AGENT_TOKEN", raising=False)
    found = CliRunner().invoke(agent.app, words)
    assert isinstance(found.exception, ConfigError)
    assert message in str(found.exception)


def test_no_agent_is_told(tmp_path: Path) -> None:
    found = CliRunner().invoke(agent.app, ["--who", "--socket", str(tmp_path / "none.sock")])
    assert isinstance(found.exception, ServerError)
    assert "no agent answers" in str(found.exception)


def test_who_shows_units_and_the_users_own_processes() -> None:
    with tempfile.TemporaryDirectory() as name:
        fake = FakeNode(Path(name) / "node")
        fake.process(10, 0, "/system.slice/web.service", command="serve me")
        node = Node(fake.host, SOURCES)
        attribution = Attribution(node, fake.host)
        fake.process(10, 50, "/system.slice/web.service", command="serve me")
        fake.busy(50)
        fake.used(3.0)
        attribution._idle["cpu"] = Idle(0.0)
        attribution.tick()
        path = os.path.join(name, "agent.sock")
        server = SocketServer(path, Answers(node, attribution))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shown = CliRunner().invoke(agent.app, ["--who", "--socket", path])
        data = CliRunner().invoke(agent.app, ["--who", "--socket", path, "--json", "-"])
        server.shutdown()
        server.server_close()
        node.close()
    assert shown.exit_code == 0
    assert "3.00 J" in shown.output
    assert "serve me" in shown.output
    assert "unattributed" in shown.output
    assert '"parts"' in data.output
