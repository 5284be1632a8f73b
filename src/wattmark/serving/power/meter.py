"""Where the power of a server elsewhere is read: by the scheme of an address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from wattmark.errors import ServerError
from wattmark.runs.record import Curve
from wattmark.serving.power.agents import SCHEMES as AGENTS
from wattmark.serving.power.agents import agent_power
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


class SeveralPowers:
    """The hosts of several replicas behind one address: their curves together, each told apart by its number."""

    def __init__(self, meters: Sequence[PowerMeter]) -> None:
        self._meters = tuple(meters)
        self.period_s = 0.0

    def begin(self) -> None:
        """Begin to read all of them, or none. Raises ServerError and ConfigError."""
        begun: list[PowerMeter] = []
        try:
            for meter in self._meters:
                begun.append(meter)
                meter.begin()
        except BaseException:
            for meter in begun:
                meter.close()
            raise
        self.period_s = max(meter.period_s for meter in self._meters)

    def readings(
        self, start_ns: int, end_ns: int, on_wait: Callable[[float], None] | None = None
    ) -> PowerReadings:
        """What was told of [start, end) by all. One that cannot tell fails all: the sum would lack it."""
        told = [meter.readings(start_ns, end_ns, on_wait) for meter in self._meters]
        curves: list[Curve] = []
        for count, one in enumerate(told, 1):
            if not one.curves:
                raise ServerError(
                    f"nothing was told by {one.where or f'host {count}'}: without it the sum is not known"
                )
            for curve in one.curves:
                channel = curve.channel
                names = {"inside": channel.inside, "stands_in_for": channel.stands_in_for}
                changes = {name: tuple(f"{count}:{word}" for word in words) for name, words in names.items()}
                curves.append(replace(curve, channel=channel._replace(id=f"{count}:{channel.id}", **changes)))
        return PowerReadings(
            tuple(curves),
            max(one.clock_s for one in told),
            self.period_s,
            tuple(dict.fromkeys(note for one in told for note in one.notes)),
            "; ".join(one.where for one in told),
        )

    def close(self) -> None:
        """Read no more."""
        for meter in self._meters:
            meter.close()


def power_meter(address: str) -> PowerMeter:
    """The meter at ``prometheus://host:port/?query=...``, ``http://host:port/metrics``, ``agent://host:port`` or ``ssh://host``;
    several, between spaces, are those of several replicas behind one URL. Raises ConfigError."""
    if len(addresses := address.split()) > 1:
        return SeveralPowers([power_meter(one) for one in addresses])
    if address.partition("://")[0] in AGENTS:
        return agent_power(address)
    if address.partition("://")[0] in SCHEMES:
        return PrometheusPower(PrometheusAddress.parse(address))
    check_page(address)
    return ExporterPower(address)
