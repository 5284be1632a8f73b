# pyright: reportCallIssue=false
from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmark.runs.record import Curve, RunRecord
from wattmark.runs.view import RunView
from wattmark.serving.energy.attribution import (
    EQUAL_WEIGHTS,
    UNKNOWN_NS,
    IntervalEnergy,
    RequestColumns,
    TokenWeights,
    attribute,
    component_energies,
    processing_starts,
    tokens_in,
)
from wattmark.sources.base import Accuracy, Channel
from wattmark.testing.simulated_server import SimulatedServer, simulate

S = 1_000_000_000


def columns(rows: list[tuple[float, float | None, float, int, int]], chunks: list[list[float]] | None = None):
    """(start s, first token s or None, end s, input, output) per request, and chunk times in s."""
    start, first, end, given, made = zip(*rows, strict=True)
    ns = [
        np.array([UNKNOWN_NS if t is None else int(t * S) for t in part], np.int64)
        for part in (start, first, end)
    ]
    counts = [np.array(part, np.int64) for part in (given, made)]
    chunk_ns = offsets = None
    if chunks is not None:
        chunk_ns = np.array([int(t * S) for part in chunks for t in part], np.int64)
        offsets = np.cumsum([0, *map(len, chunks)])
    return RequestColumns(*ns, *counts, np.zeros(len(rows), np.int64), chunk_ns, offsets)


def energy(edges_s: list[float], joules: list[float], idle_w: float | None = None) -> IntervalEnergy:
    edges = (np.array(edges_s) * S).astype(np.int64)
    return IntervalEnergy("cpu", edges, np.array(joules, float), np.diff(edges) / S, idle_w)


def test_one_request_gets_all_that_is_above_idle_while_it_runs_and_nobody_gets_the_rest():
    shares = attribute(
        columns([(1, 2, 3, 10, 11)]), energy([0, 1, 2, 3, 4], [5, 9, 8, 6], idle_w=5), EQUAL_WEIGHTS
    )
    assert shares.request_j[0] == pytest.approx(7)
    assert shares.idle_j == pytest.approx(20)
    assert shares.unattributed_j == pytest.approx(1)
    assert shares.measured_j == 28


def test_two_requests_share_an_interval_by_their_tokens():
    # 30 prompt tokens against 10, in the same second
    shares = attribute(columns([(0, 1, 1, 30, 1), (0, 1, 1, 10, 1)]), energy([0, 1], [8]), EQUAL_WEIGHTS)
    assert shares.request_j == pytest.approx([6, 2])


def test_prefill_and_decode_weigh_what_they_cost():
    weights = TokenWeights(prefill=1, decode=3, rule="test")
    shares = attribute(columns([(0, 1, 1, 30, 1), (0, 0, 1, 0, 11)]), energy([0, 1], [6]), weights)
    assert shares.request_j == pytest.approx([3, 3])


def test_tokens_are_worked_on_before_the_chunks_that_carry_them():
    rows = [(0.0, 1.0, 4.0, 0, 4)]
    evenly = tokens_in(columns(rows), np.array([0, 1, 2, 3, 4]) * S)
    assert evenly == pytest.approx([0, 1, 1, 1])
    # two of three gaps are in the last second
    late = tokens_in(columns(rows, [[1.0, 3.0, 3.5, 4.0]]), np.array([0, 1, 2, 3, 4]) * S)
    assert late == pytest.approx([0, 0.5, 0.5, 2])


def test_merged_chunks_carry_their_share_of_the_tokens():
    got = tokens_in(columns([(0.0, 1.0, 3.0, 0, 9)], [[1.0, 2.0, 3.0]]), np.array([1, 2, 3]) * S)
    assert got == pytest.approx([4, 4])


def test_cached_prompt_tokens_are_no_work():
    requests = columns([(0, 1, 1, 10, 1)])
    cached = RequestColumns(
        requests.start_ns, requests.first_token_ns, requests.end_ns, requests.input_tokens, requests.output_tokens,
        np.array([7]),
    )  # fmt: skip
    assert tokens_in(cached, np.array([0, S])) == pytest.approx([3])


