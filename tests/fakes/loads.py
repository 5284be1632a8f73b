"""Results of loads that never were: records of requests, and joules shared among them."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace

import numpy as np

from wattmark.quantity import Quantity
from wattmark.serving.bench import BenchResult
from wattmark.serving.energy.accounting import ComponentEnergy, ServingEnergy
from wattmark.serving.energy.attribution import EQUAL_WEIGHTS
from wattmark.serving.energy.costs import TokenCosts
from wattmark.serving.energy.measured import BenchEnergy
from wattmark.serving.figures.latency import measure
from wattmark.serving.load.records import LoadResult, RequestRecord

S = 1_000_000_000


def record(index: int, **fields: object) -> RequestRecord:
    """An answer of 0.75 s: three chunks, the first of them reasoning, a quarter of a second apart."""
    sent = index * S
    chunks = array("q", [sent + S // 4 * (n + 1) for n in range(3)])
    whole = RequestRecord(
        index, index, 0, sent, sent, sent, chunks[0], chunks[-1], chunks[-1], chunks, first_answer_ns=chunks[1],
        reasoning_chunks=1, input_tokens=8, output_tokens=3, status=200, outcome="ok", text="so |=it is\n",
        timings={"prompt_ms": 1.5},
    )  # fmt: skip
    return replace(whole, **fields)


def result(*records: RequestRecord, joules: dict[int, float] | None = None) -> BenchResult:
    load = LoadResult(
        "http://h:1", "m", "vllm", "closed loop", "synthetic", 0, 4 * S, 0, 4 * S, list(records),
        Counter(each.outcome for each in records), 0.0, (1,),
    )  # fmt: skip
    energy = None if joules is None else BenchEnergy(shared(), None, None, joules, ())
    return BenchResult("r1", {"description": "=cmd|' /C calc'!A0"}, load, measure(load), energy, None, ())


def shared() -> ServingEnergy:
    """Three joules that a sensor with 10 % read, shared by a rule that may be 20 % off."""

    measured = Quantity(3.0, 2.7, 3.3)
    part = ComponentEnergy(
        "cpu", "counter", measured, measured, None, Quantity.exact(0.0), EQUAL_WEIGHTS,
        TokenCosts(None, None, None, None, 0),
    )  # fmt: skip
    return ServingEnergy(
        2, 16, 6, 4.0, (part,), measured, None, None, None, None, None, {}, np.array([1.0, 2.0]), np.zeros(2),
        "none", 1.0, (), request_error=(0.2, 0.2),
    )  # fmt: skip
