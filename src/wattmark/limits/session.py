"""Setting caps from a program: :class:`Caps`, whose keeper puts the old ones back whatever becomes of this process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType

from wattmark.documents import items, mapping, number, text
from wattmark.limits.base import LimitError, PowerLimit
from wattmark.limits.keeper import KINDS
from wattmark.limits.restoring import put_back
from wattmark.recorder import tree
from wattmark.recorder.launch import new_session_id
from wattmark.sources.base import Host

_BOOT = (
    "import sys,json;sys.path[:]=json.loads(sys.argv.pop(1));"
    "from wattmark.limits.keeper import main;sys.exit(main(sys.argv[1:]))"
)


class KeeperLost(LimitError):
    """The keeper was killed; the old caps were put back by this process instead."""


class Caps:
    """The caps of some devices, for the time of a ``with`` block.

    ``with Caps(limits) as caps: caps.set(150.0)``. ``caps.keep()`` at the end leaves the last cap in force. Entering raises
    MayNotCap where this user may not, or another process holds a device.
    """

    def __init__(self, limits: Sequence[PowerLimit], host: Host | None = None) -> None:
        self.limits = tuple(limits)
        self.name = f"{new_session_id()}-{os.getpid()}"
        self.lines: list[str] = []
        """What was put back, and what was in the way, once it is over."""
        self._host = host or Host.here()
        self._process: subprocess.Popen[bytes] | None = None
        self._keep = False

    @property
    def keeper_pid(self) -> int:
        """The keeper's process; 0 where none runs."""
        return self._process.pid if self._process is not None else 0

    @property
    def alive(self) -> bool:
        """Whether the keeper lives."""
        return self._process is not None and self._process.poll() is None

    def set(self, cap_w: float | None) -> float | None:
        """Cap every device to ``cap_w`` W (None: as it was before), and give the least W in force then, as the drivers say;
        None where there is no limit. Raises LimitError; KeeperLost."""
        answer = self._ask({"do": "set", "cap_w": cap_w})
        applied = [
            value for one in mapping(answer.get("applied")).values() if (value := number(one)) is not None
        ]
        return min(applied) if applied else None

    def keep(self) -> None:
        """Leave the cap that is in force when this is over."""
        self._keep = True

    def check(self) -> None:
        """Raises KeeperLost where the keeper was killed: the old caps are back then."""
        if not self.alive:
            self._lost()

    def __enter__(self) -> Caps:
        me = os.getpid()
        options = {name: dict(table) for name, table in self._host.options.items()}
        words = [self.name, str(me), str(tree.start_ticks(me) or 0), json.dumps(options)]
        paths = [path for path in sys.path if path] or sys.path
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(paths), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._ask({"do": "take", "keys": [limit.key for limit in self.limits]})
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        keep = self._keep and error is None
        try:
            answer = self._ask({"do": "release", "keep": keep})
            self.lines += [line for item in items(answer.get("lines")) if (line := text(item)) is not None]
        except KeeperLost as lost:
            if error is None:
                raise
            self.lines.append(str(lost))
        finally:
            self._end()

    def _ask(self, question: dict[str, object]) -> dict[str, object]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise LimitError("no caps are held: use it in a with block")
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        if not line:
            self._lost()
        answer = dict(mapping(json.loads(line)))
        error = text(answer.get("error"))
        if error is not None:
            raise KINDS.get(str(answer.get("kind")), LimitError)(error, hint=text(answer.get("hint")))
        return answer

    def _lost(self) -> None:
        if self._process is not None:
            self._process.wait()
        lines = put_back(only=self.name)
        self.lines += lines
        raise KeeperLost(
            "the process that keeps the old power caps was killed"
            + (f"; {'; '.join(lines)}" if lines else ""),
            hint="try again; do not end the keeper",
        )

    def _end(self) -> None:
        """Close the pipe: a keeper that still lives puts back and ends."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.lines.append("the keeper of the caps does not end; it puts them back when it can")
