"""What a server says of itself while it is under load: chosen values of its Prometheus ``/metrics`` as side series.

Metric names: vLLM (docs.vllm.ai, "Production Metrics"; ``gpu_cache_usage_perc`` up to 0.10, ``kv_cache_usage_perc``
since), llama.cpp (tools/server/README.md, needs ``--metrics``), SGLang (docs.sglang.ai, "Production Metrics"), TGI.
llama.cpp also says of each answer how long prompt and generation took (``timings``): two more series.
"""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Iterable
from time import monotonic_ns
from typing import TYPE_CHECKING, NamedTuple

from wattmark.serving.load.probe import PROBE_S, Fetcher
from wattmark.serving.load.wire.connection import ConnectFailed
from wattmark.serving.load.wire.target import Target

if TYPE_CHECKING:
    from wattmark.runs.record import SeriesData
    from wattmark.serving.load.records import RequestRecord


NO_METRICS = (401, 403, 404, 405, 410, 501)
"""Statuses that will not change by asking again (llama.cpp without ``--metrics`` says 501)."""
AGAIN_S = 0.1


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
METRICS: dict[str, Wanted] = {
    "vllm:num_requests_running": Wanted("server/running", "requests"),
    "vllm:num_requests_waiting": Wanted("server/waiting", "requests"),
    "vllm:kv_cache_usage_perc": Wanted("server/kv-cache", "ratio", "max"),
    "vllm:gpu_cache_usage_perc": Wanted("server/kv-cache", "ratio", "max"),
    "vllm:prompt_tokens_total": Wanted("server/prompt-tokens", "tokens", total=True),
    "vllm:generation_tokens_total": Wanted("server/output-tokens", "tokens", total=True),
    "vllm:num_preemptions_total": Wanted("server/preemptions", "requests", total=True),
    "vllm:prefix_cache_hits_total": Wanted("server/prefix-cache-hits", "tokens", total=True),
    "llamacpp:requests_processing": Wanted("server/running", "requests"),
    "llamacpp:requests_deferred": Wanted("server/waiting", "requests"),
    "llamacpp:kv_cache_usage_ratio": Wanted("server/kv-cache", "ratio", "max"),
    "llamacpp:prompt_tokens_total": Wanted("server/prompt-tokens", "tokens", total=True),
    "llamacpp:tokens_predicted_total": Wanted("server/output-tokens", "tokens", total=True),
    "sglang:num_running_reqs": Wanted("server/running", "requests"),
    "sglang:num_queue_reqs": Wanted("server/waiting", "requests"),
    "sglang:token_usage": Wanted("server/kv-cache", "ratio", "max"),
    "tgi_batch_current_size": Wanted("server/running", "requests"),
    "tgi_queue_size": Wanted("server/waiting", "requests"),
}


def parse_metrics(text: str) -> dict[Wanted, float]:
    """The wanted values in a Prometheus text (exposition format 0.0.4); lines that cannot be read are passed over."""
    values: dict[Wanted, float] = {}
    for line in text.splitlines():
        name_end = min((place for place in (line.find("{"), line.find(" ")) if place > 0), default=0)
        wanted = METRICS.get(line[:name_end])
        if wanted is None:
            continue
        rest = line[line.rfind("}") + 1 :] if line[name_end] == "{" else line[name_end:]
        try:
            value = float(rest.split()[0])
        except (ValueError, IndexError):
            continue
        if math.isfinite(value):  # NaN: the server does not know either
            before = values.get(wanted)
            values[wanted] = (
                value if before is None else max(before, value) if wanted.join == "max" else before + value
            )
    return values


class Scraper:
    """Reads ``/metrics`` every so often until cancelled. ``problem`` says why nothing was read the last time, if so."""

    def __init__(self, target: Target, period_s: float, answer_s: float = PROBE_S) -> None:
        self.problem: str | None = None
        self.stopping = False
        """Set before the task is cancelled: up to Python 3.11 ``asyncio.wait_for`` loses a cancellation that meets an
        answer, and the loop must end all the same."""
        self._target = target
        self._period_s, self._answer_s = period_s, answer_s
        self._points: dict[Wanted, tuple[array[int], array[float]]] = {}

    async def run(self) -> None:
        """Scrape until stopped or cancelled, or until the server turns out to have no metrics."""
        async with Fetcher(self._target) as fetcher:
            while not self.stopping:
                begun_ns = monotonic_ns()
                try:
                    reply = await fetcher.get("/metrics", self._answer_s)
                except ConnectFailed as error:  # busy: this reading is missing, the next may come
                    self.problem = str(error)
                else:
                    self.problem = None if reply.status == 200 else f"HTTP {reply.status}"
                    if reply.status in NO_METRICS:
                        return
                    if reply.status == 200:
                        values = parse_metrics(reply.body.decode("utf-8", "replace"))
                        self.problem = None if values else "no metric in it that is known here"
                        self._keep((begun_ns + monotonic_ns()) // 2, values)
                await asyncio.sleep(max(0.0, self._period_s - (monotonic_ns() - begun_ns) / 1e9))

    async def end(self, task: asyncio.Task[None]) -> None:
        """End the task that runs :meth:`run` and wait until it is gone; cancelled anew if a cancellation was lost."""
        self.stopping = True
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=AGAIN_S)
        if not task.cancelled():
            task.result()

    @property
    def missing(self) -> str | None:
        """Why there are no series, as a sentence; None if there are some, or if the load was over before an answer."""
        if self._points or self.problem is None:
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
