"""A meter that is asked: its address, and its watts or joules now."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Sample(NamedTuple):
    """What a meter says now: W, or J since some moment (None: it does not say)."""

    power_w: float | None
    energy_j: float | None = None


class Meter(Protocol):
    """A meter at the plug. name: its address without anything secret. share: how far it may be off as a whole."""

    name: str
    share: float

    def read(self) -> Sample:
        """Ask it. Raises SourceRetry where it does not answer now, ConfigError where it never will."""
        ...
