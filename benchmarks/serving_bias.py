"""How far the figures of a load are from those of a long one, how often their intervals hold it, and how far the joules of
single requests are from the truth: on simulated servers whose costs are known.

``python benchmarks/serving_bias.py`` writes ``results/serving_bias.json``; some minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))
from wattmark.quantity import Quantity
from wattmark.serving.energy.accounting import ServingEnergy, account
from wattmark.serving.energy.attribution import EQUAL_WEIGHTS, IntervalEnergy, processing_starts
from wattmark.serving.figures.steady import requests_for, steady_window
from wattmark.serving.load.records import LoadResult, RequestRecord
from wattmark.testing.simulated_server import SimulatedServer, Simulation, simulate, simulate_closed

RESULT = Path(__file__).parent / "results" / "serving_bias.json"
BATCHING = SimulatedServer(
    prefill_j=0.02,
    decode_j=0.05,
    step_j=0.5,
    idle_w=60.0,
    noise=0.02,
    prefill_s=0.000_02,
    decode_s=0.000_2,
    step_s=0.02,
)


def lengths(count: int, seed: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Prompts and answers in tokens."""
    if kind == "equal":
        return np.full(count, 256), np.full(count, 64)
    generator = np.random.default_rng(seed)
    return generator.integers(20, 500, count), generator.integers(1, 128, count)


def loaded(seen: Simulation, concurrency: int) -> LoadResult:
    """The simulation as the load client would have recorded it, as far as the window needs it."""
    ends = zip(seen.sent_ns.tolist(), seen.requests.end_ns.tolist(), strict=True)
    records = [
        RequestRecord(n, n, 0, sent, sent, sent, None, None, end, outcome="ok", output_tokens=1)
        for n, (sent, end) in enumerate(ends)
    ]
    return LoadResult(
        "u", "m", "d", "a", "w", 0, 0, 0, 0, records, Counter(ok=len(records)), 0.0, (), concurrency=concurrency
    )  # fmt: skip


def cut(energy: IntervalEnergy, start: int, end: int) -> IntervalEnergy:
    """The energy in [start, end), with its total."""
    edges = np.unique(np.concatenate(([start, end], energy.edges_ns.clip(start, end))))
    joules = np.diff(np.interp(edges, energy.edges_ns, np.concatenate(([0.0], np.cumsum(energy.energy_j)))))
    total = Quantity.exact(float(joules.sum()))
    return replace(energy, edges_ns=edges, energy_j=joules, covered_s=np.diff(edges) / 1e9, total=total)


def accounted(seen: Simulation, concurrency: int, *, steady: bool) -> ServingEnergy:
    """The figures of the steady part, or of the whole."""
    first, last = int(seen.sent_ns.min()), int(seen.requests.end_ns.max())
    window = steady_window(loaded(seen, concurrency)) if steady else None
    start, end = (window.start_ns, window.end_ns) if window is not None else (first, last)
    return account(seen.requests, [cut(seen.energy, start, end)], weights=EQUAL_WEIGHTS)


def per_token(done: ServingEnergy) -> Quantity:
    """Joules per output token, idle included."""
    assert done.with_idle is not None
    assert done.with_idle.j_per_output_token is not None
    return done.with_idle.j_per_output_token


def closed(concurrency: int, count: int, seed: int, kind: str) -> Simulation:
    """One load."""
    return simulate_closed(
        replace(BATCHING, slots=concurrency), concurrency, *lengths(count, seed, kind), seed
    )


def bias(loads: int) -> list[dict[str, Any]]:
    """J/token of the default load over that of long ones, by concurrency."""
    rows: list[dict[str, Any]] = []
    for kind in ("equal", "scattered"):
        for concurrency in (1, 2, 4, 8, 16, 32, 64):
            many = max(1_500, 40 * concurrency)
            long = [per_token(accounted(closed(concurrency, many, 900 + n, kind), concurrency, steady=True)).value
                    for n in range(1 if kind == "equal" else 4)]  # fmt: skip
            truth = float(np.mean(long))
            row: dict[str, Any] = {"lengths": kind, "concurrency": concurrency, "j_per_token": truth}
            for name, count, steady in (
                ("today", 100, False), ("whole", requests_for(concurrency), False),
                ("steady", requests_for(concurrency), True),
            ):  # fmt: skip
                values = [
                    per_token(
                        accounted(closed(concurrency, count, n, kind), concurrency, steady=steady)
                    ).value
                    for n in range(1 if kind == "equal" else loads)
                ]
                row[name] = {
                    "requests": count, "bias": float(np.mean(values)) / truth - 1,
                    "of_one_load": float(np.std(values)) / truth,
                }  # fmt: skip
            rows.append(row)
            print(
                kind,
                concurrency,
                {name: f"{row[name]['bias']:+.1%}" for name in ("today", "whole", "steady")},
                flush=True,
            )
    return rows


