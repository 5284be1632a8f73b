"""Power from the agent of the server's host: its sensors, as if they were here.

``agent://host:9464`` asks an agent over the network (``agent+https://`` through a proxy with TLS; ``?token_env=NAME`` says
where its token is). ``ssh://user@host`` needs none: it starts ``wattmark agent --stdio`` there through ssh
(``ssh://host/path/to/wattmark`` where it is not on the PATH), which asks the agent of that host, or reads what that
user may read.

Every answer says the other host's monotonic clock, so each bounds where it stands against ours; offset and drift follow
from all of them (:mod:`wattmark.runs.hosts.clocks`).
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from wattmark.documents import items, mapping, number, text
from wattmark.errors import ConfigError, ServerError
from wattmark.runs.hosts.clocks import Ahead, Bound, ahead_of
from wattmark.runs.record import Curve, Int64
from wattmark.serving.power.samples import PowerReadings
from wattmark.sources.base import Channel

SCHEMES = ("agent", "agent+https", "ssh")
READ_EVERY_S = 0.25
TIMEOUT_S = 10.0
MARGIN_S = 2.0
_MOST_BYTES = 16 * 1024 * 1024


class Line(Protocol):
    """A way to an agent."""

    where: str

    def ask(self, what: str) -> Mapping[str, object]:
        """Its answer. Raises OSError where there is none."""
        ...

    def close(self) -> object:
        """Hang up."""
        ...


class HttpLine:
    """An agent's address: its ``/channels`` and ``/energies``."""

    def __init__(self, base: str, token: str | None) -> None:
        self.where, self._token = base, token

    def ask(self, what: str) -> Mapping[str, object]:
        """Its answer. Raises OSError where there is none."""
        request = urllib.request.Request(f"{self.where}/{what}")  # noqa: S310 its scheme is http or https
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
                return mapping(json.loads(reply.read(_MOST_BYTES)))
        except urllib.error.HTTPError as error:
            said = error.read(300).decode("utf-8", "replace").strip()
            raise OSError(f"HTTP {error.code}{': ' + said if said else ''}") from error
        except ValueError as error:
            raise OSError(f"it does not answer as an agent does: {error}") from error

    def close(self) -> None:
        """Nothing is open between questions."""


