"""What goes to another machine for a trial and what comes back. Runs over there:

``python -m wattmark.studies.execution.remote.shipment run < shipment > parcel`` runs one trial and prints what came of it;
``... shipment cancel KEY [HOME]`` ends a trial, with all that it started.

A shipment has a key. Its folder over there holds a data folder of its own, so that no other command of that machine takes
the trial's run for its own. Whoever asks a second time for the same key waits for the trial that runs, or gets the parcel
of the one that has run: a connection that breaks does not repeat work. Only one that was lost with its machine begins
again, once.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from wattmark.errors import StoreError
from wattmark.paths import data_dir
from wattmark.recorder import tree
from wattmark.recorder.system import boot_id
from wattmark.runs.reading.liveness import who_lives
from wattmark.runs.reading.session import session_folders
from wattmark.studies.execution.executors import Handle, Job, LocalExecutor, TrialOutcome

TRIES = 2
"""A trial that was lost with its machine is run again once."""
MARK = "WATTMARK-PARCEL"
VARIABLE = "WATTMARK_SHIPMENT"
"""Where a pod finds its shipment; others get it on standard input."""
_NOT_SHARED = re.compile(r"journals|studies|trials|store\.db.*")
_POLL_S = 0.05
_JOURNAL_S = 5.0
_GONE_S = 10.0
_KEPT_S = 30 * 86_400.0
_TAR_MAX_BYTES = 2**31


class Shipment(TypedDict):
    """A trial as it travels. baselines: file name -> idle power measured before. home: the folder for trials over there;
    empty for the one in the data folder. arrived: keys whose parcels have come, and need not be kept there any more."""

    key: str
    spec: dict[str, Any]
    timeout_s: float | None
    baselines: dict[str, Any]
    home: str
    arrived: list[str]


class Parcel(TypedDict):
    """What came of a trial: its outcome, idle powers measured for it, and its journals (a gzipped tar, in Base64)."""

    host: str
    exit_code: int | None
    result: dict[str, Any] | None
    log: str
    timed_out: bool
    out_of_memory: bool
    baselines: dict[str, Any]
    journals: str


def shipment_of(job: Job, key: str, home: str = "") -> Shipment:
    """A job made ready to travel."""
    baselines = sorted((Path(job.spec["folder"]) / "baselines").glob("*.json"))
    return {
        "key": key,
        "spec": dict(job.spec),
        "timeout_s": job.timeout_s,
        "baselines": {path.name: json.loads(path.read_text(encoding="utf-8")) for path in baselines},
        "home": home,
        "arrived": [],
    }


def run_shipment(shipment: Shipment) -> Parcel:
    """Run a trial here and pack what came of it. Asked twice for one key, it runs once."""
    folder = _folder(shipment["key"], shipment["home"])
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        parcel = folder / "parcel.json"
        if parcel.exists():
            return json.loads(parcel.read_text(encoding="utf-8"))
        tries = folder / "tries"
        number = len(tries.read_bytes()) if tries.exists() else 0
        if number >= TRIES or (folder / "cancelled").exists():
            why = "it was cancelled" if number < TRIES else f"it was begun {number} times and never ended"
            return nothing(f"the trial is not run again: {why}")
        _end_former(folder)
        _clear(folder.parent, shipment["arrived"])
        with tries.open("ab") as file:
            file.write(b".")
        packed = _run(shipment, folder)
        new = folder / "parcel.new"
        new.write_text(json.dumps(packed), encoding="utf-8")
        new.replace(parcel)
        shutil.rmtree(folder / "study", ignore_errors=True)
        shutil.rmtree(folder / "data", ignore_errors=True)
        return packed


def work(shipment: Shipment) -> Parcel:
    """:func:`run_shipment` in a process of SLURM or Ray, which ends its trial when it is asked to end itself."""
    before = signal.signal(signal.SIGTERM, _ended)
    try:
        return run_shipment(shipment)
    finally:
        signal.signal(signal.SIGTERM, before)


def cancel_shipment(key: str, home: str = "") -> None:
    """End a trial of this machine and all that it started; it is gone afterwards. One that is not here is no error."""
    folder = _folder(key, home)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "cancelled").touch()
    _end_former(folder)


def unpack(parcel: Parcel, job: Job, journals: str) -> TrialOutcome:
    """Put what came back where a trial of this machine would have left it."""
    log = parcel["log"]
    job.log.parent.mkdir(parents=True, exist_ok=True)
    job.log.write_text(log, encoding="utf-8")
    baselines = Path(job.spec["folder"]) / "baselines"
    for name, baseline in parcel["baselines"].items():
        path = baselines / Path(name).name
        if path.suffix == ".json" and not path.exists():
            baselines.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(baseline), encoding="utf-8")
    if parcel["journals"]:
        _unpack_journals(base64.b64decode(parcel["journals"]), Path(journals))
    return TrialOutcome(
        parcel["exit_code"],
        parcel["result"],
        log[-4_000:].strip(),
        parcel["timed_out"],
        parcel["out_of_memory"],
    )


def as_text(parcel: Parcel) -> str:
    """A parcel between two marks, with the sum of its bytes: for ways on which other words come along (logs of pods)."""
    data = base64.b64encode(json.dumps(parcel).encode()).decode()
    sum_ = hashlib.sha256(data.encode()).hexdigest()
    lines = [data[at : at + 4_000] for at in range(0, len(data), 4_000)]
    return "\n".join((f"{MARK} {sum_}", *lines, f"{MARK} end", ""))


def of_text(text: str) -> Parcel | None:
    """The parcel in a text; None if there is none, or not all of it."""
    begin = re.search(rf"^{MARK} ([0-9a-f]{{64}})$", text, re.MULTILINE)
    if begin is None:
        return None
    body, end, _ = text[begin.end() :].partition(f"{MARK} end")
    data = "".join(body.split())
    if not end or hashlib.sha256(data.encode()).hexdigest() != begin[1]:
        return None
    return json.loads(base64.b64decode(data))


def _run(shipment: Shipment, folder: Path) -> Parcel:
    study, data = folder / "study", folder / "data"
    shutil.rmtree(study, ignore_errors=True)
    shutil.rmtree(data, ignore_errors=True)
    _private_data(data)
    for name, baseline in shipment["baselines"].items():
        path = study / "baselines" / Path(name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(baseline), encoding="utf-8")
    spec = {**shipment["spec"], "folder": str(study), "result": str(study / "result.json")}
    job = Job(spec["id"], spec, study / "trial.log", shipment["timeout_s"])
    executor = LocalExecutor(environ={"WATTMARK_DATA_DIR": str(data)})
    handle = executor.submit(job)
    _write(folder / "trial.json", {**handle, "boot": boot_id()})
    outcome = None
    try:
        while outcome is None:
            outcome = executor.poll(handle)
            if outcome is None and (folder / "cancelled").exists():
                executor.cancel(handle)
                return nothing("the trial was cancelled")
            time.sleep(_POLL_S)
    except BaseException:  # this process is asked to end: the trial must not outlive it
        executor.cancel(handle)
        raise
    return {
        "host": os.uname().nodename,
        "exit_code": outcome.exit_code,
        "result": dict(outcome.result) if outcome.result is not None else None,
        "log": _text(job.log),
        "timed_out": outcome.timed_out,
        "out_of_memory": outcome.out_of_memory,
        "baselines": {
            path.name: json.loads(path.read_text(encoding="utf-8"))
            for path in (study / "baselines").glob("*.json")
        },
        "journals": base64.b64encode(_pack_journals(data / "journals")).decode(),
    }


def nothing(
    why: str,
    *,
    host: str = "",
    exit_code: int | None = None,
    timed_out: bool = False,
    out_of_memory: bool = False,
) -> Parcel:
    """The parcel of a trial that left nothing but words, which become its log."""
    return {
        "host": host or os.uname().nodename,
        "exit_code": exit_code,
        "result": None,
        "log": why,
        "timed_out": timed_out,
        "out_of_memory": out_of_memory,
        "baselines": {},
        "journals": "",
    }


def _private_data(folder: Path) -> None:
    """A data folder that has all that this machine's has (calibrations, models), but runs and studies."""
    folder.mkdir(mode=0o700, parents=True)
    with contextlib.suppress(OSError):
        for entry in Path(data_dir()).iterdir():
            if not _NOT_SHARED.fullmatch(entry.name):
                (folder / entry.name).symlink_to(entry)


