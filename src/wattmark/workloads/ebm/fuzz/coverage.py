"""Which branches of a parser ran: pairs of lines that followed one another, seen by ``sys.settrace``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import TraceFunction

Branch = tuple[str, int, int]
"""File, line left, line reached."""


class Branches:
    """Calls functions and collects the branches that ran in files whose path holds one of ``files``."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = tuple(files)
        self._own: dict[str, bool] = {}
        self._now: set[Branch] = set()
        self._last: dict[int, int] = {}

    def of(self, work: Callable[[bytes], object], data: bytes) -> tuple[set[Branch], Exception | None]:
        """The branches of ``work(data)``, and what it raised."""
        self._now, self._last = set(), {}
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            work(data)
        except Exception as error:  # noqa: BLE001  whatever a parser raises is what is looked for
            return self._now, error
        finally:
            sys.settrace(before)
        return self._now, None

    def _called(self, frame: FrameType, _event: str, _argument: object) -> TraceFunction | None:
        name = frame.f_code.co_filename
        own = self._own.get(name)
        if own is None:
            own = self._own[name] = any(part in name for part in self._files)
        if not own:
            return None
        self._last[id(frame)] = frame.f_code.co_firstlineno
        return self._ran

    def _ran(self, frame: FrameType, event: str, _argument: object) -> TraceFunction:
        if event == "line":
            key, line = id(frame), frame.f_lineno
            self._now.add((frame.f_code.co_filename, self._last.get(key, 0), line))
            self._last[key] = line
        return self._ran
