"""One source inside the recorder: when it is read, and how its readings become journal records.

Standard library only.
"""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from wattmark.errors import SourceError
from wattmark.recorder import journal
from wattmark.recorder.unwrap import curve_for
from wattmark.sources.base import COMPONENTS, Channel, Source

Event = tuple[str, int, str, dict[str, Any]]

_NS = 1_000_000_000
MAX_SHARE = 0.05
"""Reading one source may take this share of one core; a slower one is read less often."""
FRESH_NS = 300_000
"""A reading this young is not repeated for a poke."""


RECENT = 8
"""A source is slow if the quickest of this many readings was: a busy machine alone makes some of them late."""
WRAP_SHARE = 0.25
MIN_PERIOD_S = 0.001


def _wrap_period_s(channels: Sequence[Channel]) -> float:
    """How often counters must be read so that none goes round unseen, at a quarter of the least time that this takes."""
    turns = [
        one.wrap_uj * 1e-6 / one.max_power_w for one in channels if one.kind == "counter" and one.wrap_uj
    ]
    return max(WRAP_SHARE * min(turns, default=float("inf")), MIN_PERIOD_S)


class Group:
    """The channels and side series of one opened source, read together."""

    def __init__(self, index: int, source: Source, channels: Sequence[Channel], period_s: float) -> None:
        self.source = source
        self.index = index
        self.channels = tuple(channels)
        # where each channel adds to on the live page: the index of its component, or -1
        self.places = [COMPONENTS.index(one.component) if one.counted else -1 for one in self.channels]
        self.period_ns = int(min(max(period_s, source.period_s), _wrap_period_s(channels)) * _NS)
        self.curves = [curve_for(channel, self.period_ns / _NS) for channel in channels]
        self.due_ns = 0
        self.t_ns = 0
        self.ended = False
        self.latest_uj = [journal.MISSING] * len(self.channels)
        self._events: list[Event] = []
        # what a source has to say of itself, with its time
        self._told: list[Event] = getattr(source, "events", [])
        self._body = struct.Struct(f"<{len(self.channels)}q")
        self._series = struct.Struct(f"<{len(source.series)}f")
        self._costs_ns: deque[int] = deque(maxlen=RECENT)
        self._failing = False

    def describe(self) -> dict[str, Any]:
        """For the journal's header."""
        return {
            "index": self.index,
            "source": self.source.name,
            "period_s": self.period_ns / _NS,
            "channels": [channel.to_dict() for channel in self.channels],
            "series": [series.to_dict() for series in self.source.series],
        }

    def read(self) -> bytes:
        """Read the source once; the framed records of it (empty if the last reading is a moment old)."""
        before = time.monotonic_ns()
        if before - self.t_ns < FRESH_NS and self.period_ns > FRESH_NS:
            return b""
        values = self.source.read()
        after = time.monotonic_ns()
        self._failing = False
        t_ns = max((before + after) // 2, self.t_ns + 1)
        self.t_ns = t_ns
        self._costs_ns.append(after - before)
        energies = self.latest_uj
        for position, curve in enumerate(self.curves):
            cumulative = curve.feed(t_ns, values[position])  # pyright: ignore[reportArgumentType] its kind says int or float
            energies[position] = journal.MISSING if cumulative is None else cumulative
            if curve.events:
                self._events.extend(
                    (code, at, message, {"channel": self.channels[position].id, **data})
                    for code, at, message, data in curve.events
                )
                curve.events.clear()
        if self._told:
            self._events += self._told
            self._told.clear()
        record = b""
        if energies:
            width = min(after - before, 0xFFFFFFFF)
            record = journal.encode(
                journal.SAMPLE,
                journal.SAMPLE_HEAD.pack(self.index, t_ns, width) + self._body.pack(*energies),
            )
        if self.source.series:
            side = [float("nan") if value is None else value for value in values[len(self.channels) :]]
            record += journal.encode(
                journal.SERIES, journal.SERIES_HEAD.pack(self.index, t_ns) + self._series.pack(*side)
            )
        return record

    def probe(self) -> None:
        """Read the source without a record: whether its counters move."""
        try:
            values = self.source.read()
        except SourceError:
            return
        t_ns = max(time.monotonic_ns(), self.t_ns + 1)
        self.t_ns = t_ns
        for position, curve in enumerate(self.curves):
            curve.feed(t_ns, values[position])  # pyright: ignore[reportArgumentType] its kind says int or float

    def missed(self, t_ns: int, message: str) -> None:
        """A reading that failed as a whole."""
        self.latest_uj[:] = [journal.MISSING] * len(self.channels)
        if self._failing:
            return
        self._failing = True
        self._events.append(("reading-failed", t_ns, message, {"source": self.source.name}))

    def schedule(self, asked_ns: int, now: int) -> None:
        """After a reading asked for at ``asked_ns``: the next due time, on the old grid unless that was missed."""
        cost_ns = min(self._costs_ns) if len(self._costs_ns) == RECENT else 0
        if cost_ns > MAX_SHARE * self.period_ns and self.period_ns < _NS:
            self.period_ns = min(_NS, int(cost_ns / MAX_SHARE) + 1)
            self._events.append(
                (
                    "read-slower",
                    now,
                    f"{self.source.name} takes {cost_ns / 1e6:.1f} ms to read, "
                    f"so it is read every {self.period_ns / 1e6:.0f} ms",
                    {"source": self.source.name},
                )
            )
        if asked_ns >= self.due_ns:
            self.due_ns += self.period_ns
        if self.due_ns <= now:
            self.due_ns = now + self.period_ns

    def take_events(self) -> list[Event]:
        """What happened since the last call."""
        if not self._events:
            return []
        events, self._events = self._events, []
        return events