def test_an_answer_that_was_not_streamed_is_spread_over_all_its_time():
    got = tokens_in(columns([(0, None, 2, 10, 11)]), np.array([0, 1, 2]) * S)
    assert got == pytest.approx([10, 10])


def test_without_idle_watts_there_is_no_idle_pot():
    shares = attribute(columns([(0, 1, 1, 5, 1)]), energy([0, 1, 2], [3, 4]), EQUAL_WEIGHTS)
    assert shares.idle_j is None
    assert shares.request_j == pytest.approx([3])
    assert shares.unattributed_j == pytest.approx(4)


def test_idle_can_be_spread_over_those_in_flight_or_over_all():
    requests = columns([(0, 1, 1, 30, 1), (0, 1, 1, 10, 1)])
    pot = energy([0, 1, 2], [10, 4], idle_w=4)
    assert attribute(requests, pot, EQUAL_WEIGHTS).idle_share_j == pytest.approx([0, 0])
    assert attribute(requests, pot, EQUAL_WEIGHTS, "in-flight").idle_share_j == pytest.approx([3, 1])
    assert attribute(requests, pot, EQUAL_WEIGHTS, "all").idle_share_j == pytest.approx([6, 2])


def test_the_part_of_a_request_outside_the_measurement_is_reported_and_gets_nothing():
    shares = attribute(columns([(0, 4, 4, 8, 1), (9, 10, 10, 5, 1)]), energy([3, 5], [2]), EQUAL_WEIGHTS)
    assert shares.covered == pytest.approx([0.25, 0])
    assert shares.request_j == pytest.approx([2, 0])


def test_no_requests_leave_everything_unattributed():
    empty = np.empty(0, np.int64)
    shares = attribute(RequestColumns(*[empty] * 6), energy([0, 1], [8], idle_w=3), EQUAL_WEIGHTS)
    assert len(shares.request_j) == 0
    assert (shares.idle_j, shares.unattributed_j) == (3, 5)


@pytest.mark.parametrize(
    "row", [(2, 1, 3, 5, 5), (1, 2, 1.5, 5, 5), (0, 1, 2, -1, 5), (0, 1, 2, 5, -1), (3, None, 2, 1, 1)]
)
def test_columns_that_make_no_sense_are_refused(row: tuple[float, float | None, float, int, int]):
    with pytest.raises(ValueError, match=r"request needs|negative"):
        columns([row])


def test_more_cached_tokens_than_the_prompt_has_are_refused():
    one = np.array([1], np.int64)
    with pytest.raises(ValueError, match="cached"):
        RequestColumns(one, one, one, one, one, one * 2)


@pytest.mark.parametrize("weights", [(0.0, 0.0), (-1.0, 2.0), (float("nan"), 1.0), (float("inf"), 1.0)])
def test_weights_that_cannot_share_are_refused(weights: tuple[float, float]):
    with pytest.raises(ValueError, match="weights"):
        TokenWeights(*weights, "test")


def test_a_prompt_begins_when_it_is_sent_or_when_the_first_token_before_its_own_has_come():
    sent = np.array([0, 0, 50, 10])
    first = np.array([20, 40, 60, UNKNOWN_NS])
    assert processing_starts(sent, first).tolist() == [0, 20, 50, 10]
    # two first tokens of one step: both prompts may have begun after the token before
    assert processing_starts(np.array([0, 5, 5]), np.array([10, 30, 30])).tolist() == [0, 10, 10]
    assert processing_starts(sent[:1], np.array([UNKNOWN_NS])).tolist() == [0]


MS = 1_000_000


