"""From journals to the store: what runs left in their folders is kept once, and the folder goes.

Any number of processes and machines may do this at once; each folder is locked while it is read. What cannot be read
is moved aside to ``damaged/`` with a warning, never deleted.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from wattmark.documents import mapping
from wattmark.errors import JournalError
from wattmark.recorder import journal
from wattmark.recorder.system import boot_id
from wattmark.runs.reading.journals import NOT_UNDERSTOOD, PASSED_OVER, read_events, read_recorder
from wattmark.runs.reading.liveness import STARTING_S, who_lives
from wattmark.runs.reading.session import SessionData, session_folders
from wattmark.runs.record import RunRecord, RunWarning, Spans
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store.store import Store
from wattmark.tracker.process import warn

DAMAGED = "damaged"
GONE = ".gone"
LOCK = "ingest.lock"
KEPT = "kept"
"""In the folder of a session that goes on: the ids of its runs that are in the store already, one a line."""

LATE_NS = 2_000_000_000
"""A source that gave nothing for this long beyond a run's end is not waited for."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def ingest_leftovers(store: Store, journals_dir: str) -> list[str]:
    """Keep the finished runs of all sessions under ``journals_dir``; the ids of those that are new in the store.

    Sessions still alive stay where they are. Raises StoreError if the store cannot be written.
    """
    _finish_removals(journals_dir)
    return [record.run_id for folder in _folders(journals_dir) for record in ingest_session(store, folder)]


def ingest_session(store: Store, folder: str, *, over: bool = False) -> list[RunRecord]:
    """Keep the finished runs of one session, and delete its folder if nothing lives there; the runs that are new.

    over: this process writes no more to it (else a session of this process is alive as long as the process is).
    """
    with _locked(folder) as locked:
        if not locked:
            return []
        try:
            return _ingest(store, folder, os.getpid() if over else -1)
        except PermissionError:
            return []  # another user's


class Recovery(NamedTuple):
    """What became of a folder that was put aside: the runs that are in the store now, and what is still wrong with it."""

    folder: str
    runs: list[RunRecord]
    problems: list[str]


def recover(store: Store, journals_dir: str) -> list[Recovery]:
    """Read what lies in ``damaged/`` once more, past what is damaged in it and without headers.

    A folder of which everything could be read goes; others stay where they are. Raises StoreError.
    """
    return [_recover(store, folder) for folder in session_folders(f"{journals_dir}/{DAMAGED}")]


def _recover(store: Store, folder: str) -> Recovery:
    with _locked(folder) as locked:
        living = who_lives(folder)
        if not locked or living.any:
            return Recovery(folder, [], ["it is still written to"])
        added: list[RunRecord] = []
        problems: list[str] = []
        try:
            events = read_events(folder, salvage=True)
            data = SessionData(folder, read_recorder(folder, salvage=True), events, living)
            records = list(data.runs())
        except (JournalError, OSError, *NOT_UNDERSTOOD) as error:
            return Recovery(folder, [], [f"{type(error).__name__}: {error}"])
        for record in records:
            try:
                if not _RUN_ID.fullmatch(record.run_id):
                    raise ValueError(f"{record.run_id!r} is no id of a run")
                stored = _add(store, record)
            except ValueError as error:
                problems.append(str(error))
                continue
            added += [] if stored is None else [stored]
        problems += [problem for process in data.events for problem in process.problems]
        problems += data.recorder.problems
        if not records:
            problems = problems or ["no run could be read from it"]
        if all(problem.endswith(PASSED_OVER) for problem in problems):  # there is no more in it
            _remove(folder, living.files)
        return Recovery(folder, added, problems)


def open_runs(journals_dir: str) -> list[RunRecord]:
    """Runs that are not in the store because they, or processes beside them, still go on; the oldest first.

    A run that leaves this list while it is made is in the store by then: ask there again for what is in neither.
    """
    runs: list[RunRecord] = []
    for folder in _folders(journals_dir):
        try:
            records = list(SessionData(folder).runs())
            stored_ids = kept_runs(folder)
        except (OSError, *NOT_UNDERSTOOD):
            continue  # gone since, or for the next ingestion to judge
        if Path(folder).is_dir():  # else half of it may have been read
            runs += [record for record in records if record.run_id not in stored_ids]
    return runs


def _ingest(store: Store, folder: str, own_pid: int) -> list[RunRecord]:
    living = who_lives(folder).without(own_pid)  # first of all: what the dead have written is all read then
    try:
        data = SessionData(folder, living=living)
        records = list(data.runs())
    except (JournalError, *NOT_UNDERSTOOD) as error:
        if not living.any:
            _move_aside(folder, f"{type(error).__name__}: {error}")
        return []
    alive = data.alive
    if not alive and who_lives(folder).files != living.files:
        return []  # somebody came meanwhile; the next look has all of it
    owners = {run_id: events.pid for events in data.events for run_id in events.run_ends}
    stored_ids = kept_runs(folder)
    added: list[RunRecord] = []
    refused: list[str] = []
    for record in records:
        if record.run_id in stored_ids or record.status == "running":
            continue
        if alive and not _is_whole(record, owners.get(record.run_id), data):
            continue
        if not _RUN_ID.fullmatch(record.run_id):
            refused.append(f"{record.run_id!r} is no id of a run")
            continue
        try:
            stored = _add(store, _with_store_clock(store, record))
        except ValueError as error:
            refused.append(str(error))
            continue
        if stored is not None:
            added.append(stored)
        if alive:
            with open(f"{folder}/{KEPT}", "a", encoding="ascii") as file:
                file.write(f"{record.run_id}\n")
    if not alive:
        refused += _unread(data)
        if refused:
            _move_aside(folder, "; ".join(refused[:3]))
        else:
            _remove(folder, living.files)
    return added


