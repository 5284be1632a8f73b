"""The event log of a measured process: handlers, full disks, limits of file sizes, forks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import FakeMachine
from wattmark.recorder import events, journal
from wattmark.recorder.events import EventLog
from wattmark.runs.reading.journals import ProcessEvents, read_events

RUN = {"run_id": "r", "name": "r", "t_ns": 1, "wall_ns": 1, "tags": {}, "span": 0}
END = {"run_id": "r", "t_ns": 2, "status": "completed"}


def read(folder: Path) -> ProcessEvents:
    (process,) = read_events(str(folder))
    return process


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def write_spans(log: EventLog, count: int) -> None:
    for number in range(count):
        log.close_span(log.open_span("s", 0, number), number + 1)


def test_a_disk_that_is_full_for_a_moment_loses_nothing_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RETRY_NS", 0)
    log = EventLog(str(tmp_path), {})
    log.write_json(journal.RUN_OPEN, RUN)
    real = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", full)
    write_spans(log, 6000)
    assert log.failed is not None
    before = len(read(tmp_path).opens)
    assert before < 6000
    monkeypatch.setattr(os, "posix_fallocate", real)
    write_spans(log, 1)
    assert log.failed is None
    log.close()
    process = read(tmp_path)
    assert len(process.opens) == len(process.closes) == 6001
    (note,) = process.notes
    assert note["code"] == "disk-full"
    assert note["message"].startswith("disk full (No space left on device) for ")
    assert note["message"].endswith("no span was lost")


def test_a_disk_that_stays_full_keeps_the_run_and_counts_what_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "RETRY_NS", 0)
    monkeypatch.setattr(events, "WAITING_EVENTS", 100)
    log = EventLog(str(tmp_path), {})
    log.write_json(journal.RUN_OPEN, RUN)
    real = os.posix_fallocate
    monkeypatch.setattr(os, "posix_fallocate", full)
    write_spans(log, 6000)
    log.write_json(journal.RUN_CLOSE, END)
    assert read(tmp_path).run_ends["r"]["status"] == "completed", "runs have space of their own"
    lost = log.lost
    assert lost > 0
    monkeypatch.setattr(os, "posix_fallocate", real)
    log.close()
    process = read(tmp_path)
    assert process.notes[0]["message"].endswith(f"{lost} events of spans were lost")
    assert len(process.opens) + len(process.closes) == 12_000 - lost


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
import wattmark as wm
with wm.measure("limited") as run:
    for _ in range(5000):
        with run.span("s", n=1):
            pass
"""


def test_a_limit_of_the_size_of_files_costs_nothing(fake_machine: FakeMachine, data_dir: Path) -> None:
    import wattmark as wm

    subprocess.run([sys.executable, "-W", "error", "-c", LIMITED], check=True, timeout=60)
    kept = wm.load("limited")
    assert kept.record.status == "completed"
    assert len(kept.record.spans) == 5000
    assert not kept.record.spans.open.any()
    assert len(kept.record.spans.details) == 5000
    assert kept.energy is not None


def test_a_forked_child_writes_nothing_into_its_parents_log(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path), {})
    write_spans(log, 1)
    log._lock.acquire()  # as if another thread were writing at this moment
    pid = os.fork()
    if pid == 0:
        log.abandon()
        write_spans(log, 5)
        log.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    log._lock.release()
    write_spans(log, 1)
    log.close()
    assert len(read(tmp_path).opens) == 2


def test_an_append_that_interrupts_an_append_comes_after_it(tmp_path: Path) -> None:
    log = EventLog(str(tmp_path), {})

    class Interrupted:
        """A map during whose writing a signal handler runs."""

        def __init__(self, real) -> None:
            self.real = real

        def __setitem__(self, at: slice, data: bytes) -> None:
            self.real[at.start : at.stop - 3] = data[:-3]
            log._map = self.real
            write_spans(log, 1)
            self.real[at] = data

    log._map = Interrupted(log._map)  # type: ignore[assignment]
    log.open_span("outer", 0, 7)
    log.close()
    process = read(tmp_path)
    assert sorted(process.names[name] for name in process.opens["name"]) == ["outer", "s"]
    assert process.problems == []
