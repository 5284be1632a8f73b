"""The measuring API as a user writes it, over a machine at a constant 50 W."""

# pyright: reportCallIssue=false
from __future__ import annotations

import asyncio
import math
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wattmark as wm
from conftest import FakeMachine
from wattmark.errors import ConfigError
from wattmark.runs.reading.session import SessionData, session_folders
from wattmark.tracker.measure import Run


def names(run: Run) -> list[str]:
    return [span.path for span in run.spans()]


def test_a_block_knows_its_joules(fake_machine: FakeMachine) -> None:
    with wm.measure("block", tags=["a", "b"]) as run:
        time.sleep(0.3)
    assert run.energy is not None
    assert run.energy.value == pytest.approx(50 * run.record.duration_s, abs=2)
    assert run.energy.low < run.energy.value < run.energy.high
    assert list(run.energy_by_component) == ["cpu"]
    assert run.record.tags == {"a": "", "b": ""}
    assert run.record.status == "completed"
    assert "ended" in repr(run)


def test_energies_are_there_while_it_runs(fake_machine: FakeMachine) -> None:
    run = wm.measure("going")
    run.start()
    time.sleep(0.25)
    first = run.energy
    time.sleep(0.25)
    second = run.energy
    run.stop()
    run.stop()
    assert first is not None
    assert second is not None
    assert 5 < first.value < second.value
    assert run.record.status == "completed"


def test_functions_coroutines_and_generators_are_measured_whole(fake_machine: FakeMachine) -> None:
    with wm.measure("kinds") as run:

        @run.span("function", size=3)
        def function() -> int:
            time.sleep(0.02)
            return 1

        @run.span("coroutine")
        async def coroutine() -> int:
            await asyncio.sleep(0.02)
            return 2

        @run.span("generator")
        def generator():
            yield 3
            time.sleep(0.02)

        assert function() == 1
        assert function() == 1
        assert asyncio.run(coroutine()) == 2
        assert list(generator()) == [3]
    spans = run.spans()
    assert [span.name for span in spans] == ["function", "function", "coroutine", "generator"]
    assert all(span.duration_s >= 0.019 for span in spans)
    assert spans[0].attrs == {"size": 3}


def test_a_measured_function_is_a_run_at_every_call(fake_machine: FakeMachine, data_dir: Path) -> None:
    @wm.measure
    def work() -> str:
        return "done"

    @wm.measure("named")
    def other() -> None: ...

    assert work() == "done"
    assert work() == "done"
    other()
    (folder,) = session_folders(str(data_dir / "journals"))
    found = [run.name for run in SessionData(folder).runs()]
    assert len(found) == 3
    assert found[0].endswith("work")
    assert found[2] == "named"


def test_tasks_nest_in_their_own_spans(fake_machine: FakeMachine) -> None:
    async def task(number: int) -> None:
        async with wm.span(f"task{number}"):
            await asyncio.sleep(0.01)
            async with wm.span("inner"):
                await asyncio.sleep(0.01)

    async def main() -> None:
        await asyncio.gather(*(task(number) for number in range(3)))

    with wm.measure("async") as run, run.span("all"):
        asyncio.run(main())
    assert sorted(names(run)) == sorted(
        ["all", *(f"all/task{n}" for n in range(3)), *(f"all/task{n}/inner" for n in range(3))]
    )


def test_a_span_started_in_one_thread_may_end_in_another(fake_machine: FakeMachine) -> None:
    with wm.measure("threads") as run:
        span = run.span("handed over").start()
        thread = threading.Thread(target=span.stop)
        thread.start()
        thread.join()
        with wm.span("after"):
            pass
    assert not run.record.spans.open.any()
    assert "handed over" in names(run)


def test_counts_grow_and_words_describe(fake_machine: FakeMachine) -> None:
    with wm.measure("counts") as run, run.span("epoch", samples=10, optimiser="sgd", shuffle=True) as span:
        span.add(samples=5, loss=0.5)
        span.add(samples=1, note="last")
    (view,) = run.spans()
    assert view.counts == {"samples": 16}
    assert view.attrs == {"optimiser": "sgd", "shuffle": True, "loss": 0.5, "note": "last"}
    (row,) = run.table()
    assert row["samples"] == 16
    assert row["optimiser"] == "sgd"
    assert row["energy_low_j"] <= row["energy_j"] <= row["energy_high_j"]
    frame = run.table(pandas=True)
    assert list(frame["name"]) == ["epoch"]


