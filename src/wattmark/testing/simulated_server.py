"""A model server with known costs, to check attribution and the fitting of costs against: a queue, slots, continuous
batching with chunked prefill, power with idle, noise and a lag.

Energy of a step: joules per prompt begun, prefill token and decode token (which may grow with the context), and joules
of the step itself, shared by the requests in it; spread evenly over the step. Idle watts all the time.
Each request's true energy is the sum of its own.
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
    step. noise: relative standard deviation of each sample's power. period_s: between power samples. prompt_j: J of a
    prompt, however long. context_j: J per decode token and token of its context. step_j: J of a step, whatever is in it
    (reading the weights: what batching saves). lag_s: the sensor tells of the work so much later.
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
    prompt_j: float = 0.0
    context_j: float = 0.0
    step_j: float = 0.0
    lag_s: float = 0.0


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
    if (np.diff(sent_s) < 0).any():
        raise ValueError("arrivals must ascend and every answer needs a token")
    return _simulate(server, deque(sent_s.tolist()), 0, input_tokens, output_tokens, seed)


def simulate_closed(
    server: SimulatedServer, concurrency: int, input_tokens: Int64, output_tokens: Int64, seed: int = 0
) -> Simulation:
    """Run requests through the server, so many at a time: the next is sent when one has ended."""
    return _simulate(server, deque([0.0] * concurrency), concurrency, input_tokens, output_tokens, seed)


def _simulate(
    server: SimulatedServer,
    arrivals: deque[float],
    concurrency: int,
    input_tokens: Int64,
    output_tokens: Int64,
    seed: int,
) -> Simulation:
    """concurrency: 0 where ``arrivals`` are all there are; else each end of an answer is an arrival."""
    if (output_tokens < 1).any():
        raise ValueError("arrivals must ascend and every answer needs a token")
    count = len(input_tokens)
    sent_s, start_s, truth = np.zeros(count), np.zeros(count), np.zeros(count)
    chunks = [list[float]() for _ in range(count)]
    running, row = list[_Running](), 0
    now, edges_s, energies_j = 0.0, [0.0], list[float]()
    while running or (row < count and arrivals):
        while row < count and arrivals and arrivals[0] <= now and len(running) < server.slots:
            sent_s[row] = arrivals.popleft()
            running.append(_Running(row, int(input_tokens[row]), int(output_tokens[row])))
            row += 1
        if not running:
            now = arrivals[0]
            edges_s.append(now)
            energies_j.append(0.0)
            continue
        left = [request.prompt_left for request in running]
        decoding = _step(running, server.prefill_chunk)
        worked, energy_j, prompt_tokens, steps = set[int](), server.step_j, 0, 0
        for request, before in zip(running, left, strict=True):
            taken = before - request.prompt_left
            if not taken:
                continue
            own_j = taken * server.prefill_j
            if before == input_tokens[request.row]:
                start_s[request.row] = now
                own_j += server.prompt_j
            truth[request.row] += own_j
            energy_j += own_j
            prompt_tokens += taken
            worked.add(request.row)
        for request in decoding:
            made = int(output_tokens[request.row]) - request.output_left
            worked.add(request.row)
            if made:  # the first token comes out of the prefill
                own_j = server.decode_j + server.context_j * (int(input_tokens[request.row]) + made)
                truth[request.row] += own_j
                energy_j += own_j
                steps += 1
        for which in worked:
            truth[which] += server.step_j / len(worked)
        now += server.step_s + prompt_tokens * server.prefill_s + steps * server.decode_s
        edges_s.append(now)
        energies_j.append(energy_j)
        for request in decoding:
            chunks[request.row].append(now)
            request.output_left -= 1
        arrivals.extend(now for request in running if concurrency and not request.output_left)
        running = [request for request in running if request.output_left]
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
        _ns(sent_s),
        starts_told=True,
    )
    return Simulation(
        requests, _ns(sent_s), _sampled(server, np.array(edges_s), np.array(energies_j), seed), truth
    )


def _step(running: list[_Running], chunk: int) -> list[_Running]:
    """One pass through the model: prompt tokens within the budget; gives the requests that get a token from it."""
    decoding = list[_Running]()
    for request in running:
        taken = min(request.prompt_left, chunk)
        request.prompt_left -= taken
        chunk -= taken
        if request.prompt_left == 0:
            decoding.append(request)
    return decoding


def _sampled(server: SimulatedServer, edges_s: Float64, energies_j: Float64, seed: int) -> IntervalEnergy:
    """The true energy cut into samples of unsteady length, with noise, and idle before and after."""
    generator = np.random.default_rng(seed)
    count = int((edges_s[-1] + 2.0) / server.period_s)
    times = np.cumsum(server.period_s * generator.uniform(0.9, 1.1, count)) - 1.0
    times_ns = _ns(times)
    work_s = times_ns / 1e9 - server.lag_s
    active = np.diff(np.interp(work_s, edges_s, np.concatenate(([0.0], np.cumsum(energies_j)))))
    lengths_s = np.diff(times_ns) / 1e9
    power = (server.idle_w + active / lengths_s) * (1 + server.noise * generator.standard_normal(count - 1))
    return IntervalEnergy("cpu", times_ns, np.maximum(power, 0.0) * lengths_s, lengths_s, server.idle_w)


def _ns(seconds: Float64) -> Int64:
    return np.round(seconds * 1e9).astype(np.int64)
