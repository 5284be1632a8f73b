"""Where the power of a server elsewhere is read: by the scheme of an address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from wattmark.serving.power.exporter import ExporterPower, check_page
from wattmark.serving.power.prometheus import SCHEMES, PrometheusAddress, PrometheusPower
from wattmark.serving.power.samples import PowerReadings


class PowerMeter(Protocol):
    """Power that another machine tells. period_s: how often, known once it has begun."""

    period_s: float

    def begin(self) -> None:
        """Look what is there, and begin to read. Raises ServerError and ConfigError."""
        ...

    def readings(
        self, start_ns: int, end_ns: int, on_wait: Callable[[float], None] | None = None
    ) -> PowerReadings:
        """What was told of [start, end) of the monotonic clock. Raises ServerError."""
        ...

    def close(self) -> None:
        """Read no more."""
        ...


def power_meter(address: str) -> PowerMeter:
    """The meter at ``prometheus://host:port/?query=...`` or ``http://host:port/metrics``. Raises ConfigError."""
    if address.partition("://")[0] in SCHEMES:
        return PrometheusPower(PrometheusAddress.parse(address))
    check_page(address)
    return ExporterPower(address)
