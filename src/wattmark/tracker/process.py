"""What one process knows about being measured: its session, its event log, and the windows that are open in it.

Standard library only; imported by every measured process.
"""

from __future__ import annotations

import atexit
import os
import sys
from _thread import RLock  # threading takes longer to import

from wattmark import settings as configuration
from wattmark.errors import WattmarkError
from wattmark.paths import journals_dir
from wattmark.recorder import launch, tree
from wattmark.recorder.events import EventLog

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wattmark.tracker.window import Window


class WattmarkWarning(UserWarning):
    """Something about measuring did not work; the work itself goes on."""


class Process:
    """The measuring state of this process. Made anew in a forked child."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = RLock()
        self.session: launch.Session | None = None
        self.log: EventLog | None = None
        self.windows: dict[str, Window] = {}
        """The windows that are open, by the id of their run; the oldest first."""
        self.rank = launch.rank(os.environ)
        self.project = ""
        """The setting ``project``, as it was when the recorder was started or joined."""
        self._inherited = {name: os.environ.get(name) for name in (launch.SESSION_ENV, launch.RUN_ENV)}
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
            loaded = configuration.load()
            self.project = loaded.get("project", "")
            self._settings = configuration.recorder_settings(settings, loaded)
            self.session = launch.start_or_join(
                journals_dir(os.environ), self._settings, os.environ, self._prepare
            )
        except launch.NoRecorder as error:  # what can be kept without one is: times, spans, how the run ended
            self.session = error.session
            self.warn("not-measured", f"nothing is measured: {_with_hint(error)}")
        except WattmarkError as error:
            self.warn("not-measured", f"nothing is measured: {_with_hint(error)}")
            return
        self._open_log()

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

    @property
    def inside(self) -> str:
        """The run that this process was started in, if its session is the one that was joined; else empty."""
        if self.session is None or self.session.folder != self._inherited[launch.SESSION_ENV]:
            return ""
        return self._inherited[launch.RUN_ENV] or ""

    def opened(self, window: Window) -> None:
        """A window is open: processes that are started from now on are inside it."""
        self.windows[window.run_id] = window
        self._tell_children()

    def closed(self, window: Window) -> None:
        """A window is over; the recorder is held while another one is open."""
        self.windows.pop(window.run_id, None)
        self._tell_children()
        self.poke()
        if self.session is not None and not self.windows:
            self.session.leave()

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
            warn(message, stacklevel=6)

    def news(self, key: str, value: Any) -> dict[str, Any]:
        """``{key: value}``, or nothing if that is what this process wrote last."""
        if self._written.get(key) == value:
            return {}
        self._written[key] = value
        return {key: value}

    def saved_baseline(self) -> dict[str, float] | None:
        """Idle watts by component from this machine's last calibration, looked up once."""
        if "baseline" not in self._written:
            from wattmark.runs import baseline

            saved = baseline.load_baseline(os.uname().nodename)
            self._written["baseline"] = None if saved is None else saved["idle_w"]
        return self._written["baseline"]

    def end(self) -> None:
        """At exit: close the log, and stop the recorder if it is ours."""
        if self.pid != os.getpid():
            return
        if self.log is not None:
            self.log.close()
            self.log = None
        self.windows.clear()
        if self.session is not None:
            self._tell_children()
            if self.session.own:
                self.session.stop()
            else:
                self.session.leave()
            self.session = None

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent."""
        if self.log is not None:
            self.log.abandon()
        if self.session is not None:
            self.session.abandon()

    def _fits(self, settings: Mapping[str, Any]) -> bool:
        """Whether the session at hand serves the window that begins, which it then holds."""
        session = self.session
        if session is None:
            return False
        if self.windows:
            return True
        # a recorder that has ended, or a folder that someone removed, keeps nothing of what is written there
        if not session.running() or not os.path.isdir(session.folder):
            self.end()
            return False
        if session.own and settings != self._given:  # the same wish again is not looked up again
            self._given = dict(settings)
            if configuration.recorder_settings(settings) != self._settings:
                self.end()
                return False
        session.enter()
        return True

    def _prepare(self) -> None:
        """What the first run will need, done while its recorder starts."""
        import json  # noqa: F401  # pyright: ignore[reportUnusedImport] the event log writes it

        from wattmark.tracker import process_facts as facts

        facts.process_facts()
        self.saved_baseline()

    def _tell_children(self) -> None:
        """Put into the environment which run is open here, or what was there before."""
        inherited = self._inherited
        folder, run_id = inherited[launch.SESSION_ENV], inherited[launch.RUN_ENV]
        if self.windows and self.session is not None:
            folder, run_id = self.session.folder, next(reversed(self.windows))
        for name, value in ((launch.SESSION_ENV, folder), (launch.RUN_ENV, run_id)):
            if value is not None:
                os.environ[name] = value
            elif name in os.environ:
                del os.environ[name]

    def _forget(self) -> None:
        if self.log is not None:
            self.log.close()
            self.log = None
        self.session = None

    def _open_log(self) -> None:
        assert self.session is not None
        self._written = {key: value for key, value in self._written.items() if key == "baseline"}
        job: dict[str, Any] | None = None
        if launch.job_key(os.environ) is not None:
            from wattmark.recorder.launchers.job import job_of

            job = job_of(os.environ)
        self.log = EventLog(
            self.session.folder,
            {
                **({} if job is None else {"job": job}),
                "ppid": os.getppid(),
                "start_ticks": tree.start_ticks(self.pid),
                "rank": self.rank,
                "host": os.uname().nodename,
                "joined": self.session.joined,
            },
        )
        if self.log.failed is not None:
            self.warn("journal-full", f"spans cannot be written: {self.log.failed.strerror}")


def warn(message: str, stacklevel: int = 3) -> None:
    """A :class:`WattmarkWarning` that never stops the work: where warnings are errors it goes to standard error."""
    import warnings

    try:
        warnings.warn(f"wattmark: {message}", WattmarkWarning, stacklevel=stacklevel)
    except WattmarkWarning:
        try:
            sys.stderr.write(f"wattmark: {message}\n")
        except (OSError, ValueError, AttributeError):
            return  # there is nobody to tell


def _with_hint(error: WattmarkError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


_process: Process | None = None
_making = RLock()


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


def _after_fork() -> None:
    """A child gets a state of its own and finds the session through the environment."""
    global _process
    if _process is not None:
        _process.abandon()
        _process = Process()


def _at_exit() -> None:
    if _process is not None:
        _process.end()
