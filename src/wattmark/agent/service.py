"""The agent as it runs: a tick a second until a signal, the socket for users, and the address for Prometheus if wanted."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from socketserver import BaseServer
from types import FrameType

from wattmark.agent.attribution import Attribution
from wattmark.agent.node import Node
from wattmark.agent.server import Answers, SocketServer
from wattmark.errors import ConfigError, MissingExtra
from wattmark.sources.base import Host

TICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """socket: its path. listening: for Prometheus, or None. token: that scrapers must have. names: of the Host header.
    wanted: sources to use; None for all. otlp: a collector's address."""

    socket: str
    listening: socket.socket | None = None
    token: str | None = None
    names: Sequence[str] = ()
    wanted: Sequence[str] | None = None
    otlp: str | None = None


class Service:
    """Opens everything, then runs."""

    def __init__(self, host: Host, options: Options, say: Callable[[str], None] = lambda _: None) -> None:
        """Raises ConfigError where nothing can be measured or listened at, MissingExtra without prometheus_client."""
        self._say = say
        self._ending = threading.Event()
        self.node = Node(host, options.wanted)
        if not self.node.channels:
            raise ConfigError("nothing can be measured here", hint="wattmark sources says why")
        self.attribution = Attribution(self.node, host)
        self._servers: list[BaseServer] = []
        answers = Answers(self.node, self.attribution)
        if options.listening is not None:
            try:
                from wattmark.agent.exposition import Exposition
            except ModuleNotFoundError as error:
                raise MissingExtra("prometheus_client", "agent") from error
            from wattmark.agent.web import MetricsServer

            exposition = Exposition(lambda: self.attribution.ledger, lambda: self.node.channels)
            self._servers.append(
                MetricsServer(
                    options.listening,
                    exposition.text,
                    token=options.token,
                    names=options.names,
                    answer=lambda asked: answers.answer({"ask": asked}, -1),
                )
            )
        self._otlp = None
        if options.otlp is not None:
            from wattmark.agent.otlp import OtlpExport

            self._otlp = OtlpExport(options.otlp, lambda: self.attribution.ledger, lambda: self.node.channels)
        self._servers.append(SocketServer(options.socket, answers))

    def run(self) -> None:
        """Tick until :meth:`end`, SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        told = 0
        due = time.monotonic()
        try:
            while not self._ending.is_set():
                self.node.review()
                self.attribution.tick()
                for note in self.node.notes[told:]:
                    self._say(note)
                told = len(self.node.notes)
                due = max(due + TICK_S, time.monotonic())
                self._ending.wait(due - time.monotonic())
        finally:
            if self._otlp is not None:
                self._otlp.close()
            for server in self._servers:
                server.shutdown()
                server.server_close()
            self.node.close()

    def end(self) -> None:
        """Ask it to end."""
        self._ending.set()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.end()
