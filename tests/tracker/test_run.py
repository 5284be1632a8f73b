"""One object for a run that goes on, has ended, or is loaded; what it logs, and how it looks in a notebook."""

from __future__ import annotations

import json
import math
import pickle
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

import wattmark as wm
from conftest import FakeMachine
from fakes.records import example_record
from wattmark.errors import WattmarkError
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.tracker.process import WattmarkWarning
from wattmark.tracker.run import Run
from wattmark.units import format_energy


def test_a_run_answers_alike_while_it_goes_on_when_it_has_ended_and_when_it_is_loaded(
    fake_machine: FakeMachine,
) -> None:
    with wm.measure("train", tags={"model": "small"}) as run:
        with run.span("epoch", samples=10):
            time.sleep(0.2)
        assert run.status == "running"
        assert run.energy is not None
        assert 0 < run.duration_s < 20
    loaded = wm.load("train")
    for found in (run, loaded):
        assert isinstance(found, Run)
        assert (found.name, found.tags, found.status) == ("train", {"model": "small"}, "completed")
        assert [span.name for span in found.spans] == ["epoch"]
        assert found.spans() == found.spans  # as it was asked for before
        assert found.coverage > 0.9
        assert found.mean_power_w == pytest.approx(50, abs=5)
        assert found.started_at.tzinfo is not None
        whole, first = found.between(0, 1e9), found.between(0, found.duration_s / 2)
        assert whole is not None
        assert first is not None
        assert whole.value == pytest.approx(found.energy.value)
        assert first.value == pytest.approx(whole.value / 2, rel=0.3)
    assert loaded.id == run.id
    assert loaded.energy.value == pytest.approx(run.energy.value, rel=1e-3)
    assert loaded.duration_s == pytest.approx(run.duration_s)


def test_what_is_logged_stands_beside_the_joules(fake_machine: FakeMachine) -> None:
    with wm.measure("train") as run:
        with run.span("epoch"):
            for step in range(3):
                run.log(loss=1 / (step + 1), step=step)
                time.sleep(0.1)
        run.log({"val/accuracy": np.float32(0.5)})
    for found in (run, wm.load("train")):
        loss = found.metrics["loss"]
        assert loss.value == pytest.approx((1, 1 / 2, 1 / 3))
        assert loss.step == (0, 1, 2)
        assert list(loss.t_s) == sorted(loss.t_s)
        assert found.metrics["val/accuracy"].last == 0.5
        frame = found.to_pandas()
        logged = frame[frame["kind"] == "metrics"]
        assert logged["loss"].dropna().tolist() == pytest.approx([1, 1 / 2, 1 / 3])
        assert logged["energy_so_far_j"].dropna().is_monotonic_increasing
        assert frame[frame["kind"] == "span"]["name"].tolist() == ["epoch"]
        assert found.to_dict()["metrics"]["loss"]["step"] == [0, 1, 2]


def test_what_is_no_number_never_stops_the_work(fake_machine: FakeMachine) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", WattmarkWarning)
        with wm.measure("train") as run:
            run.log(loss=float("nan"), note="good", step=1)
            run.log(loss=0.5)
    assert ["'note' is not logged" in str(warning.message) for warning in caught] == [True]
    assert run.metrics["loss"].value == (None, 0.5)
    json.dumps(wm.load("train").to_dict(), allow_nan=False)


def test_metrics_of_overlapping_and_nested_measures_stay_apart(fake_machine: FakeMachine) -> None:
    outer = wm.measure("outer").start()
    outer.log(loss=1.0)
    with wm.measure("inner") as inner:
        inner.log(loss=2.0)
    outer.log(loss=3.0)
    outer.stop()
    assert inner.metrics["loss"].value == (2.0,)
    assert outer.metrics["loss"].value == (1.0, 2.0, 3.0)


