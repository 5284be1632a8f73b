"""When conversations begin: at the times of an open loop, or as the users of a closed loop become free."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from time import monotonic_ns

from wattmark.serving.load.arrivals import Arrivals, ClosedLoop, OpenArrivals
from wattmark.serving.load.generator.timers import Timers
from wattmark.serving.load.records import RequestRecord

BURST = 64
"""Requests sent before answers are looked at again, when the generator is behind."""
BACKOFF_S = (0.05, 2.0)
"""A closed loop's pause after a first failure, and its longest; doubled each time. Without it a server that refuses
connections would be asked thousands of times a second."""
LONGEST_WAIT_S = 300.0
"""A closed loop waits no longer than this, whatever a server says in Retry-After."""
THROTTLED_S = 1.0
"""A closed loop's pause after 429 without Retry-After."""

Begin = Callable[[int | None], None]
"""Begins the next conversation; the argument is when it was due (monotonic ns), or None for now."""


class OpenSchedule:
    """Conversations at given times, whatever the server does. exhausted: called when no arrival is left. most: conversations
    under way at once, if there is a cap; arrivals beyond it wait for a place, and stay due when they were due."""

    def __init__(
        self,
        arrivals: OpenArrivals,
        timers: Timers,
        begin: Begin,
        exhausted: Callable[[], None],
        most: int | None = None,
    ) -> None:
        self.open = True
        self._most, self._under_way, self._waiting = most, 0, False
        self._arrivals, self._timers, self._begin, self._exhausted = arrivals, timers, begin, exhausted
        self._offsets: Iterator[float] = iter(())
        self._next_ns = 0

    def start(self) -> None:
        """Wait for the first arrival."""
        self._offsets = self._arrivals.offsets_s()
        if self._draw():
            self._wait()

    def free(self, record: RequestRecord, failures_in_row: int) -> None:
        """An open loop does not wait for answers, but for a place if it has a cap."""
        self._under_way -= 1
        if self._waiting:
            self._waiting = False
            self._timers.after_pause(0.0, self._arrive)

    def _draw(self) -> bool:
        offset = next(self._offsets, None)
        if offset is None:
            self._exhausted()
            return False
        self._next_ns = self._timers.start_ns + int(offset * 1e9)
        return True

    def _wait(self) -> None:
        self._timers.later(max(0.0, (self._next_ns - monotonic_ns()) / 1e9), self._arrive)

    def _arrive(self) -> None:
        """Begin all that is due; what is not yet due waits for the clock, and nothing waits for an answer."""
        for _ in range(BURST):
            if not self.open:
                return
            if self._next_ns > monotonic_ns():
                break
            if self._most is not None and self._under_way >= self._most:
                self._waiting = True
                return
            self._under_way += 1
            self._begin(self._next_ns)
            if not self._draw():
                return
        self._wait()


class ClosedSchedule:
    """So many users at a time, each beginning anew when its conversation ends. emptied: called when none is left."""

    def __init__(
        self, arrivals: ClosedLoop, timers: Timers, begin: Begin, emptied: Callable[[], None]
    ) -> None:
        self.open = True
        self._arrivals, self._timers, self._begin, self._emptied = arrivals, timers, begin, emptied
        self._dice = random.Random(arrivals.seed)
        self._users = self._users_wanted = 0

    def start(self) -> None:
        """Bring in the first users, and wait for the changes of their number."""
        loop = self._arrivals
        for place, (at_s, users) in enumerate(loop.changes()):
            if place == 0 and loop.ramp_s:
                self._users_wanted = users
                for user in range(users):
                    self._timers.at(loop.ramp_s * user / users, self._add_user)
            else:
                self._timers.at(at_s, self._set_users, users)

    def free(self, record: RequestRecord, failures_in_row: int) -> None:
        """A user is free after this request: the next conversation takes the place, after a pause if there is one."""
        if self._users > self._users_wanted or not self.open:
            self._users -= 1
            return
        think_s = self._arrivals.think_time_s
        pause_s = self._dice.expovariate(1 / think_s) if think_s else 0.0
        if record.retry_after_s is not None and not record.ok:  # 429, and 503 of servers that are starting
            pause_s = max(pause_s, min(LONGEST_WAIT_S, record.retry_after_s))
        elif record.outcome == "throttled":
            pause_s = max(pause_s, THROTTLED_S)
        elif not record.ok:
            least_s, most_s = BACKOFF_S
            rounds = min(16, failures_in_row // max(1, self._users))
            pause_s = max(pause_s, min(most_s, least_s * 2**rounds))
        self._timers.after_pause(pause_s, self._begin, None)

    def _set_users(self, users: int) -> None:
        self._users_wanted = users
        if users == 0:
            self._emptied()
        while self._users < users and self.open:
            self._add_user()

    def _add_user(self) -> None:
        if self.open:
            self._users += 1
            self._begin(None)


def schedule_of(
    arrivals: Arrivals,
    timers: Timers,
    begin: Begin,
    *,
    exhausted: Callable[[], None],
    emptied: Callable[[], None],
    most: int | None = None,
) -> OpenSchedule | ClosedSchedule:
    """The schedule of these arrivals; it begins nothing before its ``start``. most: the cap of an open loop."""
    if isinstance(arrivals, ClosedLoop):
        return ClosedSchedule(arrivals, timers, begin, emptied)
    return OpenSchedule(arrivals, timers, begin, exhausted, most)
