"""The live page: the latest cumulative energies in one small memory-mapped file.

The recorder writes it at every tick, anyone may map and read it; a read takes well under a microsecond and no system
call. A sequence number that is odd while a write goes on tells a reader to read again. Standard library only.
"""

from __future__ import annotations

import mmap
import os
import struct

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Sequence

STARTING, RUNNING, ENDED = 0, 1, 2

_MAGIC = b"WMLIVE01"
_HEAD = struct.Struct("<8sQIIIqQ")  # magic, sequence, state, recorder pid, channels, t_ns, commands done
_SEQUENCE = struct.Struct("<Q")
_SEQUENCE_AT = 8
_BODY_AT = _HEAD.size
_UNKNOWN = -1
FILE = "live"


class Live:
    """What the page says. Energies are cumulative joules since the recorder started, None where unknown."""

    __slots__ = (
        "by_component_j",
        "channels_uj",
        "commands_done",
        "energy_j",
        "recorder_pid",
        "state",
        "t_ns",
    )

    def __init__(
        self,
        state: int,
        recorder_pid: int,
        t_ns: int,
        commands_done: int,
        energy_j: float | None,
        by_component_j: dict[str, float],
        channels_uj: tuple[int, ...],
    ) -> None:
        self.state = state
        self.recorder_pid = recorder_pid
        self.t_ns = t_ns
        self.commands_done = commands_done
        self.energy_j = energy_j
        self.by_component_j = by_component_j
        self.channels_uj = channels_uj


class LivePage:
    """The recorder's side: create and publish."""

    def __init__(self, folder: str, channels: int) -> None:
        self._body = _body(channels)
        self.channels = channels
        """How many channels it has room for: those of the sources that were there when the recorder began."""
        size = max(4096, _BODY_AT + self._body.size)
        path = f"{folder}/{FILE}"
        fd = os.open(f"{path}.new", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, size)
            self._map = mmap.mmap(fd, size)
        finally:
            os.close(fd)
        self._sequence = 0
        self._pid = os.getpid()
        _HEAD.pack_into(self._map, 0, _MAGIC, 0, STARTING, self._pid, channels, 0, 0)
        os.rename(f"{path}.new", path)

    def publish(
        self,
        state: int,
        t_ns: int,
        commands_done: int,
        total_uj: int | None,
        component_uj: Sequence[int | None],
        channels_uj: Sequence[int],
    ) -> None:
        """Replace the page's content."""
        page = self._map
        _SEQUENCE.pack_into(page, _SEQUENCE_AT, self._sequence + 1)
        self._sequence += 2
        body = [_UNKNOWN if value is None else value for value in (total_uj, *component_uj)]
        self._body.pack_into(page, _BODY_AT, *body, *channels_uj)
        _HEAD.pack_into(page, 0, _MAGIC, self._sequence, state, self._pid, self.channels, t_ns, commands_done)


class LiveReader:
    """Anyone's side: map the page once, read it as often as wanted."""

    def __init__(self, folder: str) -> None:
        fd = os.open(f"{folder}/{FILE}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
        finally:
            os.close(fd)
        self._body: struct.Struct | None = None

    def read(self) -> Live:
        """The latest state, never torn."""
        from wattmark.sources.base import COMPONENTS  # not needed to start a recorder

        if self._body is None:
            self._body = _body(_HEAD.unpack_from(self._map, 0)[4])
        while True:
            head = _HEAD.unpack_from(self._map, 0)
            body = self._body.unpack_from(self._map, _BODY_AT)
            if head[1] % 2 == 0 and _SEQUENCE.unpack_from(self._map, _SEQUENCE_AT)[0] == head[1]:
                break
        _, _, state, pid, _, t_ns, done = head
        by_component = {
            name: value / 1e6
            for name, value in zip(COMPONENTS, body[1 : 1 + len(COMPONENTS)], strict=True)
            if value != _UNKNOWN
        }
        total = None if body[0] == _UNKNOWN else body[0] / 1e6
        return Live(state, pid, t_ns, done, total, by_component, body[1 + len(COMPONENTS) :])

    def state(self) -> tuple[int, int]:
        """State and number of commands done, the cheapest look."""
        head = _HEAD.unpack_from(self._map, 0)
        return head[2], head[6]

    def recorder_pid(self) -> int:
        """The recorder's process."""
        return _HEAD.unpack_from(self._map, 0)[3]

    def close(self) -> None:
        """Unmap the page."""
        self._map.close()


def _body(channels: int) -> struct.Struct:
    from wattmark.sources.base import COMPONENTS

    return struct.Struct(f"<{1 + len(COMPONENTS) + channels}q")
