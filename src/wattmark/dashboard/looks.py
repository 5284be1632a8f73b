"""What event streams tell, asked once for all who listen."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from anyio import CapacityLimiter, to_thread

EVERY_S = 0.5
"""So often what goes on is looked at."""


class Looks:
    """What streams tell: one look serves all that ask for the same, in two threads that nothing else waits for."""

    def __init__(self) -> None:
        self.streams = 0
        self._limiter: CapacityLimiter | None = None
        self._tasks: dict[str, tuple[float, asyncio.Task[tuple[str, str]]]] = {}

    async def tell(self, key: str, look: Callable[[], tuple[str, dict[str, Any]]]) -> tuple[str, str]:
        """The event's name and its text, as of a moment ago."""
        if self._limiter is None:
            self._limiter = CapacityLimiter(2)
        limiter = self._limiter
        begun_s, task = self._tasks.get(key, (0.0, None))
        if task is None or (task.done() and time.monotonic() - begun_s >= 0.9 * EVERY_S):

            def written() -> tuple[str, str]:
                name, data = look()
                return name, f"event: {name}\ndata: {json.dumps(data)}\n\n"

            task = asyncio.ensure_future(to_thread.run_sync(written, limiter=limiter))
            self._tasks = {other: pair for other, pair in self._tasks.items() if not pair[1].done()}
            self._tasks[key] = time.monotonic(), task
        return await asyncio.shield(task)
