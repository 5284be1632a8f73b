"""What a server says of itself while it is under load: chosen values of its Prometheus ``/metrics`` as side series.

Metric names: vLLM (docs.vllm.ai, "Production Metrics"; ``gpu_cache_usage_perc`` up to 0.10, ``kv_cache_usage_perc``
since), llama.cpp (tools/server/README.md, needs ``--metrics``), SGLang (docs.sglang.ai, "Production Metrics"), TGI.
"""

from __future__ import annotations

import asyncio
from array import array
from time import monotonic_ns
from typing import TYPE_CHECKING, NamedTuple

from wattmark.serving.client_probe import Fetcher
from wattmark.serving.client_target import Target
from wattmark.serving.http1 import ConnectFailed

if TYPE_CHECKING:
    from wattmark.runs.record import SeriesData


class Wanted(NamedTuple):
    """A series that we keep: its id, unit, and how values of several labels (engines, models) become one."""

    id: str
    unit: str
    join: str = "sum"


METRICS: dict[str, Wanted] = {
    "vllm:num_requests_running": Wanted("server/running", "requests"),
    "vllm:num_requests_waiting": Wanted("server/waiting", "requests"),
    "vllm:kv_cache_usage_perc": Wanted("server/kv-cache", "ratio", "max"),
    "vllm:gpu_cache_usage_perc": Wanted("server/kv-cache", "ratio", "max"),
    "vllm:prompt_tokens_total": Wanted("server/prompt-tokens", "tokens"),
    "vllm:generation_tokens_total": Wanted("server/output-tokens", "tokens"),
    "vllm:num_preemptions_total": Wanted("server/preemptions", "requests"),
    "llamacpp:requests_processing": Wanted("server/running", "requests"),
    "llamacpp:requests_deferred": Wanted("server/waiting", "requests"),
    "llamacpp:kv_cache_usage_ratio": Wanted("server/kv-cache", "ratio", "max"),
    "llamacpp:prompt_tokens_total": Wanted("server/prompt-tokens", "tokens"),
    "llamacpp:tokens_predicted_total": Wanted("server/output-tokens", "tokens"),
    "sglang:num_running_reqs": Wanted("server/running", "requests"),
    "sglang:num_queue_reqs": Wanted("server/waiting", "requests"),
    "sglang:token_usage": Wanted("server/kv-cache", "ratio", "max"),
    "tgi_batch_current_size": Wanted("server/running", "requests"),
    "tgi_queue_size": Wanted("server/waiting", "requests"),
}


def parse_metrics(text: str) -> dict[Wanted, float]:
    """The wanted values in a Prometheus text (exposition format 0.0.4); lines that cannot be read are passed over."""
    found: dict[Wanted, float] = {}
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
        if value == value:  # NaN: the server does not know either
            before = found.get(wanted)
            found[wanted] = (
                value if before is None else max(before, value) if wanted.join == "max" else before + value
            )
    return found


class Scraper:
    """Reads ``/metrics`` every so often until cancelled. ``problem`` says why there is nothing, if so."""

    def __init__(self, target: Target, period_s: float) -> None:
        self.problem: str | None = None
        self.stopping = False
        """Set before the task is cancelled: up to Python 3.11 ``asyncio.wait_for`` loses a cancellation that meets an
        answer, and the loop must end all the same."""
        self._target = target
        self._period_s = period_s
        self._points: dict[Wanted, tuple[array[int], array[float]]] = {}

    async def run(self) -> None:
        """Scrape until stopped or cancelled, or until the server turns out to have no metrics."""
        async with Fetcher(self._target) as fetcher:
            while not self.stopping:
                begun_ns = monotonic_ns()
                try:
                    reply = await fetcher.get("/metrics")
                except ConnectFailed as error:  # busy: this reading is missing, the next may come
                    self.problem = str(error)
                else:
                    if reply.status != 200:
                        self.problem = f"HTTP {reply.status}"
                        return
                    self._keep(
                        (begun_ns + monotonic_ns()) // 2, parse_metrics(reply.body.decode("utf-8", "replace"))
                    )
                await asyncio.sleep(max(0.0, self._period_s - (monotonic_ns() - begun_ns) / 1e9))

    def _keep(self, t_ns: int, values: dict[Wanted, float]) -> None:
        for wanted, value in values.items():
            times, numbers = self._points.setdefault(wanted, (array("q"), array("d")))
            times.append(t_ns)
            numbers.append(value)

    def series(self) -> tuple[SeriesData, ...]:
        """What was read: a series per value, with times in monotonic ns."""
        if not self._points:
            return ()
        import numpy as np

        from wattmark.runs.record import SeriesData
        from wattmark.sources.base import Series

        return tuple(
            SeriesData(
                Series(wanted.id, wanted.unit, "server"),
                np.array(times, np.int64),
                np.array(numbers, np.float32),
            )
            for wanted, (times, numbers) in self._points.items()
        )