def _is_whole(record: RunRecord, owner: int | None, data: SessionData) -> bool:
    """Whether nothing can be added any more to a run of a session that goes on.

    Its process has ended it, no other process that lives may still write spans of it, and the recorder has put on disk
    what it read until then.
    """
    if owner is None or not data.living.processes <= {owner}:
        return False
    recorder = data.recorder
    if recorder.end is not None or not data.living.recorder:
        return True
    if not recorder.header:
        return False  # it has taken its first reading, and is about to put it on disk
    reads = [group for group in recorder.groups if group.channels]
    last = [int(group.t_ns[-1]) for group in reads if len(group.t_ns)]
    if len(last) == len(reads) and min(last, default=record.end_ns) >= record.end_ns:
        return True
    beside = [int(rows[-1, 0]) for rows in (recorder.tree_cpu, recorder.cost) if len(rows)]
    return max([*last, *beside], default=0) >= record.end_ns + LATE_NS


def _add(store: Store, record: RunRecord) -> RunRecord | None:
    """Keep a run; where the store or the summary cannot take a part of it, without that part. None if it is kept already.

    Raises ValueError if it cannot be kept at all.
    """
    for without in (
        (),
        ("environment",),
        ("environment", "extra"),
        ("environment", "extra", "tags", "spans"),
    ):
        lesser = _without(record, without)
        try:
            return lesser if store.add(lesser, summarise(RunView(lesser))) else None
        except NOT_UNDERSTOOD as error:
            trouble = error
    raise ValueError(
        f"the run {record.run_id} cannot be kept: {type(trouble).__name__}: {trouble}"
    ) from trouble


def _with_store_clock(store: Store, record: RunRecord) -> RunRecord:
    """One host's part of a job, with what the store's clock says now: by it the hosts' clocks are compared."""
    job = mapping(record.extra.get("job"))
    if not job or job.get("boot") != boot_id():
        return record
    readings: list[tuple[int, int, int]] = []
    for _ in range(3):
        asked_ns, told_ns, heard_ns = time.monotonic_ns(), store.clock(), time.monotonic_ns()
        if told_ns is None:
            return record
        readings.append((asked_ns, heard_ns, told_ns))
    return replace(record, extra={**record.extra, "job": {**job, "store_clock": readings}})


def _without(record: RunRecord, parts: tuple[str, ...]) -> RunRecord:
    if not parts:
        return record
    empty: dict[str, Any] = {
        "environment": {"host": record.host},
        "extra": {},
        "tags": {},
        "spans": Spans.empty(),
    }
    message = f"the store could not take this run's {', '.join(parts)}; they were left out"
    return replace(
        record,
        **{part: empty[part] for part in parts},
        warnings=(*record.warnings, RunWarning("part-left-out", message)),
    )


def _unread(data: SessionData) -> Iterator[str]:
    """What a session holds that could not be read, for people; a file that was reserved and never begun is nothing."""
    pids = {events.pid for events in data.events}
    for name in sorted(data.living.journals):
        if not name.startswith("events-"):
            continue
        pid = name.split("-")[1]
        if not (pid.isdigit() and int(pid) in pids):
            yield f"{name} has no readable header"
    for events in data.events:
        yield from (problem for problem in events.problems if f"type {journal.RUN_OPEN} " in problem)
    if data.recorder.problems and not data.events:
        yield from data.recorder.problems


def _remove(folder: str, files: tuple[tuple[str, int, int], ...]) -> None:
    """Take a session's folder away whole: out of sight first, so that nobody reads a half of it."""
    hidden = Path(folder).with_name(f".{Path(folder).name}{GONE}")
    try:
        Path(folder).rename(hidden)
    except OSError:
        return  # on the next occasion
    if who_lives(str(hidden)).files != files:  # it grew after all
        hidden.rename(folder)
        return
    shutil.rmtree(hidden, ignore_errors=True)


def _finish_removals(journals_dir: str) -> None:
    """Folders whose removal was killed; everything in them is in the store."""
    for hidden in Path(journals_dir).glob(f".*{GONE}"):
        if time.time() - hidden.stat().st_ctime > STARTING_S:
            shutil.rmtree(hidden, ignore_errors=True)


def _move_aside(folder: str, why: str) -> None:
    """Put a folder that cannot be read under ``damaged/`` beside it, and say so."""
    target = Path(folder).parent / DAMAGED / Path(folder).name
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        Path(folder).rename(target)
    except OSError as error:
        warn(f"{folder} cannot be read ({why}) nor moved aside ({error.strerror})")
        return
    warn(f"a damaged journal was moved to {target} (see wattmark recover): {why}")


def _folders(journals_dir: str) -> list[str]:
    return [folder for folder in session_folders(journals_dir) if not folder.endswith(f"/{DAMAGED}")]


def kept_runs(folder: str) -> set[str]:
    """The runs of a session that are in the store already."""
    try:
        with open(f"{folder}/{KEPT}", encoding="ascii", errors="replace") as file:
            return set(file.read().split())
    except FileNotFoundError:
        return set()


@contextmanager
def _locked(folder: str) -> Generator[bool]:
    """Only one process at a time; False if the folder is gone by the time it is our turn, or is not ours to read."""
    try:
        lock = os.open(f"{folder}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder, LOCK).exists()
    finally:
        os.close(lock)
