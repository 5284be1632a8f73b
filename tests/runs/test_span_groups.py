"""Spans of one path together: no group has more than its run, and epochs that follow each other have its interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wattmark.runs.record import Curve, RunRecord, Spans
from wattmark.runs.result import RunResult
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.sources.base import Accuracy, Channel

S = 1_000_000_000


@pytest.fixture
def epochs() -> RunView:
    """20 epochs of 0.37 s, sampled every 0.5 s: a training with no gaps."""
    accuracy = Accuracy(0.5, 0.8, 0.1, "a model")
    channel = Channel("cpu/model", "cpu", "cpu-model", "modelled", "package", "energy", accuracy)
    t = np.arange(0, 20) * S // 2
    watts = np.where(np.arange(19) % 3, 10.0, 14.0)
    energy = np.concatenate(([0.0], np.cumsum(watts * 0.5))) * 1e6
    edges = S + (np.arange(21) * 0.37 * S).astype(np.int64)
    start = np.concatenate(([edges[0]], edges[:-1]))
    end = np.concatenate(([edges[-1]], edges[1:]))
    count = len(start)
    spans = Spans(
        ("train", "epoch"), np.array([0] + [1] * 20, np.int32), start, end,
        np.array([-1] + [0] * 20, np.int32), np.zeros(count, np.int64), np.zeros(count, np.int64),
        np.zeros(count, np.bool_),
    )  # fmt: skip
    record = RunRecord(
        "r", "r", "completed", 0, 0, 0, 9 * S, curves=(Curve(channel, t, energy.astype(np.int64)),)
    )
    return RunView(replace(record, spans=spans))


def test_a_group_of_neighbours_is_as_sure_as_what_holds_them(epochs: RunView):
    train, group = epochs.span_groups()
    assert [(one.path, one.times, one.depth) for one in (train, group)] == [
        ("train", 1, 0),
        ("train/epoch", 20, 1),
    ]
    assert group.energy.value == pytest.approx(train.energy.value)
    assert group.energy.interval() == pytest.approx(train.energy.interval(), rel=1e-3)
    apart = sum(span.energy.high for span in epochs.spans() if span.name == "epoch")
    assert group.energy.high < apart


def test_nothing_inside_a_run_has_more_than_the_run(epochs: RunView):
    most = epochs.energy.high
    assert all(span.energy.high <= most for span in epochs.spans())
    assert all(group.energy.high <= most for group in epochs.span_groups())
    assert all(span.energy.low >= 0 for span in epochs.spans())


def test_the_first_spans_are_those_of_the_whole_list(epochs: RunView):
    assert epochs.spans(3) == epochs.spans()[:3]


def test_results_keep_their_groups(epochs: RunView):
    result = summarise(epochs)
    again = RunResult.from_dict(result.to_dict())
    assert again.span_groups == result.span_groups
    old = {key: value for key, value in result.to_dict().items() if key != "span_groups"}
    assert [group.path for group in RunResult.from_dict(old).span_groups] == ["train", "train/epoch"]
