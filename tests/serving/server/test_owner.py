"""The server behind a URL: found by the socket that listens, in containers too, and not guessed where it cannot be told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wattmark.serving.server.owner import Owner, is_here, owner_of

ROW = "   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1\n"
ANY, LOOPBACK = "00000000", "0100007F"
MAPPED = "0000000000000000FFFF00000100007F"


class Proc:
    """A ``/proc`` of a few processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.process(os.getpid(), "wattmark", parent=1, exe="/usr/bin/wattmark")
        (root / "self").symlink_to(str(os.getpid()))

    def process(
        self, pid: int, name: str, *, parent: int = 1, session: int = 5, exe: str = "/usr/bin/python3",
        sockets: tuple[int, ...] = (), namespace: str = "net:[1]", cmdline: str = "", listens: str = "",
    ) -> None:  # fmt: skip
        home = self.root / str(pid)
        (home / "fd").mkdir(parents=True)
        (home / "ns").mkdir()
        (home / "net").mkdir()
        for number, inode in enumerate(sockets):
            (home / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (home / "ns" / "net").symlink_to(namespace)
        (home / "exe").symlink_to(exe)
        (home / "comm").write_text(name + "\n")
        (home / "cmdline").write_text(cmdline)
        (home / "stat").write_text(f"{pid} ({name}) S {parent} {pid} {session} 0 -1\n")
        for kind in ("tcp", "tcp6"):
            (home / "net" / kind).write_text("  sl  local_address ...\n" + (listens if kind == "tcp" else ""))

    def listen(
        self, port: int, inode: int, *, address: str = ANY, state: str = "0A", kind: str = "tcp"
    ) -> None:
        path = self.root / str(os.getpid()) / "net" / kind
        path.write_text(path.read_text() + ROW.format(address=address, port=port, state=state, inode=inode))

    def owner(self, host: str = "127.0.0.1", port: int = 8000) -> Owner:
        return owner_of(host, port, str(self.root))


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_a_real_server_is_found_by_its_socket():
    program = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        assert owner_of("127.0.0.1", port).pids == (server.pid,)
        assert owner_of("localhost", port).pids == (server.pid,)
        server.communicate()


@pytest.mark.parametrize(
    ("address", "kind"), [(ANY, "tcp"), (LOOPBACK, "tcp"), ("0" * 32, "tcp6"), (MAPPED, "tcp6")]
)
def test_the_owner_of_the_listening_socket_is_the_server(proc: Proc, address: str, kind: str):
    proc.process(70, "vllm", sockets=(3, 900))
    proc.process(71, "client", sockets=(901,))
    proc.listen(8000, 900, address=address, kind=kind)
    proc.listen(8000, 901, state="01")
    proc.listen(8001, 3)
    assert proc.owner() == Owner((70,))


def test_a_socket_at_another_address_is_another_servers(proc: Proc):
    proc.process(70, "vllm", sockets=(900,))
    proc.listen(8000, 900, address="0200000A")
    assert proc.owner() == Owner()


def test_processes_that_share_the_socket_are_all_the_server(proc: Proc):
    proc.process(60, "gunicorn", exe="/usr/bin/gunicorn", sockets=(900,))
    for pid in (61, 62):
        proc.process(pid, "worker", parent=60, sockets=(900,))
    proc.listen(8000, 900)
    assert set(proc.owner().pids) == {60, 61, 62}


def test_the_program_that_started_the_one_that_listens_is_the_root(proc: Proc):
    proc.process(50, "bash", exe="/bin/bash")
    proc.process(60, "vllm", parent=50)
    proc.process(61, "api", parent=60, sockets=(900,))
    proc.process(62, "engine", parent=60)
    proc.listen(8000, 900)
    assert proc.owner() == Owner((60,))


def test_what_this_process_descends_from_is_not_the_server(proc: Proc):
    proc.process(40, "pytest")
    (proc.root / str(os.getpid()) / "stat").write_text(f"{os.getpid()} (wattmark) S 40 1 5 0 -1\n")
    proc.process(61, "server", parent=40, sockets=(900,))
    proc.listen(8000, 900)
    assert proc.owner() == Owner((61,))


def test_a_container_is_found_behind_docker_proxy(proc: Proc):
    words = "docker-proxy\0-proto\0tcp\0-container-ip\x00172.17.0.2\0-container-port\x009000\0"
    proc.process(30, "docker-proxy", exe="/usr/bin/docker-proxy", sockets=(900,), cmdline=words)
    inside = ROW.format(address=ANY, port=9000, state="0A", inode=77)
    proc.process(31, "vllm", sockets=(77,), namespace="net:[2]", listens=inside)
    proc.process(32, "other", sockets=(78,), namespace="net:[3]")
    proc.listen(8000, 900)
    assert proc.owner() == Owner((31,))


def test_a_published_port_without_a_proxy_is_found_if_only_one_container_listens_at_it(proc: Proc):
    inside = ROW.format(address=ANY, port=8000, state="0A", inode=77)
    proc.process(31, "vllm", sockets=(77,), namespace="net:[2]", listens=inside)
    assert proc.owner() == Owner((31,))
    other = ROW.format(address=ANY, port=8000, state="0A", inode=78)
    proc.process(32, "sglang", sockets=(78,), namespace="net:[3]", listens=other)
    assert proc.owner() == Owner()


def test_a_tunnel_is_told_as_one(proc: Proc):
    proc.process(20, "ssh", exe="/usr/bin/ssh", sockets=(900,))
    proc.listen(8000, 900)
    assert proc.owner() == Owner((), "ssh")


def test_a_process_of_another_user_stays_unknown(proc: Proc):
    proc.process(70, "vllm")  # its open files cannot be read
    proc.listen(8000, 900)
    assert proc.owner() == Owner()
    assert owner_of("127.0.0.1", 8000, str(proc.root / "nothing")) == Owner()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0.0.0.0", "127.8.9.1", "::"])
def test_loopback_and_unspecified_addresses_are_this_machine(host: str):
    assert is_here(host)


def test_the_addresses_of_an_interface_are_this_machine_and_others_are_not(monkeypatch: pytest.MonkeyPatch):
    addresses = {"box.lan": "192.0.2.7", "elsewhere": "192.0.2.8"}

    class Bindable(socket.socket):
        def bind(self, address: tuple[str, int]) -> None:  # type: ignore[override]
            if address[0] != "192.0.2.7":
                raise OSError(99, "Cannot assign requested address")

    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *_, **__: [(2, 1, 6, "", (addresses.get(host, host), 0))]
    )
    monkeypatch.setattr(socket, "socket", Bindable)
    assert is_here("box.lan")
    assert is_here("192.0.2.7")
    assert not is_here("elsewhere")
    assert not is_here("192.0.2.8")


def test_a_host_without_an_address_is_not_here(monkeypatch: pytest.MonkeyPatch):
    def nothing(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    assert not is_here("gpu.example.org")