def _folder(key: str, home: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,100}", key):
        raise ValueError(f"{key!r} is no key of a trial")
    return (Path(home) if home else Path(data_dir()) / "trials") / key


def _clear(home: Path, arrived: Sequence[str]) -> None:
    """Take the folders of trials away whose parcels have arrived, or that nobody came back for."""
    for folder in home.iterdir():
        with contextlib.suppress(OSError):
            old = folder.name in arrived or time.time() - folder.stat().st_mtime > _KEPT_S
            if old and (folder / "lock").is_file():
                shutil.rmtree(folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Only one process of this machine at a time; on a shared file system that knows locks, of all machines."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _end_former(folder: Path) -> None:
    """End the trial that a process before this one left running here, if it is of this machine and this boot."""
    try:
        former: Handle = json.loads((folder / "trial.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    pid, ticks = int(former["pid"]), former.get("ticks")
    if former.get("boot") != boot_id() or not tree.is_alive(pid, ticks):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    deadline = time.monotonic() + _GONE_S
    while tree.is_alive(pid, ticks) and time.monotonic() < deadline:
        time.sleep(0.01)


def _pack_journals(folder: Path) -> bytes:
    """The sessions of a trial that has ended, once their recorders have put everything on disk."""
    deadline = time.monotonic() + _JOURNAL_S
    sessions = session_folders(str(folder))
    while any(who_lives(session).any for session in sessions) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for session in sessions:
            for path in sorted(Path(session).iterdir()):
                if path.is_file() and not path.is_symlink():
                    archive.add(path, f"{Path(session).name}/{path.name}", recursive=False)
    return packed.getvalue()


def _unpack_journals(data: bytes, folder: Path) -> None:
    """Whole sessions or none. The times of their files are 0, so that nobody takes them for ones that go on elsewhere."""
    incoming = folder / f".incoming-{os.getpid()}"
    shutil.rmtree(incoming, ignore_errors=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                session, _, name = member.name.partition("/")
                if not member.isfile() or not _is_plain(session) or not _is_plain(name):
                    raise StoreError(
                        f"a trial's journals hold {member.name!r}, which is no file of a session"
                    )
                content = archive.extractfile(member)
                assert content is not None
                path = incoming / session / name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.write_bytes(content.read(_TAR_MAX_BYTES))
                os.utime(path, (0, 0))
        for session in sorted(incoming.iterdir()) if incoming.is_dir() else ():
            with contextlib.suppress(OSError):  # it is there: the same parcel came before
                session.rename(folder / session.name)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _is_plain(name: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}", name) is not None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _write(path: Path, data: Mapping[str, object]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(data), encoding="utf-8")
    new.replace(path)


def _ended(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def main(words: list[str]) -> int:
    """The command line that executors use over there."""
    if words[:1] == ["cancel"]:
        cancel_shipment(*words[1:])
        return 0
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing but the parcel goes to standard output
    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a connection that breaks ends no trial
    given = os.environ.pop(VARIABLE, None)
    shipment: Shipment = json.load(sys.stdin) if given is None else json.loads(given)
    text = as_text(run_shipment(shipment))
    with contextlib.suppress(OSError):  # nobody listens any more; it is kept in its folder
        output.write(text)
        output.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
