"""Which windows of a session are runs: those that lie inside no other one.

A window may have begun inside another one and yet outlast it (tasks, threads, children that were left behind). Then it
is a run of its own, and both say that they overlap. Only ranks of one job prolong one another's run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from wattmark.recorder.launch import CHILD, RANK
from wattmark.runs.reading.entries import Opening
from wattmark.runs.reading.journals import ProcessEvents


@dataclass(slots=True)
class Window:
    """One measured interval; ``end_ns`` is infinite while it goes on.

    ``parts`` are the windows of other ranks that belong to this run.
    """

    opened: Opening
    events: ProcessEvents
    start_ns: int
    end_ns: float
    closed: bool
    parts: list[Window] = field(default_factory=list["Window"])

    @property
    def run_id(self) -> str:
        """The id that it has as a run."""
        return self.opened["run_id"]

    @property
    def joined(self) -> str:
        """How its process came to the session: as a child, as a rank, or as the one that began it."""
        return str(self.events.header.get("joined") or "")

    def holds(self, other: Window) -> bool:
        """Whether another one lies in this one."""
        return self.start_ns <= other.start_ns and other.end_ns <= self.end_ns

    def overlap_ns(self, other: Window) -> float:
        """How long both went on."""
        return min(self.end_ns, other.end_ns) - max(self.start_ns, other.start_ns)


class Windows:
    """All windows of a session, and which run each belongs to.

    last_ns: when the last thing was written, by process; what had no end when its process died lasted until then.
    """

    def __init__(
        self, processes: Sequence[ProcessEvents], living: Iterable[int], last_ns: dict[int, int]
    ) -> None:
        lives = frozenset(living)
        self._by_id: dict[str, Window] = {}
        for events in processes:
            for opened in (*events.runs, *events.windows):
                end = events.run_ends.get(opened["run_id"])
                start_ns = int(opened["t_ns"])
                if end is not None:
                    end_ns = float(end["t_ns"])
                else:
                    end_ns = math.inf if events.pid in lives else float(last_ns.get(events.pid, start_ns))
                self._by_id[opened["run_id"]] = Window(
                    opened, events, start_ns, max(end_ns, start_ns), end is not None
                )
        self._roots: dict[str, Window | None] = {}
        leaders = [window for window in self._by_id.values() if window.joined != RANK]
        for window in self._by_id.values():
            if window.joined == RANK and not self._has_enclosing(window):
                leader = max(leaders, key=window.overlap_ns, default=None)
                if leader is not None and window.overlap_ns(leader) > 0:
                    self._roots[window.run_id] = root = self.root(leader.run_id)
                    if root is not None:
                        root.parts.append(window)
                elif not window.closed and any(
                    events.pid in lives for events in processes if not joined(events)
                ):
                    self._roots[window.run_id] = None  # the leading rank may be about to begin

    def runs(self) -> list[Window]:
        """Those that are runs, in the order in which they began."""
        own = [window for window in self._by_id.values() if self.root(window.run_id) is window]
        return sorted(own, key=lambda window: window.start_ns)

    def root(self, run_id: str) -> Window | None:
        """The run that a window belongs to: itself, or the one that it lies in; None if that is not known (yet)."""
        window = self._by_id.get(run_id)
        if window is None:
            return None
        if run_id not in self._roots:
            self._roots[run_id] = window  # ends a circle, which only damage can make
            around = self._enclosing(window)
            if around is not None:
                self._roots[run_id] = self.root(around.run_id)
        return self._roots[run_id]

    def around(self, run_id: str) -> set[str]:
        """All windows that one began in, outlasted or not."""
        passed: set[str] = set()
        window = self._by_id.get(run_id)
        while window is not None and window.run_id not in passed:
            passed.add(window.run_id)
            window = self._by_id.get(window.opened.get("inside") or "")
        return passed

    def beside(self, run: Window) -> list[Window]:
        """The other runs of the session that overlap with one."""
        return [other for other in self.runs() if other is not run and run.overlap_ns(other) > 0]

    def _has_enclosing(self, window: Window) -> bool:
        return self._enclosing(window) is not None

    def _enclosing(self, window: Window) -> Window | None:
        """The innermost window that it began in and does not outlast."""
        passed: set[str] = set()
        around = self._by_id.get(window.opened.get("inside") or "")
        while around is not None and around.run_id not in passed:
            if around.holds(window):
                return around
            passed.add(around.run_id)
            around = self._by_id.get(around.opened.get("inside") or "")
        if window.joined == CHILD:  # of a pool that is older than the run which it works for
            held = [other for other in self._by_id.values() if not other.joined and other.holds(window)]
            return max(held, key=lambda other: other.start_ns, default=None)
        return None


def joined(events: ProcessEvents) -> str:
    """How a process came to its session; empty for the one that began it."""
    return str(events.header.get("joined") or "")
