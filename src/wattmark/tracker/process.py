"""What one process knows about being measured: its session, its event log, and the run that it is inside.

Standard library only; imported by every measured process.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from typing import Any

from wattmark import settings as configuration
from wattmark.errors import WattmarkError
from wattmark.paths import journals_dir
from wattmark.recorder import journal, launch, tree
from wattmark.recorder.events import EventLog


class WattmarkWarning(UserWarning):
    """Something about measuring did not work; the work itself goes on."""


class Process:
    """The measuring state of this process. Made anew in a forked child."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.session: launch.Session | None = None
        self.log: EventLog | None = None
        self.root_id = ""
        self.root_start_ns = 0
        self.rank = launch.rank(os.environ)
        self._owner = False
        self._root_pending = False
        self._settings: dict[str, Any] = {}
        self._given: dict[str, Any] = {}
        self._written: dict[str, Any] = {}
        self._warned: set[str] = set()

    def attach(self, settings: Mapping[str, Any]) -> None:
        """Make sure that there is a recorder for the window that begins; never raises, warns instead."""
        try:
            if self._fits(settings):
                return
            self._forget()
            self._given = dict(settings)
            self._settings = configuration.recorder_settings(settings)
            self.session, started = launch.start_or_join(
                journals_dir(os.environ), self._settings, os.environ, _prepare
            )
        except WattmarkError as error:
            hint = f" ({error.hint})" if error.hint else ""
            self.warn("not-measured", f"nothing is measured: {error}{hint}")
            return
        self._owner = self._root_pending = started
        self._open_log()
        if started:
            os.environ[launch.SESSION_ENV] = self.session.folder

    def attach_if_inside(self) -> None:
        """Join the session of the process that started this one, if there is one and it lives."""
        if self.log is not None:
            return
        folder = os.environ.get(launch.SESSION_ENV)
        if not folder or "no-session" in self._warned:
            return
        with self.lock:
            if self.session is not None:  # another thread was quicker
                return
            session = launch.join(folder)
            if session is None:
                self._warned.add("no-session")
                return
            session.enter()
            self.session = session
            self._open_log()

    def owns_root(self) -> bool:
        """Whether the window that begins is a run of its own (not inside another one)."""
        return self._root_pending or self.session is None

    def open_run(self, name: str, tags: Mapping[str, str], settings: Mapping[str, Any]) -> str:
        """Write down that a run begins; its id."""
        run_id = launch.new_session_id()
        self._root_pending = False
        if self.session is None or self.log is None:
            self.root_start_ns = time.monotonic_ns()
            return run_id
        self.root_id = run_id
        self.session.tell("poke")
        self.root_start_ns = now = time.monotonic_ns()
        from wattmark.tracker import process_facts as facts

        self.log.write_json(
            journal.RUN_OPEN,
            {
                "run_id": run_id,
                "name": name,
                "tags": dict(tags),
                "t_ns": now,
                "wall_ns": time.time_ns(),
                "pid": self.pid,
                **self._news("process", facts.process_facts()),
                "baseline_w": settings.get("baseline_w") or self._saved_baseline(),
                "settings": {key: value for key, value in settings.items() if value},
            },
        )
        return run_id

    def close_run(self, run_id: str, status: str, exit_code: int | None = None) -> int:
        """Write down that a run ends; when it did (monotonic ns)."""
        from wattmark.tracker import process_facts as facts

        now = time.monotonic_ns()
        with self.lock:
            if self.log is not None and run_id == self.root_id:
                self.log.write_json(
                    journal.RUN_CLOSE,
                    {
                        "run_id": run_id,
                        "t_ns": now,
                        "status": status,
                        "exit_code": exit_code,
                        **self._news("modules", facts.module_versions()),
                    },
                )
                if self.log.failed is not None:
                    self.warn("journal-full", f"spans were lost: {self.log.failed.strerror}")
                self.root_id = ""
            self.poke()
            if self.session is not None and not self.root_id:
                self.session.leave()
        return now

    def poke(self) -> None:
        """Have a reading taken about now."""
        if self.session is not None:
            self.session.tell("poke")

    def default_name(self) -> str:
        """The script's name, or a plain word where there is none."""
        name = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else ""
        return name or "python"

    def warn(self, code: str, message: str) -> None:
        """Say something once per process."""
        if code not in self._warned:
            self._warned.add(code)
            warnings.warn(f"wattmark: {message}", WattmarkWarning, stacklevel=4)

    def end(self) -> None:
        """At exit: close the log, and stop the recorder if it is ours."""
        if self.pid != os.getpid():
            return
        if self.log is not None:
            self.log.close()
            self.log = None
        if self.session is not None:
            if self._owner:
                if os.environ.get(launch.SESSION_ENV) == self.session.folder:
                    del os.environ[launch.SESSION_ENV]
                self.session.stop()
            else:
                self.session.leave()
            self.session = None
            self._owner = False

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        if self.log is not None:
            self.log.abandon()
        if self.session is not None:
            self.session.abandon()

    def _fits(self, settings: Mapping[str, Any]) -> bool:
        """Whether the session at hand serves the window that begins, which it then holds."""
        if self.session is None:
            return False
        if self._owner and not self.root_id:
            if not self.session.running():
                return False
            if not os.path.isdir(self.session.folder):  # someone cleaned up: what is written there is lost
                self.end()
                return False
            if settings != self._given:  # the same wish again is not looked up again
                self._given = dict(settings)
                if configuration.recorder_settings(settings) != self._settings:
                    self.end()
                    return False
            self._root_pending = True
            self.session.enter()
        return True

    def _news(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        """``{key: value}``, or nothing if that is what this process wrote last."""
        if self._written.get(key) == value:
            return {}
        self._written[key] = value
        return {key: value}

    def _saved_baseline(self) -> dict[str, float] | None:
        """Idle watts by component from this machine's last calibration, looked up once."""
        if "baseline" not in self._written:
            self._written["baseline"] = self._load_baseline()
        return self._written["baseline"]

    def _load_baseline(self) -> dict[str, float] | None:
        from wattmark.runs import baseline

        saved = baseline.load_baseline(os.uname().nodename)
        return None if saved is None else saved["idle_w"]

    def _forget(self) -> None:
        if self.log is not None:
            self.log.close()
            self.log = None
        if self.session is not None and os.environ.get(launch.SESSION_ENV) == self.session.folder:
            del os.environ[launch.SESSION_ENV]
        self.session = None
        self._owner = False
        self._root_pending = False

    def _open_log(self) -> None:
        assert self.session is not None
        self._written = {}
        self.log = EventLog(
            self.session.folder,
            {
                "ppid": os.getppid(),
                "start_ticks": tree.start_ticks(self.pid),
                "rank": self.rank,
                "host": os.uname().nodename,
            },
        )
        if self.log.failed is not None:
            self.warn("journal-full", f"spans cannot be written: {self.log.failed.strerror}")


_process: Process | None = None
_making = threading.Lock()


def this_process() -> Process:
    """The state of this process."""
    global _process
    process = _process
    if process is None:
        with _making:
            if _process is None:
                _process = Process()
                atexit.register(_at_exit)
                os.register_at_fork(after_in_child=_after_fork)
            process = _process
    return process


def _prepare() -> None:
    """What the first run will need, done while its recorder starts."""
    import json  # noqa: F401  # pyright: ignore[reportUnusedImport] the event log writes it

    from wattmark.tracker import process_facts as facts

    facts.process_facts()


def _after_fork() -> None:
    """A child gets a state of its own and finds the session through the environment."""
    global _process
    if _process is not None:
        _process.abandon()
        _process = Process()


def _at_exit() -> None:
    if _process is not None:
        _process.end()
