from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wattmark.recorder import journal, tree
from wattmark.recorder.events import EventLog
from wattmark.recorder.journal import SegmentWriter
from wattmark.recorder.system import boot_id
from wattmark.runs.reading.liveness import Liveness, who_lives
from wattmark.runs.record import RunRecord
from wattmark.sources.base import Accuracy, Channel
from wattmark.store import open_store
from wattmark.store.ingest import ingest_leftovers, ingest_session, open_runs, recover
from wattmark.tracker.process import WattmarkWarning

S = 1_000_000_000
HOST = os.uname().nodename
CHANNEL = Channel(
    "cpu0/package", "cpu", "rapl", "counter", "package", "counter", Accuracy(0.01, 0.01, 0.0, "made up")
)


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "store.db")) as store:
        yield store


@pytest.fixture
def journals(tmp_path) -> Path:
    (tmp_path / "journals").mkdir()
    return tmp_path / "journals"


def write_session(
    folder: Path,
    runs: list[str],
    *,
    closed: bool = True,
    host: str = HOST,
    ended: bool = True,
    pid: int = 2**22 + 1,
) -> Path:
    """A session of 50 W from second 1 to second 11; its owner is a process that does not exist unless ``pid`` says so."""
    folder.mkdir()
    group = {
        "index": 0,
        "source": "rapl",
        "period_s": 0.1,
        "channels": [CHANNEL.to_dict()],
        "series": [],
    }
    header = {
        "role": "recorder", "session": folder.name, "version": "0", "host": host, "boot_id": "another", "pid": 2**22 + 2,
        "owner_pid": pid, "owner_ticks": 1, "period_s": 0.1, "groups": [group], "selection": {},
    }  # fmt: skip
    writer = SegmentWriter(str(folder), "recorder", header, 1 << 20)
    for tick in range(101):
        t_ns = S + tick * S // 10
        body = (0).to_bytes(2, "little") + t_ns.to_bytes(8, "little") + (1).to_bytes(4, "little")
        body += (tick * 5_000_000).to_bytes(8, "little", signed=True)
        writer.append(journal.encode(journal.SAMPLE, body))
    if ended:
        writer.append(journal.encode_json(journal.END, {"t_ns": 11 * S, "reason": "asked"}))
    writer.close()
    log = EventLog(str(folder), {"host": host, "start_ticks": 1, "ppid": 1, "rank": None})
    for run_id in runs:
        opened = {
            "run_id": run_id,
            "name": run_id,
            "tags": {},
            "t_ns": 2 * S,
            "wall_ns": 10**18,
            "pid": pid,
            "process": {},
        }
        log.write_json(journal.RUN_OPEN, opened)
        if closed:
            end = {"run_id": run_id, "t_ns": 10 * S, "status": "completed", "exit_code": 0, "modules": {}}
            log.write_json(journal.RUN_CLOSE, end)
    log.close()
    return folder


def test_left_over_runs_are_kept_once_and_their_folder_goes(store, journals) -> None:
    folder = write_session(journals / "s1", ["r1", "r2"])
    copy = shutil.copytree(folder, journals.parent / "copy")
    assert ingest_leftovers(store, str(journals)) == ["r1", "r2"]
    assert not folder.exists()
    assert ingest_leftovers(store, str(journals)) == []
    run = store.summaries(limit=1)[0]
    assert run.energy_j == pytest.approx(400, rel=0.01)
    assert run.status == "completed"
    shutil.copytree(copy, folder)
    assert ingest_leftovers(store, str(journals)) == []
    assert not folder.exists()
    assert len(store.summaries()) == 2


def test_a_run_whose_process_died_is_interrupted(store, journals) -> None:
    write_session(journals / "s1", ["r1"], closed=False, ended=False)
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    assert store.summaries()[0].status == "interrupted"


def test_no_journals_folder_is_nothing_to_do(store, tmp_path) -> None:
    assert ingest_leftovers(store, str(tmp_path / "none")) == []


def test_a_session_of_another_machine_is_left_alone_while_it_is_written(store, journals) -> None:
    folder = write_session(journals / "s1", ["r1"], closed=False, host="elsewhere", ended=False)
    assert ingest_leftovers(store, str(journals)) == []
    assert [run.run_id for run in open_runs(str(journals))] == ["r1"]
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    assert not folder.exists()


def test_a_new_folder_without_journals_may_be_starting(store, journals) -> None:
    folder = journals / "s1"
    folder.mkdir()
    (folder / "recorder.log").touch()
    assert ingest_leftovers(store, str(journals)) == []
    assert folder.exists()
    os.utime(folder, (0, 0))
    (folder / "ingest.lock").touch()
    os.utime(folder, (0, 0))
    assert ingest_leftovers(store, str(journals)) == []
    assert not folder.exists()


