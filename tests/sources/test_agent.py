"""Energy through the agent: the same joules as the sensor's, and no others."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.node import SOURCES, FakeNode
from wattmark.agent.attribution import Attribution
from wattmark.agent.node import LEAST_PERIOD_S, Node
from wattmark.agent.server import Answers, SocketServer
from wattmark.errors import SourceGone, SourceRetry
from wattmark.sources.agent import source as agent
from wattmark.sources.base import Host
from wattmark.sources.discovery import discover


class _Agent:
    def __init__(self, folder: Path) -> None:
        self.fake = FakeNode(folder / "node")
        self.path = str(folder / "agent.sock")
        self.start()

    def start(self) -> None:
        self.node = Node(self.fake.host, SOURCES)
        self.server = SocketServer(self.path, Answers(self.node, Attribution(self.node, self.fake.host)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.node.close()

    def host(self, sysfs: str = "/nowhere") -> Host:
        return Host(sysfs, str(self.fake.proc), {agent.VARIABLE: self.path})


@pytest.fixture
def running() -> Iterator[_Agent]:
    with tempfile.TemporaryDirectory() as name:
        one = _Agent(Path(name))
        yield one
        one.stop()


def test_without_an_agent_nothing_is_found() -> None:
    assert agent.probe(Host("/nowhere", "/nowhere", {agent.VARIABLE: "/nowhere/agent.sock"})) == []


def test_its_channels_count_as_the_sensors_do(running: _Agent) -> None:
    selection = discover(running.host())
    (channel,) = [one for one in selection.channels if one.component == "cpu" and one.counted]
    assert (channel.id, channel.source, channel.method, channel.kind) == (
        "cpu0/package",
        "agent",
        "counter",
        "energy",
    )
    assert channel.update_period_s >= LEAST_PERIOD_S
    assert channel.accuracy.citation  # as the agent has it


def test_what_the_user_can_read_itself_comes_first(running: _Agent) -> None:
    selection = discover(running.host(str(running.fake.sys)))
    counted = [one.source for one in selection.channels if one.component == "cpu" and one.counted]
    assert counted == ["rapl"]


def test_energies_are_those_of_the_counter(running: _Agent) -> None:
    (finding,) = agent.probe(running.host())
    assert finding.open is not None
    source = finding.open()
    (before,) = source.read()
    running.fake.used(2.5)
    threading.Event().wait(LEAST_PERIOD_S * 1.2)
    (after,) = source.read()
    assert before is not None
    assert after is not None
    assert after - before == 2_500_000
    source.close()


def test_an_agent_that_is_away_is_asked_again_and_a_new_one_is_not_the_old_one(running: _Agent) -> None:
    (finding,) = agent.probe(running.host())
    assert finding.open is not None
    source = finding.open()
    source.read()
    source.close()  # the connection broke
    running.stop()
    with pytest.raises(SourceRetry):
        source.read()
    running.start()
    with pytest.raises(SourceGone, match="started anew"):
        source.read()
    source.close()


def test_a_file_that_is_no_socket_is_told(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    path.write_text("")
    (finding,) = agent.probe(Host(environ={agent.VARIABLE: str(path)}))
    assert not finding.usable
    assert "does not answer" in (finding.problem or "")
