"""The socket: who asks is what the kernel says, and foreign command lines are not told."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from fakes.node import SOURCES, FakeNode
from wattmark.agent.attribution import Attribution
from wattmark.agent.node import Node
from wattmark.agent.server import Answers, SocketServer
from wattmark.agent.shares import Idle
from wattmark.documents import mappings
from wattmark.errors import ConfigError
from wattmark.sources.agent.source import AgentConnection

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


class _Running:
    """An agent's socket with a fake node behind it."""

    def __init__(self, folder: Path) -> None:
        self.fake = FakeNode(folder / "node")
        self.fake.process(10, 0, "/system.slice/web.service", command="serve --token hunter2hunter2 mine")
        self.node = Node(self.fake.host, SOURCES)
        self.attribution = Attribution(self.node, self.fake.host)
        self.fake.process(10, 50, "/system.slice/web.service", command="serve --token hunter2hunter2 mine")
        self.fake.busy(50)
        self.fake.used(0.5)
        self.attribution._idle["cpu"] = Idle(0.0)
        self.attribution.tick()
        self.path = str(folder / "run" / "agent.sock")
        self.server = SocketServer(self.path, Answers(self.node, self.attribution))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.node.close()


@pytest.fixture
def running() -> Iterator[_Running]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # other users must get to the socket
        agent = _Running(folder)
        yield agent
        agent.close()


def test_channels_and_energies_are_told(running: _Running) -> None:
    connection = AgentConnection(running.path)
    channels = connection.ask("channels")
    energies = connection.ask("energies")
    assert "cpu0/package" in [row["id"] for row in mappings(channels["channels"])]
    assert energies["boot"] == channels["boot"]
    assert energies["energies_uj"]["cpu0/package"] == 500_000
    assert "error" in connection.ask("the moon")
    connection.close()


@pytest.mark.parametrize(
    "line", [b"\n", b"[1]\n", b"{\xff\n", b'{"ask": ["energies"]}\n', b"x" * 5_000 + b"\n"]
)
def test_nonsense_is_answered_and_the_server_goes_on(running: _Running, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(running.path)
        client.sendall(line)
        assert b"error" in client.recv(4_096)
    connection = AgentConnection(running.path)
    assert "energies_uj" in connection.ask("energies")
    connection.close()


def test_secrets_in_command_lines_are_not_told(running: _Running) -> None:
    usage = Answers(running.node, running.attribution).answer({"ask": "usage"}, 0)
    (process,) = mappings(usage["processes"])
    assert str(process["command"]).startswith("serve --token")
    assert "hunter2" not in str(process["command"])


def test_a_user_sees_its_own_processes_only(running: _Running) -> None:
    answers = Answers(running.node, running.attribution)
    owner = os.stat(running.fake.proc / "10").st_uid
    own, foreign = (answers.answer({"ask": "usage"}, uid) for uid in (owner, NOBODY))
    assert [row["pid"] for row in mappings(own["processes"])] == [10]
    assert foreign["processes"] == []
    assert "serve" not in json.dumps(foreign)
    assert foreign["units"] == own["units"] != []


@needs_root
def test_who_asks_is_what_the_kernel_says(running: _Running) -> None:
    """Another user in a process of its own; a uid in the question changes nothing."""

    def ask(uid: int, pipe: Connection) -> None:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(running.path)
            client.sendall(b'{"ask": "usage", "uid": 0}\n')
            pipe.send(client.makefile().readline())

    told: dict[int, list[object]] = {}
    for uid in (NOBODY, 0):
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=ask, args=(uid, theirs))
        child.start()
        told[uid] = json.loads(ours.recv())["processes"]
        child.join()
        ours.close()
        theirs.close()
    assert told[NOBODY] == []
    assert len(told[0]) == 1


def test_a_second_agent_is_told_of_the_first_and_a_dead_ones_socket_is_taken(running: _Running) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        SocketServer(running.path, Answers(running.node, running.attribution))
    running.server.shutdown()
    running.server.socket.close()  # as if it had been killed: the path stays
    again = SocketServer(running.path, Answers(running.node, running.attribution))
    again.server_close()
    assert not Path(running.path).exists()
    running.server = SocketServer(running.path, Answers(running.node, running.attribution))
    threading.Thread(target=running.server.serve_forever, daemon=True).start()
