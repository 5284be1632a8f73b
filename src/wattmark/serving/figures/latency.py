"""What users of a model server feel, from the records of a load test: latencies, throughput, goodput.

Definitions (those of NVIDIA GenAI-Perf/AIPerf and ``vllm bench serve``, so that figures can be compared):
TTFT = first chunk of text - sent; E2E = answer whole - sent; TPOT = (last chunk - first chunk) / (output tokens - 1),
tokens by the server's own count; ITL = gaps between chunks (a chunk may hold several tokens: ``tokens_per_chunk``);
queueing = sent - scheduled (waiting in the client: its lateness, and opening a connection); TTFT from schedule =
their sum, what a user of an open loop feels. Time to the answer = first chunk that is no reasoning - sent: TTFT ends with
the first thought. Goodput: answers a second that meet every stated limit.

Failed requests are in no latency figure; they are counted. Where there is nothing, a figure is None.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wattmark.serving.figures.steady import Window, steady_window
from wattmark.serving.load.records import LoadResult, RequestRecord
from wattmark.statistics import Estimate, percentile, resampled_mean

PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True, slots=True)
class Distribution:
    """One latency over all requests that have it. Seconds."""

    count: int
    mean: Estimate
    least: float
    most: float
    percentiles: dict[int, Estimate]


@dataclass(frozen=True, slots=True)
class Goal:
    """Limits that an answer must meet to count as good (seconds; None: no limit)."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None

    def met_by(self, record: RequestRecord) -> bool | None:
        """Whether the answer meets them all; None if a limited figure is not known for it."""
        pairs = ((self.ttft_s, ttft_s(record)), (self.tpot_s, tpot_s(record)), (self.e2e_s, e2e_s(record)))
        wanted = [(limit, value) for limit, value in pairs if limit is not None]
        if any(value is not None and value > limit for limit, value in wanted):
            return False
        return None if any(value is None for _, value in wanted) else True


@dataclass(frozen=True, slots=True)
class Metrics:
    """The figures of one load test, or of its steady part.

    Rates are per second of the window: requests by when they ended, output tokens by when their chunks came (spread
    evenly over an answer's chunks), failed ones and None left out. good, judged (answers of which a
    verdict can be given, and failed requests, which are not good) and goodput are None without a goal. answer_s: to the
    first token of the answer itself. reasoning_share: of the output tokens, 0 to 1, over answers of which it is known; None
    if that is none of them. reasoned_only: answers that ended before they had left their reasoning (they have no
    ``answer_s``).
    """

    window: Window | None
    requests: int
    ok: int
    failed: int
    abandoned: int
    outcomes: dict[str, int]
    ttft_s: Distribution | None
    ttft_from_schedule_s: Distribution | None
    tpot_s: Distribution | None
    itl_s: Distribution | None
    e2e_s: Distribution | None
    queueing_s: Distribution | None
    lateness_s: Distribution | None
    requests_per_s: float | None
    output_tokens_per_s: float | None
    input_tokens_per_s: float | None
    mean_in_flight: float | None
    input_tokens: Distribution | None
    output_tokens: Distribution | None
    tokens_per_chunk: float | None
    goal: Goal | None
    good: int | None
    goodput_per_s: float | None
    judged: int | None = None
    answer_s: Distribution | None = None
    reasoning_share: float | None = None
    reasoned_only: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return asdict(self)


def measure(
    result: LoadResult,
    *,
    goal: Goal | None = None,
    window: Window | None = None,
    warm_up_s: float | None = None,
    drain_s: float | None = None,
) -> Metrics:
    """All figures of a load test over its steady part (:func:`.steady.steady_window`), or ``window``.

    Latencies are those of requests *scheduled* in the window, so that slow ones are not lost at its end; counts of
    failures are of the same requests.
    """
    window = window or steady_window(result, warm_up_s=warm_up_s, drain_s=drain_s)
    records = result.records
    if window is not None and not window.rule.startswith("whole"):
        records = [record for record in records if window.start_ns <= record.scheduled_ns <= window.end_ns]
    good_ones = [record for record in records if record.ok]
    outcomes: dict[str, int] = {}
    for record in records:
        outcomes[record.outcome] = outcomes.get(record.outcome, 0) + 1
    ok, abandoned = len(good_ones), outcomes.get("abandoned", 0)
    verdicts = [goal.met_by(record) for record in good_ones] if goal else []
    met = verdicts.count(True) if goal else None
    failed = len(records) - ok - abandoned
    judged = len(verdicts) - verdicts.count(None)
    seconds = window.duration_s if window is not None and window.duration_s > 0 else None
    counted = [
        (len(record.chunk_ns), record.output_tokens)
        for record in good_ones
        if record.output_tokens and record.chunk_ns
    ]
    chunks = sum(number for number, _ in counted)
    rate = _rates(result, window) if window is not None and seconds is not None else (None, None, None, None)
    # Goodput is the share of good ones among those scheduled here, times the rate of answers here.
    # What cannot be judged (no first token without streaming) is on neither side.
    goodput = None if met is None or rate[0] is None or not judged else rate[0] * met / judged
    if goal and failed and not ok:
        goodput = 0.0
    return Metrics(
        window=window, requests=len(records), ok=ok, failed=failed, abandoned=abandoned,
        outcomes=outcomes,
        ttft_s=distribution(map(ttft_s, good_ones)),
        ttft_from_schedule_s=distribution(
            (record.first_token_ns - record.scheduled_ns) / 1e9 for record in good_ones if record.first_token_ns is not None
        ),
        tpot_s=distribution(map(tpot_s, good_ones)),
        itl_s=_gaps(good_ones),
        e2e_s=distribution(map(e2e_s, good_ones)),
        queueing_s=distribution(
            (record.sent_ns - record.scheduled_ns) / 1e9 for record in good_ones if record.sent_ns is not None
        ),
        lateness_s=distribution((record.released_ns - record.scheduled_ns) / 1e9 for record in records),
        requests_per_s=rate[0], output_tokens_per_s=rate[1], input_tokens_per_s=rate[2], mean_in_flight=rate[3],
        input_tokens=distribution(record.input_tokens for record in good_ones),
        output_tokens=distribution(record.output_tokens for record in good_ones),
        tokens_per_chunk=sum(tokens for _, tokens in counted) / chunks if chunks else None,
        goal=goal, good=met, goodput_per_s=goodput, judged=judged + failed if goal else None,
        answer_s=distribution(map(answer_s, good_ones)),
        reasoning_share=_reasoning_share(good_ones),
        reasoned_only=sum(bool(record.chunk_ns) and record.first_answer_ns is None for record in good_ones),
    )  # fmt: skip