@st.composite
def requests_with_chunks(draw: st.DrawFn) -> RequestColumns:
    count = draw(st.integers(0, 12))
    rows: list[list[int]] = []
    chunks: list[list[int]] = []
    for _ in range(count):
        start = draw(st.integers(-500 * MS, 2_000 * MS))
        times = [start, *np.cumsum(draw(st.lists(st.integers(0, 500 * MS), min_size=1, max_size=6))) + start]
        streamed = draw(st.booleans())
        rows.append(
            [
                start, int(times[1]) if streamed else UNKNOWN_NS, int(times[-1]),
                draw(st.integers(0, 5_000)), draw(st.integers(0, 300)),
            ]
        )  # fmt: skip
        chunks.append([int(t) for t in times[1:]] if streamed else [])
    table = np.array(rows, np.int64).reshape(count, 5)
    cached = table[:, 3] // draw(st.integers(1, 4)) if draw(st.booleans()) else np.zeros(count, np.int64)
    with_chunks = draw(st.booleans())
    return RequestColumns(
        *(table[:, column].copy() for column in range(5)),
        cached,
        np.array([t for part in chunks for t in part], np.int64) if with_chunks else None,
        np.cumsum([0, *map(len, chunks)]) if with_chunks else None,
    )


@st.composite
def energies(draw: st.DrawFn) -> IntervalEnergy:
    steps = draw(st.lists(st.integers(1, 300 * MS), min_size=1, max_size=40))
    edges = np.cumsum([draw(st.integers(-300 * MS, 1_000 * MS)), *steps]).astype(np.int64)
    joules = draw(st.lists(st.floats(0, 1e4), min_size=len(steps), max_size=len(steps)))
    covered = draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
    known = np.array(covered, float)
    return IntervalEnergy(
        "cpu",
        edges,
        np.array(joules) * known,
        np.diff(edges) / S * known,
        draw(st.none() | st.floats(0, 500)),
    )


@given(
    requests_with_chunks(),
    energies(),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
    st.sampled_from(["none", "in-flight", "all"]),
)
@settings(max_examples=150, deadline=None)
def test_requests_idle_and_unattributed_always_add_up_to_what_was_measured(
    requests: RequestColumns, pot: IntervalEnergy, prefill: float, decode: float, spread: str
):
    shares = attribute(requests, pot, TokenWeights(prefill, decode, "test"), spread)  # pyright: ignore
    parts = shares.request_j.sum() + (shares.idle_j or 0.0) + shares.unattributed_j
    assert parts == pytest.approx(shares.measured_j, rel=1e-6, abs=1e-9)
    assert (shares.request_j >= 0).all()
    assert (shares.idle_share_j >= 0).all()
    assert shares.unattributed_j >= 0
    assert shares.idle_share_j.sum() <= (shares.idle_j or 0.0) * (1 + 1e-6) + 1e-9
    assert ((shares.covered >= 0) & (shares.covered <= 1)).all()


@given(requests_with_chunks(), energies())
@settings(max_examples=60, deadline=None)
def test_the_vectorised_rule_is_the_rule_written_out_request_by_request(
    requests: RequestColumns, pot: IntervalEnergy
):
    weights = TokenWeights(0.5, 2.0, "test")
    work = np.array([one_by_one(requests, row, pot.edges_ns, weights) for row in range(len(requests))])
    work = work.reshape(len(requests), len(pot.energy_j))
    tokens = work.sum(axis=0)
    idle = 0.0 if pot.idle_w is None else np.minimum(pot.energy_j, pot.idle_w * pot.covered_s)
    active = pot.energy_j - idle
    expected = (work * np.divide(active, tokens, out=np.zeros_like(tokens), where=tokens > 0)).sum(axis=1)
    shares = attribute(requests, pot, weights)
    assert shares.request_j == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert tokens_in(requests, pot.edges_ns, 0.5, 2.0) == pytest.approx(tokens, rel=1e-6, abs=1e-6)


def one_by_one(requests: RequestColumns, row: int, edges: np.ndarray, weights: TokenWeights) -> np.ndarray:
    def even(start: int, end: int, tokens: float) -> np.ndarray:
        end = max(end, start + 1)
        overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
        return tokens * np.maximum(overlap, 0) / (end - start)

    start, first, end = (
        int(column[row]) for column in (requests.start_ns, requests.first_token_ns, requests.end_ns)
    )
    prefill = weights.prefill * int(requests.prefill_tokens[row])
    decode = weights.decode * int(requests.decode_tokens[row])
    if first == UNKNOWN_NS:
        return even(start, end, prefill) + even(start, end, decode)
    work = even(start, first, prefill)
    chunks: list[int] = []
    if requests.chunk_ns is not None and requests.chunk_offsets is not None:
        chunks = requests.chunk_ns[requests.chunk_offsets[row] : requests.chunk_offsets[row + 1]].tolist()
    if len(chunks) < 2:
        return work + even(first, end, decode)
    for left, right in pairwise(chunks):
        work = work + even(left, right, decode / (len(chunks) - 1))
    return work


