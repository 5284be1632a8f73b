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

import numpy as np

from wattmark.integrations.frameworks import module_of
from wattmark.integrations.training.live import LiveEnergy, energy_until
from wattmark.runs.record import Float64, Int64
from wattmark.tracker.measure import measure
from wattmark.tracker.process import this_process

if TYPE_CHECKING:
    from wattmark.runs.view import RunView
    from wattmark.tracker.run import Run

_sdk: Any = module_of("otel", "opentelemetry.sdk.trace")

DELAY_S = 1.0
"""Between two exports."""
SETTLE_NS = 400_000_000
"""A span is exported when it ended so long ago: what is read of its end has been read by then."""
RUN_S = 1800.0
"""A service goes on for days; so long is one run of it."""
MOST_WAITING = 100_000


@dataclass(frozen=True, slots=True)
class _Ended:
    span: Any
    start_ns: int
    end_ns: int


class EnergySpanProcessor(_sdk.SpanProcessor):
    """Measures as long as it lives, and hands spans with their joules to ``exporter``. name: of the runs."""

    def __init__(self, exporter: Any, name: str = "service") -> None:
        self._exporter, self._name = exporter, name
        self._lock = threading.Lock()
        self._exporting = threading.Lock()
        self._open: dict[int, tuple[int, bool]] = {}
        self._ended: list[_Ended] = []
        self._changes: list[tuple[int, int]] = []
        """When (monotonic ns) a request began (+1) or ended (-1)."""
        self._before = 0
        """Requests in flight before the first of the changes."""
        self._run: Run | None = None
        self._live: LiveEnergy | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="wattmark-spans", daemon=True)
        self._begin()
        self._thread.start()

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """A span begins."""
        now = time.monotonic_ns()
        parent = span.parent
        request = parent is None or bool(parent.is_remote)
        with self._lock:
            self._open[span.context.span_id] = (now, request)
            if request:
                self._changes.append((now, 1))

    def on_end(self, span: Any) -> None:
        """It ends, and waits for its joules. Spans that are not sampled are not exported, but share."""
        now = time.monotonic_ns()
        with self._lock:
            start_ns, request = self._open.pop(span.context.span_id, (now, False))
            if request:
                self._changes.append((now, -1))
            if span.context.trace_flags.sampled and len(self._ended) < MOST_WAITING:
                self._ended.append(_Ended(span, start_ns, now))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what has ended."""
        time.sleep(SETTLE_NS / 1e9)
        self._export(everything=True)
        return bool(self._exporter.force_flush(timeout_millis))

    def shutdown(self) -> None:
        """Export what has ended, and end the run."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join(timeout=10)
        self.force_flush()
        if self._run is not None:
            self._run.stop()
        self._exporter.shutdown()

    def _begin(self) -> None:
        if self._run is not None:
            self._run.stop()
        run: Run = measure(self._name, tags={"stage": "inference"}).start()
        self._run, self._live = run, LiveEnergy(run)

    def _work(self) -> None:
        while not self._over.wait(DELAY_S):
            self._export()
            run = self._run
            if run is not None and time.monotonic_ns() - run.start_ns > RUN_S * 1e9 and not self._open:
                self._begin()

    def _export(self, *, everything: bool = False) -> None:
        with self._exporting:
            self._export_alone(everything=everything)

    def _export_alone(self, *, everything: bool) -> None:
        until_ns = time.monotonic_ns() - (0 if everything else SETTLE_NS)
        with self._lock:
            ready = [ended for ended in self._ended if ended.end_ns <= until_ns]
            self._ended = [ended for ended in self._ended if ended.end_ns > until_ns]
            changes, before = list(self._changes), self._before
        if ready:
            spans = [ended.span for ended in ready]
            try:
                spans = self._with_joules(ready, changes, before)
            except Exception as error:  # noqa: BLE001 - a trace goes out without joules rather than not at all
                this_process().warn("otel", f"spans have no joules: {type(error).__name__}: {error}")
            self._exporter.export(spans)
        self._forget()

    def _with_joules(self, ready: list[_Ended], changes: list[tuple[int, int]], before: int) -> list[Any]:
        view = None if self._live is None else self._live.view()
        if view is None:
            return [ended.span for ended in ready]
        starts = np.array([ended.start_ns for ended in ready], np.int64)
        ends = np.array([ended.end_ns for ended in ready], np.int64)
        shares = shared_j(view, starts, ends, changes, before)
        return [_with(ended, view, share) for ended, share in zip(ready, shares.tolist(), strict=True)]

    def _forget(self) -> None:
        """Changes before all that is open or waits are summed up."""
        with self._lock:
            waiting = [start_ns for start_ns, _ in self._open.values()]
            waiting += [ended.start_ns for ended in self._ended]
            oldest = min(waiting, default=time.monotonic_ns())
            past = [change for change in self._changes if change[0] < oldest]
            self._before += sum(step for _, step in past)
            self._changes = self._changes[len(past) :]


def shared_j(
    view: RunView, start_ns: Int64, end_ns: Int64, changes: list[tuple[int, int]], before: int
) -> Float64:
    """Joules of spans, (k,), of a machine whose joules the requests in flight share equally.

    changes: (monotonic ns, +1 or -1) in the order of time; before: how many were in flight before the first.
    """
    ordered = sorted(changes)
    times = np.array([t_ns for t_ns, _ in ordered], np.int64)
    flights = np.concatenate(([before], before + np.cumsum([step for _, step in ordered], dtype=np.int64)))
    edges = np.unique(np.concatenate((times, start_ns, end_ns)))
    if len(edges) < 2:
        return np.zeros(len(start_ns))
    energies = view.between(edges[:-1], edges[1:]).values()
    joules = np.sum([energy.value_j for energy in energies], axis=0) if energies else np.zeros(len(edges) - 1)
    count = np.maximum(flights[np.searchsorted(times, edges[:-1], side="right")], 1)
    so_far = np.concatenate(([0.0], np.cumsum(joules / count)))
    return so_far[np.searchsorted(edges, end_ns)] - so_far[np.searchsorted(edges, start_ns)]


def _with(ended: _Ended, view: RunView, share_j: float) -> Any:
    """The span with its joules; as it is where nothing was measured."""
    span = ended.span
    whole = energy_until(view, ended.start_ns, ended.end_ns)
    if whole is None or whole.value <= 0:
        return span
    energy = whole * (share_j / whole.value)
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
