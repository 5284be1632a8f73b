"""A real sshd on the loopback, with keys of its own, that lets the user who started it in."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def program() -> str | None:
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@dataclass
class Server:
    """options: words for ssh(1) that reach it. hosts: two names of the same machine."""

    port: int
    options: Sequence[str]
    process: subprocess.Popen[bytes]
    command: Sequence[str]

    def host(self, name: str = "127.0.0.1") -> str:
        return f"{name}:{self.port}"

    def stop(self) -> None:
        """The listener goes; sessions that are open stay, as with a real sshd."""
        self.process.terminate()
        self.process.wait(10)

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)
        _wait(self.process, self.port)


@contextmanager
def server(folder: Path, environ: Mapping[str, str]) -> Iterator[Server]:
    """environ: what commands over there see beside their own."""
    sshd = program()
    assert sshd is not None
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name],
            check=True,
            capture_output=True,
        )
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "authorized").chmod(0o600)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder / 'host'}",
        f"AuthorizedKeysFile {folder / 'authorized'}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "PidFile none",
        "SetEnv " + " ".join(f'"{key}={value}"' for key, value in environ.items()),
    ]
    (folder / "sshd_config").write_text("\n".join(config) + "\n")
    options = [
        *("-F", "none", "-i", str(folder / "user"), "-o", "IdentitiesOnly=yes"),
        *("-o", f"UserKnownHostsFile={folder / 'known'}", "-o", "StrictHostKeyChecking=accept-new"),
        *("-o", "LogLevel=ERROR"),
    ]
    command = [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    there = Server(port, options, process, command)
    try:
        _wait(process, port)
        yield there
    finally:
        there.stop()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, "sshd did not start"
            assert time.monotonic() < deadline, "sshd does not listen"
            time.sleep(0.01)
        else:
            return
