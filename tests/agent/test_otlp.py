"""What a collector decodes is what the ledger holds."""

from __future__ import annotations

import gzip
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from fakes.node import SOURCES, FakeNode
from wattmark.agent.attribution import Attribution
from wattmark.agent.node import Node
from wattmark.agent.otlp import OtlpExport, check_endpoint
from wattmark.agent.shares import Idle
from wattmark.errors import ConfigError


class Collector(HTTPServer):
    """Keeps what it was sent; says 503 while it is away."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self.away = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Collector)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not server.away:
            packed = self.headers.get("Content-Encoding") == "gzip"
            server.bodies.append(gzip.decompress(body) if packed else body)
        self.send_response(400 if server.away else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.shutdown()
    running.server_close()


def decoded(
    body: bytes,
) -> tuple[dict[str, str], dict[str, list[tuple[dict[str, str], float]]], dict[str, str]]:
    """Attributes of the resource; by metric its points; by metric its unit."""
    service: Any = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")
    (resource,) = service.ExportMetricsServiceRequest.FromString(body).resource_metrics
    points: dict[str, list[tuple[dict[str, str], float]]] = {}
    units: dict[str, str] = {}
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            units[metric.name] = metric.unit
            kind = metric.WhichOneof("data")
            if kind == "sum":
                assert metric.sum.is_monotonic
                assert metric.sum.aggregation_temporality == 2  # cumulative
            for point in getattr(metric, kind).data_points:
                labels = {one.key: one.value.string_value for one in point.attributes}
                points.setdefault(metric.name, []).append((labels, point.as_double))
    return {one.key: one.value.string_value for one in resource.resource.attributes}, points, units


def test_the_numbers_that_a_collector_decodes_are_those_of_the_ledger(
    tmp_path: Path, collector: Collector
) -> None:
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http", exc_type=ImportError)
    fake = FakeNode(tmp_path)
    fake.process(10, 0, '/system.slice/odd"name\\x.service')
    node = Node(fake.host, SOURCES)
    attribution = Attribution(node, fake.host)
    fake.process(10, 33, '/system.slice/odd"name\\x.service')
    fake.busy(47)
    fake.used(1.234567)
    attribution._idle["cpu"] = Idle(0.0)  # pyright: ignore[reportPrivateUsage]
    ledger = attribution.tick()
    export = OtlpExport(collector.url, lambda: attribution.ledger, lambda: node.channels, every_s=3600)
    try:
        collector.away = True
        export.flush()
        collector.away = False
        export.flush()
    finally:
        export.close()
        node.close()
    resource, points, units = decoded(collector.bodies[0])
    assert resource["service.name"] == "wattmark-agent"
    assert units["hw.energy"] == units["hw.host.energy"] == "J"
    assert units["hw.power"] == "W"
    part = ledger.parts["cpu"]
    assert points["hw.host.energy"] == [({"hw.id": "cpu", "hw.type": "cpu"}, part.total_uj / 1e6)]
    assert points["wattmark.idle.energy"][0][1] == part.idle_uj / 1e6
    assert points["hw.power"][0][1] == part.watts
    sensors = {labels["hw.id"]: value for labels, value in points["hw.energy"]}
    assert sensors["cpu0/package"] == ledger.reading.channels_uj["cpu0/package"] / 1e6  # type: ignore[operator]
    names = (
        "wattmark.unit.energy",
        "wattmark.idle.energy",
        "wattmark.unattributed.energy",
        "wattmark.gone.energy",
    )
    whole = math.fsum(value for name in names for _, value in points[name])
    assert whole == pytest.approx(part.total_uj / 1e6, abs=1e-9)
    assert any(
        labels["wattmark.unit.name"].startswith('odd"name') for labels, _ in points["wattmark.unit.energy"]
    )


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:4318", "ftp://x", "http://", "http://u:p@x", "http://x:99999", "http://[::"]
)
def test_what_is_no_collector_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        check_endpoint(url)


def test_the_path_of_metrics_is_added_where_none_is_given() -> None:
    assert check_endpoint("http://c:4318") == "http://c:4318/v1/metrics"
    assert check_endpoint("https://c/otlp/v1/metrics") == "https://c/otlp/v1/metrics"
