"""From raw readings to energy curves, online: one ``feed`` per reading, cumulative µJ out.

Two kinds of curve with one interface::

    curve = curve_for(channel, period_s)
    total_uj = curve.feed(t_ns, reading)    # None: not known at this tick
    curve.events                            # (code, t_ns, message, data) tuples, drained by the recorder

Event codes: ``base`` (a raw reading tied to a point of the curve, data ``raw`` and ``cumulative_uj``),
``wrap``, ``refused_jump``, ``out_of_range``, ``reset``, ``ambiguous_gap``, ``refused_power``, ``below_idle``, and three
with data ``from_ns`` and ``to_ns``: ``hole`` (the energy in between is not known, and the curve is flat there), ``blip`` and
``catch_up`` (the samples in between were wrong or late, the energy of the whole time is known: readers drop what lies
strictly inside, samples and holes alike).

What no hardware could do is never counted: more than ``max_power_w`` for the time since the counter last
moved (at most ``STALL_NS`` longer than the time since the last reading), plus ``SLACK_NS``, plus two steps of
resolution. A smaller step that is taken back by the next readings was a blip, whatever it was.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from wattmark.sources.base import Channel
from wattmark.sources.plausibility import floor_w

Event = tuple[str, int, str, dict[str, Any]]

FIRST = "first"
ADVANCE = "advance"
WRAP = "wrap"
RESET = "reset"
BLIP = "blip"
CATCH_UP = "catch_up"
REFUSED_JUMP = "refused_jump"
OUT_OF_RANGE = "out_of_range"
AMBIGUOUS_GAP = "ambiguous_gap"
REFUSED_POWER = "refused_power"
BELOW_IDLE = "below_idle"
MISSING = "missing"

SLACK_NS = 50_000_000
"""Time stamps are taken before the reading; on a busy machine the reading itself may come this much later."""
STALL_NS = 1_000_000_000
"""A counter that stood still catches up with what accrued meanwhile; this much standing still is believed at once."""
ANCHOR_NS = 250_000_000
ANCHORS = 32
"""So many good readings are remembered, no closer than this, to tell a blip (8 s long at most) from a reset."""
ALIKE = 4.0
"""A counter returned from a blip if its mean power meanwhile is within this factor of what it was before."""
MIN_GAP_S = 2.0
GAP_PERIODS = 5
_MAX_RAW = 2**63 - 1


class CounterCurve:
    """A counter in µJ that may wrap, unwrapped into a curve.

    A forward step that is possible is an advance; a backward one is a wrap if the difference modulo
    ``wrap_uj`` is possible. A reading beyond the counter's range is none. Any other reading is refused (``feed``
    gives None) until the next one tells what it was. If that continues from the old level: a glitch, and nothing is
    lost. If from the new level, and

    - a remembered reading leads there with a power like the one before: the counter was away and came back, a blip.
      The curve goes on from the remembered reading, and what lies between is void;
    - the counter had stood still for so long that the step is what accrued: it caught up, and the time is bridged;
    - else a reset: the curve goes on from there with a hole [last good reading, first reading of the new level].

    When so much time has passed that the counter may have gone round more than once, the gap is ambiguous: a
    hole, never a guess. Missing readings are bridged: the next good one holds their energy.
    """

    __slots__ = (
        "_ambiguous_ns",
        "_anchor_ns",
        "_anchors",
        "_changed_ns",
        "_last_ns",
        "_level",
        "_missing",
        "_pending",
        "_raw",
        "_slack_uj",
        "_stray",
        "_top",
        "_total",
        "_uj_per_ns",
        "_wary",
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
        self._top = _MAX_RAW if self._wrap is None else self._wrap - 1
        self._uj_per_ns = channel.max_power_w * 1e-3
        self._slack_uj = self._uj_per_ns * SLACK_NS + 2 * channel.resolution_uj
        self._ambiguous_ns = float("inf") if self._wrap is None else self._wrap / self._uj_per_ns
        self._raw: int | None = None
        self._total = 0
        self._last_ns = 0
        self._changed_ns = 0
        self._missing = False
        self._pending: tuple[int, int] | None = None
        self._stray = False
        # (t_ns, raw, total, level) of good readings, oldest first; a reset begins a new level
        self._anchors: deque[tuple[int, int, int, int]] = deque(maxlen=ANCHORS)
        self._anchor_ns = 0
        self._level = 0
        self._wary = False
        """Whether a level that was left is remembered, so that the counter may come back to it."""

    def feed(self, t_ns: int, raw: int | None) -> int | None:
        """The cumulative energy in µJ since the first reading, or None where this reading tells nothing."""
        last = self._raw
        if raw is None or last is None or self._missing:
            return self._resume(t_ns, raw)
        delta = raw - last
        if delta < 0 or raw > self._top or self._wary or t_ns - self._last_ns >= self._ambiguous_ns:
            return self._judge(t_ns, raw)
        if delta:
            if delta > self._possible(t_ns):
                return self._judge(t_ns, raw)
            self._raw = raw
            self._total += delta
            self._changed_ns = t_ns
        self._last_ns = t_ns
        if t_ns >= self._anchor_ns:
            self._remember(t_ns)
        self.outcome = ADVANCE
        return self._total

    def base(self) -> tuple[int, int] | None:
        """The last good raw reading and the cumulative µJ at it; None before the first. See :func:`place`."""
        return None if self._raw is None else (self._raw, self._total)

    @property
    def moved_ns(self) -> int:
        """When the counter was last seen to move; 0 before the first good reading."""
        return self._changed_ns

    @property
    def undecided(self) -> bool:
        """Whether the last reading was refused and the next one tells what it was."""
        return self._pending is not None

    def _possible(self, t_ns: int) -> float:
        """The most µJ that the hardware can have used since the counter last moved."""
        elapsed = min(t_ns - self._changed_ns, t_ns - self._last_ns + STALL_NS)
        return elapsed * self._uj_per_ns + self._slack_uj

    def _remember(self, t_ns: int) -> None:
        assert self._raw is not None
        self._anchors.append((t_ns, self._raw, self._total, self._level))
        self._anchor_ns = t_ns + ANCHOR_NS
        self._wary = self._anchors[0][3] != self._level

    def _resume(self, t_ns: int, raw: int | None) -> int | None:
        if raw is None:
            self._missing = True
            self.outcome = MISSING
            return None
        if not 0 <= raw <= self._top:
            return self._ignore(t_ns, raw)
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
        if not 0 <= raw <= self._top:
            return self._ignore(t_ns, raw)
        if t_ns - self._last_ns >= self._ambiguous_ns:
            return self._lose_count(t_ns, raw)
        pending = self._pending
        # A refused step upwards that goes on from its level was real (and is never to be counted, though by
        # now enough time may have passed to make it look possible); otherwise the old level has first claim.
        if pending is not None and pending[1] > known and self._continues(pending, t_ns, raw):
            return self._change_level(pending, t_ns, raw)
        step = self._step(known, raw)
        if step <= self._possible(t_ns) and not (self._wary and self._leads_back(t_ns, raw, step)):
            return self._accept(t_ns, raw)
        if pending is not None and self._continues(pending, t_ns, raw):
            return self._change_level(pending, t_ns, raw)
        if 0 < known - raw <= 2 * self.channel.resolution_uj:
            return self._accept(t_ns, known)  # it stands still, but for a step of its converter
        return self._refuse(t_ns, raw)

    def _step(self, known: int, raw: int) -> float:
        """µJ from one raw reading to the next one, across at most one wrap; infinite if it cannot be."""
        if raw >= known:
            return raw - known
        return float("inf") if self._wrap is None else raw - known + self._wrap

    def _continues(self, pending: tuple[int, int], t_ns: int, raw: int) -> bool:
        possible = (t_ns - pending[0]) * self._uj_per_ns + self._slack_uj
        step = self._step(pending[1], raw)
        return step <= possible and not (self._wary and self._leads_back(t_ns, raw, step))

    def _leads_back(self, t_ns: int, raw: int, step_uj: float) -> bool:
        """Whether a possible step lies nearer to the line of a level that was left than to the present one."""
        anchor = self._anchor_before((t_ns, raw))
        return anchor is not None and self._step(anchor[1], raw) < step_uj

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
        self._settle(t_ns)
        return self._total

    def _settle(self, t_ns: int) -> None:
        """The reading at ``t_ns`` is good, and nothing is open any more."""
        self._last_ns = t_ns
        self._pending = None
        self._missing = self._stray = False
        if t_ns >= self._anchor_ns:
            self._remember(t_ns)

    def _refuse(self, t_ns: int, raw: int) -> None:
        self.refused += 1
        self.outcome = REFUSED_JUMP
        if self._pending is None:  # one event an episode: a broken counter must not flood the journal
            message = (
                f"{self.channel.id} stepped from {self._raw} to {raw} µJ within "
                f"{(t_ns - self._last_ns) / 1e9:.3f} s, which {self.channel.max_power_w:.0f} W at the most "
                "cannot do: refused"
            )
            data = {"known_raw": self._raw, "raw": raw, "since_ns": self._last_ns}
            self.events.append((REFUSED_JUMP, t_ns, message, data))
        self._pending = (t_ns, raw)
        self._missing = True

    def _ignore(self, t_ns: int, raw: int) -> None:
        """A number that this counter cannot hold says nothing, not even of the next one."""
        self.refused += 1
        self.outcome = OUT_OF_RANGE
        if not self._stray:
            message = f"{self.channel.id} read {raw} µJ, beyond the counter's range: refused"
            self.events.append((OUT_OF_RANGE, t_ns, message, {"raw": repr(raw)}))
        self._stray = self._missing = True

    def _change_level(self, pending: tuple[int, int], t_ns: int, raw: int) -> int:
        """Two readings agree on another level than the known one."""
        anchor = self._anchor_before(pending)
        if anchor is not None:
            return self._return_to(anchor, pending, t_ns, raw)
        known = self._raw
        assert known is not None
        stood_ns = pending[0] - self._changed_ns
        accrued = stood_ns * self._uj_per_ns + self._slack_uj
        if stood_ns > STALL_NS and pending[1] > known and pending[1] - known <= accrued:
            return self._catch_up(pending, t_ns, raw)
        return self._reset(pending, t_ns, raw)

    def _anchor_before(self, pending: tuple[int, int]) -> tuple[int, int, int, int] | None:
        """The remembered reading from which the counter came to ``pending`` while it was said to be elsewhere.

        Of several it is the one from where the power is most like the one before it. On the present level only a step
        down can be a return. A counter that begins anew begins near zero: what may have been counted from there since
        the last good reading is a return only if its power fits.
        """
        t_ns, raw = pending
        known = self._raw
        assert known is not None
        afresh = raw <= (t_ns - self._last_ns) * self._uj_per_ns + self._slack_uj
        oldest: dict[int, tuple[int, int, int, int]] = {}
        for anchor in self._anchors:
            oldest.setdefault(anchor[3], anchor)
        here = oldest.get(self._level)
        here_w = self._mean_w(here, self._last_ns, self._total) if here is not None else None
        best, least = None, math.log(ALIKE) if afresh else math.inf
        for anchor in reversed(self._anchors):
            then_ns, then_raw, total, level = anchor
            step, elapsed = self._step(then_raw, raw), t_ns - then_ns
            if level == self._level and step >= self._step(then_raw, known):
                continue
            if elapsed <= 0 or step > elapsed * self._uj_per_ns + self._slack_uj:
                continue
            before_w = self._mean_w(oldest[level], then_ns, total)
            if before_w is None and afresh:
                continue
            meanwhile_w = 1e3 * step / elapsed
            usual_w = next((watts for watts in (before_w, here_w) if watts is not None), meanwhile_w)
            unlike = abs(math.log((meanwhile_w + 1) / (usual_w + 1)))
            if unlike < least:
                best, least = anchor, unlike
        return best

    @staticmethod
    def _mean_w(since: tuple[int, int, int, int], t_ns: int, total_uj: int) -> float | None:
        """Mean watts from a remembered reading on; None if no time has passed."""
        return 1e3 * (total_uj - since[2]) / (t_ns - since[0]) if t_ns > since[0] else None

    def _return_to(
        self, anchor: tuple[int, int, int, int], pending: tuple[int, int], t_ns: int, raw: int
    ) -> int:
        then_ns, then_raw, total, self._level = anchor
        message = (
            f"{self.channel.id} stood at a wrong level for up to {(pending[0] - then_ns) / 1e9:.3f} s "
            f"({self._raw} µJ) and came back: what it said in between does not count"
        )
        data = {"from_ns": then_ns, "to_ns": pending[0], "known_raw": self._raw, "raw": pending[1]}
        self.events.append((BLIP, pending[0], message, data))
        while self._anchors and self._anchors[-1][0] > then_ns:
            self._anchors.pop()
        self._total = total + int(self._step(then_raw, pending[1]))
        self._rebase(*pending)
        total = self._accept(t_ns, raw)
        self.outcome = BLIP
        return total

    def _catch_up(self, pending: tuple[int, int], t_ns: int, raw: int) -> int:
        known = self._raw
        assert known is not None
        stood_s = (pending[0] - self._changed_ns) / 1e9
        message = f"{self.channel.id} stood still for {stood_s:.1f} s and caught up at once: bridged evenly"
        data = {"from_ns": self._changed_ns, "to_ns": pending[0]}
        self.events.append((CATCH_UP, pending[0], message, data))
        self._total += pending[1] - known
        self._rebase(*pending)
        total = self._accept(t_ns, raw)
        self.outcome = CATCH_UP
        return total

    def _reset(self, pending: tuple[int, int], t_ns: int, raw: int) -> int:
        message = f"{self.channel.id} was reset: it goes on from {pending[1]} µJ instead of {self._raw} µJ"
        self.events.append((RESET, pending[0], message, {"known_raw": self._raw, "raw": pending[1]}))
        self._hole(self._last_ns, pending[0])
        self._remember(self._last_ns)  # should the counter come back, it comes back from here
        self._level = max(self._level, *(anchor[3] for anchor in self._anchors)) + 1
        self._rebase(*pending)
        total = self._accept(t_ns, raw)
        self.outcome = RESET
        return total

    def _lose_count(self, t_ns: int, raw: int) -> int:
        gap_s = (t_ns - self._last_ns) / 1e9
        message = f"{self.channel.id} was not read for {gap_s:.1f} s and may have wrapped more than once"
        self.events.append((AMBIGUOUS_GAP, t_ns, message, {"from_ns": self._last_ns, "to_ns": t_ns}))
        self._hole(self._last_ns, t_ns)
        self._anchors.clear()
        self.outcome = AMBIGUOUS_GAP
        return self._rebase(t_ns, raw)

    def _rebase(self, t_ns: int, raw: int) -> int:
        self._raw = raw
        self._changed_ns = t_ns
        self._anchor_ns = t_ns
        self._settle(t_ns)
        data = {"raw": raw, "cumulative_uj": self._total}
        self.events.append(("base", t_ns, f"{self.channel.id} counts from {raw} µJ", data))
        return self._total

    def _hole(self, from_ns: int, to_ns: int) -> None:
        self.events.append(_hole(self.channel, from_ns, to_ns))


class PowerCurve:
    """Watts, integrated trapezoidally with the real time stamps.

    A missing reading is bridged while the time between two good ones is at most five periods (the sensor's or
    the recorder's, whichever is longer) or 2 s: a straight line is fair over a few samples; more is a hole.
    Negative, infinite, not-a-number readings, those above ``max_power_w`` and those below what any such device draws
    (:func:`~wattmark.sources.plausibility.floor_w`) are refused like missing ones.
    """

    __slots__ = (
        "_bad",
        "_floor_w",
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
        self._floor_w = floor_w(channel)
        self._watts: float | None = None
        self._last_ns = 0
        self._total = 0.0
        self._bad = False

    def feed(self, t_ns: int, watts: float | None) -> int | None:
        """The cumulative energy in µJ since the first reading, or None where this reading tells nothing."""
        if watts is None:
            return None
        if not self._floor_w <= watts <= self.channel.max_power_w:
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

    @property
    def moved_ns(self) -> int:
        """When the sensor last gave a reading that is believed; 0 before the first."""
        return self._last_ns

    @property
    def undecided(self) -> bool:
        """No reading of a power waits for the next one."""
        return False

    def _refuse(self, t_ns: int, watts: float) -> None:
        self.refused += 1
        if not self._bad:
            low = 0.0 <= watts < self._floor_w
            why = f"less than any such device draws ({self._floor_w:g} W)" if low else "which cannot be"
            message = f"{self.channel.id} read {watts:.6g} W, {why}: refused"
            # A string: NaN and infinity have no place in JSON.
            self.events.append((BELOW_IDLE if low else REFUSED_POWER, t_ns, message, {"watts": repr(watts)}))
        self._bad = True


class EnergyCurve(CounterCurve):
    """Cumulative µJ of a driver or a model: a counter that never wraps, judged like any other.

    A reading that is no number, or has a fraction, is taken as far as it goes.
    """

    __slots__ = ()

    def feed(self, t_ns: int, raw: float | None) -> int | None:
        """The cumulative energy in µJ since the first reading, or None where this reading tells nothing."""
        if isinstance(raw, float):
            raw = int(raw) if -1.0 < raw < float(_MAX_RAW) else -1
        return super().feed(t_ns, raw)


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
