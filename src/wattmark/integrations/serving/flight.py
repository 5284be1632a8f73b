"""Whose joules, where several requests go on at once in a process.

The rule: at every moment the joules of the machine are shared equally by the requests in flight in this process. So requests
add up to what the machine used while any of them was in flight. Cost: O(changes + samples) for any number of requests.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np

from wattmark.integrations.training.live import LiveEnergy, energy_until
from wattmark.quantity import Quantity
from wattmark.runs.record import Float64, Int64
from wattmark.runs.view import RunView
from wattmark.tracker.measure import measure
from wattmark.tracker.process import this_process
from wattmark.tracker.run import Run

RUN_S = 1800.0
"""A service goes on for days; so long is one run of it, if there is a moment without requests then."""
MOST_RUN_S = 2 * RUN_S
"""So long at most; requests in flight at its end have no joules."""


class Flight:
    """The requests in flight in this process, and the run that they lie in, which the first of them begins.

    name, tags: of the runs. A forked child has a run of its own. Never raises: what cannot be measured is None.
    """

    def __init__(self, name: str = "service", tags: Mapping[str, object] | None = None) -> None:
        self._name, self._tags = name, {"stage": "inference", **(tags or {})}
        self._lock = threading.RLock()
        self._looking = threading.Lock()
        self._pid = 0
        self._reset()

    def enter(self) -> int:
        """A request begins; when (monotonic ns)."""
        with self._lock:
            self._attend()
            now = time.monotonic_ns()
            self._open.append(now)
            self._changes.append((now, 1))
            return now

    def leave(self, start_ns: int) -> int:
        """It ends; when. start_ns: what :meth:`enter` gave. One that began in another process is left out."""
        now = time.monotonic_ns()
        with self._lock:
            if start_ns in self._open:
                self._open.remove(start_ns)
                self._changes.append((now, -1))
                self._answered += 1
        return now

    def energies(self, intervals: Sequence[tuple[int, int]]) -> list[Quantity | None]:
        """The share of each interval (start and end, monotonic ns) in what the machine used in it; an interval inside a
        request has the request's share of its time. None where nothing was measured."""
        if not intervals:
            return []
        try:
            with self._looking:
                view = self._view_until(max(end for _, end in intervals))
            if view is None:
                return [None] * len(intervals)
            with self._lock:
                changes, before = list(self._changes), self._before
            starts, ends = np.array(intervals, np.int64).T
            shares = shared_j(view, starts, ends, changes, before)
            return [
                _share(view, start, end, share)
                for (start, end), share in zip(intervals, shares.tolist(), strict=True)
            ]
        except Exception as error:  # noqa: BLE001 - measuring never breaks a request
            this_process().warn("flight", f"requests have no joules: {type(error).__name__}: {error}")
            return [None] * len(intervals)

    def forget(self, oldest_ns: int | None = None) -> None:
        """Changes before all that is open, and before ``oldest_ns``, are summed up."""
        with self._lock:
            oldest = min([*self._open, time.monotonic_ns() if oldest_ns is None else oldest_ns])
            past = [change for change in self._changes if change[0] < oldest]
            self._before += sum(step for _, step in past)
            self._changes = self._changes[len(past) :]

    def begin(self) -> None:
        """Begin the run now instead of with the first request, which then need not wait for the recorder's start."""
        with self._lock:
            self._attend()

    def close(self) -> None:
        """End the run; a further request begins another one."""
        with self._lock:
            run, self._run, self._live = self._run, None, None
            if run is None or self._pid != os.getpid():
                return
            if self._all is not None:
                self._all.add(requests=self._answered)
                self._all.stop()
            run.stop()
            if (
                not this_process().windows
            ):  # what the recorder's journal holds is kept by now: the next begins anew
                this_process().end()

    def _reset(self) -> None:
        self._run: Run | None = None
        self._live: LiveEnergy | None = None
        self._view: RunView | None = None
        self._seen_ns = 0
        self._all = None
        self._answered = 0
        self._open: list[int] = []
        self._changes: list[tuple[int, int]] = []
        """When (monotonic ns) a request began (+1) or ended (-1)."""
        self._before = 0
        """Requests in flight before the first of the changes."""

    @property
    def due(self) -> bool:
        """Whether the next request begins a run, which takes a moment."""
        run = self._run
        if run is None or self._pid != os.getpid():
            return True
        age_s = (time.monotonic_ns() - run.start_ns) / 1e9
        return age_s >= (MOST_RUN_S if self._open else RUN_S)

    def _attend(self) -> None:
        """See to it that a run of this process goes on."""
        if not self.due:
            return
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._reset()
        self.close()
        run = self._run = measure(self._name, tags=self._tags).start()
        self._all, self._answered = run.span("requests").start(), 0
        self._live, self._view, self._seen_ns = LiveEnergy(run), None, 0

    def _view_until(self, end_ns: int) -> RunView | None:
        """The run up to a moment or longer: one look serves all requests that ended before it."""
        with self._lock:
            live = self._live if self._pid == os.getpid() else None
        if live is not None and (self._view is None or self._seen_ns < end_ns):
            now = time.monotonic_ns()
            self._view, self._seen_ns = live.view(), now
        return self._view


def shared_j(
    view: RunView, start_ns: Int64, end_ns: Int64, changes: Sequence[tuple[int, int]], before: int
) -> Float64:
    """Joules of intervals, (k,), of a machine whose joules the requests in flight share equally.

    changes: (monotonic ns, +1 or -1) of requests; before: how many were in flight before the first of them.
    """
    ordered = sorted(changes)
    times = np.array([t_ns for t_ns, _ in ordered], np.int64)
    flights = np.concatenate(([before], before + np.cumsum([step for _, step in ordered], dtype=np.int64)))
    edges = np.unique(np.concatenate((times, start_ns, end_ns)))
    if len(edges) < 2:
        return np.zeros(len(start_ns))
    energies = view.between(edges[:-1], edges[1:]).values()
    joules = np.sum([energy.value_j for energy in energies], axis=0) if energies else np.zeros(len(edges) - 1)
    count = np.maximum(flights[np.searchsorted(times, edges[:-1], side="right")], 1)
    so_far = np.concatenate(([0.0], np.cumsum(joules / count)))
    return so_far[np.searchsorted(edges, end_ns)] - so_far[np.searchsorted(edges, start_ns)]


def _share(view: RunView, start_ns: int, end_ns: int, share_j: float) -> Quantity | None:
    if start_ns < view.record.start_ns:
        return None  # it began in an earlier run
    whole = energy_until(view, start_ns, end_ns)
    return None if whole is None or whole.value <= 0 else whole * (share_j / whole.value)
