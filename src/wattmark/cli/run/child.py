"""Running the user's command as a shell would: same terminal, same signals, same exit code. Standard library only."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattmark.runs.record import Status

_FORWARDED = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_ENDING = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
_WATCHED = (*_FORWARDED, signal.SIGCHLD)
_SI_KERNEL = 0x80
"""``si_code`` of a signal that the terminal sent (siginfo.h) to the whole foreground group, the command included."""
_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS)


_KIND, _FOLDER = 0o170000, 0o040000  # S_IFMT and S_IFDIR of stat.h


class CannotRun(Exception):
    """The command cannot be started; ``exit_code`` is what a shell would give (127 not found, 126 not executable)."""

    def __init__(self, command: str, error: OSError) -> None:
        missing = error.errno == errno.ENOENT
        super().__init__(f"{command}: {'command not found' if missing else error.strerror}")
        self.exit_code = 127 if missing else 126


def cannot_run(command: str) -> CannotRun | None:
    """Why the command cannot be started, as far as its file tells before anything is begun; None where nothing speaks
    against it."""
    if "/" not in command:
        found = shutil.which(command)
        return (
            None if found else CannotRun(command, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
        )
    try:
        kind = os.stat(command).st_mode & _KIND  # noqa: PTH116 - pathlib takes milliseconds to import
    except OSError as error:
        return CannotRun(command, error)
    if kind == _FOLDER:
        return CannotRun(command, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if not os.access(command, os.X_OK):
        return CannotRun(command, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    return None


class Child:
    """A command that runs. Signals for it are held back from the moment it starts until :meth:`wait` has seen its end.

    stdout_to_stderr: its standard output goes to standard error, because ours carries JSON. output: where both go
    instead, as ``os.posix_spawn`` has it. Raises CannotRun.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        stdout_to_stderr: bool = False,
        output: Sequence[tuple[int, int, int]] = (),
    ) -> None:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        self.interrupted = False
        self.ended_by = 0
        try:
            self.pid = os.posix_spawnp(
                command[0],
                list(command),
                os.environ,
                file_actions=output or ([(os.POSIX_SPAWN_DUP2, 2, 1)] if stdout_to_stderr else []),
                setsigmask=self._mask,
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # which Python ignores
            )
        except OSError as error:
            self._restore()
            raise CannotRun(command[0], error) from error

    def wait(
        self,
        tick: Callable[[], None] | None = None,
        every_s: float = 0.25,
        ending: Callable[[], None] | None = None,
    ) -> int:
        """Wait for its end, pass signals on, and call ``tick`` at times, and ``ending`` after a signal that ends processes;
        the exit code as a shell has it.

        It is not collected: as long as it is a zombie its CPU time can be read. :meth:`collect` lets it go.
        """
        try:
            while True:
                end = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if end is not None:
                    self.ended_by = 0 if end.si_code == os.CLD_EXITED else end.si_status
                    return 128 + self.ended_by if self.ended_by else end.si_status
                info = signal.sigtimedwait(_WATCHED, every_s if tick else 60.0)
                if info is None:
                    tick = _ticked(tick)
                elif info.si_signo in _FORWARDED:
                    self.interrupted = self.interrupted or info.si_signo in _ENDING
                    if info.si_code != _SI_KERNEL:
                        os.kill(self.pid, info.si_signo)
                    if ending is not None and info.si_signo in _ENDING:
                        ending()
        finally:
            self._restore()

    def collect(self) -> None:
        """Let the ended command go. Its CPU time becomes that of this process, which is not measured."""
        os.waitpid(self.pid, 0)

    def status(self, exit_code: int) -> Status:
        """``completed``, ``failed``, or ``interrupted`` if a signal that was no crash of its own ended it."""
        if exit_code == 0:
            return "completed"
        if self.ended_by:
            return "failed" if self.ended_by in _CRASHES else "interrupted"
        return "interrupted" if self.interrupted else "failed"

    def _restore(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


def _ticked(tick: Callable[[], None] | None) -> Callable[[], None] | None:
    """Call it; one that cannot draw any more (the terminal is gone) is not called again."""
    try:
        if tick:
            tick()
    except (OSError, ValueError):
        return None
    return tick
