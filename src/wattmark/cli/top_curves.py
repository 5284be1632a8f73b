"""Energy curves of a run that goes on: what its recorder's journal held at the first look, then the live page."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from wattmark.cli.top_state import Component
from wattmark.quantity import Quantity, total
from wattmark.recorder import journal
from wattmark.recorder.live import Live
from wattmark.runs.journals import RecorderData
from wattmark.runs.record import Float64, Int64
from wattmark.sources.base import COMPONENTS, Channel

WINDOW_S = 1.0
STALE_S = 3.0
"""A counter that has not moved for so long (or five of its periods) says nothing of the power now."""
HISTORY_S = 120
_METHODS = {"counter": "measured", "integrated": "measured", "modelled": "modelled"}


class Curves:
    """The channels of a session that count, and one of each component of which none does."""

    def __init__(self, data: RecorderData) -> None:
        self._origin_ns = min((int(group.t_ns[0]) for group in data.groups if len(group.t_ns)), default=0)
        counted = {one.component for group in data.groups for one in group.channels if one.counted}
        self._places: list[_Curve | None] = []
        self.channels: list[_Curve] = []
        self._beside: list[_Curve] = []
        for group in data.groups:
            for column, channel in enumerate(group.channels):
                if not channel.counted and (
                    channel.component in counted or channel.inside or channel.copy_of
                ):
                    self._places.append(None)
                    continue
                known = group.energy_uj[:, column] != journal.MISSING
                t_s = (group.t_ns[known] - self._origin_ns) / 1e9
                curve = _Curve(channel, group.period_s, t_s, group.energy_uj[known, column] / 1e6)
                self._places.append(curve)
                (self.channels if channel.counted else self._beside).append(curve)

    def add(self, live: Live) -> None:
        """What the live page says now."""
        t_s = (live.t_ns - self._origin_ns) / 1e9
        for curve, energy_uj in zip(self._places, live.channels_uj, strict=False):
            if curve is not None and energy_uj != journal.MISSING:
                curve.add(t_s, energy_uj / 1e6)

    def between(self, start_ns: int, end_ns: int) -> float | None:
        """Joules of all that is counted."""
        found = self.energies_j(np.array([start_ns]), np.array([end_ns]))
        return None if found is None else float(found[0])

    def energies_j(self, start_ns: Int64, end_ns: Int64) -> Float64 | None:
        """Joules of many intervals, (k,) float64; None if nothing is known."""
        known = [curve for curve in self.channels if curve.size > 1]
        if not known:
            return None
        a, b = self._seconds(start_ns), self._seconds(end_ns)
        return np.sum([curve.at(b) - curve.at(a) for curve in known], axis=0)

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
            known = [power for power in powers if power is not None]
            energies = [curve.quantity(start, now) for curve in curves if curve.size > 1]
            methods = sorted({_METHODS[curve.channel.method] for curve in curves})
            sources = sorted({curve.channel.source for curve in curves})
            yield Component(
                name=name,
                power_w=sum(known) if known and len(known) == len(powers) else None,
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
    """One channel: seconds since the session's first reading, joules; it grows."""

    def __init__(self, channel: Channel, period_s: float, t_s: Float64, energy_j: Float64) -> None:
        self.channel = channel
        self.size = len(t_s)
        self._patience_s = max(STALE_S, 5 * period_s)
        self._window_s = max(WINDOW_S, 2 * period_s)
        self._points: Float64 = np.empty((2, max(1024, 2 * self.size)))
        self._points[:, : self.size] = t_s, np.maximum.accumulate(energy_j) if self.size else energy_j

    def add(self, t_s: float, energy_j: float) -> None:
        """A reading; one that is no news is left out."""
        if self.size and (
            t_s <= self._points[0, self.size - 1] or energy_j <= self._points[1, self.size - 1]
        ):
            return
        if self.size == self._points.shape[1]:
            self._points = np.pad(self._points, ((0, 0), (0, self.size)))
        self._points[:, self.size] = t_s, energy_j
        self.size += 1

    def at(self, t_s: Float64) -> Float64:
        """Joules at these times, (k,) float64; the ends hold beyond the ends."""
        return np.interp(t_s, self._points[0, : self.size], self._points[1, : self.size])

    def count(self, start_s: float, end_s: float) -> int:
        """Readings in an interval."""
        return int(np.subtract(*np.searchsorted(self._points[0, : self.size], (end_s, start_s))))

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
        if self.size < 2 or now_s - t_s[-1] > self._patience_s:
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
