"""What can be capped: one device, the knobs that its driver offers, and what may go wrong with them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from wattmark.errors import WattmarkError

Setting = Mapping[str, int]
"""Knob -> value as its driver has it: µW, or 0 and 1 of a switch. Only knobs whose name ends in ``_uw`` are powers."""

LEAST_SHARE = 0.3
"""Caps below this share of the largest are not tried: idle power alone is a good part of them."""
TOLERANCE, TOLERANCE_UW = 0.01, 1_000_000
"""Drivers round what is written to their own unit (1/8 W, a whole W): values this near are the same."""


class LimitError(WattmarkError):
    """A power limit that cannot be read, set or put back."""


class NothingToCap(LimitError):
    """This machine has no power limit that could be set, or not the one that was asked for."""

    exit_code = 3


class MayNotCap(LimitError):
    """The power limit is there, but this user may not set it, or another process holds it."""

    exit_code = 4


class DeviceGone(LimitError):
    """The device is not there any more."""


@runtime_checkable
class PowerLimit(Protocol):
    """The power limit of one device. ``key`` names the device for good (a UUID, an address), ``id`` on this machine.

    least_w, most_w: what its driver takes, in W. lock: a folder or file that every user of the device can open, on which
    the one who sets its cap holds a lock.
    """

    id: str
    key: str
    label: str
    component: Literal["cpu", "gpu", "soc"]
    least_w: float
    most_w: float
    lock: str

    def read(self) -> dict[str, int]:
        """The setting now. Raises LimitError."""
        ...

    def capped(self, old: Setting, cap_w: float) -> dict[str, int]:
        """The setting that lets it draw at most ``cap_w``, and never more than ``old`` does."""
        ...

    def write(self, setting: Setting) -> None:
        """Set these knobs. Raises LimitError, MayNotCap, DeviceGone; some of them may be set then."""
        ...

    def may_set(self) -> bool:
        """Whether this user may, as far as can be told without setting anything."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...


class LimitFinding(NamedTuple):
    """A device that was looked at: its limit, or why that cannot be used and what to do."""

    what: str
    limit: PowerLimit | None = None
    problem: str = ""
    fix: str | None = None


def watts(setting: Setting) -> float | None:
    """The least of the powers of a setting, in W; None where none is in force (0: switched off)."""
    powers = [value for name, value in setting.items() if name.endswith("_uw") and value > 0]
    switched_off = any(value == 0 for name, value in setting.items() if not name.endswith("_uw"))
    return min(powers) / 1e6 if powers and not switched_off else None


def same(one: int, other: int) -> bool:
    """Whether two values of a knob are the same to its driver."""
    return one == other or (
        min(one, other) > 1 and abs(one - other) <= max(TOLERANCE_UW, TOLERANCE * max(one, other))
    )


def alike(one: Setting, other: Setting) -> bool:
    """Whether two settings have the same knobs with the same values."""
    return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())


def write_number(path: str, value: int) -> None:
    """Write one number into a file of sysfs. Raises MayNotCap, DeviceGone, LimitError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            os.write(fd, b"%d" % value)
        finally:
            os.close(fd)
    except PermissionError as error:
        raise MayNotCap(
            f"this user may not write {path}", hint="run it as root, or see wattmark advise caps --permit"
        ) from error
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError) as error:
        raise DeviceGone(f"{path} is not there any more") from error
    except OSError as error:
        if error.errno in (6, 19):  # ENXIO, ENODEV
            raise DeviceGone(f"{path}: the device is gone") from error
        raise LimitError(f"{path} does not take {value}: {error.strerror}") from error
