"""A power cap on the GPUs for the time of a trial; its keeper puts the old ones back whatever becomes of the trial."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from wattmark.errors import ConfigError
from wattmark.limits.base import LimitError, PowerLimit
from wattmark.limits.nvidia import find_nvidia
from wattmark.limits.session import Caps
from wattmark.sources.base import Host

_HINT = "leave power_cap_w out, or run the study where it can be set"
_ABOVE = 1.01
"""Drivers round a cap to their own unit; one this far below what was asked for is another one."""


@contextmanager
def power_cap(watts: float) -> Generator[list[str]]:
    """Every NVIDIA GPU that this process may use draws at most so many W within the block; gives their names.

    Raises ConfigError where there is none, a board does not take this cap or is capped lower already, or it may not be set
    (it takes root, and nobody else who holds it).
    """
    host = Host.here()
    findings = list(find_nvidia(host))
    limits = [one.limit for one in findings if one.limit is not None]
    if not limits:
        why = "; ".join(f"{one.what}: {one.problem}" for one in findings) or "there is none here"
        raise ConfigError(f"a power cap needs an NVIDIA GPU: {why}", hint=_HINT)
    for limit in limits:
        if not limit.least_w <= watts <= limit.most_w:
            raise ConfigError(
                f"{limit.label} cannot be capped to {watts:g} W",
                hint=f"use {limit.least_w:g} to {limit.most_w:g} W",
            )
    with ExitStack() as held:
        _cap(held, limits, host, watts)
        yield [limit.label for limit in limits]


def _cap(held: ExitStack, limits: list[PowerLimit], host: Host, watts: float) -> None:
    try:
        caps = held.enter_context(Caps(limits, host))
        in_force = caps.set(watts)
    except LimitError as error:
        raise ConfigError(f"the power cap cannot be set: {error}", hint=error.hint or _HINT) from error
    if in_force is None or in_force * _ABOVE < watts:
        raise ConfigError(
            f"a cap of {watts:g} W is above what is in force already",
            hint=_HINT if in_force is None else f"use {in_force:g} W or less",
        )
