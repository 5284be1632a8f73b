"""Prometheus text and its histograms."""

from __future__ import annotations

import math

import pytest

from wattmark.serving.load.scrape import parse_latencies
from wattmark.serving.server.exposition import Histogram, histograms, labels_of, samples


def test_labels_may_hold_anything() -> None:
    text = 'm{a="x} \\"y\\" # 3",b="c\\\\d\\ne"} 4.5 1700000000 # {trace_id="z"} 9\n'
    (sample,) = samples(text, lambda name: name == "m")
    assert sample.value == 4.5
    assert labels_of(sample.labels) == {"a": 'x} "y" # 3', "b": "c\\d\ne"}


def test_lines_that_are_no_samples_are_passed_over() -> None:
    text = "# HELP m x\nm\nm NaN\nm +Inf\nm{ 3\n{} 3\nm x\n\x00\nm 7\n"
    assert [sample.value for sample in samples(text, lambda name: True)] == [7.0]


BUCKETS = {1.0: 10.0, 2.0: 30.0, math.inf: 40.0}


def test_a_percentile_lies_in_its_bucket() -> None:
    at = Histogram(40, 60, BUCKETS).percentile(50)
    assert at == (1.5, 1.0, 2.0)
    first = Histogram(40, 60, BUCKETS).percentile(10)
    assert first is not None
    assert (first.low, first.high) == (0.0, 1.0)
    assert Histogram(40, 600, BUCKETS).percentile(99) == (
        pytest.approx(1461.5, abs=40),
        2.0,
        pytest.approx(1500),
    )
    assert Histogram(0, 0, {}).percentile(50) is None
    assert Histogram(0, 0, {}).mean is None


def test_a_bucket_that_holds_all_values_tells_less_than_their_mean() -> None:
    """vLLM's first bucket of waiting times ends at 0.3 s; a queue that nobody waited in has a mean of some microseconds."""
    queue = Histogram(60, 60 * 15e-6, {0.3: 60.0, math.inf: 60.0})
    half, tail = queue.percentile(50), queue.percentile(99)
    assert half is not None
    assert tail is not None
    assert (half.low, half.high) == (0.0, pytest.approx(30e-6))
    assert tail.high == pytest.approx(1.5e-3)
    beyond = Histogram(10, 50.0, {1.0: 0.0, math.inf: 10.0}).percentile(50)
    assert beyond is not None
    assert beyond.high == pytest.approx(10.0)  # five times two, though the last bucket has no end


def test_a_server_that_was_started_anew_tells_nothing_of_the_time() -> None:
    before, after = Histogram(5, 5.0, {1.0: 5.0}), Histogram(2, 2.0, {1.0: 2.0})
    assert after.since(before) is None
    assert Histogram(7, 9.0, {1.0: 6.0}).since(before) == Histogram(2, 4.0, {1.0: 1.0})


VLLM = """
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1"} 1
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf"} 3
vllm:time_to_first_token_seconds_bucket{engine="1",le="0.1"} 2
vllm:time_to_first_token_seconds_bucket{engine="1",le="+Inf"} 2
vllm:time_to_first_token_seconds_count{engine="0"} 3
vllm:time_to_first_token_seconds_count{engine="1"} 2
vllm:time_to_first_token_seconds_sum{engine="0"} 1.5
vllm:time_to_first_token_seconds_sum{engine="1"} 0.1
vllm:time_per_output_token_seconds_count 9
vllm:time_per_output_token_seconds_sum 9
vllm:inter_token_latency_seconds_count 10
vllm:inter_token_latency_seconds_sum 5
"""
SGLANG = """
sglang:time_to_first_token_seconds_bucket{le="0.2",model_name="m"} 4
sglang:time_to_first_token_seconds_bucket{le="+Inf",model_name="m"} 4
sglang:time_to_first_token_seconds_sum{model_name="m"} 0.4
sglang:time_to_first_token_seconds_count{model_name="m"} 4
sglang:e2e_request_latency_seconds_sum 8
sglang:e2e_request_latency_seconds_count 4
"""
TGI = """
tgi_request_queue_duration_bucket{le="0.000001"} 1
tgi_request_queue_duration_bucket{le="+Inf"} 2
tgi_request_queue_duration_sum 0.5
tgi_request_queue_duration_count 2
tgi_request_mean_time_per_token_duration_sum 0.2
tgi_request_mean_time_per_token_duration_count 10
"""


def test_engines_are_added_up_and_of_two_names_the_newer_counts() -> None:
    found = parse_latencies(VLLM)
    assert found["ttft"] == Histogram(5, 1.6, {0.1: 3.0, math.inf: 5.0})
    assert found["itl"].mean == 0.5


@pytest.mark.parametrize(
    ("text", "means"),
    [
        (SGLANG, {"ttft": 0.1, "e2e": 2.0}),
        (TGI, {"queue": 0.25, "tpot": 0.02}),
        ("llamacpp:requests_processing 2", {}),
    ],
)
def test_other_servers_names(text: str, means: dict[str, float]) -> None:
    found = parse_latencies(text)
    assert {what: histogram.mean for what, histogram in found.items()} == pytest.approx(means)


def test_a_histogram_without_its_sum_is_none() -> None:
    assert histograms(samples('m_count 3\nm_bucket{le="x"} 3\n', lambda name: True)) == {}