class ProcessLine:
    """An agent that answers on the standard output of a command."""

    def __init__(self, command: list[str], where: str) -> None:
        self.where, self._command = where, command
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def ask(self, what: str) -> Mapping[str, object]:
        """Its answer. Raises OSError where there is none."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._rest = b""
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        process = self._process
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps({"ask": what}).encode() + b"\n")
            process.stdin.flush()
            return mapping(json.loads(self._line(process)))
        except (OSError, ValueError) as error:
            said = self.close()
            raise OSError(said or str(error)) from error

    def _line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        deadline = time.monotonic() + TIMEOUT_S
        data = self._rest
        while b"\n" not in data:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], (), (), left)[0]:
                raise OSError(f"no answer within {TIMEOUT_S:.0f} s")
            part = os.read(process.stdout.fileno(), 65536)
            if not part or len(data) > _MOST_BYTES:
                raise OSError("it hung up")
            data += part
        line, _, self._rest = data.partition(b"\n")
        return line

    def close(self) -> str:
        """End the command; the last line that it had to say of itself."""
        process, self._process = self._process, None
        if process is None:
            return ""
        process.kill()
        _, errors = process.communicate()
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""


@dataclass(slots=True)
class AgentPower:
    """Asks an agent from ``begin`` until ``close``, in a thread of its own."""

    line: Line
    period_s: float = READ_EVERY_S
    _channels: tuple[Channel, ...] = ()
    _boot: str = ""
    _clock: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    _times: list[int] = field(default_factory=list[int])
    _energies: list[list[float]] = field(default_factory=list[list[float]])
    _restarts: list[int] = field(default_factory=list[int])
    _failed: list[str] = field(default_factory=list[str])
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Ask what is measured there, and start to read. Raises ServerError."""
        try:
            answer = self.line.ask("channels")
            self._channels = tuple(Channel.from_dict(mapping(row)) for row in items(answer.get("channels")))
            self._boot = text(answer.get("boot")) or ""
            self._read(self.line.ask("energies"), *self._now())
        except (OSError, KeyError, TypeError, ValueError) as error:
            self.line.close()
            raise ServerError(
                f"{self.line.where}: {error}", hint="is Wattmark there, and its agent? wattmark agent"
            ) from error
        if not any(channel.counted for channel in self._channels):
            self.line.close()
            raise ServerError(f"{self.line.where} measures nothing", hint="there: wattmark sources")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def readings(
        self, start_ns: int, end_ns: int, on_wait: Callable[[float], None] | None = None
    ) -> PowerReadings:
        """The curves of [start, end) after one more reading. on_wait: not needed here. Raises ServerError."""
        self._look()
        with self._lock:
            clock, times = list(self._clock), np.array(self._times, np.int64)
            energies = np.array(self._energies, np.float64).reshape(len(times), len(self._channels))
            restarts, failed = list(self._restarts), list(self._failed)
        ahead, base_ns, there_ns = _offset(clock)
        since_s = (times - there_ns) / 1e9 - ahead.offset_s + ahead.drift * ahead.origin_s
        here_ns = base_ns + np.round(since_s / (1 + ahead.drift) * 1e9).astype(np.int64)
        notes = [
            "the whole host's joules are taken for the server's: what else ran there is in them, the load client's not"
        ]
        if failed:
            notes.append(f"{len(failed)} readings of {self.line.where} failed ({failed[0]})")
        if restarts:
            notes.append(
                f"the agent at {self.line.where} was started anew {len(restarts)} times: its joules meanwhile are holes"
            )
        if not ahead.consistent:
            notes.append(
                f"the clock of {self.line.where} ran unevenly: it is known within {ahead.half_width_s * 1e3:.0f} ms"
            )
        keep = (here_ns >= start_ns - round(MARGIN_S * 1e9)) & (here_ns <= end_ns + round(MARGIN_S * 1e9))
        curves = tuple(
            curve
            for column, channel in enumerate(self._channels)
            if (curve := _curve(channel, here_ns, energies[:, column], keep, restarts, ahead.half_width_s))
            is not None
        )
        return PowerReadings(
            curves,
            ahead.half_width_s,
            self.period_s,
            tuple(notes),
            f"{self.line.where}, every {self.period_s:g} s, clocks within {ahead.half_width_s * 1e3:.2g} ms",
        )

    def close(self) -> None:
        """End the thread, and hang up."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()
        self.line.close()

    def _run(self) -> None:
        while not self._done.wait(self.period_s):
            self._look()

    def _now(self) -> tuple[int, int]:
        now = time.monotonic_ns()
        return now, now

    def _look(self) -> None:
        with self._lock:
            asked_ns = time.monotonic_ns()
            try:
                answer = self.line.ask("energies")
                heard_ns = time.monotonic_ns()
                self._read(answer, asked_ns, heard_ns)
            except (OSError, TypeError, ValueError) as error:
                self._failed.append(str(error))

    def _read(self, answer: Mapping[str, object], asked_ns: int, heard_ns: int) -> None:
        t_ns, now_ns = number(answer.get("t_ns")), number(answer.get("now_ns"))
        if t_ns is None:
            raise ValueError(text(answer.get("error")) or "it told no energies")
        told = mapping(answer.get("energies_uj"))
        row = [float("nan") if (value := number(told.get(c.id))) is None else value for c in self._channels]
        boot = text(answer.get("boot")) or ""
        if boot != self._boot:  # its energies begin at nothing: go on from where they were
            self._boot = boot
            self._restarts.append(len(self._times))
        if now_ns is not None and heard_ns > asked_ns:
            self._clock.append((asked_ns, heard_ns, int(now_ns)))
        if not self._times or t_ns > self._times[-1] or self._restarts[-1:] == [len(self._times)]:
            self._times.append(int(t_ns))
            self._energies.append(row)


def _offset(clock: list[tuple[int, int, int]]) -> tuple[Ahead, int, int]:
    """How far the other clock is ahead of ours, counted from a moment of ours and one of theirs. Raises ServerError."""
    if not clock:
        raise ServerError(
            "the agent told nothing of its clock", hint="it is an older one: install this version there"
        )
    base_ns, there_ns = clock[0][0], clock[0][2]
    bounds = [
        Bound(
            (asked + heard) / 2e9 - base_ns / 1e9,
            (told - there_ns - heard + base_ns) / 1e9,
            (told - there_ns - asked + base_ns) / 1e9,
        )
        for asked, heard, told in clock
    ]
    return ahead_of(bounds, 0.0, (clock[-1][1] - base_ns) / 1e9), base_ns, there_ns


def _curve(
    channel: Channel, t_ns: Int64, values: np.ndarray, keep: np.ndarray, restarts: list[int], clock_s: float
) -> Curve | None:
    """One channel's curve; holes where the agent was started anew, or its sensor gave nothing."""
    energy = np.array(values, np.float64)
    holes: list[tuple[int, int]] = []
    for at in restarts:
        if 0 < at < len(energy):
            energy[at:] += energy[at - 1] - energy[at]
            holes.append((int(t_ns[at - 1]), int(t_ns[at])))
    known = np.isfinite(energy) & keep
    rows = np.flatnonzero(known)
    if len(rows) < 2:
        return None
    for before, after in zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True):
        if after - before > 1 and not np.isfinite(values[before + 1 : after]).all():
            holes.append((int(t_ns[before]), int(t_ns[after])))
    times, joules = t_ns[rows], np.maximum.accumulate(np.round(energy[rows]).astype(np.int64))
    rising = np.concatenate(([True], np.diff(times) > 0))
    inside = [(a, b) for a, b in sorted(set(holes)) if b > times[0] and a < times[-1]]
    return Curve(
        channel._replace(
            kind="energy",
            wrap_uj=None,
            group="",
            update_period_s=float(np.hypot(channel.update_period_s, 2 * clock_s)),
        ),
        times[rising],
        joules[rising],
        np.array(inside, np.int64).reshape(-1, 2),
    )


