"""Whose joules, under continuous batching: each sampling interval's energy shared by the tokens worked on in it.

The rule. Of the energy of a sampling interval, at most ``idle_w`` times its length is idle energy, a pot of its own.
What is above idle belongs to the requests that had tokens worked on in the interval, in proportion to those tokens,
prefill and decode weighted by what they cost (:mod:`wattmark.serving.energy.costs`). What is above idle in an interval
without tokens belongs to no one and is shown as unattributed. ``requests + idle + unattributed = measured``, always.

When tokens are worked on: a prompt's tokens, less those from the prefix cache, evenly from the start of processing to the
first token; each later token in the gap before its chunk, or evenly from
first to last token where chunks are not known. The first token comes out of the prefill, so n tokens are n - 1 decode
steps. An answer that was not streamed has both spread over all its time.

Cost: O((requests + chunks + samples) log samples); nothing is held per pair of request and sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import Quantity
from wattmark.runs.record import Float64, Int64
from wattmark.runs.view import RunView

Bool = NDArray[np.bool_]
Spread = Literal["none", "in-flight", "all"]
UNKNOWN_NS = -1
_BLOCK = 1_000_000


@dataclass(frozen=True, slots=True)
class RequestColumns:
    """Requests as columns, (n,) int64 each; times in ns of the clock that the run's curves use.

    start_ns: processing began: from llama.cpp's ``timings``, else :func:`processing_starts`. first_token_ns:
    -1 where the answer was not streamed. end_ns: last token. cached_tokens: prompt tokens taken from a prefix cache.
    chunk_ns and chunk_offsets: times of all chunks, one request after the other, those of request r in
    ``chunk_ns[chunk_offsets[r]:chunk_offsets[r + 1]]``, or both None. sent_ns: when the request was sent, for its
    delay; None takes ``start_ns``. answered: bool; False where the request failed or was given up, though work was done for
    it. counted: bool; False where the server told no token counts and these are estimates. None: all of them. reasoning:
    (n,) float64, how much of the output tokens is reasoning, which comes first; NaN where it is not known. starts_told:
    whether ``start_ns`` is what the server said, and no estimate. units: of other things that were asked for or made, (n,)
    of each: images, seconds of sound.

    Raises:
        ValueError: lengths differ, times run backwards, or a count is negative (leave out what is not known).
    """

    start_ns: Int64
    first_token_ns: Int64
    end_ns: Int64
    input_tokens: Int64
    output_tokens: Int64
    cached_tokens: Int64
    chunk_ns: Int64 | None = None
    chunk_offsets: Int64 | None = None
    sent_ns: Int64 | None = None
    answered: Bool | None = None
    counted: Bool | None = None
    reasoning: Float64 | None = None
    starts_told: bool = False
    units: Mapping[str, Float64] | None = None

    def __post_init__(self) -> None:
        columns = (
            self.first_token_ns,
            self.end_ns,
            self.input_tokens,
            self.output_tokens,
            self.cached_tokens,
        )
        if any(column.shape != self.start_ns.shape for column in columns):
            raise ValueError("the columns of requests have different lengths")
        known = self.first_token_ns != UNKNOWN_NS
        first = np.where(known, self.first_token_ns, self.start_ns)
        if (first < self.start_ns).any() or (self.end_ns < first).any():
            raise ValueError("a request needs start <= first token <= end")
        if min((int(column.min()) for column in columns[2:] if len(column)), default=0) < 0:
            raise ValueError("token counts cannot be negative")
        if (self.cached_tokens > self.input_tokens).any():
            raise ValueError("no more tokens of a prompt can be cached than it has")
        if (self.chunk_ns is None) != (self.chunk_offsets is None):
            raise ValueError("chunk times and their offsets come together")
        if self.chunk_offsets is not None and len(self.chunk_offsets) != len(self) + 1:
            raise ValueError("chunk_offsets needs one entry more than there are requests")

    def __len__(self) -> int:
        return len(self.start_ns)

    @property
    def prefill_tokens(self) -> Int64:
        """Prompt tokens that had to be worked through, (n,)."""
        return self.input_tokens - self.cached_tokens

    @property
    def all_answered(self) -> Bool:
        """``answered`` as a column, (n,)."""
        return np.ones(len(self), np.bool_) if self.answered is None else self.answered

    @property
    def all_counted(self) -> Bool:
        """Answered requests whose token counts the server told, (n,)."""
        return self.all_answered if self.counted is None else self.all_answered & self.counted

    @property
    def context_tokens(self) -> Float64:
        """Mean length of what a request's decode steps attend to: the prompt, and half of the answer, (n,)."""
        return self.input_tokens + self.output_tokens / 2

    @property
    def decode_tokens(self) -> Int64:
        """Decode steps, (n,): tokens after the first, which the prefill gives."""
        return np.maximum(self.output_tokens - 1, 0)


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """What a prefill and a decode token weigh against each other (J per token, or any scale), and why.

    prompt: of a prompt, however long. context: of a decode token, for each token of its context.
    """

    prefill: float
    decode: float
    rule: str
    prompt: float = 0.0
    context: float = 0.0

    def __post_init__(self) -> None:
        parts = (self.prefill, self.decode, self.prompt, self.context)
        if not (min(parts) >= 0 and 0 < sum(parts) < np.inf):
            raise ValueError("weights are finite, not negative, and not both zero")

    def of(self, requests: RequestColumns) -> tuple[Float64, Float64]:
        """Weight of each request's prefill and of all its decode steps, (n,) each."""
        prefill = self.prefill * requests.prefill_tokens + self.prompt
        decode = (self.decode + self.context * requests.context_tokens) * requests.decode_tokens
        return prefill.astype(np.float64), decode.astype(np.float64)

    def reasoning_of(self, requests: RequestColumns) -> Float64:
        """How much of each request's weight its reasoning has, 0 to 1, (n,): the first of its decode steps, whose context is
        shorter than that of the answer after them. NaN where it is not known."""
        if requests.reasoning is None:
            return np.full(len(requests), np.nan)
        steps = np.maximum(requests.reasoning * requests.output_tokens - 1, 0.0)
        thought = (self.decode + self.context * (requests.input_tokens + steps / 2)) * steps
        prefill, decode = self.of(requests)
        whole = prefill + decode
        return np.divide(thought, whole, out=np.zeros(len(requests)), where=whole > 0)