def test_a_session_without_runs_goes(store, journals) -> None:
    folder = write_session(journals / "s1", [])
    assert ingest_leftovers(store, str(journals)) == []
    assert not folder.exists()


@pytest.mark.parametrize("damage", ["header", "content", "id"])
def test_what_cannot_be_read_is_moved_aside_with_one_warning(store, journals, damage) -> None:
    folder = write_session(journals / "s1", ["r1"] if damage == "header" else [])
    if damage == "header":
        for path in folder.glob("events-*"):
            path.write_bytes(b"\0" * 100)
    else:
        log = EventLog(str(folder), {"host": HOST, "start_ticks": 1})
        run = {"run_id": "../../etc", "name": "x", "t_ns": 2 * S, "wall_ns": 1, "pid": 1}
        log.write_json(journal.RUN_OPEN, run if damage == "id" else {"run_id": "x", "t_ns": "soon"})
        log.close()
        for path in folder.glob("events-*"):  # written by a process that is gone
            os.utime(path, (0, 0))
    good = write_session(journals / "s2", ["r2"])
    with pytest.warns(WattmarkWarning, match="damaged") as told:
        added = ingest_session(store, str(folder), over=True) + ingest_session(store, str(good), over=True)
    assert len(told) == 1
    assert [record.run_id for record in added] == ["r2"]
    assert (journals / "damaged" / "s1").is_dir()
    assert ingest_leftovers(store, str(journals)) == []


