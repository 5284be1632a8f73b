"""The recorder's own loop, run inside this process on a machine whose clocks and sources are ours."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import FakeMachine
from wattmark.errors import SourceEnded, SourceGone, SourceRetry
from wattmark.recorder import journal, launch, system
from wattmark.recorder import process as recorder_process
from wattmark.recorder.gpu_users import gpu_shares
from wattmark.recorder.live import ENDED, LiveReader
from wattmark.recorder.process import Recorder
from wattmark.recorder.sampling import Group
from wattmark.runs.reading.journals import read_recorder
from wattmark.sources.base import Accuracy, Channel, Series

EXACT = Accuracy(0, 0, 0, "a test")
CHANNEL = Channel("x/board", "gpu", "x", "integrated", "board", "power", EXACT)


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(100)"])
    yield process
    process.kill()
    process.wait()


def config(folder: Path, owner: int, **changes: Any) -> dict[str, Any]:
    folder.mkdir(parents=True)
    return {
        "folder": str(folder),
        "session": "s",
        "version": "0",
        "owner_pid": owner,
        "owner_ticks": None,
        "period_s": 0.02,
        "linger_s": 30.0,
        "cwd": str(Path(__file__).parent),
        **changes,
    }


def run_in_thread(recorder: Recorder) -> threading.Thread:
    thread = threading.Thread(target=recorder.run)
    thread.start()
    return thread


def test_it_samples_until_asked_to_stop(
    fake_machine: FakeMachine, owner: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    thread = run_in_thread(Recorder(config(folder, owner.pid)))
    session = launch.Session(str(folder))
    time.sleep(0.4)
    assert session.sync()
    live = session.live.read()
    assert live.energy_j == pytest.approx(20, abs=6)
    assert live.by_component_j == {"cpu": live.energy_j}
    assert session.tell("root 1")
    session.tell("stop")
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert LiveReader(str(folder)).read().state == ENDED
    data = read_recorder(str(folder))
    assert data.end is not None
    assert data.end["reason"] == "asked"
    assert data.facts["kernel"].startswith("Linux")
    assert data.facts["git"]["dirty"] in (True, False, None)
    (group,) = [group for group in data.groups if group.source == "rapl"]
    assert len(group.t_ns) >= 12
    assert len(data.anchors) >= 1
    assert len(data.tree_cpu) >= 1
    assert data.cost[-1, 2] > 1_000_000


def test_it_ends_with_its_owner(
    fake_machine: FakeMachine, owner: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    thread = run_in_thread(Recorder(config(tmp_path / "session", owner.pid)))
    time.sleep(0.1)
    owner.kill()
    owner.wait()
    thread.join(timeout=10)
    assert not thread.is_alive()
    end = read_recorder(str(tmp_path / "session")).end
    assert end is not None
    assert end["reason"] == "owner-gone"


def test_it_does_not_linger_for_ever(
    fake_machine: FakeMachine, owner: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    thread = run_in_thread(Recorder(config(tmp_path / "session", owner.pid, linger_s=0.2)))
    thread.join(timeout=10)
    assert not thread.is_alive()
    end = read_recorder(str(tmp_path / "session")).end
    assert end is not None
    assert end["reason"] == "idle"


def test_it_stays_for_others_that_hold_the_session(
    fake_machine: FakeMachine, owner: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    thread = run_in_thread(Recorder(config(folder, owner.pid)))
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\nfrom wattmark.recorder.launch import Session\n"
            "Session(sys.argv[1]).enter()\nprint('held', flush=True)\ntime.sleep(100)",
            str(folder),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    session = launch.Session(str(folder))
    session.tell("stop")
    session.sync()
    owner.kill()
    owner.wait()
    time.sleep(0.3)
    assert thread.is_alive()
    holder.kill()
    holder.communicate()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_sleep_and_moved_clocks_are_noted(
    fake_machine: FakeMachine, owner: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(config(tmp_path / "session", owner.pid))
    clocks = {time.CLOCK_BOOTTIME: 10**12, time.CLOCK_REALTIME: 10**18}
    monkeypatch.setattr(recorder_process.time, "monotonic_ns", lambda: 10**12)
    monkeypatch.setattr(recorder_process.time, "clock_gettime_ns", lambda clock: clocks[clock])
    recorder.anchor(10**12)
    clocks[time.CLOCK_BOOTTIME] += 5 * 10**9
    clocks[time.CLOCK_REALTIME] += 5 * 10**9
    recorder.anchor(10**12)
    clocks[time.CLOCK_REALTIME] -= 3600 * 10**9
    recorder.anchor(10**12)
    monkeypatch.undo()
    recorder.finish("test")
    os.close(recorder.control)
    notes = {note["code"]: note["message"] for note in read_recorder(str(tmp_path / "session")).notes}
    assert "5.0 s" in notes["suspended"]
    assert "-3600" in notes["clock-step"]


class Moody:
    """A source that does what it is told."""

    name = "moody"
    channels: Sequence[Channel] = (CHANNEL,)
    series: Sequence[Series] = (Series("x/load", "%", "moody"),)
    period_s = 0.001

    def __init__(self, *moods: Exception | list[float | None]) -> None:
        self.moods = list(moods)
        self.problems = ["a fan is broken"]

    def read(self) -> Sequence[float | None]:
        mood = self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]
        if isinstance(mood, Exception):
            raise mood
        return mood

    def close(self) -> None: ...


def moody_recorder(fake_machine: FakeMachine, owner: int, folder: Path, source: Moody) -> Recorder:
    recorder = Recorder(config(folder, owner))
    recorder.groups = [Group(0, source, source.channels, 0.001)]
    recorder.journal._header["groups"] = [group.describe() for group in recorder.groups]
    return recorder


@pytest.mark.parametrize(
    ("mood", "code", "ends"),
    [
        (SourceGone("the bus is dead"), "source-gone", True),
        (SourceEnded("the tape is over"), "source-ended", True),
        (SourceRetry("busy"), "reading-failed", False),
        (ZeroDivisionError("a bug in someone's plugin"), "source-gone", True),
    ],
)
def test_a_source_that_fails_is_noted_once(
    fake_machine: FakeMachine,
    owner: subprocess.Popen[bytes],
    tmp_path: Path,
    mood: Exception,
    code: str,
    ends: bool,
) -> None:
    recorder = moody_recorder(
        fake_machine, owner.pid, tmp_path / "session", Moody([10.0, 1.0], [20.0, None], mood)
    )
    for _ in range(5):
        time.sleep(0.002)
        recorder.sample(time.monotonic_ns(), everything=True)
    recorder.listen_to_sources(time.monotonic_ns())
    recorder.listen_to_sources(time.monotonic_ns())
    recorder.finish("test")
    os.close(recorder.control)
    data = read_recorder(str(tmp_path / "session"))
    codes = [note["code"] for note in data.notes]
    assert codes.count(code) == 1
    assert codes.count("source-problem") == 1
    assert recorder.groups[0].ended is ends
    (group,) = data.groups
    assert len(group.t_ns) == 2
    assert group.series_values[0, 0] == 1.0


def test_a_slow_source_is_read_less_often() -> None:
    class Slow(Moody):
        def read(self) -> Sequence[float | None]:
            time.sleep(0.02)
            return [1.0, 1.0]

    group = Group(0, Slow([1.0, 1.0]), (CHANNEL,), 0.01)
    for _ in range(30):
        group.read()
        group.schedule(time.monotonic_ns(), time.monotonic_ns())
    events = group.take_events()
    assert {code for code, *_ in events} == {"base", "read-slower"}
    assert group.period_ns >= 0.2e9


def test_a_few_late_readings_do_not_slow_a_source_down() -> None:
    class Late(Moody):
        def read(self) -> Sequence[float | None]:
            self.count = getattr(self, "count", 0) + 1
            if self.count % 4 == 0:
                time.sleep(0.01)
            return [1.0, 1.0]

    group = Group(0, Late([1.0, 1.0]), (CHANNEL,), 0.02)
    for _ in range(12):
        group.read()
        group.schedule(time.monotonic_ns(), time.monotonic_ns())
    assert {code for code, *_ in group.take_events()} == {"base"}


def test_a_counter_that_goes_round_quickly_is_read_more_often_than_asked() -> None:
    counter = CHANNEL._replace(kind="counter", max_power_w=1_000.0, wrap_uj=100_000_000)
    assert Group(0, Moody([1.0, 1.0]), (counter,), 10.0).period_ns == pytest.approx(25e6)
    assert Group(0, Moody([1.0, 1.0]), (counter._replace(wrap_uj=10**11),), 10.0).period_ns == pytest.approx(
        10e9
    )


def test_a_missed_schedule_does_not_bunch_up_and_pokes_do_not_shift_it() -> None:
    group = Group(0, Moody([1.0, 1.0]), (CHANNEL,), 0.1)
    second = 10**9
    group.schedule(second, second)
    assert group.due_ns == second + 10**8
    group.schedule(second + 5 * 10**7, second + 5 * 10**7)
    assert group.due_ns == second + 10**8
    group.schedule(second + 10**8, second + 10**8 + 1)
    assert group.due_ns == second + 2 * 10**8
    group.schedule(10 * second, 10 * second)
    assert group.due_ns == 10 * second + 10**8


def test_a_disk_that_fills_up_is_said_once_and_noted_when_it_is_back(
    fake_machine: FakeMachine,
    owner: subprocess.Popen[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = Recorder(config(tmp_path / "session", owner.pid))
    real = os.write

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    recorder.sample(time.monotonic_ns(), everything=True)
    recorder.flush()
    monkeypatch.setattr(os, "write", full)
    for _ in range(3):
        recorder.note("x", 0, "late")
        recorder.flush()
    monkeypatch.setattr(os, "write", real)
    recorder.note("y", 0, "kept")
    recorder.flush()
    recorder.flush()
    recorder.finish("test")
    os.close(recorder.control)
    notes = [note for note in read_recorder(str(tmp_path / "session")).notes if note["code"] != "base"]
    assert [note["code"] for note in notes] == ["x", "x", "x", "y", "disk-full"]
    assert notes[-1]["message"].startswith("disk full (No space left on device) for 0.0 s: nothing was lost")


class User:
    def __init__(
        self, pid: int, memory: int | None, sm: float | None, channel_id: str = "gpu0/board"
    ) -> None:
        self.pid, self.memory_bytes, self.sm_percent, self.channel_id = pid, memory, sm, channel_id


@pytest.mark.parametrize(
    ("users", "expected"),
    [
        ([User(1, 100, 30.0), User(9, 300, 10.0)], {"gpu0/board": [0.75, "utilisation"]}),
        ([User(1, 100, None), User(9, 300, 10.0)], {"gpu0/board": [0.25, "memory"]}),
        ([User(1, None, None)], {"gpu0/board": [1.0, "sole user"]}),
        ([User(1, None, None), User(9, None, None)], {}),
        ([User(8, 100, 5.0), User(9, 300, 5.0)], {}),
        ([], {}),
    ],
)
def test_gpu_shares_go_by_use_and_say_nothing_of_strangers(
    users: list[User], expected: dict[str, Any]
) -> None:
    assert gpu_shares(users, {1, 2}) == expected


def test_locks_are_seen_while_their_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "members"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    assert not system.lock_is_held(fd)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            "import fcntl,os,sys,time\nfd=os.open(sys.argv[1],os.O_RDWR)\nfcntl.lockf(fd,fcntl.LOCK_SH)\n"
            "print(1,flush=True)\ntime.sleep(100)",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    assert system.lock_is_held(fd)
    holder.kill()
    holder.communicate()
    assert not system.lock_is_held(fd)
    os.close(fd)


def test_series_are_written_beside_the_samples() -> None:
    group = Group(3, Moody([5.0, None]), (CHANNEL,), 0.01)
    records = list(journal.decode(group.read()))
    assert [record.type for record in records] == [journal.SAMPLE, journal.SERIES]
    assert group.read() == b"", "a reading a moment old is not repeated"