EQUAL_WEIGHTS = TokenWeights(
    1.0, 1.0, "every token alike, about two operations per parameter each (Kaplan 2020, 2.1)"
)


@dataclass(frozen=True, slots=True)
class IntervalEnergy:
    """Energy of one component in consecutive sampling intervals.

    edges_ns: (m + 1,) int64, strictly increasing. energy_j, covered_s: (m,) float64. idle_w: watts of being on,
    None where they are not known (then there is no idle pot and requests share all). method: as of the channel.
    total: the measured energy with its interval, None if only the values are known.
    """

    component: str
    edges_ns: Int64
    energy_j: Float64
    covered_s: Float64
    idle_w: float | None = None
    method: str = "counter"
    total: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """Who used one component's energy; all in joules. request_j: (n,) float64, above idle. idle_share_j: (n,) what
    spreading gave each request of the idle pot (zeros unless asked for). covered: (n,) share of a request's weighted
    tokens that fall into measured time.
    """

    energy: IntervalEnergy
    request_j: Float64
    idle_share_j: Float64
    idle_j: float | None
    unattributed_j: float
    covered: Float64

    @property
    def measured_j(self) -> float:
        """All of it."""
        return float(self.energy.energy_j.sum())


def processing_starts(sent_ns: Int64, first_token_ns: Int64) -> Int64:
    """When the server is likely to have begun each prompt, where only sending and first token are known; (n,) int64.

    Servers work through prompts in the order of arrival, so a prompt began when it was sent or when the first token
    before its own had come, whichever was later. Taking the time in the queue for work would spread a prompt's tokens
    over time in which others were worked on. Not streamed (-1): the time of sending.
    """
    streamed = first_token_ns != UNKNOWN_NS
    moments = np.unique(first_token_ns[streamed])
    before = np.searchsorted(moments, first_token_ns) - 1
    if not len(moments):
        return sent_ns
    previous = np.where(before >= 0, moments[np.maximum(before, 0)], sent_ns)
    return np.where(streamed, np.maximum(sent_ns, previous), sent_ns)


