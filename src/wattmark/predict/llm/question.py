"""``wm.predict_llm(...)``: models and accelerators side by side, and which is the cheapest that is quick enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wattmark.errors import ConfigError
from wattmark.predict.base import Prediction, amount
from wattmark.predict.hardware.accelerators import Hardware, find
from wattmark.predict.llm import architecture
from wattmark.predict.llm.predictor import shipped
from wattmark.predict.llm.subject import Serving
from wattmark.quantity import Quantity

_MOST = 16


@dataclass(frozen=True, slots=True)
class ServingPrediction:
    """One server. ``request``: joules, share of the server's time and power, GPU only. ``misfit``: why the memory is too
    small, None where it is not."""

    subject: Serving
    request: Prediction
    misfit: str | None

    @property
    def token_j(self) -> Quantity:
        """Joules of an output token, its share of the prompt included."""
        return self.request.energy / self.subject.output

    @property
    def tokens_per_s(self) -> Quantity:
        """Output tokens of the whole server."""
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
            "outside": list(self.request.outside),
            "method": self.request.method,
            "basis": self.request.basis,
        }


def predict_llm(
    model: str | Sequence[str],
    *,
    gpu: str | Sequence[str] = "h100-sxm",
    concurrency: float = 32,
    input_tokens: float = 500,
    output_tokens: float = 200,
    gpus: int | None = None,
    precision: str = "bf16",
    engine: str = "vllm-v1",
) -> list[ServingPrediction]:
    """Every model on every accelerator under this load, the fewest joules a token first, what does not fit last.

    model: a name of the shipped table, or the path of a ``config.json``. gpu: of the accelerator table. gpus: how many work
    on one copy; by default the fewest (1, 2, 4, ... 16) that hold it. Raises ConfigError for what cannot be.
    """
    models = [architecture.find(name) for name in ([model] if isinstance(model, str) else model)]
    parts = [find(name) for name in ([gpu] if isinstance(gpu, str) else gpu)]
    if not models or not parts:
        raise ConfigError("name a model and an accelerator")
    answers = [
        _answer(one, part, gpus, input_tokens, output_tokens, concurrency, precision, engine)
        for one in models
        for part in parts
    ]
    return sorted(answers, key=lambda one: (one.misfit is not None, one.token_j.value))


def cheapest(answers: Sequence[ServingPrediction], latency_s: float = math.inf) -> ServingPrediction | None:
    """The fewest joules a token among those that fit and take no longer than this for a token; None: there is none."""
    quick = [one for one in answers if one.misfit is None and one.token_s.value <= latency_s]
    return min(quick, key=lambda one: one.token_j.value, default=None)


def _answer(
    model: architecture.Architecture,
    part: Hardware,
    count: int | None,
    prompt: float,
    output: float,
    concurrency: float,
    precision: str,
    engine: str,
) -> ServingPrediction:
    number = count or 1
    while True:
        pipeline = math.ceil(number / 8)
        subject = Serving(
            model,
            part,
            prompt,
            output,
            concurrency,
            math.ceil(number / pipeline),
            pipeline,
            precision,
            engine,
        )
        if count is not None or subject.misfit is None or number >= _MOST:
            return ServingPrediction(subject, shipped().predict(subject), subject.misfit)
        number *= 2
