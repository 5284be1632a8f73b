"""The ledger for an OpenTelemetry collector, by OpenTelemetry's own SDK over OTLP/HTTP.

``hw.energy`` and ``hw.power`` of sensors and parts and ``hw.host.energy`` are OpenTelemetry's names (semantic conventions
for hardware); energies of units, idle pots and what is no one's have no name there, so they are in our namespace
(``wattmark.unit.energy``, ``wattmark.idle.energy``, ``wattmark.unattributed.energy``, ``wattmark.gone.energy``). The sums
are those of ``/metrics``: every number of an export is of one tick, and idle + units + unattributed + gone is the host's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wattmark._version import __version__
from wattmark.agent.attribution import Ledger
from wattmark.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from wattmark.sources.base import Channel

EVERY_S = 10.0
_TIMEOUT_S = 5.0
Point = tuple[float, Mapping[str, str]]


def check_endpoint(url: str) -> str:
    """The address of a collector's metrics. Raises ConfigError for what is none."""
    try:
        parts = urlsplit(url)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        named = False
        parts = urlsplit("")
    if not named or parts.username or parts.password:
        raise ConfigError(
            f"--otlp {url} is no collector's address", hint="write it like http://127.0.0.1:4318"
        )
    return url if parts.path.strip("/") else f"{url.rstrip('/')}/v1/metrics"


class OtlpExport:
    """Sends the ledger every so often until it is closed; a collector that is away is tried again with the next."""

    def __init__(
        self,
        endpoint: str,
        ledger: Callable[[], Ledger],
        channels: Callable[[], Iterable[Channel]],
        every_s: float = EVERY_S,
    ) -> None:
        """Raises MissingExtra without OpenTelemetry's SDK."""
        try:
            http: Any = import_module("opentelemetry.exporter.otlp.proto.http.metric_exporter")
            api: Any = import_module("opentelemetry.metrics")
            sdk: Any = import_module("opentelemetry.sdk.metrics")
            exporting: Any = import_module("opentelemetry.sdk.metrics.export")
            resources: Any = import_module("opentelemetry.sdk.resources")
        except ModuleNotFoundError as error:
            raise MissingExtra("opentelemetry", "otlp") from error
        self._ledger, self._channels = ledger, channels
        self._now = ledger()
        exporter = http.OTLPMetricExporter(endpoint=check_endpoint(endpoint), timeout=int(_TIMEOUT_S))
        reader = exporting.PeriodicExportingMetricReader(exporter, export_interval_millis=every_s * 1e3)
        resource = resources.Resource.create(
            {
                "service.name": "wattmark-agent",
                "service.version": __version__,
                "host.name": socket.gethostname(),
            }
        )
        self._provider: Any = sdk.MeterProvider(
            metric_readers=[reader], resource=resource, shutdown_on_exit=False
        )
        meter = self._provider.get_meter("wattmark", __version__)

        def observed(points: Callable[[], Iterable[Point]]) -> list[Any]:
            def ask(_options: object) -> list[Any]:
                return [api.Observation(value, dict(labels)) for value, labels in points()]

            return [ask]

        meter.create_observable_counter("hw.energy", observed(self._sensors), "J", "Energy of one sensor.")
        for name, field, what in _ENERGIES:
            points = observed(lambda field=field: self._parts(field))
            meter.create_observable_counter(name, points, "J", what)
        meter.create_observable_counter(
            "wattmark.unit.energy", observed(self._units), "J", "Above idle, of a unit."
        )
        meter.create_observable_gauge(
            "hw.power", observed(self._power), "W", "Mean power of a part in the last second."
        )

    def flush(self) -> None:
        """Send now what there is."""
        self._provider.force_flush(int(_TIMEOUT_S * 1e3))

    def close(self) -> None:
        """Send a last time, and end; a collector that is away is not waited for."""
        self._provider.shutdown(timeout_millis=_TIMEOUT_S * 1e3)

    def _sensors(self) -> Iterable[Point]:
        self._now = self._ledger()  # the first to be asked: all others are of the same tick
        for channel in self._channels():
            value = self._now.reading.channels_uj.get(channel.id)
            if value is not None:
                yield value / 1e6, {
                    "hw.id": channel.id, "hw.type": channel.component, "wattmark.method": channel.method,
                    "wattmark.counted": "true" if channel.counted else "false",
                }  # fmt: skip

    def _parts(self, field: str) -> Iterable[Point]:
        for name, part in self._now.parts.items():
            yield getattr(part, field) / 1e6, {"hw.id": name, "hw.type": part.component}

    def _units(self) -> Iterable[Point]:
        for (unit, component), energy in self._now.units.items():
            labels = {"wattmark.unit.kind": unit.kind, "wattmark.unit.name": unit.name, "hw.type": component}
            yield energy / 1e6, labels

    def _power(self) -> Iterable[Point]:
        for name, part in self._now.parts.items():
            if part.watts is not None:
                yield part.watts, {"hw.id": name, "hw.type": part.component}


_ENERGIES = (
    ("hw.host.energy", "total_uj", "Energy of a part of the node."),
    ("wattmark.idle.energy", "idle_uj", "Of it, what idling takes."),
    ("wattmark.unattributed.energy", "unattributed_uj", "Of it, above idle and of no unit that is known."),
    ("wattmark.gone.energy", "gone_uj", "Of it, of units that are no longer told by name."),
)
