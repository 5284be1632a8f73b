"""Energy curves of a run that goes on: its recorder's journal, read on from look to look, and its live page."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from wattmark.cli.top.state import Component
from wattmark.documents import mappings, number
from wattmark.quantity import Quantity, total
from wattmark.recorder import journal
from wattmark.recorder.live import Live
from wattmark.runs.record import Float64, Int64
from wattmark.sources.base import COMPONENTS, Channel

WINDOW_S = 1.0
STALE_S = 3.0
"""A counter that has not moved for so long (or five of its periods) says nothing of the power now."""
HISTORY_S = 120
_METHODS = {"counter": "measured", "integrated": "measured", "modelled": "modelled"}


class Curves:
    """The channels of a session that count, and one of each component of which none does."""

    def __init__(self, folder: str) -> None:
        self.channels: list[_Curve] = []
        self._folder = folder
        self._segment = 0
        self._offset = 0
        self._origin_ns = 0
        self._beside: list[_Curve] = []
        self._groups: list[tuple[struct.Struct, list[_Curve | None]]] = []

    def look(self, live: Live | None) -> None:
        """Read on in the recorder's journal, and take what the live page says as the end of the curves for now."""
        while self._read_on():
            pass
        if live is None or not self._origin_ns:
            return
        places = [curve for _, curves in self._groups for curve in curves]
        for curve, energy_uj in zip(places, live.channels_uj, strict=False):
            if curve is not None and energy_uj != journal.MISSING:
                curve.set_tip(self._second(live.t_ns), energy_uj / 1e6)

    def _read_on(self) -> bool:
        """Take in what is new of a segment; whether there may be another one."""
        try:
            with open(f"{self._folder}/recorder-{self._segment:06d}{journal.SUFFIX}", "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return False  # not there yet, or read into the store meanwhile: what was seen stands
        for record in journal.decode(data):
            self._offset += journal.PREFIX_BYTES + len(record.payload)
            if record.type == journal.SAMPLE:
                self._add(record.payload)
            elif record.type == journal.GROUPS or (record.type == journal.HEADER and not self._groups):
                self._open(mappings(record.json()["groups"]))
        following = Path(f"{self._folder}/recorder-{self._segment + 1:06d}{journal.SUFFIX}")
        if not following.exists():
            return False
        self._segment, self._offset = self._segment + 1, 0
        return True

    def _open(self, groups: list[Mapping[str, object]]) -> None:
        channels = [[Channel.from_dict(item) for item in mappings(group["channels"])] for group in groups]
        counted = {member.component for group in channels for member in group if member.counted}
        for group, members in zip(groups, channels, strict=True):
            curves: list[_Curve | None] = []
            for channel in members:
                beside = channel.component not in counted and not channel.inside and not channel.copy_of
                curve = (
                    _Curve(channel, number(group["period_s"]) or 0.1) if channel.counted or beside else None
                )
                curves.append(curve)
                if curve is not None:
                    (self.channels if channel.counted else self._beside).append(curve)
            self._groups.append((struct.Struct(f"<{len(curves)}q"), curves))

    def _add(self, payload: memoryview | bytes) -> None:
        index: int
        index, t_ns, _ = journal.SAMPLE_HEAD.unpack_from(payload)
        if not self._origin_ns:
            self._origin_ns = t_ns
        body, curves = self._groups[index]
        for curve, energy_uj in zip(curves, body.unpack_from(payload, journal.SAMPLE_HEAD.size), strict=True):
            if curve is not None and energy_uj != journal.MISSING:
                curve.add(self._second(t_ns), energy_uj / 1e6)

    def _second(self, t_ns: int) -> float:
        return (t_ns - self._origin_ns) / 1e9

    def between(self, start_ns: int, end_ns: int) -> float | None:
        """Joules of all that is counted."""
        energies_j = self.energies_j(np.array([start_ns]), np.array([end_ns]))
        return None if energies_j is None else float(energies_j[0])

    def energies_j(self, start_ns: Int64, end_ns: Int64) -> Float64 | None:
        """Joules of many intervals, (k,) float64; None if nothing is known."""
        curves = [curve for curve in self.channels if curve.size > 1]
        if not curves:
            return None
        a, b = self._seconds(start_ns), self._seconds(end_ns)
        return np.sum([curve.at(b) - curve.at(a) for curve in curves], axis=0)

    def readings(self, start_ns: int, end_ns: int) -> int:
        """How many readings of the most read channel fall into an interval."""
        a, b = ((t_ns - self._origin_ns) / 1e9 for t_ns in (start_ns, end_ns))
        return max((curve.count(a, b) for curve in self.channels), default=0)

    def components(self, start_ns: int, now_ns: int) -> Iterator[Component]:
        """Each component since ``start_ns``."""
        start, now = ((t_ns - self._origin_ns) / 1e9 for t_ns in (start_ns, now_ns))
        seconds = np.arange(max(int(now) - HISTORY_S, int(start)), int(now) + 2, dtype=np.float64)
        edges = np.unique(np.clip(seconds, start, now))
        for name in COMPONENTS:
            curves = [curve for curve in self.channels if curve.channel.component == name]
            beside = [curve for curve in self._beside if curve.channel.component == name][:1]
            counted = bool(curves)
            curves = curves or beside
            if not curves:
                continue
            powers = [curve.power_w(now, start) for curve in curves]
            powers_w = [power for power in powers if power is not None]
            energies = [curve.quantity(start, now) for curve in curves if curve.size > 1]
            methods = sorted({_METHODS[curve.channel.method] for curve in curves})
            sources = sorted({curve.channel.source for curve in curves})
            yield Component(
                name=name,
                power_w=sum(powers_w) if powers_w and len(powers_w) == len(powers) else None,
                energy=total(energies),
                how=f"{' and '.join(methods)} ({', '.join(sources)})",
                counted=counted,
                modelled="modelled" in methods,
                history_w=tuple(np.sum([curve.powers_w(edges) for curve in curves], axis=0).tolist())
                if len(edges) > 1
                else (),
            )

    def _seconds(self, t_ns: Int64) -> Float64:
        return (t_ns - self._origin_ns) / 1e9


class _Curve:
    """One channel: seconds since the session's first reading, joules; it grows. Its last point may be the live page's."""

    def __init__(self, channel: Channel, period_s: float) -> None:
        self.channel = channel
        self.size = 0
        self._kept = 0
        self._moved_s = 0.0
        self._patience_s = max(STALE_S, 5 * period_s)
        self._window_s = max(WINDOW_S, 2 * period_s)
        self._points: Float64 = np.empty((2, 1024))

    def add(self, t_s: float, energy_j: float) -> None:
        """A reading of the journal, in the place of what the live page said last."""
        if self._put(t_s, energy_j):
            self._kept += 1
        self.size = self._kept

    def set_tip(self, t_s: float, energy_j: float) -> None:
        """What the live page says, until the journal says it too."""
        self.size = self._kept + self._put(t_s, energy_j)

    def _put(self, t_s: float, energy_j: float) -> bool:
        """Write a point after the kept ones; False if it is not later than those."""
        last = self._kept - 1
        if last >= 0 and t_s <= self._points[0, last]:
            return False
        if self._kept == self._points.shape[1]:
            self._points = np.pad(self._points, ((0, 0), (0, self._kept)))
        if last < 0 or energy_j > self._points[1, last]:
            self._moved_s = t_s
        self._points[:, self._kept] = t_s, max(energy_j, self._points[1, last] if last >= 0 else energy_j)
        return True

    def at(self, t_s: Float64) -> Float64:
        """Joules at these times, (k,) float64; the ends hold beyond the ends."""
        return np.interp(t_s, self._points[0, : self.size], self._points[1, : self.size])

    def count(self, start_s: float, end_s: float) -> int:
        """Readings in an interval."""
        return int(np.subtract(*np.searchsorted(self._points[0, : self._kept], (end_s, start_s))))

    def quantity(self, start_s: float, end_s: float) -> Quantity:
        """Joules with the interval that the sensor's accuracy gives them."""
        a, b = self.at(np.array([start_s, end_s]))
        value, accuracy = float(b - a), self.channel.accuracy
        beside = accuracy.absolute_w * (end_s - start_s) + 2e-6 * self.channel.resolution_uj
        low = max(0.0, value * (1 - accuracy.relative_low) - beside)
        return Quantity(value, min(low, value), value * (1 + accuracy.relative_high) + beside)

    def power_w(self, now_s: float, not_before_s: float) -> float | None:
        """Mean watts over the last second or so of what is known."""
        t_s: Float64 = self._points[0, : self.size]
        if self.size < 2 or now_s - self._moved_s > self._patience_s:
            return None
        since_s = max(float(t_s[-1]) - self._window_s, not_before_s)
        first = int(np.searchsorted(t_s, since_s, side="right")) - 1
        first = min(max(first, 0), self.size - 2)
        (t_a, t_b), (e_a, e_b) = self._points[:, [first, self.size - 1]]
        return float((e_b - e_a) / (t_b - t_a))

    def powers_w(self, edges_s: Float64) -> Float64:
        """Mean watts between consecutive edges; NaN beyond what is known."""
        if self.size < 2:
            return np.full(len(edges_s) - 1, np.nan)
        last_s = self._points[0, self.size - 1]
        ends = np.minimum(edges_s, last_s)
        lengths = np.diff(ends)
        power = np.full(len(lengths), np.nan)
        np.divide(np.diff(self.at(ends)), lengths, out=power, where=lengths > 0.2 * np.diff(edges_s))
        return power
