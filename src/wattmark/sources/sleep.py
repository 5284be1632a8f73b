"""Devices that sleep: what the kernel has suspended (runtime power management) is not woken by reading it.

``power/runtime_status`` is what the kernel remembers, and reading it wakes nothing (Documentation/ABI/testing/
sysfs-devices-power); nearly every other file of a graphics card does. Standard library only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from wattmark.sources.base import Channel, read_text

SLEEP_W = 0.2
"""What a card in D3 is taken to draw: its supply is off but for a few circuits."""
CODE = "asleep"


def is_asleep(device: str) -> bool:
    """Whether the kernel has suspended the device of a sysfs folder."""
    return read_text(f"{device}/power/runtime_status") == "suspended"


class Sleep:
    """The state of one device, and what its channels read while it sleeps.

    A power channel reads :data:`SLEEP_W`; a counter goes on from where it was at that power, so that what it read
    before and reads afterwards join. ``events`` gets when the device falls asleep.
    """

    def __init__(
        self, device: str, channels: Sequence[Channel], clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        """Open its file; without one (no runtime power management) the device never sleeps."""
        self.events: list[tuple[str, int, str, dict[str, Any]]] = []
        self._channels = tuple(channels)
        self._clock_ns = clock_ns
        self._last: list[float | None] = [None] * len(self._channels)
        self._slept_uj = [0.0] * len(self._channels)
        self._since_ns: int | None = None
        try:
            self._fd = os.open(f"{device}/power/runtime_status", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = -1

    def values(self) -> list[float | None] | None:
        """What the channels read now if the device sleeps, None if it is awake."""
        if self._fd < 0 or not self._is_suspended():
            self._since_ns = None
            return None
        now_ns = self._clock_ns()
        if self._since_ns is None:
            for channel in self._channels:
                message = (
                    f"{channel.id} is asleep (suspended by the kernel): it is not woken to be read, and counts as "
                    f"{SLEEP_W:g} W until it wakes"
                )
                self.events.append((CODE, now_ns, message, {"channel": channel.id}))
        else:
            slept_uj = SLEEP_W * (now_ns - self._since_ns) / 1000  # W ns = nJ
            self._slept_uj = [before + slept_uj for before in self._slept_uj]
        self._since_ns = now_ns
        return [
            SLEEP_W if channel.kind == "power" else int((last or 0) + slept)
            for channel, last, slept in zip(self._channels, self._last, self._slept_uj, strict=True)
        ]

    def awake(self, values: Sequence[float | None]) -> list[float | None]:
        """What the channels read awake, joined to what they counted asleep."""
        if not any(self._slept_uj):
            self._last = list(values)
            return self._last
        joined: list[float | None] = []
        for place, (channel, value) in enumerate(zip(self._channels, values, strict=True)):
            if value is not None and channel.kind != "power":
                if self._last[place] is None:  # it slept from the beginning, and counts from here
                    self._slept_uj[place] -= value
                self._last[place] = value
                value = int(value + self._slept_uj[place])
            joined.append(value)
        return joined

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_suspended(self) -> bool:
        try:
            return os.pread(self._fd, 32, 0).strip() == b"suspended"
        except OSError:
            return False