def coverage(loads: int) -> list[dict[str, Any]]:
    """How often the interval of J/token holds that of long loads, with a sensor that is exact."""
    rows: list[dict[str, Any]] = []
    for concurrency, count in ((4, 100), (8, 100), (16, 161)):
        long = [per_token(accounted(closed(concurrency, 3_000, 900 + n, "scattered"), concurrency, steady=True)).value
                for n in range(4)]  # fmt: skip
        truth = float(np.mean(long))
        held, widths = 0, list[float]()
        for seed in range(loads):
            one = per_token(
                accounted(closed(concurrency, count, seed, "scattered"), concurrency, steady=True)
            )
            held += one.low <= truth <= one.high
            widths.append(one.half_width / one.value)
        rows.append({
            "concurrency": concurrency, "requests": count, "loads": loads, "held": held / loads,
            "half_width": float(np.median(widths)),
        })  # fmt: skip
        print("coverage", rows[-1], flush=True)
    return rows


MODELS = {
    "linear": SimulatedServer(),
    "overhead of a prompt": SimulatedServer(prompt_j=8.0),
    "grows with context": SimulatedServer(context_j=0.000_3),
    "overhead and context": SimulatedServer(prompt_j=5.0, context_j=0.000_2),
    "batching": SimulatedServer(step_j=0.5),
    "lag of 0.5 s": SimulatedServer(lag_s=0.5),
    "lag of 0.25 s": SimulatedServer(lag_s=0.25),
    "prefill dear, decode cheap": SimulatedServer(prefill_j=0.08, decode_j=0.04),
    "decode 20 times as dear": SimulatedServer(prefill_j=0.01, decode_j=0.2),
}


def mixed_load(server: SimulatedServer, count: int, seed: int, gap_s: float) -> Simulation:
    """Chats and summaries half and half, Poisson."""
    generator = np.random.default_rng(seed)
    sent = np.cumsum(generator.exponential(gap_s, count))
    chat = generator.random(count) < 0.5
    inputs = np.where(chat, generator.integers(20, 150, count), generator.integers(600, 1_500, count))
    outputs = np.where(chat, generator.integers(40, 90, count), generator.integers(2, 20, count))
    return simulate(server, sent, inputs, outputs, seed)


def single_requests(seeds: int) -> list[dict[str, Any]]:
    """Error of a request's joules, by cost model: weighed as now and with every token alike; how often its interval by the
    rule holds the truth. Starts are told by the server (llama.cpp), or estimated from first tokens (all others)."""
    rows: list[dict[str, Any]] = []
    for name, server in MODELS.items():
        for seconds, count in ((25, 30), (300, 350)):
            for starts in ("told", "estimated"):
                errors: dict[str, list[float]] = {"now": [], "alike": []}
                each: list[float] = []
                held: list[float] = []
                rules: set[str] = set()
                for seed in range(seeds):
                    seen = mixed_load(server, count, seed, 0.8)
                    requests = seen.requests
                    if starts == "estimated":
                        start = processing_starts(seen.sent_ns, requests.first_token_ns)
                        start = np.minimum(start, requests.first_token_ns)
                        requests = replace(requests, start_ns=start, starts_told=False)
                    truth = seen.true_request_j
                    for key, weights in (("now", None), ("alike", EQUAL_WEIGHTS)):
                        done = account(requests, [seen.energy], weights=weights)
                        errors[key].append(float(np.abs(done.request_j - truth).sum() / truth.sum()))
                        if weights is None:
                            below, above = done.request_error
                            ratio = truth / np.maximum(done.request_j, 1e-12)
                            each += np.abs(ratio - 1).tolist()
                            held += ((ratio >= 1 - below) & (ratio <= 1 + above)).tolist()
                            rules.add(done.components[0].weights.rule)
                rows.append({
                    "model": name, "seconds": seconds, "starts": starts, "error": float(np.mean(errors["now"])),
                    "error_every_token_alike": float(np.mean(errors["alike"])),
                    "error_p95_of_requests": float(np.percentile(each, 95)), "interval_held": float(np.mean(held)),
                    "rules": sorted(rules),
                })  # fmt: skip
                print(rows[-1], flush=True)
    return rows


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="for a look, not for a claim")
    parser.add_argument(
        "--requests-only", action="store_true", help="the errors of single requests alone, not kept"
    )
    args = parser.parse_args()
    quick = args.quick
    if args.requests_only:
        single_requests(2 if quick else 5)
        return
    result = {
        "machine": "simulated: the costs are known, no sensor and no server is used",
        "error_of_requests": single_requests(2 if quick else 5), "bias": bias(3 if quick else 10),
        "coverage": coverage(20 if quick else 150),
    }  # fmt: skip
    if not quick:
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