def test_power_over_time_is_the_power_of_the_machine(fake_machine: FakeMachine) -> None:
    with wm.measure("power") as run:
        time.sleep(0.6)
    power = run.power()
    assert set(power) == {"t_s", "cpu"}
    assert np.nanmean(power["cpu"]) == pytest.approx(50, abs=5)
    assert run.view.mean_power_w == pytest.approx(50, abs=3)


@pytest.mark.parametrize(("error", "status"), [(ValueError, "failed"), (KeyboardInterrupt, "interrupted")])
def test_an_exception_ends_the_run_and_goes_on(
    fake_machine: FakeMachine, error: type[BaseException], status: str
) -> None:
    with pytest.raises(error), wm.measure("bad") as run:
        raise error
    assert run.record.status == status


def test_leaving_with_success_is_completed(fake_machine: FakeMachine) -> None:
    with pytest.raises(SystemExit), wm.measure("exit") as run:
        raise SystemExit(0)
    assert run.record.status == "completed"


def test_precise_edges_are_read_by_the_process_itself(fake_machine: FakeMachine) -> None:
    with wm.measure("precise", period_s=5.0, precise=True) as run:
        with run.span("short"):
            time.sleep(0.1)
        time.sleep(0.05)
    (span,) = run.spans()
    assert span.energy is not None
    assert span.energy.value == pytest.approx(5.0, abs=1.0)
    (curve,) = [curve for curve in run.record.curves if curve.channel.id == "cpu0/package"]
    inside = (curve.t_ns > run.record.start_ns) & (curve.t_ns < run.record.end_ns)
    assert inside.sum() >= 2


def test_waiting_for_a_device_is_noted_at_the_span(fake_machine: FakeMachine) -> None:
    with wm.measure("sync", sync=True) as run, run.span("kernel"):
        pass
    assert run.spans()[0].attrs["synchronized"] == "nothing"


def test_a_span_outside_any_measurement_does_nothing() -> None:
    with wm.span("nobody measures") as span:
        pass
    assert span.end_ns >= span.start_ns
    assert wm.current_run() is None


def test_other_settings_get_another_recorder(fake_machine: FakeMachine, data_dir: Path) -> None:
    with wm.measure("slow"):
        pass
    with wm.measure("fast", period_s=0.02) as run:
        time.sleep(0.3)
    assert run.record.recorder["period_s"] == 0.02
    (curve,) = [curve for curve in run.record.curves if curve.channel.id == "cpu0/package"]
    assert len(curve.t_ns) >= 8
    assert len(session_folders(str(data_dir / "journals"))) == 2


@pytest.mark.parametrize("period_s", [0, 0.0001, 60])
def test_an_impossible_period_is_refused_before_anything_starts(period_s: float) -> None:
    with pytest.raises(ConfigError, match="period_s"):
        wm.measure("x", period_s=period_s)