def ttft_s(record: RequestRecord) -> float | None:
    """Time to first token; None if the answer was not streamed."""
    if record.first_token_ns is None or record.sent_ns is None:
        return None
    return (record.first_token_ns - record.sent_ns) / 1e9


def answer_s(record: RequestRecord) -> float | None:
    """Time to the first token that is no reasoning; None if the answer was not streamed, or was all reasoning."""
    if record.first_answer_ns is None or record.sent_ns is None:
        return None
    return (record.first_answer_ns - record.sent_ns) / 1e9


def reasoning_part(record: RequestRecord) -> float | None:
    """How much of an answer's tokens is reasoning, 0 to 1: by the server's own count, else by the chunks; None if neither
    tells."""
    if record.reasoning_tokens is not None and record.output_tokens:
        return min(1.0, record.reasoning_tokens / record.output_tokens)
    return record.reasoning_chunks / len(record.chunk_ns) if record.chunk_ns else None


def _reasoning_share(records: list[RequestRecord]) -> float | None:
    pairs = [(reasoning_part(record), record.output_tokens or len(record.chunk_ns)) for record in records]
    known = [(part, tokens) for part, tokens in pairs if part is not None and tokens]
    tokens = sum(count for _, count in known)
    return sum(part * count for part, count in known) / tokens if tokens else None


def tpot_s(record: RequestRecord) -> float | None:
    """Time per output token after the first; None for answers of one token, of one chunk, or without counts."""
    if not record.output_tokens or record.output_tokens < 2 or len(record.chunk_ns) < 2:
        return None
    each = record.output_tokens / record.answers  # choices of one request come side by side
    return None if each <= 1 else (record.chunk_ns[-1] - record.chunk_ns[0]) / 1e9 / (each - 1)


def e2e_s(record: RequestRecord) -> float | None:
    """From sending to the end of the answer."""
    if record.end_ns is None or record.sent_ns is None:
        return None
    return (record.end_ns - record.sent_ns) / 1e9


def distribution(values: Iterable[float | None]) -> Distribution | None:
    """Mean (bootstrap interval) and percentiles (order-statistic intervals) of what is known; None if nothing is."""
    known = np.sort(np.array([value for value in values if value is not None], np.float64))
    if not known.size:
        return None
    return Distribution(
        len(known), resampled_mean(known, seed=len(known)), float(known[0]), float(known[-1]),
        {percent: percentile(known, percent) for percent in PERCENTILES},
    )  # fmt: skip


def _gaps(records: list[RequestRecord]) -> Distribution | None:
    gaps = [
        np.diff(np.frombuffer(record.chunk_ns, np.int64)) for record in records if len(record.chunk_ns) > 1
    ]
    return distribution(np.concatenate(gaps) / 1e9) if gaps else None


def _rates(
    result: LoadResult, window: Window
) -> tuple[float | None, float | None, float | None, float | None]:
    """Answers/s, output tokens/s, input tokens/s, and requests in flight on average, within the window."""
    start, end, seconds = window.start_ns, window.end_ns, window.duration_s
    answers = given = 0
    made = busy_ns = 0.0
    counted = False
    for record in result.records:
        if record.sent_ns is not None and record.end_ns is not None:
            busy_ns += max(0, min(record.end_ns, end) - max(record.sent_ns, start))
        if not record.ok or record.end_ns is None:
            continue
        if start <= record.end_ns <= end:
            answers += 1
            given += record.input_tokens or 0
        if record.output_tokens is not None:
            counted = True
            times = (
                np.frombuffer(record.chunk_ns or b"", np.int64)
                if record.chunk_ns
                else np.array([record.end_ns])
            )
            made += record.output_tokens * float(np.mean((times >= start) & (times <= end)))
    output, inputs = (made / seconds, given / seconds) if counted else (None, None)
    return answers / seconds, output, inputs, busy_ns / 1e9 / seconds
