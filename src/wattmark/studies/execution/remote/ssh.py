"""Hosts that are reached by ssh(1): one trial a host at a time, with the keys and the configuration that the user has."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from wattmark.errors import ConfigError, WattmarkError
from wattmark.studies.execution.executors import Handle
from wattmark.studies.execution.remote.base import Lost, RemoteExecutor
from wattmark.studies.execution.remote.shipment import Parcel, Shipment, nothing, of_text

MODULE = "wattmark.studies.execution.remote.shipment"
PATIENCE_S = 60.0
_AGAIN_S = 1.0
_CANCEL_S = 60.0
_SSH_FAILED = 255
"""ssh(1): the exit status of the remote command, or 255 if an error occurred."""
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=4")
_HOST = re.compile(r"[A-Za-z0-9_\[\]][A-Za-z0-9_.:@%\[\]-]*")


@dataclass(slots=True)
class Connection:
    """A trial on its way. host: empty while it waits for one. output, errors: what came of it so far. failing_since: since
    when the host does not answer. next_try: when it is asked again."""

    shipment: Shipment
    avoid: tuple[str, ...]
    output: IO[bytes]
    errors: IO[bytes]
    host: str = ""
    process: subprocess.Popen[bytes] | None = None
    failing_since: float | None = None
    next_try: float = 0.0

    def close(self) -> None:
        """Hang up; what runs over there runs on."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.errors.close()


class SshExecutor(RemoteExecutor[Connection]):
    """Runs trials on hosts that have Wattmark, each with one trial at a time.

    A connection that breaks is made again for a minute; the trial goes on meanwhile, and is not begun twice. After that
    the host counts as lost.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        *,
        python: str = "python3",
        home: str = "",
        options: Sequence[str] = (),
        patience_s: float = PATIENCE_S,
    ) -> None:
        """hosts: as ssh(1) takes them, or ``user@host:port``. options: more words for ssh. Raises ConfigError."""
        super().__init__(home)
        if not hosts:
            raise ConfigError("no host is named to run trials on", hint="ssh://node1,node2")
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ConfigError(f"{host!r} is no name of a host", hint="ssh://user@node1:22,node2")
        if len(set(hosts)) != len(hosts):
            raise ConfigError("a host is named twice", hint="each host runs one trial at a time")
        self._hosts = list(hosts)
        self._busy: set[str] = set()
        self._lost: set[str] = set()
        self._arrived: dict[str, list[str]] = {}
        self._python = python
        self._options = tuple(options)
        self._patience_s = patience_s

    @property
    def slots(self) -> int:
        """The hosts that were not lost; at least one, so that a study ends with words and not in silence."""
        return max(1, len(self._hosts) - len(self._lost))

    def send(self, shipment: Shipment, avoid: Sequence[str]) -> Connection:
        """Connect to a free host, or wait for one."""
        task = Connection(shipment, tuple(avoid), _temporary(), _temporary())
        self._find_host(task)
        return task

    def arrival(self, task: Connection) -> Parcel | Lost | None:
        """What the host sent back, once the connection has ended."""
        now = time.monotonic()
        if not task.host:
            self._find_host(task)
            return None
        if task.process is None:
            if now >= task.next_try:
                for file in (task.output, task.errors):
                    file.seek(0)
                    file.truncate()
                task.process = self._run(task)
            return None
        code = task.process.poll()
        if code is None:
            return None
        parcel = of_text(_content(task.output))
        said = _content(task.errors).strip()
        if parcel is None and code == _SSH_FAILED:
            task.failing_since = now if task.failing_since is None else task.failing_since
            if now - task.failing_since < self._patience_s:
                task.process, task.next_try = None, now + _AGAIN_S
                return None
        self._busy.discard(task.host)
        task.close()
        if parcel is not None:
            self._lost.discard(task.host)
            self._arrived.setdefault(task.host, []).append(task.shipment["key"])
            return parcel
        if code == _SSH_FAILED:
            self._lost.add(task.host)
            return Lost(task.host, said.splitlines()[-1] if said else "no answer")
        # the host answered, but has no trial for us: no Python, no Wattmark, a full disk
        return nothing(
            f"{task.host}: {said or 'the trial could not be begun'}", host=task.host, exit_code=code
        )

    def call_off(self, handle: Handle) -> None:
        """End the trial on whatever host has it. Raises WattmarkError where the host that had it last does not answer."""
        hosts = list(dict.fromkeys([str(handle.get("host", "")), *self._hosts]))
        calls = {host: self._tell(host, "cancel", str(handle["key"])) for host in hosts if host}
        trip = self._trips.get(str(handle["key"]))
        refused: list[str] = []
        for host, call in calls.items():
            try:
                _, errors = call.communicate(timeout=_CANCEL_S)
            except subprocess.TimeoutExpired:
                call.kill()
                _, errors = call.communicate()
            if call.returncode != 0 and host == (trip.task.host if trip else handle.get("host")):
                refused.append(f"{host}: {errors.decode(errors='replace').strip()}")
        if trip is not None:
            trip.task.close()
            self._busy.discard(trip.task.host)
        if refused:
            raise WattmarkError(
                f"a trial could not be ended: {'; '.join(refused)}", hint="end it there by hand, then go on"
            )

    def description(self, task: Connection) -> dict[str, object]:
        """The host."""
        return {"host": task.host}

    def _find_host(self, task: Connection) -> None:
        """A free host that has not lost this trial; where all others are lost as well, whichever is free."""
        good = [host for host in self._hosts if host not in task.avoid and host not in self._lost]
        rest = sorted(self._hosts, key=lambda host: (host in task.avoid, host in self._lost))
        free = [host for host in good or rest if host not in self._busy]
        if free:
            task.host = free[0]
            self._busy.add(task.host)
            task.shipment = {**task.shipment, "arrived": self._arrived.pop(task.host, [])}
            task.process = self._run(task)

    def _run(self, task: Connection) -> subprocess.Popen[bytes]:
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(task.shipment).encode())
            file.seek(0)
            return subprocess.Popen(
                self._command(task.host, "run"),
                stdin=file,
                stdout=task.output,
                stderr=task.errors,
                start_new_session=True,
            )

    def _tell(self, host: str, what: str, key: str) -> subprocess.Popen[bytes]:
        words = [what, key, *([self._home] if self._home else [])]
        return subprocess.Popen(
            self._command(host, *words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def _command(self, host: str, *words: str) -> list[str]:
        name, port = _port_of(host)
        there = shlex.join([self._python, "-m", MODULE, *words])
        options = [word for option in _OPTIONS for word in ("-o", option)]
        return ["ssh", *options, *self._options, *(["-p", port] if port else []), name, there]


def _port_of(host: str) -> tuple[str, str]:
    """``user@name`` and the port, which is empty where none is named."""
    match = re.fullmatch(r"(.*?)(?::(\d+))?", host) if host.count(":") <= 1 or "]" in host else None
    if match is None:
        return host, ""
    return match[1].replace("[", "").replace("]", ""), match[2] or ""


def _temporary() -> IO[bytes]:
    return tempfile.TemporaryFile()


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
