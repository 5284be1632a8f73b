"""What may be compared, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from fakes.records import example_record, rapl_record
from wattmark.runs.comparison import Entry, compare, denominators
from wattmark.runs.record import Spans
from wattmark.runs.view import RunView
from wattmark.sources.base import Accuracy

_IDS = count()


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
    record = replace(
        base,
        run_id=f"run-{next(_IDS)}",
        start_ns=0,
        end_ns=seconds * 10**9,
        curves=curves,
        environment={"host": "node1"},
    )
    return RunView(replace(record, **changes))


def entry(*views: RunView) -> Entry:
    return Entry("it", views)


def test_energies_of_different_components_are_refused_unless_only_the_shared_ones_are_asked_for():
    small, large = entry(constant(50)), entry(constant(50, components=("cpu", "gpu")))
    _, row = compare([small, large])
    assert row.verdict() == "not comparable: gpu counted only in this"
    assert set(row.gaps) == {"duration_s"}
    assert row.verdict("duration_s").endswith("not distinguishable")
    _, row = compare([small, large], components=["cpu"])
    assert row.refused is None
    assert row.verdict().endswith("not distinguishable")
    assert row.values["energy_j"].value == pytest.approx(500, rel=0.01)


def test_repeats_are_tested_by_their_spread_and_single_runs_by_what_one_run_does_not_show():
    few = entry(*(constant(watts) for watts in (50, 51, 49)))
    more = entry(*(constant(watts) for watts in (55, 56, 54)))
    one = entry(constant(56))
    rows = compare([few, more, one, entry(constant(54))])
    verdicts = [row.verdict().partition(": ")[2] for row in rows[1:]]
    assert verdicts == ["more, clearly", "more, clearly", "not distinguishable"]
    assert rows[0].values["energy_j"].source == "mean of 3 runs"
    assert compare([entry(constant(50)), entry(constant(51))])[1].verdict().endswith("not distinguishable")
    verdict = compare([entry(constant(50)), entry(constant(90))])[1].verdict()
    assert verdict.startswith("1.80 times [1.")
    assert verdict.endswith("more, clearly")


def modelled(watts: float, host: str, command: str, run_id: str) -> RunView:
    """A run that a model of 50 % scale and 20 % character read."""
    view = constant(watts, run_id=run_id, environment={
        "host": host, "cpu": {"model": ["Some CPU"], "threads": 2},
        "process": {"command": ["wattmark", "run", "--", command], "cwd": "/"},
    })  # fmt: skip
    curve = view.record.curves[0]
    accuracy = Accuracy(0.55, 0.85, 0.0, "a model", 0.1, 0.1, 0.3, 0.4)
    channel = curve.channel._replace(accuracy=accuracy, method="modelled", source="cpu-model")
    return RunView(replace(view.record, curves=(replace(curve, channel=channel),)))


def test_a_model_of_one_machine_decides_what_two_machines_leave_open():
    small, large = modelled(10, "a", "mlp", "1"), modelled(36, "a", "cnn", "2")
    gap = compare([entry(small), entry(large)])[1].gaps["energy_j"]
    assert gap.clear
    assert gap.ratio.low > 2.5
    assert set(gap.common) == {"curve", "scale"}
    again = compare([entry(small), entry(modelled(11, "a", "mlp", "3"))])[1].gaps["energy_j"]
    assert set(again.common) == {"curve", "scale", "character"}
    short, long = (
        entry(modelled(w, "a", f"train.py --epochs {n}", f"e{n}")) for w, n in ((10, 10), (36, 36))
    )
    assert "character" in compare([short, long])[1].gaps["energy_j"].common  # more of the same work
    elsewhere = modelled(20, "b", "cnn", "4")
    there = compare([entry(small), entry(elsewhere)])[1].gaps["energy_j"]
    assert there.common == ("curve",)
    assert there.ratio.low < 1.05 < gap.ratio.low


def test_where_others_were_busy_the_process_trees_are_compared():
    quiet, busy = (
        constant(
            30,
            tree_cpu=np.array([[0, 0, 0], [5e9, 5, 5 + others], [10e9, 10, 10 + 2 * others]], float),
            environment={"host": "node1", "cpu": {"threads": 4}},
        )
        for others in (0.0, 10.0)
    )
    rows = compare([entry(quiet), entry(busy)])
    assert {row.scope for row in rows} == {"tree"}
    assert rows[1].values["energy_j"].value == pytest.approx(100, rel=0.01)  # a third of the machine's 300 J
    assert any("process trees" in note for note in rows[1].notes)
    assert {row.scope for row in compare([entry(quiet), entry(quiet)])} == {"machine"}


def test_another_reference_turns_the_sign():
    two = [entry(constant(50)), entry(constant(90))]
    row = compare(two, reference=1)[0]
    assert row.verdict().endswith("less, clearly")
    assert row.gaps["energy_j"].value == pytest.approx(-400, rel=0.01)


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