def test_requests_of_a_simulated_server_get_what_they_used():
    server = SimulatedServer(noise=0.02, period_s=0.05)
    generator = np.random.default_rng(5)
    count = 300
    sent = np.cumsum(generator.exponential(0.4, count))
    simulation = simulate(
        server, sent, generator.integers(10, 800, count), generator.integers(1, 120, count), seed=6
    )
    weights = TokenWeights(server.prefill_j, server.decode_j, "known")
    shares = attribute(simulation.requests, simulation.energy, weights)
    true = simulation.true_request_j
    large = true > np.median(true)
    assert shares.request_j.sum() == pytest.approx(true.sum(), rel=0.05)
    assert np.median(np.abs(shares.request_j[large] / true[large] - 1)) < 0.05
    assert np.corrcoef(shares.request_j, true)[0, 1] > 0.99


def channel(name: str, component: str, method: str) -> Channel:
    return Channel(name, component, "test", method, "", "energy", Accuracy(0.05, 0.05, 0.0, "test"))  # pyright: ignore


def test_a_run_is_cut_by_component_at_the_samples_of_its_slowest_curve():
    fast, slow = np.arange(0, 11 * S, S // 10), np.arange(0, 11 * S, S)
    curves = (
        Curve(channel("cpu0", "cpu", "counter"), fast, fast // 1000 * 10),
        Curve(channel("cpu1", "cpu", "modelled"), slow, slow // 1000 * 20),
        Curve(channel("gpu0", "gpu", "integrated"), fast, fast // 1000 * 100),
    )
    record = RunRecord("r", "r", "completed", 0, 0, 0, 10 * S, baseline_w={"cpu": 12.0}, curves=curves)
    cpu, gpu = component_energies(RunView(record), 1 * S, 9 * S)
    assert (cpu.component, cpu.method, cpu.idle_w) == ("cpu", "modelled", 12.0)
    assert len(cpu.energy_j) == 8
    assert cpu.energy_j.sum() == pytest.approx(240)
    assert cpu.covered_s.sum() == pytest.approx(8)
    assert (gpu.method, gpu.idle_w) == ("integrated", None)
    assert len(gpu.energy_j) == 80
    assert gpu.total is not None
    assert gpu.total.low < 800 < gpu.total.high
    shares = attribute(columns([(2, 4, 8, 100, 50)]), cpu, EQUAL_WEIGHTS)
    assert shares.request_j.sum() == pytest.approx(18 * 6)
    assert shares.unattributed_j == pytest.approx(18 * 2)


def test_many_requests_over_many_samples_are_shared_without_a_table_of_pairs():
    # a table of all pairs would need 1.6 TB
    generator = np.random.default_rng(0)
    count, samples = 20_000, 200_000
    start = np.sort(generator.integers(0, 20_000 * S, count))
    first = start + generator.integers(MS, S, count)
    requests = RequestColumns(
        start, first, first + generator.integers(MS, 30 * S, count),
        generator.integers(1, 2_000, count), generator.integers(1, 500, count), np.zeros(count, np.int64),
    )  # fmt: skip
    edges = np.linspace(0, 20_100 * S, samples + 1).astype(np.int64)
    joules = generator.uniform(1, 20, samples)
    pot = IntervalEnergy("gpu", edges, joules, np.diff(edges) / S, 60.0)
    shares = attribute(requests, pot, TokenWeights(0.02, 0.3, "test"), "in-flight")
    parts = shares.request_j.sum() + (shares.idle_j or 0.0) + shares.unattributed_j
    assert parts == pytest.approx(shares.measured_j, rel=1e-9)
