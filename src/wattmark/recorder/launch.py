"""Starting a recorder, joining one, and talking to it: the measured process's side.

A session is a folder with a recorder in it. It is found through ``WATTMARK_SESSION`` (children), through the job that
a launcher names (ranks of torchrun, MPI or SLURM elect one recorder per host with a file lock), or it is
started here. Standard library only; subprocess is not used because its import alone costs more than all of this.
"""

from __future__ import annotations

import errno
import fcntl
import marshal
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wattmark import __version__
from wattmark.errors import RecorderError
from wattmark.recorder import tree
from wattmark.recorder.live import ENDED, RUNNING, LiveReader

SESSION_ENV = "WATTMARK_SESSION"
LOG = "recorder.log"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
LINGER_S = 30.0

_BOOT = (
    "import sys,marshal;sys.path[:]=marshal.loads(bytes.fromhex(sys.argv[1]))['sys_path'];"
    "from wattmark.recorder.process import main;sys.exit(main(sys.argv[1:]))"
)


class Session:
    """A live session as one process sees it: its folder, its control pipe, its live page, its membership.

    ``pid`` is the recorder's process if this process started it, else 0.
    """

    def __init__(self, folder: str, pid: int = 0) -> None:
        self.folder = folder
        self.pid = pid
        self.id = os.path.basename(folder)
        self._live: LiveReader | None = None
        self._members = -1
        self._control = -1

    @property
    def live(self) -> LiveReader:
        """The live page (mapped on first use); raises OSError while there is none."""
        if self._live is None:
            self._live = LiveReader(self.folder)
        return self._live

    def enter(self) -> None:
        """Hold the session: the recorder stays as long as this process lives or until ``leave``."""
        if self._members < 0:
            self._members = os.open(f"{self.folder}/members", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.lockf(self._members, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Hold it no longer; the recorder lingers a while for the next window."""
        if self._members >= 0:
            fcntl.lockf(self._members, fcntl.LOCK_UN)

    def tell(self, command: str) -> bool:
        """Send a command (``poke``, ``stop``, ``root PID``); False if there is no recorder to hear it."""
        try:
            if self._control < 0:
                self._control = os.open(f"{self.folder}/control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(self._control, command.encode() + b"\n")
        except OSError:
            return False
        return True

    def running(self) -> bool:
        """Whether the recorder lives."""
        try:
            state = self.live.read()
        except (OSError, ValueError):
            return False
        if state.state == ENDED:
            return False
        if self.pid:  # our own child: asking the kernel is enough
            return not self._reap()
        return tree.is_alive(state.recorder_pid, None)

    def sync(self, timeout_s: float = 1.0) -> bool:
        """Have the recorder read everything and put it on disk now; False if it did not answer in time."""
        try:
            done = self.live.read().commands_done
        except (OSError, ValueError):
            return False
        if not self.tell("poke"):
            return False
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            state, now_done = self.live.state()
            if now_done > done:
                return True
            if state == ENDED:
                return False
            time.sleep(0.0002)
        return False

    def stop(self) -> bool:
        """Leave, and end the recorder unless others still hold the session. True once it has ended."""
        self.leave()
        try:
            done = self.live.state()[1]
        except OSError:
            done = 0
        if not self.tell("stop"):
            return self._reap() if self.pid else True
        deadline = time.monotonic() + STOP_TIMEOUT_S
        pause = 0.0005
        while self.pid and not self._reap() and time.monotonic() < deadline:
            state, now_done = self.live.state()
            if now_done > done and state != ENDED:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        return not self.pid

    def abandon(self) -> None:
        """In a forked child: forget the parent's descriptors (its locks were never ours)."""
        self.pid = 0
        for fd in (self._members, self._control):
            if fd >= 0:
                os.close(fd)
        self._members = self._control = -1

    def _reap(self) -> bool:
        """Whether our recorder has ended (it is collected then)."""
        try:
            pid, _ = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pid = 0 if tree.is_alive(self.pid, None) else self.pid
        if pid:
            self.pid = 0
        return bool(pid)


def start(
    journals: str, settings: Mapping[str, Any], meanwhile: Callable[[], object] | None = None
) -> Session:
    """Start a recorder with a new session folder under ``journals`` and wait until its first reading is taken.

    settings: ``period_s``, and optionally ``wanted``, ``exclude``, ``options``, ``linger_s``. meanwhile: what to do
    while it starts on another core. Raises RecorderError when that does not work; the caller goes on without measuring.
    """
    folder = f"{journals}/{new_session_id()}"
    try:
        os.makedirs(folder, mode=0o700)
    except OSError as error:
        raise RecorderError(
            f"the data folder cannot be written: {folder}: {error.strerror}",
            hint="name another one with WATTMARK_DATA_DIR",
        ) from error
    session = Session(folder)
    session.enter()
    config = {
        "folder": folder,
        "session": session.id,
        "version": __version__,
        "owner_pid": os.getpid(),
        "owner_ticks": tree.start_ticks(os.getpid()),
        "sys_path": _paths(),
        "cwd": _cwd(),
        "linger_s": LINGER_S,
        **settings,
    }
    session.pid = _spawn(folder, marshal.dumps(config).hex())
    if meanwhile is not None:
        meanwhile()
    _wait_until_ready(session)
    return session


def join(folder: str) -> Session | None:
    """The session in ``folder`` if its recorder lives (or is about to), else None."""
    session = Session(folder)
    deadline = time.monotonic() + START_TIMEOUT_S
    while not os.path.exists(f"{folder}/live"):
        if not os.path.isdir(folder) or os.path.exists(f"{folder}/failed") or time.monotonic() > deadline:
            return None
        time.sleep(0.002)
    return session if session.running() else None


def start_or_join(
    journals: str,
    settings: Mapping[str, Any],
    environ: Mapping[str, str],
    meanwhile: Callable[[], object] | None = None,
) -> tuple[Session, bool]:
    """The session of this process's job, started here if no one else on this host has; and whether it was.

    Raises RecorderError as :func:`start` does.
    """
    inherited = environ.get(SESSION_ENV)
    if inherited:
        session = join(inherited)
        if session is not None:
            session.enter()
            return session, False
    job = job_key(environ)
    if job is None:
        return start(journals, settings, meanwhile), True
    try:
        os.makedirs(journals, mode=0o700, exist_ok=True)
        lock = os.open(f"{journals}/.{job}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RecorderError(
            f"the data folder cannot be written: {journals}: {error.strerror}",
            hint="name another one with WATTMARK_DATA_DIR",
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = os.pread(lock, 4096, 0).decode()
        session = join(f"{journals}/{known}") if known else None
        if session is not None:
            session.enter()
            return session, False
        session = start(journals, _for_all_ranks(settings, environ), meanwhile)
        os.ftruncate(lock, 0)
        os.pwrite(lock, session.id.encode(), 0)
        return session, True
    finally:
        os.close(lock)


def _for_all_ranks(settings: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """One recorder measures the GPUs of all ranks of the host, not only those that the first one sees."""
    chosen = dict(settings)
    options = {key: dict(value) for key, value in chosen.get("options", {}).items()}
    one_gpu = environ.get("CUDA_VISIBLE_DEVICES", "").count(",") == 0 and "CUDA_VISIBLE_DEVICES" in environ
    granted = environ.get("SLURM_STEP_GPUS") or environ.get("SLURM_JOB_GPUS")
    if granted:
        options.setdefault("nvml", {}).setdefault("devices", granted)
    elif one_gpu and environ.get("LOCAL_WORLD_SIZE", "1") not in ("", "1"):
        options.setdefault("nvml", {}).setdefault("devices", "all")
    if options:
        chosen["options"] = options
    return chosen


_JOB_KEYS: Sequence[tuple[str, Sequence[str]]] = (
    ("torchrun", ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT")),
    ("slurm", ("SLURM_JOB_ID", "SLURM_STEP_ID")),
    ("pmix", ("PMIX_NAMESPACE",)),
    ("ompi", ("OMPI_MCA_ess_base_jobid",)),
    ("pmi", ("PMI_JOBID",)),
    ("hydra", ("HYDI_CONTROL_FD", "PMI_SIZE")),
    ("ddp", ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE")),
)


def job_key(environ: Mapping[str, str]) -> str | None:
    """A name that all ranks of one job on this host share, or None outside any launcher.

    Launchers that give no job id (MPICH's hydra, a hand-made ``MASTER_ADDR``) are told apart by the launcher's
    process too, since one user may run two of them at once.
    """
    for kind, names in _JOB_KEYS:
        values = [environ.get(name, "") for name in names]
        if values[0]:
            parts = [kind, *values, os.uname().nodename]
            if kind in ("hydra", "ddp"):
                parts.append(str(os.getppid()))
            text = "-".join(parts)
            return "".join(sign if sign.isalnum() or sign in "-." else "_" for sign in text)[:180]
    return None


def rank(environ: Mapping[str, str]) -> int | None:
    """The global rank that the launcher gave this process, or None."""
    for name in ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"):
        value = environ.get(name, "")
        if value.isdigit():
            return int(value)
    return None


def new_session_id() -> str:
    """A sortable, unique name: UTC time and 32 random bits."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.urandom(4).hex()}"


def _cwd() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "/"


def _paths() -> list[str]:
    """The import path for the recorder: this package first, then all that the owner sees."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    others = [os.path.abspath(path) for path in sys.path if path]
    stdlib = os.path.dirname(os.__file__)
    return list(dict.fromkeys([stdlib, f"{stdlib}/lib-dynload", here, *others]))


def _spawn(folder: str, config: str) -> int:
    executable = sys.executable
    if not executable:
        raise RecorderError("this Python does not know its own executable, so no recorder can be started")
    log_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, f"{folder}/{LOG}", log_flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    arguments = [executable, "-I", "-S", "-c", _BOOT, config]
    try:
        return os.posix_spawn(
            executable,
            arguments,
            os.environ,
            file_actions=actions,
            setpgroup=0,
            setsigmask=[],
            setsigdef=[signal.SIGTERM, signal.SIGCHLD],
        )
    except OSError as error:
        raise RecorderError(f"the recorder could not be started: {error.strerror}") from error


def _wait_until_ready(session: Session) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            if session.live.state()[0] == RUNNING:
                return
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise RecorderError(f"the recorder's live page cannot be read: {error.strerror}") from error
        pid, status = os.waitpid(session.pid, os.WNOHANG)
        if pid:
            session.pid = 0
            raise RecorderError(
                f"the recorder ended at once (status {os.waitstatus_to_exitcode(status)}): {_last_line(session.folder)}",
                hint=f"its log is {session.folder}/{LOG}",
            )
        time.sleep(0.0005)
    raise RecorderError(f"the recorder took no reading within {START_TIMEOUT_S:.0f} s")


def _last_line(folder: str) -> str:
    try:
        with open(f"{folder}/{LOG}", encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
    except OSError:
        return "it left no log"
    return lines[-1] if lines else "it left no log"
