"""The recorder under a real life: kills, full folders, several processes, and a second window."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import FakeMachine
from wattmark.recorder import tree
from wattmark.recorder.live import LiveReader
from wattmark.runs.reading.session import SessionData, session_folders
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView

pytestmark = pytest.mark.timeout(180)

WORK = """
import sys, time
import wattmark as wm
with wm.measure("work") as run:
    print("ready", flush=True)
    while True:
        with run.span("step"):
            time.sleep(0.01)
"""


started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    yield
    for process in started:
        process.kill()
        process.communicate()
    started.clear()


def start(code: str = WORK, **kwargs: Any) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **kwargs)
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready"
    return process


def only_folder(data_dir: Path) -> str:
    folders = session_folders(str(data_dir / "journals"))
    assert len(folders) == 1
    return folders[0]


def only_run(data_dir: Path) -> RunRecord:
    runs = list(SessionData(only_folder(data_dir)).runs())
    assert len(runs) == 1
    return runs[0]


def recorder_pid(folder: str) -> int:
    return LiveReader(folder).read().recorder_pid


def gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if not tree.is_alive(pid, None):
            return True
        time.sleep(0.01)
    return False


def test_a_killed_process_leaves_a_run_up_to_its_end(fake_machine: FakeMachine, data_dir: Path) -> None:
    process = start()
    began = time.monotonic()
    time.sleep(1.2)
    process.send_signal(signal.SIGKILL)
    lasted = time.monotonic() - began
    process.wait()
    folder = only_folder(data_dir)
    assert gone(recorder_pid(folder)), "the recorder outlived its owner"
    run = only_run(data_dir)
    assert run.status == "interrupted"
    assert run.duration_s == pytest.approx(lasted, abs=0.5)
    view = RunView(run)
    assert view.energy is not None
    assert view.energy.value == pytest.approx(50 * run.duration_s, abs=3)
    assert len(run.spans) > 20
    assert run.spans.open.sum() <= 1


def test_a_killed_recorder_leaves_the_work_alone_and_says_what_is_missing(
    fake_machine: FakeMachine, data_dir: Path
) -> None:
    code = WORK.replace("while True:", "for _ in range(250):") + "\nprint('done', flush=True)\n"
    process = start(code)
    time.sleep(0.8)
    os.kill(recorder_pid(only_folder(data_dir)), signal.SIGKILL)
    output, _ = process.communicate(timeout=30)
    assert output.strip() == "done"
    assert process.returncode == 0
    run = only_run(data_dir)
    assert run.status == "completed"
    assert 0.05 < RunView(run).coverage < 0.75
    assert "recorder-lost" in [warning.code for warning in run.warnings]
    assert len(run.spans) == 250


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_any_signal_that_ends_the_work_ends_the_recorder(
    fake_machine: FakeMachine, data_dir: Path, number: signal.Signals
) -> None:
    process = start(stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(0.5)
    os.killpg(process.pid, number)
    process.wait(timeout=10)
    assert gone(recorder_pid(only_folder(data_dir)))
    run = only_run(data_dir)
    assert run.status == "interrupted"
    assert RunView(run).coverage > 0.9


def test_kills_at_random_moments_never_lose_a_run(fake_machine: FakeMachine, data_dir: Path) -> None:
    """Of the work, of the recorder, or of both, from the first millisecond on."""
    chance = random.Random(7)
    for round_number in range(12):
        process = start()
        time.sleep(chance.choice([0, 0.01, 0.1, 0.3]) * chance.random())
        folder = session_folders(str(data_dir / "journals"))[-1]
        victims = chance.choice([["work"], ["recorder"], ["work", "recorder"], ["recorder", "work"]])
        recorder = recorder_pid(folder)
        for victim in victims:
            os.kill(process.pid if victim == "work" else recorder, signal.SIGKILL)
        if "work" not in victims:
            time.sleep(0.05)
            process.kill()
        process.wait()
        assert gone(recorder), f"round {round_number}: an orphan after {victims}"
        runs = list(SessionData(folder).runs())
        assert [run.status for run in runs] == ["interrupted"]
    assert len(session_folders(str(data_dir / "journals"))) == 12


def test_a_second_window_uses_the_same_recorder(fake_machine: FakeMachine, data_dir: Path) -> None:
    import wattmark as wm

    with wm.measure("first") as first:
        time.sleep(0.25)
    with wm.measure("second") as second:
        time.sleep(0.25)
    assert first.record.extra["session"] == second.record.extra["session"]
    for run in (first, second):
        assert run.energy is not None
        assert run.energy.value == pytest.approx(50 * run.record.duration_s, abs=3)
    assert [run.name for run in SessionData(only_folder(data_dir)).runs()] == ["first", "second"]


def test_a_measure_inside_a_measure_is_a_span_and_counts_nothing_twice(
    fake_machine: FakeMachine, data_dir: Path
) -> None:
    import wattmark as wm

    with wm.measure("outer") as outer:
        time.sleep(0.2)
        with wm.measure("inner") as inner, inner.span("part"):
            time.sleep(0.2)
        time.sleep(0.1)
    assert outer.energy is not None
    assert inner.energy is not None
    assert outer.energy.value == pytest.approx(50 * outer.record.duration_s, abs=3)
    assert inner.energy.value == pytest.approx(50 * 0.2, abs=3)
    assert [span.path for span in outer.spans()] == ["inner", "inner/part"]
    assert [span.name for span in inner.spans()] == ["inner", "part"]
    assert len(list(SessionData(only_folder(data_dir)).runs())) == 1


def test_a_folder_that_cannot_be_written_is_one_warning(
    fake_machine: FakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wattmark as wm
    from wattmark.tracker.process import WattmarkWarning

    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(blocked / "data"))
    with pytest.warns(WattmarkWarning, match="WATTMARK_DATA_DIR"), wm.measure("x") as run, run.span("s"):
        done = True
    assert done
    assert run.energy is None
    assert run.warnings


FAMILY = """
import os, threading, time, multiprocessing as mp
import wattmark as wm

