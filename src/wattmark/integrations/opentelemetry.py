"""OpenTelemetry: each span of a trace gets its joules as attributes before it is exported.

::

    provider.add_span_processor(EnergySpanProcessor(OTLPSpanExporter()))

in the place of ``BatchSpanProcessor``. Attributes: ``wattmark.energy_j`` with ``wattmark.energy_low_j`` and ``..._high_j``.

Whose joules: at every moment those of the machine are shared equally by the requests in flight in this process (spans whose
parent is none, or in another process); a span inside a request has the request's share of its time. So requests add up to
what the machine used while any of them was in flight, and a request that crosses services has a part in each.

Spans wait until the recorder has read past their end (about a second). Interface: opentelemetry-python, SpanProcessor and
SpanExporter of the SDK (version 1).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.serving.flight import Flight

if TYPE_CHECKING:
    from wattmark.quantity import Quantity

_sdk: Any = module_of("otel", "opentelemetry.sdk.trace")

DELAY_S = 1.0
"""Between two exports."""
SETTLE_NS = 400_000_000
"""A span is exported when it ended so long ago: what is read of its end has been read by then."""
MOST_WAITING = 100_000


@dataclass(frozen=True, slots=True)
class _Ended:
    span: Any
    start_ns: int
    end_ns: int


class EnergySpanProcessor(_sdk.SpanProcessor):
    """Measures as long as it lives, and hands spans with their joules to ``exporter``. name: of the runs."""

    def __init__(self, exporter: Any, name: str = "service") -> None:
        self._exporter = exporter
        self._flight = Flight(name)
        self._lock = threading.Lock()
        self._exporting = threading.Lock()
        self._open: dict[int, tuple[int, bool]] = {}
        self._ended: list[_Ended] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="wattmark-spans", daemon=True)
        self._flight.begin()
        self._thread.start()

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """A span begins."""
        parent = span.parent
        request = parent is None or bool(parent.is_remote)
        began = self._flight.enter() if request else time.monotonic_ns()
        with self._lock:
            self._open[span.context.span_id] = (began, request)

    def on_end(self, span: Any) -> None:
        """It ends, and waits for its joules. Spans that are not sampled are not exported, but share."""
        now = time.monotonic_ns()
        with self._lock:
            start_ns, request = self._open.pop(span.context.span_id, (now, False))
        end_ns = self._flight.leave(start_ns) if request else now
        with self._lock:
            if span.context.trace_flags.sampled and len(self._ended) < MOST_WAITING:
                self._ended.append(_Ended(span, start_ns, end_ns))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what has ended."""
        self._export(everything=True)
        return bool(self._exporter.force_flush(timeout_millis))

    def shutdown(self) -> None:
        """Export what has ended, and end the run."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join(timeout=10)
        self.force_flush()
        self._flight.close()
        self._exporter.shutdown()

    def _work(self) -> None:
        while not self._over.wait(DELAY_S):
            self._export()

    def _export(self, *, everything: bool = False) -> None:
        with self._exporting:
            until_ns = time.monotonic_ns() - (0 if everything else SETTLE_NS)
            with self._lock:
                ready = [ended for ended in self._ended if ended.end_ns <= until_ns]
                self._ended = [ended for ended in self._ended if ended.end_ns > until_ns]
            if ready:
                energies = self._flight.energies([(ended.start_ns, ended.end_ns) for ended in ready])
                self._exporter.export(
                    [_with(ended.span, energy) for ended, energy in zip(ready, energies, strict=True)]
                )
            with self._lock:
                waiting = [start_ns for start_ns, _ in self._open.values()]
                waiting += [ended.start_ns for ended in self._ended]
            self._flight.forget(min(waiting, default=None))


def _with(span: Any, energy: Quantity | None) -> Any:
    """The span with its joules; as it is where nothing was measured."""
    if energy is None:
        return span
    own = {
        "wattmark.energy_j": energy.value,
        "wattmark.energy_low_j": energy.low,
        "wattmark.energy_high_j": energy.high,
    }
    return _sdk.ReadableSpan(
        name=span.name, context=span.context, parent=span.parent, resource=span.resource,
        attributes={**(span.attributes or {}), **own}, events=span.events, links=span.links, kind=span.kind,
        status=span.status, start_time=span.start_time, end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )  # fmt: skip
