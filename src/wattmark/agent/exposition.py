"""The ledger for Prometheus, by prometheus_client: names after OpenTelemetry's conventions for hardware (hw.energy and
hw.power) where there are any, and ``wattmark_`` else.

Every number is of one tick, so what is scraped is what the ledger holds, and sums hold among them. There is no series for
each process: a unit is what lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from wattmark._version import __version__
from wattmark.agent.attribution import Ledger
from wattmark.sources.base import Channel

PLAIN = "text/plain; version=0.0.4; charset=utf-8"


class LedgerCollector(Collector):
    """Gives the last tick at each scrape."""

    def __init__(self, ledger: Callable[[], Ledger], channels: Callable[[], tuple[Channel, ...]]) -> None:
        self._ledger, self._channels = ledger, channels

    def collect(self) -> Iterator[Metric]:
        """All metrics, of one moment."""
        ledger = self._ledger()
        yield from self._sensors(ledger)
        yield from _parts(ledger)
        units = CounterMetricFamily(
            "wattmark_unit_energy_joules",
            "Energy above idle of a SLURM job, pod, container or systemd unit, by CPU time or share of the GPU.",
            labels=("kind", "name", "component"),
        )
        for (unit, component), energy in sorted(ledger.units.items()):
            units.add_metric((unit.kind, unit.name, component), energy / 1e6)
        yield units
        info = GaugeMetricFamily("wattmark_agent_info", "This agent.", labels=("version",))
        info.add_metric((__version__,), 1)
        yield info

    def _sensors(self, ledger: Ledger) -> Iterator[Metric]:
        energy = CounterMetricFamily(
            "hw_energy_joules",
            "Energy of one sensor since the agent began. Sensors may contain one another: sum those with counted=true only.",
            labels=("hw_id", "hw_type", "method", "counted"),
        )
        for channel in self._channels():
            value = ledger.reading.channels_uj.get(channel.id)
            if value is not None:
                counted = "true" if channel.counted else "false"
                energy.add_metric((channel.id, channel.component, channel.method, counted), value / 1e6)
        yield energy


def _parts(ledger: Ledger) -> Iterator[Metric]:
    labels = ("part", "component")
    power = GaugeMetricFamily("hw_power_watts", "Mean power between the last two ticks.", labels=labels)
    idle_power = GaugeMetricFamily(
        "wattmark_idle_power_watts", "Power without work, as learnt.", labels=labels
    )
    host = CounterMetricFamily("hw_host_energy_joules", "Energy of a part of the node.", labels=labels)
    idle = CounterMetricFamily("wattmark_idle_energy_joules", "Of it, what idling takes.", labels=labels)
    left = CounterMetricFamily(
        "wattmark_unattributed_energy_joules",
        "Of it, above idle and of no unit that is known.",
        labels=labels,
    )
    gone = CounterMetricFamily(
        "wattmark_gone_energy_joules", "Of it, of units that are no longer told by name.", labels=labels
    )
    for name, part in sorted(ledger.parts.items()):
        own = (name, part.component)
        host.add_metric(own, part.total_uj / 1e6)
        idle.add_metric(own, part.idle_uj / 1e6)
        left.add_metric(own, part.unattributed_uj / 1e6)
        gone.add_metric(own, part.gone_uj / 1e6)
        if part.watts is not None:
            power.add_metric(own, part.watts)
        if part.idle_w is not None:
            idle_power.add_metric(own, part.idle_w)
    yield from (host, idle, left, gone, power, idle_power)


class Exposition:
    """The text of a scrape, in the format that the scraper accepts."""

    def __init__(self, ledger: Callable[[], Ledger], channels: Callable[[], tuple[Channel, ...]]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(LedgerCollector(ledger, channels))

    def text(self, accept: str) -> tuple[bytes, str]:
        """The body and its content type: OpenMetrics if it is asked for, else Prometheus's own."""
        if "application/openmetrics-text" in accept:
            body = openmetrics.generate_latest(self._registry)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            return bytes(body), openmetrics.CONTENT_TYPE_LATEST  # pyright: ignore[reportUnknownArgumentType]
        return generate_latest(self._registry), PLAIN
