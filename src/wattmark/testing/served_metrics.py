"""What the scripted model server serves at ``/metrics`` about itself: Prometheus text in the names of vLLM."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56)
"""Bounds of the buckets of its histograms."""


class ServedMetrics:
    """Gauges and histograms as the server itself sees them: a time to the first token holds the wait in its queue.

    slots: requests that it works on at once.
    """

    def __init__(self, slots: int | None) -> None:
        self.slots = slots
        self.running = self.waiting = 0
        self.output_tokens = 0
        self._buckets = {
            name: [0] * (len(BOUNDS_S) + 1) for name in ("time_to_first_token", "e2e_request_latency")
        }
        self._sums = dict.fromkeys(self._buckets, 0.0)

    def first_token(self, seconds: float) -> None:
        """A first token went out so long after its request had come."""
        self._observe("time_to_first_token", seconds)

    def whole(self, seconds: float, tokens: int) -> None:
        """An answer of so many tokens was whole so long after its request had come."""
        self._observe("e2e_request_latency", seconds)
        self.output_tokens += tokens

    def _observe(self, name: str, seconds: float) -> None:
        self._buckets[name][bisect_left(BOUNDS_S, seconds)] += 1
        self._sums[name] += seconds

    def text(self) -> str:
        """All of it, as it stands now."""
        lines = [
            f'vllm:num_requests_running{{engine="0",model_name="m"}} {self.running}',
            f'vllm:num_requests_waiting{{engine="0",model_name="m"}} {self.waiting}',
            f'vllm:kv_cache_usage_perc{{engine="0",model_name="m"}} {self.running / (self.slots or 64):.4f}',
            f'vllm:generation_tokens_total{{engine="0",model_name="m"}} {self.output_tokens}',
        ]
        for name, counts in self._buckets.items():
            full, below = f"vllm:{name}_seconds", 0
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), counts, strict=True):
                below += count
                lines.append(f'{full}_bucket{{engine="0",le="{bound}",model_name="m"}} {below}')
            lines += [
                f'{full}_sum{{engine="0",model_name="m"}} {self._sums[name]}',
                f'{full}_count{{engine="0",model_name="m"}} {below}',
            ]
        return "\n".join(lines) + "\n"
