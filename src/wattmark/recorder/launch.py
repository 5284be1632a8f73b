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
import sys
import time

from wattmark._version import __version__
from wattmark.errors import RecorderError
from wattmark.recorder import tree
from wattmark.recorder.live import ENDED, RUNNING, LiveReader
from wattmark.recorder.signals import DEADLY, DEFAULT, SIGCONT
from wattmark.recorder.system import boot_id

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

SESSION_ENV = "WATTMARK_SESSION"
RUN_ENV = "WATTMARK_RUN"
"""The run that a process was started in, in the session of ``SESSION_ENV``."""
JOB_ENV = "WATTMARK_JOB"
"""Names the job whose ranks share a recorder, where no launcher does."""
OWNER = "owner"
"""A file in each session's folder that says whose it is, from before the recorder starts."""
CHILD, RANK = "child", "rank"
LOG = "recorder.log"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
STOPPED_TIMEOUT_S = 0.3
LINGER_S = 30.0

_BOOT = (
    "import sys,marshal;sys.path[:]=marshal.loads(bytes.fromhex(sys.argv[1]))['sys_path'];"
    "from wattmark.recorder.process import main;sys.exit(main(sys.argv[1:]))"
)


class NoRecorder(RecorderError):
    """No recorder runs, but the session's folder takes what the measured process itself has to say."""

    def __init__(self, session: Session, error: RecorderError) -> None:
        super().__init__(str(error), hint=error.hint)
        self.session = session


class Session:
    """A live session as one process sees it: its folder, its control pipe, its live page, its membership.

    ``pid`` is the recorder's process if this process started it and it lives, else 0. ``joined`` says how this process
    came to it: as a ``child`` of one that is measured, as a ``rank`` of its job, or not at all: it started it.
    """

    def __init__(self, folder: str, pid: int = 0, joined: str = "") -> None:
        self.folder = folder
        self.pid = pid
        self.joined = joined
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

    @property
    def own(self) -> bool:
        """Whether this process started it."""
        return not self.joined

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
            state, _ = self.live.state()
        except (OSError, ValueError):
            return False
        if state == ENDED:
            return False
        if self.pid:  # our own child: asking the kernel is enough
            return not self._reap()
        return bool(self.joined) and hears(self.folder)

    def sync(self, timeout_s: float = 1.0) -> bool:
        """Have the recorder read everything and put it on disk now; False if it did not answer in time."""
        try:
            done = self.live.state()[1]
        except (OSError, ValueError):
            return False
        if not self.tell("poke"):
            return False
        began = time.monotonic()
        while time.monotonic() < began + timeout_s:
            state, now_done = self.live.state()
            if now_done > done:
                return True
            if state == ENDED or (
                time.monotonic() > began + 0.05 and tree.is_stopped(self.live.recorder_pid())
            ):
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
        timeout_s = STOP_TIMEOUT_S
        if self.pid and tree.is_stopped(
            self.pid
        ):  # somebody stopped it; it is our child, and should end its journal
            os.kill(self.pid, SIGCONT)
            timeout_s = STOPPED_TIMEOUT_S
        deadline = time.monotonic() + timeout_s
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
    while it starts on another core. Raises NoRecorder if the recorder does not start but its folder is there, and
    RecorderError if not even that; the caller goes on without measuring.
    """
    folder = f"{journals}/{new_session_id()}"
    try:
        os.makedirs(folder, mode=0o700)
        _write_owner(folder)
        session = Session(folder)
        session.enter()
    except OSError as error:
        raise RecorderError(
            f"the data folder cannot be written: {folder}: {error.strerror}",
            hint="name another one with WATTMARK_DATA_DIR",
        ) from error
    try:
        _start_recorder(session, settings, meanwhile)
    except RecorderError as error:
        raise NoRecorder(session, error) from error
    return session


def _start_recorder(
    session: Session, settings: Mapping[str, Any], meanwhile: Callable[[], object] | None
) -> None:
    folder = session.folder
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


def join(folder: str, how: str = CHILD) -> Session | None:
    """The session in ``folder`` if its recorder lives (or is about to), else None."""
    session = Session(folder, joined=how)
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
) -> Session:
    """The session of this process's job, started here if no one else on this host has.

    Raises RecorderError and NoRecorder as :func:`start` does.
    """
    inherited = environ.get(SESSION_ENV)
    if inherited:
        session = join(inherited)
        if session is not None:
            session.enter()
            return session
    job = job_key(environ)
    if job is None:
        return start(journals, settings, meanwhile)
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
        session = join(f"{journals}/{known}", RANK) if known else None
        if session is not None:
            session.enter()
            return session
        session = start(journals, _for_all_ranks(settings, environ), meanwhile)
        os.ftruncate(lock, 0)
        os.pwrite(lock, session.id.encode(), 0)
        return session
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
    ("job", (JOB_ENV,)),
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


def hears(folder: str) -> bool:
    """Whether a recorder of this host lives in the folder: it alone holds the other end of the control pipe."""
    try:
        os.close(os.open(f"{folder}/control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _write_owner(folder: str) -> None:
    pid = os.getpid()
    line = f"{pid} {tree.start_ticks(pid) or 0} {boot_id()} {os.uname().nodename}"
    fd = os.open(f"{folder}/{OWNER}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line.encode())
    finally:
        os.close(fd)


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
    executable = interpreter()
    if not executable:
        raise RecorderError(
            "this Python is embedded in another program, so no recorder can be started",
            hint="set sys.executable to a Python of the same version",
        )
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
            setsigmask=DEADLY,  # until it ignores them itself
            setsigdef=DEFAULT,
        )
    except OSError as error:
        raise RecorderError(f"the recorder could not be started: {error.strerror}") from error


def interpreter() -> str:
    """The Python that runs this, or where another program has embedded it, one of its version; else an empty string."""
    name = os.path.basename(sys.executable or "").lower()
    if name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False):
        return sys.executable
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    folders = [f"{prefix}/bin" for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix)]
    for folder in dict.fromkeys([*folders, *os.environ.get("PATH", "").split(":")]):
        path = f"{folder}/{version}"
        if folder and os.access(path, os.X_OK):
            return path
    return ""


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
        if tree.is_stopped(session.pid):
            raise RecorderError("the recorder was stopped as it started", hint="let it go on with kill -CONT")
        time.sleep(0.0005)
    raise RecorderError(f"the recorder took no reading within {START_TIMEOUT_S:.0f} s")


def _last_line(folder: str) -> str:
    try:
        with open(f"{folder}/{LOG}", encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
    except OSError:
        return "it left no log"
    return lines[-1] if lines else "it left no log"