def test_a_broken_setting_is_a_warning_and_the_work_goes_on(
    fake_machine: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTMARK_PERIOD_S", "soon")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with wm.measure("x") as run:
            done = True
    assert done
    assert run.energy is None
    assert ["WATTMARK_PERIOD_S" in str(warning.message) for warning in caught] == [True]


def test_what_is_not_measured_is_missing_and_not_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without any sensor, and with the models left out."""
    monkeypatch.setenv("WATTMARK_SYSFS", str(tmp_path))
    monkeypatch.setenv("WATTMARK_SOURCES", "!cpu-model,!dram-model,!nvml")
    with wm.measure("nothing") as run, run.span("s"):
        time.sleep(0.05)
    assert run.energy is None
    assert run.energy_by_component == {}
    assert run.view.mean_power_w is None
    assert run.view.peak_power_w is None
    assert run.spans()[0].energy is None
    assert "no-sensor" in [warning.code for warning in run.record.warnings]


def test_the_models_answer_and_say_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WATTMARK_SYSFS", str(tmp_path))
    with wm.measure("modelled") as run:
        end = time.process_time() + 0.7
        while time.process_time() < end:
            pass
    assert run.energy is not None
    assert run.energy.value > 0
    (warning,) = [warning for warning in run.record.warnings if warning.code == "modelled"]
    assert "CPU and DRAM are modelled here" in warning.message


def test_a_named_run_can_be_loaded_again(fake_machine: FakeMachine) -> None:
    with wm.measure("to load") as run:
        time.sleep(0.1)
    assert run.energy is not None
    again = wm.load("to load")
    assert again.id == run.id
    assert again.energy is not None
    assert again.energy.value == pytest.approx(run.energy.value, rel=1e-3)


def test_a_data_folder_removed_between_two_runs_is_made_again(
    fake_machine: FakeMachine, data_dir: Path
) -> None:
    with wm.measure("before"):
        pass
    while data_dir.exists():
        shutil.rmtree(data_dir, ignore_errors=True)  # its recorder may be writing there
    with wm.measure("after") as run:
        time.sleep(0.2)
    assert run.energy is not None
    assert not {warning.code for warning in run.record.warnings} & {"no-recorder", "not-measured"}


def test_every_window_knows_its_own_share_of_the_cpu(fake_machine: FakeMachine) -> None:
    """The process tree is looked at when a window begins and ends, however seldom it is looked at otherwise."""
    from wattmark.runs.attribution import attributed

    for _ in range(3):
        with wm.measure("busy") as run:
            end = time.process_time() + 0.4
            while time.process_time() < end:
                pass
        share = attributed(run.view)
        assert share is not None
        assert share.energy.value > 0


def test_an_asynchronous_generator_is_measured_until_it_is_exhausted(fake_machine: FakeMachine) -> None:
    """A streaming handler: what is sent and thrown into it arrives, and it is closed."""
    events: list[object] = []

    @wm.measure("stream")
    async def stream():
        try:
            got = yield 1
            await asyncio.sleep(0.1)
            events.append(got)
            try:
                yield 2
            except ValueError as error:
                events.append(error)
            yield 3
        finally:
            events.append("closed")

    async def main() -> None:
        source = stream()
        assert await source.__anext__() == 1
        assert await source.asend("sent") == 2
        assert await source.athrow(ValueError("thrown")) == 3
        await source.aclose()
        assert [item async for item in stream()] == [1, 2, 3]

    with wm.measure("outer") as run:
        asyncio.run(main())
    assert events[0] == "sent"
    assert isinstance(events[1], ValueError)
    assert events[2:] == ["closed", None, "closed"]
    spans = [span for span in run.spans() if span.name == "stream"]
    assert [span.duration_s >= 0.09 for span in spans] == [True, True]


def test_what_is_only_called_like_a_function_is_measured_whole(fake_machine: FakeMachine) -> None:
    import functools

    class Handler:
        async def __call__(self) -> None:
            await asyncio.sleep(0.05)

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)

    with wm.measure("outer") as run:
        for work in (Handler(), functools.partial(wait, 0.05)):
            asyncio.run(run.span("whole")(work)())
    assert [span.duration_s >= 0.045 for span in run.spans()] == [True, True]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"lr": 0.1, "n": 3, "on": True, "none": None, "list": [1]},
         {"lr": "0.1", "n": "3", "on": "True", "none": "", "list": "[1]"}),
        (["a", 1], {"a": "", "1": ""}),
        ("word", {"word": ""}),
        (7, {"7": ""}),
        ({"nul": "a\0b", "half": "\udc80"}, {"nul": "ab", "half": "?"}),
    ],
)  # fmt: skip
def test_tags_of_any_type_are_text(fake_machine: FakeMachine, tags: object, expected: dict[str, str]) -> None:
    with wm.measure("tagged", tags=tags) as run:
        pass
    assert run.record.tags == expected
    assert wm.load("tagged").record.tags == expected


def test_names_of_any_type_are_text(fake_machine: FakeMachine) -> None:
    with wm.measure(3.5) as run, run.span(7), wm.span(None):
        pass
    assert run.record.name == "3.5"
    assert names(run) == ["7", "7/None"]


QUIET = """
import sys
import wattmark as wm
with wm.measure("x") as run:
    with run.span("s"):
        print("done")
sys.exit(3)
"""


def test_measuring_breaks_no_work_where_warnings_are_errors(tmp_path: Path, data_dir: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET],
        env={**os.environ, "WATTMARK_DATA_DIR": str(blocked / "data")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("done\n", 3)
    assert done.stderr.count("nothing is measured") == 1


HANDLER = """
import signal, sys
import wattmark as wm
seen = 0
def handler(*_):
    global seen
    seen += 1
    with wm.span("handler"):
        pass
with wm.measure("work") as run:
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0002)
    while seen < 300:
        with run.span("step"):
            pass
    signal.setitimer(signal.ITIMER_REAL, 0)
