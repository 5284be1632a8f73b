"""What may be compared, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fakes.records import example_record, rapl_record
from wattmark.runs.comparison import Entry, compare, denominators
from wattmark.runs.differences import of_groups
from wattmark.runs.record import Spans
from wattmark.runs.view import RunView


def constant(watts: float, seconds: int = 10, components: tuple[str, ...] = ("cpu",), **changes) -> RunView:
    base = rapl_record(3)
    t_ns = np.arange(seconds + 1, dtype=np.int64) * 10**9
    curves = tuple(
        replace(
            base.curves[0],
            channel=base.curves[0].channel._replace(id=f"{name}0", component=name),
            t_ns=t_ns,
            energy_uj=(t_ns // 1000 * watts).astype(np.int64),
        )
        for name in components
    )
    record = replace(base, start_ns=0, end_ns=seconds * 10**9, curves=curves, environment={"host": "node1"})
    return RunView(replace(record, **changes))


def entry(*views: RunView) -> Entry:
    return Entry("it", views)


def test_energies_of_different_components_are_refused_unless_only_the_shared_ones_are_asked_for():
    small, large = entry(constant(50)), entry(constant(50, components=("cpu", "gpu")))
    _, row = compare([small, large])
    assert row.verdict() == "not comparable: gpu counted only in this"
    assert set(row.gaps) == {"duration_s"}
    assert row.verdict("duration_s") == "not distinguishable"
    _, row = compare([small, large], components=["cpu"])
    assert row.refused is None
    assert row.verdict() == "not distinguishable"
    assert row.values["energy_j"].value == pytest.approx(500, rel=0.01)


def test_repeats_are_tested_by_their_spread_and_single_runs_by_their_intervals():
    few = entry(*(constant(watts) for watts in (50, 51, 49)))
    more = entry(*(constant(watts) for watts in (55, 56, 54)))
    one = entry(constant(56))
    rows = compare([few, more, one, entry(constant(54))])
    by_spread = "more, by more than their spread"
    assert [row.verdict() for row in rows[1:]] == [by_spread, by_spread, "not distinguishable"]
    assert rows[0].values["energy_j"].source == "mean of 3 runs"
    assert compare([entry(constant(50)), entry(constant(51))])[1].verdict() == "not distinguishable"
    assert (
        compare([entry(constant(50)), entry(constant(90))])[1].verdict() == "more, by more than the intervals"
    )


def test_another_reference_turns_the_sign():
    two = [entry(constant(50)), entry(constant(90))]
    row = compare(two, reference=1)[0]
    assert row.verdict() == "less, by more than the intervals"
    assert row.gaps["energy_j"].value == pytest.approx(-400, rel=0.01)


def test_one_value_against_a_group_is_taken_to_spread_as_the_group():
    # by hand: mean 100, s = 10, n = 4; t(3) = 3.182; half = 3.182 * 10 * sqrt(1.25)
    gap = of_groups([90, 100, 110, 100], [140])
    assert gap.value == 40
    assert gap.high - gap.value == pytest.approx(3.182 * (200 / 3) ** 0.5 * 1.25**0.5, rel=0.001)
    assert gap.clear
    with pytest.raises(ValueError, match="two values"):
        of_groups([1.0], [2.0])


def test_a_run_is_divided_by_counts_epochs_and_points_of_accuracy_but_not_by_seconds():
    start = np.array([0, 0, 10, 20], np.int64)
    spans = Spans(
        ("train", "epoch"), np.array([0, 1, 1, 1], np.int32), start, start + 9, np.array([-1, 0, 0, 0], np.int32),
        np.zeros(4, np.int64), np.zeros(4, np.int64), np.zeros(4, np.bool_),
        {
            1: {"counts": {"samples": 100, "ttft_s": 0.1}, "attrs": {"accuracy": 0.5}},
            2: {"counts": {"samples": 60}, "attrs": {"accuracy": 0.75}},
        },
    )  # fmt: skip
    record = replace(example_record(), spans=spans)
    assert denominators(record) == {"samples": 160, "epochs": 3, "accuracy points": 75}
    told = replace(record, extra={"metrics": {"accuracy": 0.9}})
    assert denominators(told)["accuracy points"] == pytest.approx(90)


def test_only_what_both_have_is_compared():
    plain, counted = RunView(replace(example_record(), spans=Spans.empty())), RunView(example_record())
    rows = compare([entry(plain), entry(counted)])
    assert "energy_j/samples" in rows[1].values
    assert "energy_j/samples" not in rows[1].gaps
    assert rows[1].verdict("energy_j/samples") == "not comparable: the value of one is not known"
