"""Another machine's clock on ours: what it said, and when we asked and heard, bound how far the two are apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Reading(NamedTuple):
    """The other clock said ``told_s`` (Unix time, cut off at ``grain_s``) between two moments of our monotonic one."""

    asked_ns: int
    heard_ns: int
    told_s: float
    grain_s: float = 0.001


class Offset(NamedTuple):
    """Unix time there = our monotonic time + ``offset_s``, which is off by at most ``half_width_s`` either way."""

    offset_s: float
    half_width_s: float

    def monotonic_ns(self, there_s: float) -> int:
        """A time of theirs on our monotonic clock."""
        return round((there_s - self.offset_s) * 1e9)

    def there_s(self, monotonic_ns: int) -> float:
        """A moment of ours by their clock."""
        return monotonic_ns / 1e9 + self.offset_s


def offset_of(readings: Sequence[Reading]) -> Offset:
    """The offset that all readings allow; where none fits them all (a clock was set, or ran differently), the range of what
    each allows.

    What it said was true at some moment between asking and hearing (Cristian, "Probabilistic clock synchronization", 1989).
    Raises ValueError without a reading.
    """
    bounds = [
        (told_s - heard_ns / 1e9, told_s + grain_s - asked_ns / 1e9)
        for asked_ns, heard_ns, told_s, grain_s in readings
    ]
    if not bounds:
        raise ValueError("no reading of the other clock")
    low, high = max(low for low, _ in bounds), min(high for _, high in bounds)
    if low > high:
        middles = [(own_low + own_high) / 2 for own_low, own_high in bounds]
        low, high = min(middles), max(middles)
        widest = min(own_high - own_low for own_low, own_high in bounds) / 2
        low, high = low - widest, high + widest
    return Offset((low + high) / 2, (high - low) / 2)
