"""The steady part of a load test is found, or given."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.serving.figures.latency import measure
from wattmark.serving.figures.steady import mser_cut, requests_for, steady_window
from wattmark.serving.load.records import LoadResult, RequestRecord
from wattmark.testing.simulated_server import SimulatedServer, Simulation, simulate_closed

S = 1_000_000_000


def result_of(latencies_s: np.ndarray, every_s: float = 0.1) -> LoadResult:
    records = []
    for n, latency in enumerate(latencies_s):
        sent = int(n * every_s * S)
        end = sent + int(latency * S)
        records.append(
            RequestRecord(n, n, 0, sent, sent, sent, None, None, end, outcome="ok", output_tokens=1)
        )
    return LoadResult("u", "m", "d", "a", "w", 0, 0, 0, 0, records, Counter(ok=len(records)), 0.0, ())


def loaded(seen: Simulation) -> LoadResult:
    ends = zip(seen.sent_ns.tolist(), seen.requests.end_ns.tolist(), strict=True)
    records = [
        RequestRecord(n, n, 0, sent, sent, sent, None, None, end, outcome="ok", output_tokens=1)
        for n, (sent, end) in enumerate(ends)
    ]
    return LoadResult("u", "m", "d", "a", "w", 0, 0, 0, 0, records, Counter(ok=len(records)), 0.0, ())


def noisy(count: int) -> np.ndarray:
    return 1 + np.random.default_rng(1).normal(0, 0.02, count)


def test_a_slow_start_is_cut_off_and_so_is_the_drain():
    latencies = noisy(300)
    latencies[:40] += np.linspace(4, 0.2, 40)
    window = steady_window(result_of(latencies))
    assert 3 * S <= window.start_ns <= 6 * S
    assert window.end_ns == int(29.9 * S)
    assert "MSER-5" in window.rule
    assert measure(result_of(latencies)).e2e_s.most < 2


def test_a_test_that_is_steady_from_the_start_loses_little():
    assert mser_cut(noisy(300)) <= 60


def test_never_more_than_half_is_cut():
    assert mser_cut(np.arange(300.0)) <= 150


def test_a_short_test_is_taken_whole():
    window = steady_window(result_of(noisy(20)))
    assert window.start_ns == 0
    assert window.rule.startswith("whole")
    assert measure(result_of(noisy(20))).ok == 20


def test_a_burst_has_no_steady_part_and_is_taken_whole():
    assert steady_window(result_of(noisy(100), every_s=0)).rule.startswith("whole")


def test_warm_up_and_drain_can_be_given():
    window = steady_window(result_of(noisy(100)), warm_up_s=2, drain_s=3)
    assert window.start_ns == 2 * S
    assert window.duration_s == pytest.approx(9.9 + 1 - 5, abs=0.1)
    with pytest.raises(ConfigError, match="nothing is left"):
        steady_window(result_of(noisy(10)), warm_up_s=60)


def test_nothing_answered_has_no_window():
    assert steady_window(result_of(np.array([]))) is None


@pytest.mark.parametrize(("concurrency", "requests"), [(1, 100), (4, 100), (16, 161), (64, 641)])
def test_the_requests_that_are_needed_grow_with_the_concurrency(concurrency: int, requests: int):
    assert requests_for(concurrency) == requests


@pytest.mark.parametrize("concurrency", [2, 4, 16, 32])
def test_a_closed_loop_has_the_joules_of_a_long_one(concurrency: int):
    """Answers of one length march in step; ramp and drain are left out, and as many prompts as answers are in."""
    server = SimulatedServer(slots=concurrency, noise=0.0, idle_w=200.0, step_j=0.5)

    def per_token(count: int) -> float:
        seen = simulate_closed(server, concurrency, np.full(count, 128), np.full(count, 32))
        window = steady_window(replace(loaded(seen), concurrency=concurrency))
        assert window is not None
        assert window.rule.startswith("steady")
        energy, edges = np.concatenate(([0.0], np.cumsum(seen.energy.energy_j))), seen.energy.edges_ns
        joules = np.diff(np.interp([window.start_ns, window.end_ns], edges, energy))[0]
        chunks = seen.requests.chunk_ns
        assert chunks is not None
        return float(joules / ((chunks >= window.start_ns) & (chunks < window.end_ns)).sum())

    assert per_token(requests_for(concurrency)) == pytest.approx(per_token(30 * concurrency + 1), rel=0.02)


def test_a_closed_loop_of_too_few_turnovers_is_taken_whole():
    seen = simulate_closed(SimulatedServer(slots=32), 32, np.full(100, 64), np.full(100, 8))
    window = steady_window(replace(loaded(seen), concurrency=32))
    assert window is not None
    assert window.rule == "whole: 100 answers hold too few turnovers of 32 at a time"