def tokens_in(
    requests: RequestColumns, edges_ns: Int64, prefill: float = 1.0, decode: float = 1.0
) -> Float64:
    """Weighted tokens worked on in each interval between edges, (m,) float64."""
    return work_in(
        requests,
        edges_ns,
        prefill * requests.prefill_tokens.astype(np.float64),
        decode * requests.decode_tokens.astype(np.float64),
    )


def work_in(requests: RequestColumns, edges_ns: Int64, prefill: Float64, decode: Float64) -> Float64:
    """How much of each request's prefill and decode work (n,) falls into each interval between edges; sums (m,)."""
    totals = _Totals(edges_ns)
    for segments in _segments(requests, prefill, decode):
        totals.add(_Placed.of(segments, edges_ns))
    return totals.tokens()


def shares_inside(requests: RequestColumns, start_ns: int, end_ns: int) -> tuple[Float64, Float64]:
    """Shares of each request's prefill and of its decode steps that fall into [start, end), 0 to 1, (n,) each.

    A prefill without tokens (all cached) happens at the first token; an answer of one token has no decode: its share is
    that of its prefill.
    """
    edges = np.array([start_ns, max(end_ns, start_ns + 1)], np.int64)
    whole = np.ones(len(requests))
    sums: list[Float64] = []
    for prefill, decode in ((whole, 0 * whole), (0 * whole, np.where(requests.decode_tokens > 0, 1.0, 0.0))):
        inside = np.zeros(len(requests))
        for segments in _segments(requests, prefill, decode):
            inside += segments.sums(_Placed.of(segments, edges).head, len(requests))
        sums.append(inside.clip(0.0, 1.0))
    return sums[0], np.where(requests.decode_tokens > 0, sums[1], sums[0])


def attribute(
    requests: RequestColumns, energy: IntervalEnergy, weights: TokenWeights, spread: Spread = "none"
) -> Shares:
    """Share one component's energy among the requests by the rule of this module.

    spread: what to do with the idle pot besides showing it: ``in-flight`` shares each interval's part among the
    requests with tokens in it, ``all`` shares the whole pot by weighted tokens.
    """
    edges = energy.edges_ns
    lengths_s = np.diff(edges) / 1e9
    idle_w = energy.idle_w
    idle = (
        np.zeros_like(lengths_s) if idle_w is None else np.minimum(energy.energy_j, idle_w * energy.covered_s)
    )
    active = energy.energy_j - idle

    totals = _Totals(edges)
    work = weights.of(requests)
    for segments in _segments(requests, *work):
        totals.add(_Placed.of(segments, edges))
    tokens, busy = totals.tokens(), totals.busy()
    active_pot = _Pot.of(np.where(busy, active, 0.0), tokens, totals, lengths_s)
    idle_pot = _Pot.of(np.where(busy, idle, 0.0), tokens, totals, lengths_s)
    measured_pot = _Pot.of(np.where(energy.covered_s > 0, tokens, 0.0), tokens, totals, lengths_s)

    request_j, idle_share_j, seen, wanted = (np.zeros(len(requests)) for _ in range(4))
    for segments in _segments(requests, *work):
        placed = _Placed.of(segments, edges)
        request_j += segments.sums(active_pot.shares(placed), len(requests))
        seen += segments.sums(measured_pot.shares(placed), len(requests))
        wanted += segments.sums(segments.tokens, len(requests))
        if spread == "in-flight":
            idle_share_j += segments.sums(idle_pot.shares(placed), len(requests))
    if spread == "all" and wanted.sum() > 0:
        idle_share_j = float(idle.sum()) * wanted / wanted.sum()
    return Shares(
        energy,
        request_j,
        idle_share_j,
        None if idle_w is None else float(idle.sum()),
        float(active[~busy].sum()),
        np.divide(seen, wanted, out=np.zeros_like(seen), where=wanted > 0).clip(0, 1),
    )


