"""Energy from the agent of this node, for those who may not read its sensors themselves. Standard library only.

The agent (``wattmark agent``) listens at a UNIX socket and reads what only root may read. Its channels are taken over as
they are, under the names that they have there, so each is measured once: what a user can read itself comes first. The
energies begin at nothing when the agent does, so a run that outlives its agent loses these channels and says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from wattmark.documents import items, mapping, number, text
from wattmark.errors import SourceGone, SourceRetry
from wattmark.sources.base import Channel, Finding, Host, Series, Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

NAME = "agent"
SOCKET = "/run/wattmark/agent.sock"
VARIABLE = "WATTMARK_AGENT"
_TIMEOUT_S = 2.0
_MOST_BYTES = 16 * 1024 * 1024


class AgentConnection:
    """A connection to the agent, made when it is first needed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._rest = b""

    def ask(self, what: str) -> dict[str, object]:
        """Its answer. Raises OSError where there is none."""
        import json  # where there is no agent, a recorder must not pay for it
        import socket

        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(_TIMEOUT_S)
            self._rest = b""
            try:
                self._socket.connect(self._path)
            except OSError:
                self.close()
                raise
        try:
            self._socket.sendall(json.dumps({"ask": what}).encode() + b"\n")
            return dict(mapping(json.loads(self._line())))
        except (OSError, ValueError) as error:
            self.close()
            raise OSError(f"the agent at {self._path} gave no answer: {error}") from error

    def _line(self) -> bytes:
        assert self._socket is not None
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            part = self._socket.recv(65536)
            if not part or sum(map(len, parts)) > _MOST_BYTES:
                raise OSError("it hung up")
            parts.append(part)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class AgentSource:
    """Channels of one of the agent's sources."""

    name = NAME
    series: Sequence[Series] = ()

    def __init__(self, path: str, boot: str, period_s: float, channels: Sequence[Channel]) -> None:
        self.channels: Sequence[Channel] = tuple(channels)
        self.period_s = period_s
        self._boot = boot
        self._connection = AgentConnection(path)

    def read(self) -> Sequence[float | None]:
        """Cumulative µJ of each channel, None where its sensor gave nothing. SourceRetry while the agent does not answer;
        SourceGone when it was started anew, since its energies then begin at nothing."""
        try:
            answer = self._connection.ask("energies")
        except OSError as error:
            raise SourceRetry(str(error)) from error
        if answer.get("boot") != self._boot:
            raise SourceGone("the agent was started anew")
        energies = mapping(answer.get("energies_uj"))
        return [number(energies.get(channel.id)) for channel in self.channels]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def socket_path(host: Host) -> str:
    """Where the agent listens: what ``WATTMARK_AGENT`` names, else the usual place."""
    return host.environ.get(VARIABLE) or SOCKET


def probe(host: Host) -> list[Finding]:
    """One finding for each of the agent's sources that measures; none where there is no agent."""
    path = socket_path(host)
    if not os.path.exists(path):
        return []
    connection = AgentConnection(path)
    try:
        answer = connection.ask("channels")
        channels = [Channel.from_dict(mapping(row)) for row in items(answer.get("channels"))]
    except (OSError, KeyError, TypeError, ValueError) as error:
        return [
            Finding(
                NAME,
                path,
                problem=f"The agent does not answer: {error}.",
                fix="Start it again: wattmark agent.",
            )
        ]
    finally:
        connection.close()
    boot, period_s = text(answer.get("boot")) or "", number(answer.get("period_s")) or 0.1
    by_source: dict[str, list[Channel]] = {}
    for channel in channels:
        if channel.method != "modelled":  # a model here does the same
            by_source.setdefault(channel.source, []).append(
                channel._replace(
                    source=NAME,
                    kind="energy",
                    wrap_uj=None,
                    group="",
                    update_period_s=max(period_s, channel.update_period_s),
                )
            )
    return [
        Finding(
            NAME,
            f"{source} through the agent",
            tuple(own),
            open=partial(_open, path, boot, period_s, tuple(own)),
        )
        for source, own in by_source.items()
    ]


def _open(path: str, boot: str, period_s: float, channels: Sequence[Channel]) -> Source:
    return AgentSource(path, boot, period_s, channels)
