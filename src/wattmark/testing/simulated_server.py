"""A model server with known costs, to check attribution and the fitting of costs against: a queue, slots, continuous
batching with chunked prefill, power with idle and noise.

Energy of a step: joules per prefill token and per decode token, spread evenly over the step; idle watts all the time.
Each request's true energy is the sum of its own tokens' costs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from wattmark.runs.record import Float64, Int64
from wattmark.serving.energy.attribution import IntervalEnergy, RequestColumns


@dataclass(frozen=True, slots=True)
class SimulatedServer:
    """What the server costs and how fast it is.

    prefill_j, decode_j: J per token. idle_w: W. slots: requests at once. prefill_chunk: prompt tokens per step.
    prefill_s: s per prompt token. step_s: s of every step, whatever is in it. decode_s: s per decode token in a
    step. noise: relative standard deviation of each sample's power. period_s: between power samples.
    """

    prefill_j: float = 0.02
    decode_j: float = 0.12
    idle_w: float = 25.0
    slots: int = 8
    prefill_chunk: int = 256
    prefill_s: float = 0.000_4
    step_s: float = 0.008
    decode_s: float = 0.001
    noise: float = 0.05
    period_s: float = 0.1


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a client and a power sensor saw, and the truth.

    requests: start_ns is when processing began, as a server's own timings tell. sent_ns: (n,) int64. energy: by
    samples, with noise. true_request_j: (n,) float64 above idle.
    """

    requests: RequestColumns
    sent_ns: Int64
    energy: IntervalEnergy
    true_request_j: Float64


@dataclass(slots=True)
class _Running:
    row: int
    prompt_left: int
    output_left: int


def simulate(
    server: SimulatedServer, sent_s: Float64, input_tokens: Int64, output_tokens: Int64, seed: int = 0
) -> Simulation:
    """Run requests through the server; sent_s: (n,) ascending, from 0; token counts (n,), outputs at least 1.

    Raises:
        ValueError: arrivals are not ascending or an answer has no token.
    """
    if (np.diff(sent_s) < 0).any() or (output_tokens < 1).any():
        raise ValueError("arrivals must ascend and every answer needs a token")
    count = len(sent_s)
    start_s, chunks = np.zeros(count), [list[float]() for _ in range(count)]
    waiting, running = deque(range(count)), list[_Running]()
    now, edges_s, energies_j = 0.0, [0.0], list[float]()
    while waiting or running:
        while waiting and len(running) < server.slots and sent_s[waiting[0]] <= now:
            row = waiting.popleft()
            running.append(_Running(row, int(input_tokens[row]), int(output_tokens[row])))
        if not running:
            now = float(sent_s[waiting[0]])
            edges_s.append(now)
            energies_j.append(0.0)
            continue
        left = [one.prompt_left for one in running]
        prompt_tokens, decoding = _step(running, server.prefill_chunk)
        for one, before in zip(running, left, strict=True):
            if one.prompt_left < before == input_tokens[one.row]:
                start_s[one.row] = now
        steps = sum(one.output_left < output_tokens[one.row] for one in decoding)
        now += server.step_s + prompt_tokens * server.prefill_s + steps * server.decode_s
        edges_s.append(now)
        energies_j.append(prompt_tokens * server.prefill_j + steps * server.decode_j)
        for one in decoding:
            chunks[one.row].append(now)
            one.output_left -= 1
        running = [one for one in running if one.output_left]
    chunk_ns = _ns(np.concatenate([np.empty(0), *map(np.array, chunks)]))
    offsets = np.concatenate(([0], np.cumsum(output_tokens))).astype(np.int64)
    requests = RequestColumns(
        _ns(start_s),
        chunk_ns[offsets[:-1]],
        chunk_ns[offsets[1:] - 1],
        input_tokens,
        output_tokens,
        np.zeros(count, np.int64),
        chunk_ns,
        offsets,
    )
    truth = requests.prefill_tokens * server.prefill_j + requests.decode_tokens * server.decode_j
    return Simulation(
        requests, _ns(sent_s), _sampled(server, np.array(edges_s), np.array(energies_j), seed), truth
    )


def _step(running: list[_Running], chunk: int) -> tuple[int, list[_Running]]:
    """One pass through the model: prompt tokens within the budget, and the requests that get a token from it."""
    budget, decoding = chunk, list[_Running]()
    for one in running:
        taken = min(one.prompt_left, budget)
        one.prompt_left -= taken
        budget -= taken
        if one.prompt_left == 0:
            decoding.append(one)
    return chunk - budget, decoding


def _sampled(server: SimulatedServer, edges_s: Float64, energies_j: Float64, seed: int) -> IntervalEnergy:
    """The true energy cut into samples of unsteady length, with noise, and idle before and after."""
    generator = np.random.default_rng(seed)
    count = int((edges_s[-1] + 2.0) / server.period_s)
    times = np.cumsum(server.period_s * generator.uniform(0.9, 1.1, count)) - 1.0
    times_ns = _ns(times)
    active = np.diff(np.interp(times_ns / 1e9, edges_s, np.concatenate(([0.0], np.cumsum(energies_j)))))
    lengths_s = np.diff(times_ns) / 1e9
    power = (server.idle_w + active / lengths_s) * (1 + server.noise * generator.standard_normal(count - 1))
    return IntervalEnergy("cpu", times_ns, np.maximum(power, 0.0) * lengths_s, lengths_s, server.idle_w)


def _ns(seconds: Float64) -> Int64:
    return np.round(seconds * 1e9).astype(np.int64)
