"""The live line of ``wattmark run``: watts, joules and elapsed time on one line of the terminal."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable

from wattmark.recorder.launch import Session
from wattmark.units import format_duration, format_energy, format_power

WINDOW_S = 1.0


class LiveLine:
    """Reads the session's live page; draws over itself, on standard error.

    more: what stands behind the watts and joules. put: draws a line in another way; ``clear`` then is theirs.
    """

    def __init__(
        self,
        session: Session,
        more: Callable[[], str] | None = None,
        put: Callable[[str], None] | None = None,
    ) -> None:
        self._more, self._put = more, put
        self._live = session.live
        start = self._live.read()
        self._start_ns = time.monotonic_ns()
        self._start_j = start.energy_j
        self._seen: deque[tuple[int, float]] = deque()
        self._shown = False

    def draw(self) -> None:
        """Show how things stand now."""
        now = self._live.read()
        parts = [format_duration((time.monotonic_ns() - self._start_ns) / 1e9)]
        if now.energy_j is not None:
            if self._start_j is None:
                self._start_j = now.energy_j
            parts.insert(0, format_energy(now.energy_j - self._start_j))
            power = self._power(now.t_ns, now.energy_j)
            if power is not None:
                parts.insert(0, format_power(power))
        if self._more is not None:
            parts += filter(None, [self._more()])
        if self._put is not None:
            self._put("⚡ " + " · ".join(parts))
            return
        width = os.get_terminal_size(2).columns or 80  # 0 where the terminal does not say
        line = ("⚡ " + " · ".join(parts))[: width - 2]
        sys.stderr.write(f"\r\x1b[2K{line}")
        sys.stderr.flush()
        self._shown = True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._shown = False

    def _power(self, t_ns: int, energy_j: float) -> float | None:
        """Mean watts over the last second or so."""
        if not self._seen or t_ns > self._seen[-1][0]:
            self._seen.append((t_ns, energy_j))
        while len(self._seen) > 2 and t_ns - self._seen[1][0] >= WINDOW_S * 1e9:
            self._seen.popleft()
        first = self._seen[0]
        return None if t_ns <= first[0] else (energy_j - first[1]) / (t_ns - first[0]) * 1e9
