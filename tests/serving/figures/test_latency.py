"""Figures of a load test, on records with known times."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmark.serving.figures.latency import Goal, Metrics, distribution, measure
from wattmark.serving.figures.sweep import Climb, SweepPoint, doubling, find_knee
from wattmark.serving.load.records import LoadResult, RequestRecord

MS = 1_000_000


def record(
    index: int, sent_ms: float, ttft_ms: float, gap_ms: float, tokens: int, **changes
) -> RequestRecord:
    sent = int(sent_ms * MS)
    chunks = array("q", [sent + int((ttft_ms + gap_ms * n) * MS) for n in range(tokens)])
    made = RequestRecord(
        index, index, 0, sent - 2 * MS, sent - MS, sent, chunks[0], chunks[-1], chunks[-1], chunks,
        input_tokens=10, output_tokens=tokens, status=200, outcome="ok",
    )  # fmt: skip
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def result_of(records: list[RequestRecord]) -> LoadResult:
    return LoadResult(
        "http://x",
        "m",
        "vllm",
        "a",
        "w",
        0,
        10**12,
        0,
        0,
        records,
        Counter(r.outcome for r in records),
        0.0,
        (),
    )


def test_every_figure_of_requests_with_known_times():
    figures = measure(result_of([record(n, 100 * n, 50, 10, 6) for n in range(10)]))
    assert figures.ttft_s.percentiles[50].value == pytest.approx(0.05)
    assert figures.ttft_from_schedule_s.mean.value == pytest.approx(0.052)
    assert figures.tpot_s.mean.value == pytest.approx(0.01)
    assert figures.itl_s.count == 50
    assert figures.e2e_s.most == pytest.approx(0.1)
    assert figures.queueing_s.mean.value == pytest.approx(0.002)
    assert figures.lateness_s.mean.value == pytest.approx(0.001)
    assert figures.requests_per_s == pytest.approx(10)
    assert figures.output_tokens_per_s == pytest.approx(60)
    assert figures.input_tokens_per_s == pytest.approx(100)
    assert figures.mean_in_flight == pytest.approx(1)
    assert figures.tokens_per_chunk == 1
    assert figures.good is None
    assert figures.as_dict()["ok"] == 10


def test_tokens_per_output_token_use_the_servers_count_not_chunks():
    assert measure(result_of([record(0, 0, 50, 10, 6, output_tokens=11)])).tpot_s.mean.value == pytest.approx(
        0.005
    )


def test_failures_are_counted_and_in_no_latency():
    bad = record(1, 0, 9_000, 10, 3, outcome="stalled")
    figures = measure(result_of([record(0, 0, 50, 10, 6), bad, record(2, 0, 50, 10, 6, outcome="abandoned")]))
    assert (figures.requests, figures.ok, figures.failed, figures.abandoned) == (3, 1, 1, 1)
    assert figures.ttft_s.most == pytest.approx(0.05)
    assert figures.itl_s.count == 5
    assert figures.outcomes == {"ok": 1, "stalled": 1, "abandoned": 1}


def test_where_there_is_nothing_there_is_none():
    figures = measure(result_of([]))
    assert (figures.ttft_s, figures.requests_per_s, figures.goodput_per_s, figures.window) == (None,) * 4
    one = measure(result_of([record(0, 0, 50, 0, 1, output_tokens=None, input_tokens=None)]))
    assert (one.tpot_s, one.itl_s, one.output_tokens_per_s, one.output_tokens) == (None,) * 4
    assert one.ttft_s.mean.low is None


def test_goodput_counts_answers_that_meet_every_limit():
    records = [record(n, 100 * n, 50 if n % 2 else 80, 10, 3) for n in range(10)]
    figures = measure(result_of(records), goal=Goal(ttft_s=0.06, tpot_s=0.02))
    assert figures.good == 5
    assert figures.goodput_per_s == pytest.approx(figures.requests_per_s / 2)
    assert Goal(tpot_s=1).met_by(record(0, 0, 1, 0, 1)) is None
    assert Goal(e2e_s=0.01).met_by(record(0, 0, 50, 1, 3)) is False


@given(st.lists(st.floats(0, 1e3), min_size=1, max_size=60))
@settings(max_examples=40, deadline=None)
def test_estimates_lie_within_their_intervals(values: list[float]):
    found = distribution(values)
    for estimate in (found.mean, *found.percentiles.values()):
        assert estimate.low is None or estimate.low <= estimate.value
        assert estimate.high is None or estimate.value <= estimate.high
    assert found.least <= found.percentiles[50].value <= found.most


def figures_at(tokens_per_s: float | None) -> Metrics:
    blank = dict.fromkeys(Metrics.__slots__)
    return Metrics(**{**blank, "output_tokens_per_s": tokens_per_s})


def test_the_knee_is_where_more_load_buys_no_more_work():
    rates = {1: 100, 2: 195, 4: 380, 8: 700, 16: 760, 32: 770, 64: 775}

    climb = Climb()
    assert [climb.add(load, figures_at(rates[int(load)])) for load in doubling(1, 64)] == [*[False] * 6, True]
    sweep = climb.sweep()
    assert sweep.saturated
    assert len(sweep.points) == 7
    assert sweep.knee.load == 8


def test_a_straight_or_unknown_curve_has_no_knee():
    assert find_knee([SweepPoint(n, figures_at(10.0 * n)) for n in (1, 2, 4, 8)]) is None
    assert find_knee([SweepPoint(n, figures_at(None)) for n in (1, 2, 4)]) is None
    assert doubling(1, 6) == (1, 2, 4, 6)


def test_answers_that_a_goal_cannot_judge_are_on_neither_side():
    unseen = {"first_token_ns": None, "last_token_ns": None}
    result = result_of([record(n, 100 * n, 50, 10, 6, **(unseen if n % 2 else {})) for n in range(4)])
    figures = measure(result, goal=Goal(ttft_s=1.0))
    assert (figures.ok, figures.judged, figures.good) == (4, 2, 2)
    assert figures.goodput_per_s == pytest.approx(figures.requests_per_s)
