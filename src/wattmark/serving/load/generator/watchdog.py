"""The time limits of requests."""

from __future__ import annotations

from time import monotonic_ns

from wattmark.serving.load.generator.turns import Turns
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.records import RequestRecord

AFTER_DONE_S = 1.0
"""The end of a body is awaited so long after ``[DONE]``."""


RUNAWAY_TIMES, RUNAWAY_CHUNKS = 10, 16_384
"""An answer of so many times the tokens that were asked for, and so many more (long answers of models that reason are
shorter), never ends: without this bound a load would not end either."""


class Watchdog:
    """Gives up what has taken too long. One look at everything is cheaper than a timer per request."""

    def __init__(self, turns: Turns, limits: Limits) -> None:
        self._turns, self._limits = turns, limits

    @property
    def period_s(self) -> float:
        """Seconds from one look to the next."""
        limits = self._limits
        return min(0.25, limits.first_byte_s / 4, limits.stall_s / 4, (limits.total_s or 1.0) / 4)

    def check(self) -> None:
        """Look at everything in flight."""
        limits, drop, now = self._limits, self._turns.drop, monotonic_ns()
        for exchange in list(self._turns.in_flight):
            if not exchange.sent_ns:
                continue
            heard = max(exchange.heard_ns, exchange.sent_ns)
            silent_s, total_s = (now - heard) / 1e9, (now - exchange.sent_ns) / 1e9
            if exchange.heard_ns < exchange.sent_ns and silent_s > limits.first_byte_s:
                drop(exchange, "no_answer", f"no answer within {limits.first_byte_s:g} s")
            elif exchange.finished_stream and silent_s > min(AFTER_DONE_S, limits.stall_s):
                drop(
                    exchange, "cut", ""
                )  # after [DONE] this is a good answer, though the server leaves its end open
            elif exchange.heard_ns >= exchange.sent_ns and silent_s > limits.stall_s:
                drop(exchange, "stalled", f"the answer stopped coming for {limits.stall_s:g} s")
            elif limits.total_s is not None and total_s > limits.total_s:
                drop(exchange, "too_long", f"not complete after {limits.total_s:g} s")
            elif _runs_away(exchange.record):
                asked = exchange.record.wanted_output_tokens
                said = f"{len(exchange.record.chunk_ns)} chunks, though {asked} tokens were asked for at most"
                drop(exchange, "too_long", f"{said}: the server does not stop by itself")


def _runs_away(record: RequestRecord) -> bool:
    wanted = record.wanted_output_tokens
    return wanted is not None and len(record.chunk_ns) > RUNAWAY_TIMES * wanted + RUNAWAY_CHUNKS