def test_outside_of_any_measurement_logging_does_nothing() -> None:
    run = wm.measure("never begun")
    run.log(loss=1.0)
    assert wm.current_run() is None


def test_the_current_run_is_the_run_itself_and_in_a_child_the_same_run(
    fake_machine: FakeMachine,
) -> None:
    child = (
        "import wattmark as wm\nrun = wm.current_run()\nrun.log(loss=0.25, step=9)\n"
        "with run.span('in the child'):\n    pass\nprint(run.id, run.name, run.tags['k'], run.energy is not None)\n"
    )
    with wm.measure("parent", tags={"k": "v"}) as run:
        assert wm.current_run() is run
        with wm.measure("nested"):
            assert wm.current_run() is run
        time.sleep(0.2)
        done = subprocess.run(
            [sys.executable, "-c", child], capture_output=True, text=True, check=True, timeout=60
        )
    assert wm.current_run() is None
    assert done.stdout.split() == [run.id, "parent", "v", "True"]
    assert run.metrics["loss"].step == (9,)
    assert "in the child" in [span.name for span in run.spans]


def test_results_outlast_the_session_that_measured_them(fake_machine: FakeMachine, data_dir: Path) -> None:
    with wm.measure("first") as run:
        time.sleep(0.15)
    with wm.measure("second", period_s=0.05):  # needs another recorder, so the first session ends
        assert wm.load("first").id == run.id  # and is read into the store
    assert run.energy is not None
    assert run.energy.value == pytest.approx(wm.load("first").energy.value, rel=1e-3)


def test_a_run_can_be_sent_to_another_process(fake_machine: FakeMachine) -> None:
    with wm.measure("sent") as run:
        pass
    wm.load("sent")
    again = pickle.loads(pickle.dumps(run))
    assert (again.id, again.name, again.status) == (run.id, "sent", "completed")


def test_a_loaded_run_is_not_measured_again() -> None:
    run = Run.of(RunView(example_record()))
    for change in (run.start, lambda: run.log(loss=1), lambda: run.span("x")):
        with pytest.raises(WattmarkError, match="the loaded run"):
            change()


@pytest.mark.parametrize(("start", "end"), [(2, 1), (math.nan, 1), (0, math.nan)])
def test_an_interval_ends_after_it_begins(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="an interval"):
        Run.of(RunView(example_record())).between(start, end)


def test_a_notebook_shows_total_interval_method_and_a_chart() -> None:
    record = example_record()
    html = Run.of(RunView(record))._repr_html_()
    assert record.name in html
    assert "<svg" in html
    for component in RunView(record).energy_by_component:
        assert component in html
    assert " [" in html
    assert "modelled" in html
    for foreign in ("http", "<script", "url("):
        assert foreign not in html


def test_a_notebook_takes_no_name_for_markup_and_shows_an_empty_run() -> None:
    html = Run.of(RunView(RunRecord("a", "<b>x", "completed", 0, 0, 0, 0)))._repr_html_()
    assert "&lt;b&gt;x" in html
    assert "not measured" in html


def test_plot_draws_the_power_of_every_component() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    run = Run.of(RunView(example_record()))
    axes = run.plot()
    assert {line.get_label() for line in axes.lines} == set(run.power()) - {"t_s"}
    assert axes.get_ylabel() == "power (W)"


def test_a_run_says_in_a_line_what_it_used() -> None:
    run = Run.of(RunView(example_record()))
    value, low, high = (
        format_energy(end, run.energy.value).split()[0]
        for end in (run.energy.value, run.energy.low, run.energy.high)
    )
    assert f": {value} " in repr(run)
    assert f"[{low}, {high}] " in repr(run)
    assert repr(run).endswith("modelled>")
    assert "not measured" in repr(Run.of(RunView(RunRecord("a", "x", "completed", 0, 0, 0, 0))))
    assert "J" not in repr(
        Run.later("a", "x", {}, lambda: RunView(example_record()))
    )  # nothing is read for it