def thread(number):
    for _ in range(3):
        with wm.span("outer", thread=number):
            for _ in range(4):
                with wm.span("inner"):
                    time.sleep(0.01)

def work():
    threads = [threading.Thread(target=thread, args=(n,)) for n in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()

if __name__ == "__main__":
    mp.set_start_method("METHOD")
    with wm.measure("family") as run:
        with run.span("parent"):
            processes = [mp.Process(target=work) for _ in range(4)]
            for p in processes: p.start()
            for p in processes: p.join()
            assert all(p.exitcode == 0 for p in processes)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_spans_of_processes_and_threads_are_all_there_and_well_nested(
    fake_machine: FakeMachine, data_dir: Path, tmp_path: Path, method: str
) -> None:
    script = tmp_path / "family.py"
    script.write_text(FAMILY.replace("METHOD", method))
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", str(script)], check=True, timeout=100)
    run = only_run(data_dir)
    view = RunView(run)
    spans = view.spans()
    names = [span.name for span in spans]
    assert names.count("parent") == 1
    assert names.count("outer") == 4 * 8 * 3
    assert names.count("inner") == 4 * 8 * 3 * 4
    assert not run.spans.open.any()
    assert len({span.pid for span in spans}) == 5
    energies = view.span_energies().value_j
    for row in range(len(spans)):
        parent = int(run.spans.parents[row])
        if names[row] != "inner":
            assert parent == -1
            continue
        assert names[parent] == "outer"
        assert run.spans.pids[row] == run.spans.pids[parent]
        assert run.spans.tids[row] == run.spans.tids[parent]
        assert run.spans.start_ns[parent] <= run.spans.start_ns[row] <= run.spans.end_ns[row]
        assert run.spans.end_ns[row] <= run.spans.end_ns[parent]
    for row in [row for row, name in enumerate(names) if name == "outer"]:
        children = [child for child in range(len(spans)) if run.spans.parents[child] == row]
        assert len(children) == 4
        tiled = sum(float(run.spans.end_ns[c] - run.spans.start_ns[c]) for c in children)
        length = float(run.spans.end_ns[row] - run.spans.start_ns[row])
        assert energies[children].sum() == pytest.approx(energies[row] * tiled / length, rel=0.1)


RANK = """
import os, pathlib, time
import wattmark as wm
with wm.measure("ranks") as run:
    here = pathlib.Path(os.environ["BARRIER"])
    (here / os.environ["RANK"]).touch()
    while len(list(here.iterdir())) < 4:
        time.sleep(0.005)
    with run.span("train"):
        time.sleep(0.6)
print("energy", run.energy.value if run.energy else None, flush=True)
"""


def test_ranks_of_one_job_share_one_recorder_and_one_run(
    fake_machine: FakeMachine, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "barrier").mkdir()
    job = {
        "BARRIER": str(tmp_path / "barrier"),
        "TORCHELASTIC_RUN_ID": "job-1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29500",
        "WORLD_SIZE": "4",
    }
    ranks = [
        subprocess.Popen([sys.executable, "-c", RANK], env={**os.environ, **job, "RANK": str(rank)})
        for rank in range(4)
    ]
    assert [rank.wait(timeout=60) for rank in ranks] == [0, 0, 0, 0]
    assert gone(recorder_pid(only_folder(data_dir)))
    run = only_run(data_dir)
    view = RunView(run)
    assert view.energy is not None
    assert view.energy.value == pytest.approx(50 * run.duration_s, abs=3)
    names = [span.name for span in view.spans()]
    assert names.count("train") == 4
    assert names.count("ranks") == 3
    assert len({span.attrs["rank"] for span in view.spans() if span.name == "ranks"}) == 3


def test_forty_quick_processes_end_without_an_orphan(fake_machine: FakeMachine, data_dir: Path) -> None:
    for _ in range(8):
        subprocess.run(
            [sys.executable, "-c", "import wattmark as wm\nwith wm.measure('quick'): pass"],
            check=True,
            timeout=30,
        )
    pids = [recorder_pid(folder) for folder in session_folders(str(data_dir / "journals"))]
    assert len(pids) == 8
    assert all(gone(pid) for pid in pids)


def test_the_header_explains_what_was_chosen(fake_machine: FakeMachine, data_dir: Path) -> None:
    import wattmark as wm

    with wm.measure("x") as run:
        pass
    selection = run.record.extra["selection"]
    assert json.dumps(selection)
    assert any(row["channel"] == "cpu0/package" and row["counted"] for row in selection["sources"])