print(seen, sum(span.name == "handler" for span in run.spans()), bool(run.record.spans.open.any()))
"""


def test_spans_in_a_signal_handler_neither_hang_nor_tear_the_journal(
    fake_machine: FakeMachine, data_dir: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANDLER], capture_output=True, text=True, timeout=60, check=True
    )
    seen, kept, is_open = done.stdout.split()
    assert seen == kept
    assert is_open == "False"


def test_a_recorder_that_does_not_start_leaves_a_run_that_says_so(
    fake_machine: FakeMachine, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wattmark.recorder import launch

    monkeypatch.setattr(launch, "_BOOT", "raise SystemExit('broken')")
    with pytest.warns(UserWarning, match="broken"), wm.measure("x") as run, run.span("s"):
        pass
    assert run.energy is None
    kept = wm.load("x")
    assert kept.record.status == "completed"
    assert kept.energy is None
    assert [span.name for span in kept.spans()] == ["s"]
    assert "no-recorder" in [warning.code for warning in kept.record.warnings]


SUB_INTERPRETER = """
import _xxsubinterpreters as interpreters
which = interpreters.create()
interpreters.run_string(which, '''
import wattmark as wm
import time
with wm.measure("inner") as run, run.span("s"):
    before = run.energy
    time.sleep(0.4)
print(before, round(run.energy.value / run.duration_s), sorted(run.energy_by_component), run.energy.low < run.energy.value)
''')
"""


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="its module has another name there")
def test_a_sub_interpreter_has_the_energies_worked_out_by_another_process(
    fake_machine: FakeMachine, data_dir: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SUB_INTERPRETER], capture_output=True, text=True, timeout=60, check=True
    )
    before, watts, *rest = done.stdout.split(maxsplit=2)
    assert before == "None"  # it still ran
    assert 30 < int(watts) < 90
    assert "cpu" in rest[0]
    assert rest[0].endswith("True\n")
    kept = wm.load("inner")
    assert kept.energy is not None
    assert [span.name for span in kept.spans()] == ["s"]


EMBEDDED = """
import sys
sys.executable = ""
import wattmark as wm
with wm.measure("embedded") as run:
    pass
print(run.record.recorder["version"])
"""


def test_a_program_that_embeds_python_is_measured(fake_machine: FakeMachine, data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EMBEDDED],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == wm.__version__


STOPPED = """
import os, signal, sys, time
import wattmark as wm
from wattmark.tracker.process import this_process
with wm.measure("stopped"):
    os.kill(this_process().session.pid, signal.SIGSTOP)
print(this_process().session.pid)
"""


def test_a_recorder_that_was_stopped_ends_with_the_program(fake_machine: FakeMachine, data_dir: Path) -> None:
    from wattmark.recorder import tree

    done = subprocess.run(
        [sys.executable, "-c", STOPPED], capture_output=True, text=True, timeout=60, check=True
    )
    end = time.monotonic() + 30
    while tree.is_alive(int(done.stdout), None) and time.monotonic() < end:
        time.sleep(0.05)
    assert not tree.is_alive(int(done.stdout), None)
    assert wm.load("stopped").record.status == "completed"


@pytest.mark.parametrize(
    ("details", "counts", "attrs"),
    [
        ({"samples": 64, "loss": 2.08, "epoch": 6}, {"samples": 64}, {"loss": 2.08, "epoch": 6}),
        (
            {"prompt_tokens": 7, "n_samples": 3, "max_tokens": 512, "warmup_steps": 9},
            {"prompt_tokens": 7, "n_samples": 3},
            {"max_tokens": 512, "warmup_steps": 9},
        ),
        ({"counts": {"widgets": 4}, "lr": 0.1}, {"widgets": 4}, {"lr": 0.1}),
        ({"counts": {"widgets": -4, "tokens": math.inf}}, {}, {"widgets": -4, "tokens": "inf"}),
        (
            {"tokens": np.int64(5), "images": np.float32(2.5), "rows": math.nan},
            {"tokens": 5, "images": 2.5},
            {"rows": "nan"},
        ),
        (
            {"tokens": np.ones(2), "steps": True, "loss": np.array(0.5)},
            {},
            {"tokens": "[1. 1.]", "steps": True, "loss": 0.5},
        ),
        ({"counts": 5, "samples": 10**400}, {}, {"counts": "5", "samples": str(10**400)}),
    ],
)
def test_only_what_counts_things_is_a_count(
    fake_machine: FakeMachine, details: dict[str, Any], counts: dict[str, float], attrs: dict[str, Any]
) -> None:
    with wm.measure("work") as run, run.span("part", **details):
        pass
    (view,) = run.spans()
    assert view.counts == counts
    assert view.attrs == attrs


def test_a_decorated_function_keeps_counts_and_words_apart(fake_machine: FakeMachine) -> None:
    with wm.measure("work") as run:

        @run.span("part", counts={"widgets": 2}, epoch=1)
        def part() -> None: ...

        part()
        part()
    assert [(span.counts, span.attrs) for span in run.spans()] == [({"widgets": 2}, {"epoch": 1})] * 2
