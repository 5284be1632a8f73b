"""``wm.predict_llm(...)``: models and accelerators side by side, and which is the cheapest that is quick enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from wattmark.errors import ConfigError
from wattmark.predict.base import Prediction, amount
from wattmark.predict.hardware.accelerators import Hardware, find
from wattmark.predict.llm import architecture
from wattmark.predict.llm.predictor import shipped
from wattmark.predict.llm.subject import Serving
from wattmark.quantity import FIT, Quantity

_MOST = 16


@dataclass(frozen=True, slots=True)
class ServingPrediction:
    """One server. ``request``: joules, share of the server's time and power, GPU only. ``misfit``: why the memory is too
    small, or the server too slow for the rate; None where neither is. ``rate``: requests a second that it was asked
    for, None where the concurrency was; ``busy``: the share of the time that it then works, the rest of which is in
    ``request`` as idle joules."""

    subject: Serving
    request: Prediction
    misfit: str | None
    rate: float | None = None
    busy: float = 1.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        unchecked = f"the shape of {self.subject.model.name} was written down and held against nothing: give its config.json"
        notes = (*self.request.outside, *(() if self.subject.model.checked else (unchecked,)))
        return notes if self.misfit is None else (*notes, self.misfit)

    @property
    def token_j(self) -> Quantity:
        """Joules of an output token, its share of the prompt included."""
        return self.request.energy / self.subject.output

    @property
    def tokens_per_s(self) -> Quantity:
        """Output tokens of the whole server."""
        if self.rate is not None and self.misfit is None:
            return Quantity.exact(self.rate * self.subject.output, "1/s")
        return (self.subject.output / self.request.time).with_unit("1/s")

    @property
    def token_s(self) -> Quantity:
        """Seconds between two tokens of one request, prompts of others included."""
        return self.request.time * (self.subject.concurrency / self.subject.output)

    @property
    def dominant(self) -> str:
        """The part of the roofline that takes most joules."""
        terms = self.request.terms or {}
        return max(terms, key=lambda part: terms[part])

    @property
    def request_s(self) -> Quantity:
        """Seconds that one request takes, prompts of others included."""
        return self.token_s * self.subject.output

    def as_dict(self) -> dict[str, Any]:
        """Plain data; intervals of 90 %."""
        subject, terms = self.subject, self.request.terms or {}
        prefill = terms.get("prefill", 0.0) / max(self.request.energy.value, 1e-300)
        return {
            "model": subject.model.name,
            "gpu": subject.hardware.id,
            "gpus": subject.accelerators,
            "precision": subject.precision,
            "engine": subject.engine,
            "concurrency": subject.concurrency,
            "token_j": amount(self.token_j),
            "request_j": amount(self.request.energy),
            "prefill_j": amount(self.request.energy * prefill),
            "decode_j": amount(self.request.energy * (1 - prefill)),
            "power_w": amount(self.request.power),
            "tokens_per_s": amount(self.tokens_per_s),
            "token_s": amount(self.token_s),
            "dominant": self.dominant,
            "terms_j": dict(terms),
            "memory_gb": subject.memory_gb,
            "misfit": self.misfit,
            "requests_per_s": self.rate,
            "busy": self.busy,
            "checked": self.subject.model.checked or None,
            "outside": list(self.request.outside),
            "method": self.request.method,
            "basis": self.request.basis,
        }


def predict_llm(
    model: str | Sequence[str],
    *,
    gpu: str | Sequence[str] = "h100-sxm",
    concurrency: float = 32,
    rate: float | None = None,
    input_tokens: float = 500,
    output_tokens: float = 200,
    gpus: int | None = None,
    precision: str = "bf16",
    engine: str = "vllm-v1",
) -> list[ServingPrediction]:
    """Every model on every accelerator under this load, the fewest joules a token first, what does not fit last.

    concurrency: requests in flight. rate: requests a second instead; how many are then in flight follows from how long
    each takes (:func:`in_flight`). model: a name of the shipped table, or the path of a ``config.json``. gpu: of the
    accelerator table. gpus: how many work on one copy; by default the fewest (1, 2, 4, ... 16) that hold it. Raises
    ConfigError for what cannot be.
    """
    models = [architecture.find(name) for name in ([model] if isinstance(model, str) else model)]
    parts = [find(name) for name in ([gpu] if isinstance(gpu, str) else gpu)]
    if not models or not parts:
        raise ConfigError("name a model and an accelerator")
    if rate is not None and not (math.isfinite(rate) and rate > 0):
        raise ConfigError(f"{rate} requests a second cannot be served", hint="a number above zero: --rate 5")
    answers = [
        _answer(one, part, gpus, input_tokens, output_tokens, concurrency, precision, engine, rate)
        for one in models
        for part in parts
    ]
    return sorted(answers, key=lambda one: (one.misfit is not None, one.token_j.value))


def cheapest(answers: Sequence[ServingPrediction], latency_s: float = math.inf) -> ServingPrediction | None:
    """The fewest joules a token among those that fit and take no longer than this for a token; None: there is none."""
    quick = [one for one in answers if one.misfit is None and one.token_s.value <= latency_s]
    return min(quick, key=lambda one: one.token_j.value, default=None)


def in_flight(subject: Serving, rate: float) -> float | None:
    """How many requests are in flight, on the mean, at so many a second: L = rate x W(L) (Little, Operations Research
    9, 1961), with our own time of a request among L others. Below one where they rarely meet; None where no batch up to
    :data:`MOST_IN_FLIGHT` is quick enough.
    """

    def throughput(concurrency: float) -> float:
        return 1 / shipped().predict(replace(subject, concurrency=concurrency)).time.value

    alone = throughput(1.0)
    if rate <= alone:
        return rate / alone
    low, high = 0.0, math.log(MOST_IN_FLIGHT)
    if throughput(MOST_IN_FLIGHT) < rate:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if throughput(math.exp(middle)) < rate else (low, middle)
    return math.exp(high)


MOST_IN_FLIGHT = 1024.0
"""What an engine takes into one batch at most; vLLM's default of ``max_num_seqs`` on large accelerators."""
_IDLE = (0.08, 0.15, 0.3)
"""Share of the board power of an accelerator that holds a model and waits for requests: lower end, value, upper end.
About 60 to 120 W of an H100's 700 W and 50 to 90 W of an A100's 400 W are what people report; our judgement, no
measurement."""


