"""Spans of OpenTelemetry's own SDK get joules, and requests in flight share them."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

import wattmark as wm

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")


def test_requests_share_what_the_machine_used(fake_machine: object) -> None:
    pytest.importorskip("opentelemetry.sdk", exc_type=ImportError)
    from opentelemetry.sdk.trace import TracerProvider  # pyright: ignore[reportMissingImports]
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # pyright: ignore[reportMissingImports]

    from wattmark.integrations.opentelemetry import EnergySpanProcessor

    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(EnergySpanProcessor(memory, "api"))
    tracer = provider.get_tracer("test")

    def request(name: str) -> None:
        with tracer.start_as_current_span(name) as span:
            span.set_attribute("tokens", 3)
            time.sleep(0.3)
            with tracer.start_as_current_span("inner"):
                time.sleep(0.3)

    threads = [threading.Thread(target=request, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    provider.shutdown()
    spans: list[Any] = list(memory.get_finished_spans())
    roots = [span for span in spans if span.parent is None]
    inner = [span for span in spans if span.parent is not None]
    assert {span.name for span in roots} == {"a", "b"}
    assert all(span.attributes["tokens"] == 3 for span in roots)
    both_s = (max(span.end_time for span in roots) - min(span.start_time for span in roots)) / 1e9
    joules = sum(span.attributes["wattmark.energy_j"] for span in roots)
    assert joules == pytest.approx(50 * both_s, rel=0.15)
    for span in spans:
        values = span.attributes
        assert (
            values["wattmark.energy_low_j"] <= values["wattmark.energy_j"] <= values["wattmark.energy_high_j"]
        )
    assert sum(span.attributes["wattmark.energy_j"] for span in inner) < joules
    (run,) = wm.runs()
    assert (run.name, run.status) == ("api", "completed")
