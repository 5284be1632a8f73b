"""The work that is tried under caps: a command that is run for each window, or one that runs and says how far it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import IO, Protocol

from wattmark.advise.cap.measured import Measured, WindowUnmeasured, energy_within
from wattmark.errors import ConfigError, WattmarkError
from wattmark.predict.live.lines import LineProgress
from wattmark.predict.live.progress import Progress, of_spans
from wattmark.recorder import tree
from wattmark.recorder.launch import SESSION_ENV
from wattmark.runs.reading.journals import EventsFollower, ProcessEvents
from wattmark.text import singular
from wattmark.tracker.process import this_process
from wattmark.tracker.run import Run

LOOK_S = 0.02
PATIENCE_S = 120.0
"""Work that says nothing of its progress for so long cannot be tried as it runs."""
LEAST_MARKS = 3
"""A window ends when so many steps have ended in it."""
GRACE_S = 5.0

Check = Callable[[], None]


class CommandFailed(WattmarkError):
    """The command ended with an error."""


class WorkEnded(WattmarkError):
    """The work that was to be tried as it runs has ended."""


class Work(Protocol):
    """Gives windows. unit: what of the work is counted."""

    unit: str

    def window(self, cap_w: float, applied_w: float | None, check: Check) -> Measured:
        """Some of the work under the cap that is set. check: called all the time; what it raises ends the window."""
        ...


class Sensors:
    """One measurement over the whole search; windows are intervals of it.

    needed: components of which one must be measured.
    """

    def __init__(self, run: Run, needed: Collection[str]) -> None:
        self.run = run
        self.methods: dict[str, str] = {}
        self._needed = needed

    def mark_ns(self) -> int:
        """Now, with a reading of all sensors taken at this moment."""
        session = this_process().session
        if session is not None:
            session.sync()
        return time.monotonic_ns()

    def measured(
        self, cap_w: float, applied_w: float | None, units: float, start_ns: int, end_ns: int
    ) -> Measured:
        """What a window gave. Raises ConfigError, WindowUnmeasured."""
        energy, self.methods = energy_within(self.run.view, start_ns, end_ns, self._needed)
        return Measured(cap_w, applied_w, units, (end_ns - start_ns) / 1e9, energy)


class RepeatedCommand:
    """Each window is the whole command once. settle_s: for the chip to come to the temperature of its new power."""

    unit = "run"

    def __init__(self, command: Sequence[str], sensors: Sensors, settle_s: float = 0.0) -> None:
        _must_exist(command)
        self._command, self._sensors, self._settle_s = list(command), sensors, settle_s
        self._count = 0

    def window(self, cap_w: float, applied_w: float | None, check: Check) -> Measured:
        """See :class:`Work`. Raises CommandFailed."""
        self._count += 1
        _wait(self._settle_s, check)
        with tempfile.TemporaryFile() as said, self._sensors.run.span("cap window", cap_w=cap_w):
            start_ns = self._sensors.mark_ns()
            process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            try:
                while process.poll() is None:
                    time.sleep(LOOK_S)
                    check()
            except BaseException:
                end_process(process)
                raise
            end_ns = self._sensors.mark_ns()
            if process.returncode:
                raise CommandFailed(
                    f"the command ended with {process.returncode} in window {self._count} ({cap_w:g} W): {_last_line(said)}",
                    hint=f"run it by hand: {' '.join(self._command)}",
                )
        return self._sensors.measured(cap_w, applied_w, 1.0, start_ns, end_ns)


class RunningWork:
    """Work that goes on: windows lie between steps that it reports, by spans, ``run.log(step=...)`` or what it prints.

    window_s: as long as this at least. settle_s: after a new cap, counts for nothing. alive: whether it runs. follow: the
    journals of the session in which it reports; lines: what it prints.
    """

    def __init__(
        self,
        sensors: Sensors,
        alive: Callable[[], bool],
        follow: EventsFollower | None,
        lines: LineProgress | None,
        *,
        window_s: float = 10.0,
        settle_s: float = 2.0,
        start_ns: int | None = None,
    ) -> None:
        self.unit = "step"
        self._sensors, self._alive = sensors, alive
        self._follow, self._lines = follow, lines
        self._window_s, self._settle_s = window_s, settle_s
        self._start_ns = time.monotonic_ns() if start_ns is None else start_ns

    def window(self, cap_w: float, applied_w: float | None, check: Check) -> Measured:
        """See :class:`Work`. Raises WorkEnded; WindowUnmeasured where it says nothing of its progress."""

        def checked() -> None:
            check()
            if not self._alive():
                raise WorkEnded(
                    "the work ended before its cap was decided", hint="shorter windows: --window 3"
                )

        with self._sensors.run.span("cap window", cap_w=cap_w):
            _wait(self._settle_s, checked)
            began_s = self._now_s()
            while True:
                time.sleep(5 * LOOK_S)
                checked()
                progress = self.progress()
                marks = [] if progress is None else [mark for mark in progress.marks if mark[0] >= began_s]
                if len(marks) >= LEAST_MARKS and marks[-1][0] - marks[0][0] >= self._window_s:
                    break
                since_s = self._now_s() - max(began_s, marks[-1][0] if marks else began_s)
                if since_s > max(PATIENCE_S, 10 * self._window_s):
                    raise WindowUnmeasured(
                        f"the work has said nothing of its progress for {since_s:.0f} s",
                        hint="steps are seen in spans (run.span('step')), run.log(step=n), and lines such as 'step 3/90'",
                    )
        assert progress is not None, "marks are of a progress"
        self.unit = singular(progress.unit)
        (first_s, first), (last_s, last) = marks[0], marks[-1]
        self._sensors.mark_ns()
        start, end = self._start_ns + round(first_s * 1e9), self._start_ns + round(last_s * 1e9)
        return self._sensors.measured(cap_w, applied_w, last - first, start, end)

    def progress(self) -> Progress | None:
        """The progress that says most often how far it is."""
        found: list[Progress] = []
        if self._follow is not None:
            processes = self._follow.read()
            found += of_spans(processes, self._start_ns).values()
            found += _of_logs(processes, self._start_ns)
        if self._lines is not None:
            found.append(self._lines.progress)
        return max((one for one in found if one.marks), key=lambda one: len(one.marks), default=None)

    def _now_s(self) -> float:
        return (time.monotonic_ns() - self._start_ns) / 1e9


class StartedCommand:
    """A command that runs with its output passed on, whose lines are read for progress. Ends with this program."""

    def __init__(self, command: Sequence[str], lines: LineProgress, start_ns: int) -> None:
        _must_exist(command)
        self._lines, self._start_ns = lines, start_ns
        self.process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._reader = threading.Thread(target=self._read, name="wattmark-cap-output", daemon=True)
        self._reader.start()

    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def wait(self, check: Check) -> int:
        """Its exit code as a shell has it, once it has ended."""
        while self.alive():
            time.sleep(LOOK_S)
            check()
        self._reader.join(GRACE_S)
        code = self.process.returncode
        return code if code >= 0 else 128 - code

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None, "it has a pipe"
        with stream:
            while data := os.read(stream.fileno(), 65536):
                self._lines.feed(data, (time.monotonic_ns() - self._start_ns) / 1e9)
                with contextlib.suppress(OSError, ValueError):  # our own output is closed: the work goes on
                    os.write(2, data)


class LogTail:
    """Lines that a program writes into a file, from now on."""

    def __init__(self, path: str, lines: LineProgress, start_ns: int) -> None:
        try:
            self._file: IO[bytes] = Path(path).open("rb")  # noqa: SIM115 - read as long as the search goes on
        except OSError as error:
            raise ConfigError(f"--log: {path} cannot be read: {error.strerror}") from error
        self._file.seek(0, os.SEEK_END)
        self._lines, self._start_ns = lines, start_ns

    def read(self) -> None:
        """What came since the last look."""
        data = self._file.read()
        if data:
            self._lines.feed(data, (time.monotonic_ns() - self._start_ns) / 1e9)

    def close(self) -> None:
        """No more is read."""
        self._file.close()


def session_of(pid: int, procfs: str = "/proc") -> str | None:
    """The folder of the measurement that a process is part of, by its environment; None where it is in none."""
    try:
        environ = Path(f"{procfs}/{pid}/environ").read_bytes()
    except OSError:
        return None
    for entry in environ.split(b"\0"):
        name, _, value = entry.partition(b"=")
        if name.decode("utf-8", "replace") == SESSION_ENV:
            folder = os.fsdecode(value)
            return folder if Path(folder).is_dir() else None
    return None


def session_with(pid: int, journals: str) -> str | None:
    """The folder among the journals in which a process itself writes; None where there is none."""
    try:
        folders = sorted(Path(journals).iterdir(), reverse=True)
    except OSError:
        return None
    for folder in folders:
        if folder.is_dir() and any(
            one.pid == pid for one in EventsFollower(str(folder)).read() if one.header
        ):
            return str(folder)
    return None


def running_process(pid: int) -> Callable[[], bool]:
    """Whether that process runs: it, not a later one of its number. Raises ConfigError where there is none."""
    ticks = tree.start_ticks(pid)
    if ticks is None or not tree.is_alive(pid, ticks):
        raise ConfigError(f"there is no process {pid}", hint="--pid of a process that runs on this machine")
    return lambda: tree.is_alive(pid, ticks)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and end it if it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _of_logs(processes: Sequence[ProcessEvents], start_ns: int) -> list[Progress]:
    found: list[Progress] = []
    for events in processes:
        progress = Progress("steps")
        for report in events.metrics:
            if report["step"] is not None:
                progress.mark((report["t_ns"] - start_ns) / 1e9, report["step"])
        found.append(progress)
    return found


def _must_exist(command: Sequence[str]) -> None:
    if not command:
        raise ConfigError(
            "there is no command to try caps on", hint="wattmark advise cap --apply -- python train.py"
        )
    if shutil.which(command[0]) is None:
        raise ConfigError(f"{command[0]}: command not found")


def _wait(seconds: float, check: Check) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 5 * LOOK_S))
        check()


def _last_line(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - 4096))
    lines = [line for line in said.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