def _with_idle(subject: Serving, request: Prediction, rate: float, busy: float) -> Prediction:
    """A request with its share of the time in which the server waits for the next one."""
    board = (subject.hardware.tdp_w or 0.0) * subject.accelerators
    low, middle, high = (share * board * (1 - busy) / rate for share in _IDLE)
    idle = Quantity(middle, low, high, error=f"{FIT}/idle/{subject.hardware.id}")
    energy = request.energy + idle
    time = Quantity.exact(1 / rate, "s")
    return replace(
        request,
        energy=energy,
        power=(energy / time).with_unit("W"),
        terms={**(request.terms or {}), "idle": middle},
    )


def _answer(
    model: architecture.Architecture,
    part: Hardware,
    count: int | None,
    prompt: float,
    output: float,
    concurrency: float,
    precision: str,
    engine: str,
    rate: float | None,
) -> ServingPrediction:
    number = count or 1
    while True:
        pipeline = math.ceil(number / 8)
        subject = Serving(
            model, part, prompt, output, 1.0 if rate is not None else concurrency, math.ceil(number / pipeline),
            pipeline, precision, engine,
        )  # fmt: skip
        busy, slow = 1.0, None
        if rate is not None:
            flight = in_flight(subject, rate)
            if flight is None:
                most = 1 / shipped().predict(replace(subject, concurrency=MOST_IN_FLIGHT)).time.value
                slow = f"too slow: {subject} answers {most:.3g} requests a second at most, so {math.ceil(rate / most)} of it"
                subject = replace(subject, concurrency=MOST_IN_FLIGHT)
            else:
                busy = min(1.0, flight)
                subject = replace(subject, concurrency=max(1.0, flight))
        if count is not None or subject.misfit is None or number >= _MOST:
            request = shipped().predict(subject)
            if rate is not None and slow is None:
                request = _with_idle(subject, request, rate, busy) if busy < 1 else request
            return ServingPrediction(subject, request, subject.misfit or slow, rate, busy)
        number *= 2
