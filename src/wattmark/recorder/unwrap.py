"""From raw readings to energy curves, online: one ``feed`` per reading, cumulative µJ out.

Three kinds of channel, three classes with one interface::

    curve = curve_for(channel, period_s)
    total_uj = curve.feed(t_ns, reading)    # None: not known at this tick
    curve.events                            # (code, t_ns, message, data) tuples, drained by the recorder

Event codes: ``base`` (a raw reading tied to a point of the curve, data ``raw`` and ``cumulative_uj``),
``wrap``, ``refused_jump``, ``reset``, ``ambiguous_gap``, ``refused_power``, and ``hole`` (data ``from_ns``,
``to_ns``: the energy in between is not known, and the curve is flat there).

What no hardware could do is never counted: more than ``max_power_w`` for the time since the counter last
moved (at most ``STALL_NS`` longer than the time since the last reading), plus ``SLACK_NS``, plus two steps of
resolution.
"""

from __future__ import annotations

from typing import Any

from wattmark.sources.base import Channel

Event = tuple[str, int, str, dict[str, Any]]

FIRST = "first"
ADVANCE = "advance"
WRAP = "wrap"
RESET = "reset"
REFUSED_JUMP = "refused_jump"
AMBIGUOUS_GAP = "ambiguous_gap"
MISSING = "missing"

SLACK_NS = 50_000_000
"""Time stamps are taken before the reading; on a busy machine the reading itself may come this much later."""
STALL_NS = 1_000_000_000
"""A counter that stood still catches up with what accrued meanwhile; this much standing still is believed."""
MIN_GAP_S = 2.0
GAP_PERIODS = 5