def component_energies(view: RunView, start_ns: int, end_ns: int) -> list[IntervalEnergy]:
    """A run's counted energy in [start, end) by component, cut at the samples of each component's slowest curve.

    The idle watts are those of the run's baseline.
    """
    found: list[IntervalEnergy] = []
    bounds = np.array([start_ns, end_ns], np.int64)
    baseline = view.record.baseline_w or {}
    whole = view.between(bounds[:1], bounds[1:])
    for component, total in whole.items():
        curves = [curve for curve in view.counted if curve.curve.channel.component == component]
        slowest = max(curves, key=lambda curve: curve.usual_gap_s).curve.t_ns
        edges = np.concatenate((bounds[:1], slowest[(slowest > start_ns) & (slowest < end_ns)], bounds[1:]))
        energies = [curve.between(edges[:-1], edges[1:]) for curve in curves]
        methods = {curve.curve.channel.method for curve in curves}
        found.append(
            IntervalEnergy(
                component,
                edges,
                np.sum([part.value_j for part in energies], axis=0),
                np.sum([part.covered_s for part in energies], axis=0) / len(curves),
                baseline.get(component),
                methods.pop() if len(methods) == 1 else "modelled" if "modelled" in methods else "integrated",
                total.quantity(0, component),
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class _Segments:
    """Tokens spread evenly over [start, end): weighted tokens of one request each."""

    request: NDArray[np.intp]
    start_ns: Int64
    end_ns: Int64
    tokens: Float64

    def sums(self, values: Float64, count: int) -> Float64:
        """Sums of values by request."""
        return np.asarray(np.bincount(self.request, values, count), np.float64)


def _segments(requests: RequestColumns, prefill: Float64, decode: Float64) -> Iterator[_Segments]:
    """Prefill, then decode, in blocks so that memory stays flat however many chunks there are; prefill, decode: (n,) the
    work of each request in all."""
    rows = np.arange(len(requests))
    streamed = requests.first_token_ns != UNKNOWN_NS
    first = np.where(streamed, requests.first_token_ns, requests.end_ns)
    yield _positive(rows, requests.start_ns, first, prefill)
    gaps = np.zeros(len(requests), np.int64)
    if requests.chunk_offsets is not None:
        gaps = np.where(streamed, np.maximum(np.diff(requests.chunk_offsets) - 1, 0), 0)
    plain = gaps == 0
    begin = np.where(streamed, requests.first_token_ns, requests.start_ns)
    yield _positive(rows[plain], begin[plain], requests.end_ns[plain], decode[plain])
    if requests.chunk_ns is None or requests.chunk_offsets is None or plain.all():
        return
    chunked = rows[~plain]
    block = np.cumsum(gaps[chunked]) // _BLOCK
    for part in np.split(chunked, np.flatnonzero(np.diff(block)) + 1):
        owner = np.repeat(part, gaps[part])
        inner = np.arange(len(owner)) - np.repeat(np.cumsum(gaps[part]) - gaps[part], gaps[part])
        left = requests.chunk_offsets[owner] + inner
        yield _positive(
            owner, requests.chunk_ns[left], requests.chunk_ns[left + 1], decode[owner] / gaps[owner]
        )


def _positive(request: NDArray[np.intp], start_ns: Int64, end_ns: Int64, tokens: Float64) -> _Segments:
    keep = tokens > 0
    start = start_ns[keep]
    # What happened at one instant fills the nanosecond after it.
    return _Segments(request[keep], start, np.maximum(end_ns[keep], start + 1), tokens[keep])


@dataclass(frozen=True, slots=True)
class _Placed:
    """Segments laid over the intervals: whole intervals first + 1 .. last - 1, and parts of the first and the last.

    rate: weighted tokens per second. head, tail: weighted tokens in the first and the last interval.
    """

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    rate: Float64
    head: Float64
    tail: Float64

    @classmethod
    def of(cls, segments: _Segments, edges_ns: Int64) -> _Placed:
        start = np.clip(segments.start_ns, edges_ns[0], edges_ns[-1])
        end = np.clip(segments.end_ns, edges_ns[0], edges_ns[-1])
        inside = end > start
        final = len(edges_ns) - 2
        first = np.clip(np.searchsorted(edges_ns, start, side="right") - 1, 0, final)
        last = np.clip(np.searchsorted(edges_ns, end, side="left") - 1, first, final)
        rate = segments.tokens / ((segments.end_ns - segments.start_ns) / 1e9)
        head = rate * ((np.minimum(end, edges_ns[first + 1]) - start) / 1e9)
        tail = np.where(last > first, rate * ((end - edges_ns[last]) / 1e9), 0.0)
        return cls(first, last, rate, np.where(inside, head, 0.0), np.where(inside, tail, 0.0))


class _Totals:
    """Weighted tokens per interval. Counts of segments are kept beside sums of rates, whose rounding would otherwise
    leave a trace of work in intervals without any."""

    def __init__(self, edges_ns: Int64) -> None:
        self._lengths_s = np.diff(edges_ns) / 1e9
        self._edge_tokens = np.zeros(len(self._lengths_s))
        self._rate_steps = np.zeros(len(self._lengths_s) + 1)
        self._count_steps = np.zeros(len(self._lengths_s) + 1, np.int64)

    def add(self, placed: _Placed) -> None:
        count = len(self._lengths_s)
        self._edge_tokens += np.bincount(placed.first, placed.head, count)
        self._edge_tokens += np.bincount(placed.last, placed.tail, count)
        whole = placed.last > placed.first + 1
        begin, end, rate = placed.first[whole] + 1, placed.last[whole], placed.rate[whole]
        self._rate_steps += np.bincount(begin, rate, count + 1) - np.bincount(end, rate, count + 1)
        self._count_steps += np.bincount(begin, minlength=count + 1) - np.bincount(end, minlength=count + 1)

    def whole(self) -> NDArray[np.bool_]:
        """Intervals that lie whole within some segment."""
        return np.cumsum(self._count_steps)[:-1] > 0

    def tokens(self) -> Float64:
        rates = np.where(self.whole(), np.cumsum(self._rate_steps)[:-1], 0.0)
        return self._edge_tokens + np.maximum(rates, 0.0) * self._lengths_s

    def busy(self) -> NDArray[np.bool_]:
        return self.tokens() > 0


@dataclass(frozen=True, slots=True)
class _Pot:
    """Joules per weighted token in each interval, and their running sum over intervals that lie whole in a segment.

    The running sum leaves out the others: an interval that is only touched may have a huge ratio, which would cost the
    sum its last digits.
    """

    per_token: Float64
    running: Float64

    @classmethod
    def of(cls, energy_j: Float64, tokens: Float64, totals: _Totals, lengths_s: Float64) -> _Pot:
        per_token = np.divide(energy_j, tokens, out=np.zeros_like(tokens), where=tokens > 0)
        steps = np.where(totals.whole(), per_token * lengths_s, 0.0)
        return cls(per_token, np.concatenate(([0.0], np.cumsum(steps))))

    def shares(self, placed: _Placed) -> Float64:
        """Joules of each segment, (k,) float64."""
        inner = np.maximum(
            self.running[placed.last] - self.running[np.minimum(placed.first + 1, placed.last)], 0.0
        )
        edges = placed.head * self.per_token[placed.first] + placed.tail * self.per_token[placed.last]
        return edges + placed.rate * inner