def agent_power(address: str) -> AgentPower:
    """The meter at ``agent://host:port`` or ``ssh://user@host``. Raises ConfigError."""
    parts = urllib.parse.urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or host.startswith("-") or any(sign.isspace() for sign in address):
        raise ConfigError(f"{address!r} names no host", hint="agent://host:9464, or ssh://user@host")
    if parts.password:
        raise ConfigError(
            "a password in the address would be kept with the results",
            hint="ssh: a key; agent: ?token_env=NAME",
        )
    fields = dict(urllib.parse.parse_qsl(parts.query))
    if parts.scheme == "ssh":
        user = parts.username or ""
        if fields or user.startswith("-"):
            raise ConfigError(
                f"{address!r} is no address for ssh", hint="ssh://user@host:22/path/to/wattmark"
            )
        program = urllib.parse.unquote(parts.path) if len(parts.path) > 1 else "wattmark"
        import shlex

        command = ["ssh", "-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={TIMEOUT_S:.0f}"]
        command += ["-p", str(port)] if port else []
        command += ["--", f"{user}@{host}" if user else host, f"{shlex.quote(program)} agent --stdio"]
        return AgentPower(ProcessLine(command, f"{parts.scheme}://{host}"))
    if set(fields) - {"token_env"} or parts.path not in ("", "/") or parts.username:
        raise ConfigError(f"{address!r} is no agent's address", hint="agent://host:9464?token_env=NAME")
    name = fields.get("token_env")
    token = os.environ.get(name or "WATTMARK_AGENT_TOKEN", "").strip() or None
    if name and token is None:
        raise ConfigError(f"there is no token in the environment variable {name}", hint=f"export {name}=...")
    scheme = "https" if parts.scheme == "agent+https" else "http"
    shown = f"[{host}]" if ":" in host else host
    return AgentPower(HttpLine(f"{scheme}://{shown}:{port or 9464}", token))
