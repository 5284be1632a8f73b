"""A run's results as a tree of values, and as the documented object and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest

from fakes.records import example_record, rapl_record, spans_record
from wattmark.impact.emissions import carbon
from wattmark.runs.differences import counts_of
from wattmark.runs.record import RunRecord
from wattmark.runs.result import RunResult
from wattmark.runs.summary import MAX_SPANS, summarise
from wattmark.runs.view import RunView
from wattmark.store.pack import dump_json, load_json


@pytest.mark.parametrize("make", [example_record, lambda: rapl_record(5), lambda: spans_record(203)])
def test_the_object_is_read_back_as_what_it_was_written_from(make: Callable[[], RunRecord]) -> None:
    run = summarise(RunView(make()))
    emitted = carbon(run.energy, "FR")
    run = replace(run, carbon=emitted.result if emitted else None)
    data = run.to_dict()
    again = RunResult.from_dict(json.loads(json.dumps(data)))
    assert again.to_dict() == data
    assert load_json(dump_json(run.to_dict())) == json.loads(json.dumps(data))


def test_results_do_not_change() -> None:
    run = summarise(RunView(example_record()))
    with pytest.raises(FrozenInstanceError):
        run.name = "other"  # pyright: ignore[reportAttributeAccessIssue]


def test_an_energy_whose_ends_are_no_numbers_is_not_known() -> None:
    data = summarise(RunView(rapl_record(5))).to_dict()
    data["energy_j"]["cpu"] = {"value": 1.0, "low": None, "high": 2.0}
    data["channels"][0]["high"] = None
    run = RunResult.from_dict(data)
    assert "cpu" not in run.energy_by_component
    assert run.channels[0].energy is None
    assert run.energy is not None
    with pytest.raises(KeyError):
        RunResult.from_dict({"run_id": "x"})


def test_methods_are_those_that_are_counted_where_any_is() -> None:
    run = summarise(RunView(rapl_record(5)))
    (channel, *_) = run.channels
    modelled = replace(channel, id="other", method="modelled", counted=False)
    assert replace(run, channels=(channel, modelled)).methods == {"cpu": {"counter"}}
    assert replace(run, channels=(modelled,)).methods == {"cpu": {"modelled"}}


def test_of_many_spans_the_first_are_there_and_a_warning_says_so() -> None:
    run = summarise(RunView(spans_record(MAX_SPANS + 5)))
    assert len(run.spans) == MAX_SPANS
    assert [warning.code for warning in run.warnings][-1] == "spans-cut"
    assert summarise(RunView(spans_record(20)), spans=False).spans == ()


def test_counts_are_those_of_all_spans_and_of_nested_ones_the_outer() -> None:
    """Each epoch and each step in it counts samples, and there are more steps than an object holds."""
    record = spans_record(MAX_SPANS + 505)
    run = summarise(RunView(record))
    assert run.counts == counts_of(record) == {"samples": 64 * sum(record.spans.name_ids == 0)}
    again = RunResult.from_dict(json.loads(json.dumps(run.to_dict())))
    assert again.counts == run.counts
    few = summarise(RunView(spans_record(303))).to_dict()
    del few["span_groups"]  # as the first versions kept it
    assert RunResult.from_dict(few).counts == {"samples": 64 * 3}