class CounterCurve:
    """A counter in µJ that may wrap, unwrapped into a curve that never decreases.

    A forward step that is possible is an advance; a backward one is a wrap if the difference modulo
    ``wrap_uj`` is possible. Any other reading is refused (``feed`` gives None) until the next one tells what
    it was: if that continues from the old level, a glitch, and nothing is lost; if from the new level, a
    reset, and the curve goes on from there with a hole [last good reading, first reading of the new level].
    When so much time has passed that the counter may have gone round more than once, the gap is ambiguous: a
    hole, never a guess.
    Missing readings are bridged: the next good one holds their energy.
    """

    __slots__ = (
        "_ambiguous_ns",
        "_changed_ns",
        "_last_ns",
        "_missing",
        "_pending",
        "_raw",
        "_slack_uj",
        "_total",
        "_uj_per_ns",
        "_wrap",
        "channel",
        "events",
        "longest_gap_ns",
        "outcome",
        "refused",
        "wraps",
    )

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.events: list[Event] = []
        self.outcome = MISSING
        """What the last reading was: one of the names at the top of this module."""
        self.wraps = 0
        self.refused = 0
        self.longest_gap_ns = 0
        """The longest time between two good readings with missing or refused ones in between."""
        self._wrap = channel.wrap_uj
        self._uj_per_ns = channel.max_power_w * 1e-3
        self._slack_uj = self._uj_per_ns * SLACK_NS + 2 * channel.resolution_uj
        self._ambiguous_ns = float("inf") if self._wrap is None else self._wrap / self._uj_per_ns
        self._raw: int | None = None
        self._total = 0
        self._last_ns = 0
        self._changed_ns = 0
        self._missing = False
        self._pending: tuple[int, int] | None = None

    def feed(self, t_ns: int, raw: int | None) -> int | None:
        """The cumulative energy in µJ since the first reading, or None where this reading tells nothing."""
        last = self._raw
        if raw is None or last is None or self._missing:
            return self._resume(t_ns, raw)
        delta = raw - last
        elapsed = t_ns - self._last_ns
        if elapsed >= self._ambiguous_ns or delta < 0:
            return self._judge(t_ns, raw)
        if delta:
            if delta > self._possible(t_ns):
                return self._judge(t_ns, raw)
            self._raw = raw
            self._total += delta
            self._changed_ns = t_ns
        self._last_ns = t_ns
        self.outcome = ADVANCE
        return self._total

    def base(self) -> tuple[int, int] | None:
        """The last good raw reading and the cumulative µJ at it; None before the first. See :func:`place`."""
        return None if self._raw is None else (self._raw, self._total)

    def _possible(self, t_ns: int) -> float:
        """The most µJ that the hardware can have used since the counter last moved."""
        elapsed = min(t_ns - self._changed_ns, t_ns - self._last_ns + STALL_NS)
        return elapsed * self._uj_per_ns + self._slack_uj

    def _resume(self, t_ns: int, raw: int | None) -> int | None:
        if raw is None:
            self._missing = True
            self.outcome = MISSING
            return None
        self._missing = self._pending is not None
        if self._raw is None:
            self.outcome = FIRST
            return self._rebase(t_ns, raw)
        self.longest_gap_ns = max(self.longest_gap_ns, t_ns - self._last_ns)
        return self._judge(t_ns, raw)

    def _judge(self, t_ns: int, raw: int) -> int | None:
        """A reading that is not a plain advance, or the first after missing or refused ones."""
        known = self._raw
        assert known is not None
        if t_ns - self._last_ns >= self._ambiguous_ns:
            return self._lose_count(t_ns, raw)
        pending = self._pending
        # A refused step upwards that goes on from its level was real (and is never to be counted, though by
        # now enough time may have passed to make it look possible); otherwise the old level has first claim.
        if pending is not None and pending[1] > known and self._continues(pending, t_ns, raw):
            return self._reset(pending, t_ns, raw)
        if self._step(known, raw) <= self._possible(t_ns):
            return self._accept(t_ns, raw)
        if pending is not None and self._continues(pending, t_ns, raw):
            return self._reset(pending, t_ns, raw)
        return self._refuse(t_ns, raw)

    def _step(self, known: int, raw: int) -> float:
        """µJ from one raw reading to the next one, across at most one wrap; infinite if it cannot be."""
        if raw >= known:
            return raw - known
        return float("inf") if self._wrap is None or raw > self._wrap else raw - known + self._wrap

    def _continues(self, pending: tuple[int, int], t_ns: int, raw: int) -> bool:
        possible = (t_ns - pending[0]) * self._uj_per_ns + self._slack_uj
        return self._step(pending[1], raw) <= possible

    def _accept(self, t_ns: int, raw: int) -> int:
        known = self._raw
        assert known is not None
        if raw < known:
            self.wraps += 1
            self.outcome = WRAP
            self.events.append((WRAP, t_ns, f"{self.channel.id} wrapped", {"wraps": self.wraps}))
        else:
            self.outcome = ADVANCE
        if raw != known:
            self._changed_ns = t_ns
        self._total += int(self._step(known, raw))
        self._raw = raw
        self._last_ns = t_ns
        self._pending = None
        self._missing = False
        return self._total

    def _refuse(self, t_ns: int, raw: int) -> None:
        self.refused += 1
        self.outcome = REFUSED_JUMP
        if self._pending is None:  # one event an episode: a broken counter must not flood the journal
            message = (
                f"{self.channel.id} stepped from {self._raw} to {raw} µJ within "
                f"{(t_ns - self._last_ns) / 1e9:.3f} s, more than {self.channel.max_power_w:.0f} W: refused"
            )
            data = {"known_raw": self._raw, "raw": raw, "since_ns": self._last_ns}
            self.events.append((REFUSED_JUMP, t_ns, message, data))
        self._pending = (t_ns, raw)
        self._missing = True

    def _reset(self, pending: tuple[int, int], t_ns: int, raw: int) -> int:
        message = f"{self.channel.id} was reset: it goes on from {pending[1]} µJ instead of {self._raw} µJ"
        self.events.append((RESET, pending[0], message, {"known_raw": self._raw, "raw": pending[1]}))
        self._hole(self._last_ns, pending[0])
        self._rebase(*pending)
        total = self._accept(t_ns, raw)
        self.outcome = RESET
        return total

    def _lose_count(self, t_ns: int, raw: int) -> int:
        gap_s = (t_ns - self._last_ns) / 1e9
        message = f"{self.channel.id} was not read for {gap_s:.1f} s and may have wrapped more than once"
        self.events.append((AMBIGUOUS_GAP, t_ns, message, {"from_ns": self._last_ns, "to_ns": t_ns}))
        self._hole(self._last_ns, t_ns)
        self.outcome = AMBIGUOUS_GAP
        return self._rebase(t_ns, raw)

    def _rebase(self, t_ns: int, raw: int) -> int:
        self._raw = raw
        self._last_ns = self._changed_ns = t_ns
        self._pending = None
        self._missing = False
        data = {"raw": raw, "cumulative_uj": self._total}
        self.events.append(("base", t_ns, f"{self.channel.id} counts from {raw} µJ", data))
        return self._total

    def _hole(self, from_ns: int, to_ns: int) -> None:
        self.events.append(_hole(self.channel, from_ns, to_ns))


