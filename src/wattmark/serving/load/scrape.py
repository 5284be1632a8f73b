"""What a server says of itself while it is under load: chosen values of its Prometheus ``/metrics`` as side series.

Metric names: vLLM (docs.vllm.ai, "Production Metrics"; ``gpu_cache_usage_perc`` up to 0.10, ``kv_cache_usage_perc``
since; ``inter_token_latency_seconds`` was ``time_per_output_token_seconds``), llama.cpp (tools/server/README.md, needs
``--metrics``), SGLang (docs.sglang.ai, "Production Metrics"), TGI (docs: "Metrics").
llama.cpp also says of each answer how long prompt and generation took (``timings``): two more series.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Iterable
from time import monotonic_ns
from typing import TYPE_CHECKING, NamedTuple

from wattmark.serving.load.probe import PROBE_S, Fetcher
from wattmark.serving.load.wire.connection import ConnectFailed
from wattmark.serving.load.wire.target import Target
from wattmark.serving.server.exposition import Histogram, histograms, samples

if TYPE_CHECKING:
    from wattmark.runs.record import SeriesData
    from wattmark.serving.load.records import RequestRecord


NO_METRICS = (401, 403, 404, 405, 410, 501)
"""Statuses that will not change by asking again (llama.cpp without ``--metrics`` says 501)."""
AGAIN_S = 0.1
FIRST_S = 1.0
"""The first and the last reading are waited for no longer than this."""


class Wanted(NamedTuple):
    """A series that we keep: its id, unit, and how values of several labels (engines, models) become one.

    total: it only grows, over the life of the server; kept as the growth since the first reading.
    """

    id: str
    unit: str
    join: str = "sum"
    total: bool = False


TIMINGS = {"prompt_ms": "server/prefill-time", "predicted_ms": "server/decode-time"}
"""Of llama.cpp's ``timings``: milliseconds of an answer there, the series (in s, at the answer's end) here."""
_KV = Wanted("server/kv-cache", "ratio", "max")
_RUNNING, _WAITING = Wanted("server/running", "requests"), Wanted("server/waiting", "requests")
_PROMPT, _OUTPUT = (Wanted(f"server/{which}-tokens", "tokens", total=True) for which in ("prompt", "output"))
METRICS: dict[str, Wanted] = {
    "vllm:num_requests_running": _RUNNING,
    "vllm:num_requests_waiting": _WAITING,
    "vllm:kv_cache_usage_perc": _KV,
    "vllm:gpu_cache_usage_perc": _KV,
    "vllm:prompt_tokens_total": _PROMPT,
    "vllm:generation_tokens_total": _OUTPUT,
    "vllm:num_preemptions_total": Wanted("server/preemptions", "requests", total=True),
    "vllm:prefix_cache_hits_total": Wanted("server/prefix-cache-hits", "tokens", total=True),
    "llamacpp:requests_processing": _RUNNING,
    "llamacpp:requests_deferred": _WAITING,
    "llamacpp:kv_cache_usage_ratio": _KV,
    "llamacpp:prompt_tokens_total": _PROMPT,
    "llamacpp:tokens_predicted_total": _OUTPUT,
    "sglang:num_running_reqs": _RUNNING,
    "sglang:num_queue_reqs": _WAITING,
    "sglang:token_usage": _KV,
    "sglang:prompt_tokens_total": _PROMPT,
    "sglang:generation_tokens_total": _OUTPUT,
    "tgi_batch_current_size": _RUNNING,
    "tgi_queue_size": _WAITING,
}
HISTOGRAMS: dict[str, tuple[str, ...]] = {
    "ttft": ("vllm:time_to_first_token_seconds", "sglang:time_to_first_token_seconds"),
    "itl": (
        "vllm:inter_token_latency_seconds",
        "vllm:time_per_output_token_seconds",
        "sglang:inter_token_latency_seconds",
        "sglang:time_per_output_token_seconds",
    ),
    "tpot": ("vllm:request_time_per_output_token_seconds", "tgi_request_mean_time_per_token_duration"),
    "e2e": (
        "vllm:e2e_request_latency_seconds",
        "sglang:e2e_request_latency_seconds",
        "tgi_request_duration",
    ),
    "queue": (
        "vllm:request_queue_time_seconds",
        "sglang:queue_time_seconds",
        "tgi_request_queue_duration",
    ),
    "prefill": ("vllm:request_prefill_time_seconds",),
    "decode": ("vllm:request_decode_time_seconds",),
    "inference": ("vllm:request_inference_time_seconds", "tgi_request_inference_duration"),
}
"""Latencies in seconds as servers keep them, by what they are; of several names the first that is there (later releases
renamed some and serve both for a time)."""
_OF_HISTOGRAMS = frozenset(
    f"{name}_{ending}"
    for names in HISTOGRAMS.values()
    for name in names
    for ending in ("bucket", "sum", "count")
)


def parse_metrics(text: str) -> dict[Wanted, float]:
    """The wanted values in a Prometheus text; lines that cannot be read are passed over."""
    values: dict[Wanted, float] = {}
    for sample in samples(text, METRICS.__contains__):
        wanted, value = METRICS[sample.name], sample.value
        before = values.get(wanted)
        values[wanted] = (
            value if before is None else max(before, value) if wanted.join == "max" else before + value
        )
    return values


def parse_latencies(text: str) -> dict[str, Histogram]:
    """The histograms of latencies in a Prometheus text, by what they are (:data:`HISTOGRAMS`)."""
    known = histograms(samples(text, _OF_HISTOGRAMS.__contains__))
    return {
        what: known[name]
        for what, names in HISTOGRAMS.items()
        if (name := next((name for name in names if name in known), None)) is not None
    }


class Scraper:
    """Reads ``/metrics`` every so often until cancelled, and once more at the end. ``problem`` says why nothing was read the
    last time, if so."""

    def __init__(self, target: Target, period_s: float, answer_s: float = PROBE_S) -> None:
        self.problem: str | None = None
        self.stopping = False
        """Set before the task is cancelled: up to Python 3.11 ``asyncio.wait_for`` loses a cancellation that meets an
        answer, and the loop must end all the same."""
        self._target = target
        self._period_s, self._answer_s = period_s, answer_s
        self._points: dict[Wanted, tuple[array[int], array[float]]] = {}
        self._first: dict[str, Histogram] | None = None
        self._last: dict[str, Histogram] = {}
        self._none = False
        self._begun = asyncio.Event()

    async def run(self) -> None:
        """Scrape until stopped or cancelled, or until the server turns out to have no metrics."""
        try:
            async with Fetcher(self._target) as fetcher:
                while not self.stopping:
                    begun_ns = monotonic_ns()
                    await self._read(fetcher, self._answer_s)
                    self._begun.set()
                    if self._none:
                        return
                    await asyncio.sleep(max(0.0, self._period_s - (monotonic_ns() - begun_ns) / 1e9))
        finally:
            self._begun.set()

    async def begun(self) -> None:
        """Wait for the first reading, so that the server's own counts of the load have a beginning; not for long."""
        waiting = asyncio.ensure_future(self._begun.wait())
        await asyncio.wait({waiting}, timeout=FIRST_S)
        waiting.cancel()

    async def end(self, task: asyncio.Task[None]) -> None:
        """End the task that runs :meth:`run` and wait until it is gone; cancelled anew if a cancellation was lost. Then read
        once more, if anything was read before: a server's counts of the load end with the load."""
        self.stopping = True
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=AGAIN_S)
        if not task.cancelled():
            task.result()
        if self._points or self._last:
            async with Fetcher(self._target) as fetcher:
                await self._read(fetcher, FIRST_S)

    async def _read(self, fetcher: Fetcher, answer_s: float) -> None:
        begun_ns = monotonic_ns()
        try:
            reply = await fetcher.get("/metrics", answer_s)
        except ConnectFailed as error:  # busy: this reading is missing, the next may come
            self.problem = str(error)
            return
        self.problem = None if reply.status == 200 else f"HTTP {reply.status}"
        self._none = reply.status in NO_METRICS
        if reply.status == 200:
            text = reply.body.decode("utf-8", "replace")
            values, latencies = parse_metrics(text), parse_latencies(text)
            self.problem = None if values or latencies else "no metric in it that is known here"
            self._keep((begun_ns + monotonic_ns()) // 2, values)
            self._last = latencies
            if self._first is None:
                self._first = latencies

    def latencies(self) -> dict[str, Histogram]:
        """What the server's own histograms gained between the first reading and the last; none that was started anew, or
        that gained nothing. One that was not there at first began at nothing."""
        found: dict[str, Histogram] = {}
        for what, last in self._last.items():
            gained = last.since((self._first or {}).get(what, Histogram(0.0, 0.0, {})))
            if gained is not None and gained.count > 0:
                found[what] = gained
        return found

    @property
    def missing(self) -> str | None:
        """Why there are no series, as a sentence; None if there are some, or if the load was over before an answer."""
        if self._points or self._last or self.problem is None:
            return None
        return f"the server's own metrics could not be read ({self.problem}): no series of running and waiting requests"

    def _keep(self, t_ns: int, values: dict[Wanted, float]) -> None:
        for wanted, value in values.items():
            times, numbers = self._points.setdefault(wanted, (array("q"), array("d")))
            times.append(t_ns)
            numbers.append(value)

    def series(self) -> tuple[SeriesData, ...]:
        """What was read: a series per value, with times in monotonic ns."""
        return tuple(
            _series(wanted.id, wanted.unit, times, [value - numbers[0] * wanted.total for value in numbers])
            for wanted, (times, numbers) in self._points.items()
        )


def timing_series(records: Iterable[RequestRecord]) -> tuple[SeriesData, ...]:
    """What a server said of each answer's times (:data:`TIMINGS`), at the end of the answer; none if it said nothing."""
    series_points: dict[str, dict[int, float]] = {}
    for record in sorted(
        (answer for answer in records if answer.ok and answer.timings), key=lambda answer: answer.end_ns or 0
    ):
        for name, series in TIMINGS.items():
            took_ms = (record.timings or {}).get(name)
            if took_ms is not None and record.end_ns is not None:
                points = series_points.setdefault(series, {})
                last_ns = next(
                    reversed(points), 0
                )  # answers may end at once; the times of a series must differ
                points[max(record.end_ns, last_ns + 1)] = took_ms / 1e3
    return tuple(_series(name, "s", points.keys(), points.values()) for name, points in series_points.items())


def _series(name: str, unit: str, times: Iterable[int], values: Iterable[float]) -> SeriesData:
    import numpy as np

    from wattmark.runs.record import SeriesData
    from wattmark.sources.base import Series

    return SeriesData(
        Series(name, unit, "server"), np.array([*times], np.int64), np.array([*values], np.float32)
    )