def test_a_cut_or_flipped_journal_never_stops_the_others(store, journals) -> None:
    import random
    import warnings

    rng = random.Random(1)
    whole = write_session(journals.parent / "whole", ["r1"])
    for number in range(30):
        folder = Path(shutil.copytree(whole, journals / f"s{number:02}"))
        path = rng.choice(sorted(folder.glob(f"*{journal.SUFFIX}")))
        data = bytearray(path.read_bytes())
        if number % 2:
            data = data[: rng.randrange(len(data))]
        else:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
    write_session(journals / "s99", ["last"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", WattmarkWarning)
        assert "last" in ingest_leftovers(store, str(journals))
    assert [path.name for path in journals.iterdir()] in ([], ["damaged"])


def test_many_at_once_keep_each_run_once(store, journals, tmp_path) -> None:
    for number in range(6):
        write_session(journals / f"s{number}", [f"r{number}"])
    added: list[str] = []
    failures: list[BaseException] = []

    def ingest() -> None:
        try:
            with open_store(str(tmp_path / "store.db")) as mine:
                added.extend(ingest_leftovers(mine, str(journals)))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ingest) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(added) == [f"r{number}" for number in range(6)]
    assert list(journals.iterdir()) == []


WORK = """
import sys, wattmark as wm
with wm.measure("first"):
    pass
if sys.argv[1] == "nested":
    wm.measure("second").start()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["idle", "nested"])
def test_finished_runs_of_a_living_process_are_kept_and_do_not_come_back(
    store, journals, tmp_path, kind
) -> None:
    """As in a notebook: the process lives on, its first run is over."""
    env = {
        **os.environ, "WATTMARK_DATA_DIR": str(tmp_path), "WATTMARK_SYSFS": str(tmp_path / "sys"),
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
    }  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", WORK, kind], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        added = []
        while not added:  # until the recorder has put its last reading on disk
            added = ingest_leftovers(store, str(journals))
            threading.Event().wait(0.005)
        assert [store.get(run_id).name for run_id in added] == ["first"]
        assert [run.name for run in open_runs(str(journals))] == (["second"] if kind == "nested" else [])
        store.remove(added)
        assert ingest_leftovers(store, str(journals)) == []
        process.send_signal(signal.SIGINT if kind == "idle" else signal.SIGTERM)
    deadline = 400
    while list(journals.glob("2*")) and deadline:  # until the recorder has seen that its owner is gone
        ingest_leftovers(store, str(journals))
        deadline -= 1
        threading.Event().wait(0.02)
    assert [run.name for run in store.summaries()] == (["second"] if kind == "nested" else [])


def test_baselines_are_kept_by_host_and_nothing_else_is_believed(tmp_path, monkeypatch) -> None:
    from wattmark.runs.baseline import baseline_path, load_baseline, save_baseline

    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    assert load_baseline("node1") is None
    path = save_baseline("node1", {"cpu": 12.5}, seconds=30)
    kept = load_baseline("node1")
    assert kept is not None
    assert kept["idle_w"] == {"cpu": 12.5}
    assert Path(baseline_path("../../etc/passwd")).parent == tmp_path / "baselines"
    for wrong in ("[", "[]", json.dumps({"idle_w": {"cpu": -1}}), json.dumps({"idle_w": {"toaster": 1}})):
        Path(path).write_text(wrong)
        assert load_baseline("node1") is None


def living(folder: Path, **changes: Any) -> Liveness:
    """A look at who lives that finds the processes named in ``changes``."""
    return replace(who_lives(str(folder)), **changes)


def test_a_job_that_ends_while_it_is_read_is_stored_by_the_next_look(store, journals, monkeypatch) -> None:
    """What was read of it before its end is not all of it."""
    folder = write_session(journals / "s1", ["r1"], ended=False)
    (path,) = folder.glob("events-*")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b'"status"')])  # the end of the run is not written yet
    seen = living(folder, processes=frozenset({os.getpid()}))
    monkeypatch.setattr("wattmark.store.ingest.who_lives", lambda _: seen)
    assert ingest_leftovers(store, str(journals)) == []
    monkeypatch.undo()
    path.write_bytes(whole)
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    assert store.summaries()[0].status == "completed"


def test_a_folder_that_grew_since_it_was_read_is_looked_at_again(store, journals, monkeypatch) -> None:
    folder = write_session(journals / "s1", ["r1"])
    add = store.add

    def slow(record: RunRecord, summary: dict[str, Any]) -> bool:
        log = EventLog(str(folder), {"host": HOST, "start_ticks": 1})
        run = {"run_id": "late", "name": "late", "t_ns": 2 * S, "wall_ns": 1, "pid": 1}
        log.write_json(journal.RUN_OPEN, run)
        log.close()
        return add(record, summary)

    monkeypatch.setattr(store, "add", slow)
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    assert folder.exists()
    monkeypatch.undo()
    assert ingest_leftovers(store, str(journals)) == ["late"]
    assert not folder.exists()


def test_a_finished_run_waits_for_the_last_reading_of_a_recorder_that_lives(
    store, journals, monkeypatch
) -> None:
    folder = write_session(journals / "s1", ["r1"], ended=False)
    whole = (folder / "recorder-000000.wmj").read_bytes()
    (folder / "recorder-000000.wmj").write_bytes(whole[:-1000])
    seen = living(folder, recorder=True, processes=frozenset({os.getpid()}))
    monkeypatch.setattr("wattmark.store.ingest.who_lives", lambda _: seen)
    assert ingest_leftovers(store, str(journals)) == []
    (folder / "recorder-000000.wmj").unlink()  # as when a run is over before the first reading is on disk
    assert ingest_leftovers(store, str(journals)) == []
    (folder / "recorder-000000.wmj").write_bytes(whole)
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    assert store.summaries()[0].energy_j == pytest.approx(400, rel=0.01)


def test_a_journal_that_is_being_made_is_left_alone(store, journals) -> None:
    """The owner lives, and no header is written yet."""
    folder = journals / "s1"
    folder.mkdir()
    ticks = tree.start_ticks(os.getpid())
    (folder / "owner").write_text(f"{os.getpid()} {ticks} {boot_id()} {HOST}")
    (folder / "recorder-000000.wmj.new").write_bytes(b"\0" * 100)
    os.utime(folder, (0, 0))
    assert ingest_leftovers(store, str(journals)) == []
    assert folder.exists()
    (folder / "owner").write_text(f"{os.getpid()} {(ticks or 0) + 1} {boot_id()} {HOST}")
    assert ingest_leftovers(store, str(journals)) == []
    assert not folder.exists()


def test_no_reader_sees_a_journal_without_its_header(tmp_path, monkeypatch) -> None:
    seen: list[list[str]] = []
    rename = os.rename

    def watched(old: str, new: str) -> None:
        seen.append(sorted(path.name for path in tmp_path.iterdir() if path.suffix == journal.SUFFIX))
        rename(old, new)

    monkeypatch.setattr(os, "rename", watched)
    EventLog(str(tmp_path), {"host": HOST}).close()
    writer = SegmentWriter(str(tmp_path), "recorder", {"host": HOST})
    writer.append(journal.encode_json(journal.NOTE, {"code": "x", "t_ns": 0}))
    writer.close()
    assert seen[0] == []
    assert [name[:6] for name in seen[1]] == ["events"]
    for path in tmp_path.iterdir():
        journal.read_header(str(path))


def test_a_pid_that_another_process_has_now_keeps_no_dead_run(store, journals) -> None:
    folder = write_session(journals / "s1", [], ended=False, pid=os.getpid())
    header = {"role": "recorder", "host": HOST, "boot_id": boot_id(), "pid": os.getpid(), "groups": []}
    (folder / "recorder-000000.wmj").write_bytes(
        journal.encode_json(journal.HEADER, {**header, "format": journal.FORMAT})
    )
    log = EventLog(str(folder), {"host": HOST, "start_ticks": 1})
    log.write_json(journal.RUN_OPEN, {"run_id": "r1", "name": "x", "t_ns": 1, "wall_ns": 1, "pid": 1})
    log.close()
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    assert not folder.exists()


ODD: dict[str, Any] = {
    "tags": {"lr": 0.1, "n": None, "list": [1]},
    "settings": ["no", "table"],
    "process": {"command": 7},
    "baseline_w": {"cpu": "warm"},
    "name": 3,
}


@pytest.mark.parametrize("key", list(ODD))
def test_a_run_is_kept_without_the_part_that_is_not_as_it_should_be(store, journals, key) -> None:
    """Journals of other versions, and of other hands."""
    folder = write_session(journals / "s1", [])
    log = EventLog(str(folder), {"host": HOST, "start_ticks": 1})
    run = {"run_id": "r1", "name": "x", "t_ns": 2 * S, "wall_ns": 10**18, "pid": 1, key: ODD[key]}
    log.write_json(journal.RUN_OPEN, run)
    log.write_json(journal.RUN_CLOSE, {"run_id": "r1", "t_ns": 10 * S, "status": "completed"})
    log.close()
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    kept = store.get("r1")
    assert kept.status == "completed"
    assert store.summaries()[0].energy_j == pytest.approx(400, rel=0.01)
    if key == "tags":
        assert kept.tags == {"lr": "0.1", "n": "", "list": "[1]"}


def test_a_part_that_the_store_cannot_take_is_left_out_and_said(store, journals, monkeypatch) -> None:
    write_session(journals / "s1", ["r1"])
    add = store.add

    def strict(record: RunRecord, summary: dict[str, Any]) -> bool:
        if record.extra:
            raise TypeError("not this")
        return add(record, summary)

    monkeypatch.setattr(store, "add", strict)
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    assert "part-left-out" in [warning.code for warning in store.get("r1").warnings]


def test_damage_in_the_middle_of_a_journal_costs_only_what_is_damaged(store, journals) -> None:
    folder = write_session(journals / "s1", ["r1"])
    path = folder / "recorder-000000.wmj"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert ingest_leftovers(store, str(journals)) == ["r1"]
    kept = store.get("r1")
    assert store.summaries()[0].energy_j == pytest.approx(400, rel=0.01)
    (warning,) = [warning for warning in kept.warnings if warning.code == "journal-damaged"]
    assert "damaged bytes of recorder-000000.wmj were passed over" in warning.message


def test_what_was_put_aside_is_recovered(store, journals) -> None:
    """Without its header, and what an older version put aside for the type of a tag."""
    headless = write_session(journals / "s1", ["r1"])
    for path in headless.glob("events-*"):
        data = bytearray(path.read_bytes())
        data[:20] = bytes(20)
        path.write_bytes(data)
    with pytest.warns(WattmarkWarning, match="wattmark recover"):
        assert ingest_leftovers(store, str(journals)) == []
    write_session(journals / "damaged" / "s2", ["r2"])
    write_session(journals / "damaged" / "s3", [])
    found = recover(store, str(journals))
    assert [[run.run_id for run in one.runs] for one in found] == [["r1"], ["r2"], []]
    assert [one.problems[:1] for one in found[1:]] == [[], ["no run could be read from it"]]
    assert [problem.endswith("were passed over") for problem in found[0].problems] == [True]
    assert store.get("r1").status == "completed"
    assert [path.name for path in (journals / "damaged").iterdir()] == ["s3"]
    assert [one.folder for one in recover(store, str(journals))] == [str(journals / "damaged" / "s3")]


def test_a_folder_in_which_nothing_can_be_read_stays_and_is_named(store, journals) -> None:
    folder = journals / "damaged" / "s1"
    folder.mkdir(parents=True)
    for name in ("recorder-000000.wmj", "events-7-a-0000.wmj", "events-x.wmj"):
        (folder / name).write_bytes(os.urandom(4096))
    (found,) = recover(store, str(journals))
    assert found.problems
    assert folder.exists()