class PowerCurve:
    """Watts, integrated trapezoidally with the real time stamps.

    A missing reading is bridged while the time between two good ones is at most five periods (the sensor's or
    the recorder's, whichever is longer) or 2 s: a straight line is fair over a few samples; more is a hole.
    Negative, infinite, not-a-number readings and those above ``max_power_w`` are refused like missing ones.
    """

    __slots__ = (
        "_bad",
        "_gap_ns",
        "_last_ns",
        "_total",
        "_watts",
        "channel",
        "events",
        "longest_gap_ns",
        "refused",
    )

    def __init__(self, channel: Channel, period_s: float = 0.0) -> None:
        self.channel = channel
        self.events: list[Event] = []
        self.refused = 0
        self.longest_gap_ns = 0
        self._gap_ns = int(max(GAP_PERIODS * max(channel.update_period_s, period_s), MIN_GAP_S) * 1e9)
        self._watts: float | None = None
        self._last_ns = 0
        self._total = 0.0
        self._bad = False

    def feed(self, t_ns: int, watts: float | None) -> int | None:
        """The cumulative energy in µJ since the first reading, or None where this reading tells nothing."""
        if watts is None:
            return None
        if not 0.0 <= watts <= self.channel.max_power_w:
            return self._refuse(t_ns, watts)
        before = self._watts
        elapsed = t_ns - self._last_ns
        if before is None:
            self.events.append(_base(self.channel, t_ns, 0))
        elif elapsed > self._gap_ns:
            self.events.append(_hole(self.channel, self._last_ns, t_ns))
            self.longest_gap_ns = max(self.longest_gap_ns, elapsed)
        else:
            self._total += (before + watts) * elapsed * 5e-4  # W ns / 2 -> µJ
        self._watts = watts
        self._last_ns = t_ns
        self._bad = False
        return int(self._total)

    def base(self) -> tuple[int, int] | None:
        """Power has no raw counter: the cumulative µJ twice."""
        return None if self._watts is None else (int(self._total), int(self._total))

    def _refuse(self, t_ns: int, watts: float) -> None:
        self.refused += 1
        if not self._bad:
            message = f"{self.channel.id} read {watts} W, which cannot be: refused"
            # A string: NaN and infinity have no place in JSON.
            self.events.append(("refused_power", t_ns, message, {"watts": repr(watts)}))
        self._bad = True


class EnergyCurve:
    """Cumulative µJ that never wraps, relative to its first value; a step back is a reset with a hole."""

    __slots__ = ("_last_ns", "_raw", "_total", "channel", "events", "longest_gap_ns", "refused")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.events: list[Event] = []
        self.refused = 0
        self.longest_gap_ns = 0
        self._raw: int | None = None
        self._last_ns = 0
        self._total = 0

    def feed(self, t_ns: int, energy_uj: float | None) -> int | None:
        """The cumulative energy in µJ since the first reading, or None where this reading tells nothing."""
        if energy_uj is None:
            return None
        raw = int(energy_uj)
        if self._raw is None:
            self.events.append(_base(self.channel, t_ns, raw))
        elif raw >= self._raw:
            self._total += raw - self._raw
        else:
            message = f"{self.channel.id} was reset: it goes on from {raw} µJ instead of {self._raw} µJ"
            self.events.append((RESET, t_ns, message, {"known_raw": self._raw, "raw": raw}))
            self.events.append(_hole(self.channel, self._last_ns, t_ns))
            self.events.append(_base(self.channel, t_ns, raw, self._total))
        self._raw = raw
        self._last_ns = t_ns
        return self._total

    def base(self) -> tuple[int, int] | None:
        """The last raw value and the cumulative µJ at it; None before the first."""
        return None if self._raw is None else (self._raw, self._total)


AnyCurve = CounterCurve | PowerCurve | EnergyCurve


def curve_for(channel: Channel, period_s: float = 0.0) -> AnyCurve:
    """The curve for a channel's kind of reading. ``period_s`` is how often the recorder means to read it."""
    if channel.kind == "counter":
        return CounterCurve(channel)
    return PowerCurve(channel, period_s) if channel.kind == "power" else EnergyCurve(channel)


def place(base: tuple[int, int], near_uj: int, raw: int, wrap_uj: int | None) -> int:
    """A raw reading taken by another process, as cumulative µJ on the curve.

    base: a raw reading and the cumulative µJ at it (a ``base`` event, or ``CounterCurve.base()``). near_uj:
    the curve at about the time of the reading, which says how often the counter had wrapped.
    """
    total = base[1] + raw - base[0]
    if wrap_uj is None:
        return total
    return total + round((near_uj - total) / wrap_uj) * wrap_uj


def _base(channel: Channel, t_ns: int, raw: int, total: int = 0) -> Event:
    return ("base", t_ns, f"{channel.id} counts from {raw} µJ", {"raw": raw, "cumulative_uj": total})


def _hole(channel: Channel, from_ns: int, to_ns: int) -> Event:
    message = f"{channel.id}: the energy of {(to_ns - from_ns) / 1e9:.3f} s is not known"
    return ("hole", to_ns, message, {"from_ns": from_ns, "to_ns": to_ns})
