"""The server's own view of a load beside the client's: how full its batch, queue and cache were, and its own latencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wattmark.serving.figures.steady import Window
from wattmark.serving.load.records import LoadResult
from wattmark.serving.server.exposition import Histogram
from wattmark.statistics import Estimate

GAUGES = {"running": "server/running", "waiting": "server/waiting", "kv_cache": "server/kv-cache"}
"""What is shown, and the series it comes from: requests in the batch, requests in the queue, share of the cache in use."""
COUNTERS = {"output_tokens": "server/output-tokens", "preemptions": "server/preemptions"}
PERCENTILES = (50, 95, 99)
OTHERS = 0.05
"""A server that made more than this share of output tokens beyond those of our answers had other users."""
FEWEST_TOKENS = 50


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value that the server was asked for again and again, within the window."""

    mean: float
    most: float
    readings: int


@dataclass(frozen=True, slots=True)
class ServerLatency:
    """One latency by the server's own histogram, of all its requests from the first reading to the last. Seconds.

    A percentile lies somewhere in its bucket, whose bounds are its interval.
    """

    count: int
    mean_s: float
    percentiles: Mapping[int, Estimate | None]

    @classmethod
    def of(cls, histogram: Histogram) -> ServerLatency | None:
        """From what a histogram gained; None if that is nothing."""
        if histogram.mean is None:
            return None
        return cls(
            round(histogram.count),
            histogram.mean,
            {percent: _estimate(histogram, percent) for percent in PERCENTILES},
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "count": self.count,
            "mean_s": self.mean_s,
            "percentiles": {
                str(percent): None if at is None else {"value": at.value, "low": at.low, "high": at.high}
                for percent, at in self.percentiles.items()
            },
        }


@dataclass(frozen=True, slots=True)
class ServerView:
    """What the server said of itself while it was under the load.

    gauges: ``running``, ``waiting``, ``kv_cache`` (0 to 1), within the window. latencies: ``ttft``, ``itl``, ``tpot``,
    ``e2e``, ``queue``, ``prefill``, ``decode``, ``inference``, as far as the server keeps them; counted: growth of counters.
    warnings: what does not fit what the client saw.
    """

    gauges: Mapping[str, Gauge]
    latencies: Mapping[str, ServerLatency]
    counted: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "gauges": {
                name: {"mean": gauge.mean, "most": gauge.most, "readings": gauge.readings}
                for name, gauge in self.gauges.items()
            },
            "latencies": {name: latency.as_dict() for name, latency in self.latencies.items()},
            "counted": dict(self.counted),
        }


def _estimate(histogram: Histogram, percent: int) -> Estimate | None:
    at = histogram.percentile(percent)
    return None if at is None else Estimate(at.value, at.low, at.high)


def server_view(load: LoadResult, window: Window | None) -> ServerView | None:
    """The server's own view of a load, its gauges within the window (all readings if none lies in it); None if it said
    nothing."""
    series = {item.series.id: item for item in load.series}
    gauges: dict[str, Gauge] = {}
    for name, series_id in GAUGES.items():
        item = series.get(series_id)
        if item is None or not len(item.values):
            continue
        inside = np.ones(len(item.t_ns), np.bool_)
        if window is not None:
            within = (item.t_ns >= window.start_ns) & (item.t_ns <= window.end_ns)
            inside = within if within.any() else inside
        values = item.values[inside].astype(np.float64)
        gauges[name] = Gauge(float(values.mean()), float(values.max()), len(values))
    counted = {
        name: float(series[series_id].values[-1])
        for name, series_id in COUNTERS.items()
        if series_id in series and len(series[series_id].values) > 1
    }
    latencies = {
        what: own
        for what, histogram in load.latencies.items()
        if (own := ServerLatency.of(histogram)) is not None
    }
    if not gauges and not latencies:
        return None
    return ServerView(gauges, latencies, counted, _other_users(load, counted))


def _other_users(load: LoadResult, counted: Mapping[str, float]) -> tuple[str, ...]:
    """Whether the server worked for others, too: its joules would be theirs in part."""
    made = counted.get("output_tokens")
    ours = [record.output_tokens for record in load.records if record.output_tokens is not None]
    # What was begun for requests without counts cannot be told from other people's.
    if made is None or len(ours) < len(load.records) or made < FEWEST_TOKENS:
        return ()
    if made <= sum(ours) * (1 + OTHERS):
        return ()
    return (
        f"the server made {made:,.0f} output tokens meanwhile, these answers have {sum(ours):,}: others used it too, and "
        "its joules and latencies are theirs in part",
    )
