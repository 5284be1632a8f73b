"""Calls of one event loop that end with the load that they serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Any


class Timers:
    """Delayed calls, none of which is made once ``finished`` is done. start_ns: when the load began."""

    def __init__(self, loop: asyncio.AbstractEventLoop, finished: asyncio.Future[None]) -> None:
        self.start_ns = 0
        self._loop, self._finished = loop, finished
        self._handles: set[asyncio.TimerHandle] = set()

    def later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call once, after so many seconds."""

        def fire() -> None:
            self._handles.discard(handle)
            if not self._finished.done():
                call(*arguments)

        handle = self._loop.call_later(delay_s, fire)
        self._handles.add(handle)

    def at(self, offset_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call at so many seconds after the start of the load; never for infinity."""
        if offset_s != float("inf"):
            delay_s = offset_s - (monotonic_ns() - self.start_ns) / 1e9
            self.later(max(0.0, delay_s), call, *arguments)

    def every(self, period_s: float, call: Callable[[], None]) -> None:
        """Call again and again, first after one period."""

        def again() -> None:
            call()
            self.later(period_s, again)

        self.later(period_s, again)

    def after_pause(self, pause_s: float, call: Callable[..., None], *arguments: Any) -> None:
        """Call after a pause; without one, as soon as the callback that runs has returned."""
        if pause_s > 0:
            self.later(pause_s, call, *arguments)
        else:
            self._loop.call_soon(call, *arguments)

    def cancel(self) -> None:
        """Make none of the calls that are left."""
        for handle in self._handles:
            handle.cancel()
