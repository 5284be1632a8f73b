"""The socket of the agent: any user of the machine may ask for joules; whose command lines are told depends on who asks.

A line of JSON is asked, a line is answered: ``{"ask": "channels"}``, ``{"ask": "energies"}``, ``{"ask": "usage"}``. Who asks
is what the kernel says of the other end (SO_PEERCRED, unix(7)), not what it says of itself. A user sees the processes that
are its own; of others only what units as a whole have used. Root sees all.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from wattmark._version import __version__
from wattmark.agent.attribution import Attribution
from wattmark.agent.node import LEAST_PERIOD_S, Node
from wattmark.documents import mapping, text
from wattmark.errors import ConfigError
from wattmark.redact import redact_arguments

MOST_BYTES = 4_096
"""Of a question."""
MOST_CLIENTS = 256
IDLE_S = 300.0
_CREDENTIALS = struct.Struct("3i")


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end of a UNIX socket, by the kernel."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


class Answers:
    """What the agent says, to whom."""

    def __init__(self, node: Node, attribution: Attribution | None = None) -> None:
        self._node, self._attribution = node, attribution
        self.boot = os.urandom(8).hex()
        """Tells clients that the agent was started anew: its energies begin at nothing."""

    def answer(self, question: Mapping[str, object], uid: int) -> dict[str, object]:
        """One answer, ``error`` in it if there is none."""
        asked = text(question.get("ask"))
        if asked == "channels":
            return {
                "version": __version__,
                "boot": self.boot,
                "period_s": LEAST_PERIOD_S,
                "channels": [channel.to_dict() for channel in self._node.channels],
            }
        if asked == "energies":
            reading = self._node.read(LEAST_PERIOD_S)
            return {
                "boot": self.boot,
                "t_ns": reading.t_ns,
                "now_ns": time.monotonic_ns(),  # by which another host's clock is laid upon this one's
                "energies_uj": dict(reading.channels_uj),
            }
        if asked == "usage":
            return self._usage(uid)
        return {"error": "ask for channels, energies or usage"}

    def _usage(self, uid: int) -> dict[str, object]:
        attribution = self._attribution
        if attribution is None:
            return {"error": "nothing is attributed here: an agent does that"}
        ledger = attribution.ledger
        return {
            "t_ns": ledger.reading.t_ns,
            "parts": {
                name: {
                    "component": part.component,
                    "energy_j": part.total_uj / 1e6,
                    "idle_j": part.idle_uj / 1e6,
                    "unattributed_j": part.unattributed_uj / 1e6,
                    "gone_j": part.gone_uj / 1e6,
                    "power_w": part.watts,
                    "idle_w": part.idle_w,
                }
                for name, part in ledger.parts.items()
            },
            "units": [
                {"kind": unit.kind, "name": unit.name, "component": component, "energy_j": energy / 1e6}
                for (unit, component), energy in ledger.units.items()
            ],
            "processes": [
                {
                    "pid": state.process.pid,
                    "uid": state.process.uid,
                    "unit": state.unit.name,
                    "energy_j": state.energy_uj / 1e6,
                    "command": " ".join(redact_arguments(attribution.command_line(state.process))),
                }
                for state in ledger.processes
                if uid in (0, state.process.uid)
            ],
        }


class SocketServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Listens at a path until it is closed; the path is then removed."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, answers: Answers) -> None:
        """Raises ConfigError where nothing can listen there, or another agent does."""
        self.answers = answers
        self.path = path
        self._free = threading.Semaphore(MOST_CLIENTS)
        place = Path(path)
        try:
            place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if place.is_socket() and not _answers(path):
                place.unlink()
            super().__init__(path, _Handler)
            place.chmod(0o666)  # any user may ask; what is answered depends on who asks
        except OSError as error:
            hint = "is another agent running? --socket PATH takes another place"
            raise ConfigError(f"cannot listen at {path}: {error.strerror or error}", hint=hint) from error

    def process_request_thread(self, request: object, client_address: object) -> None:
        """One client; those over the limit are hung up on."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)  # pyright: ignore[reportArgumentType]
            return
        try:
            super().process_request_thread(request, client_address)  # pyright: ignore[reportArgumentType]
        finally:
            self._free.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is nothing to tell."""

    def server_close(self) -> None:
        """Stop listening."""
        super().server_close()
        Path(self.path).unlink(missing_ok=True)


class _Handler(socketserver.StreamRequestHandler):
    timeout = IDLE_S

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, SocketServer)
        uid = peer_uid(self.connection)
        while line := self.rfile.readline(MOST_BYTES):
            question: Mapping[str, object] = {}
            with contextlib.suppress(ValueError):
                question = mapping(json.loads(line))
            self.wfile.write(json.dumps(server.answers.answer(question, uid)).encode() + b"\n")
            if not line.endswith(b"\n"):
                return


def _answers(path: str) -> bool:
    """Whether someone listens there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
