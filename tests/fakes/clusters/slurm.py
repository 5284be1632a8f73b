"""A real SLURM of one node: munged, slurmctld and slurmd in a folder of their own (Debian: slurm-wlm, munge)."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
_PATH = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"


def is_here() -> bool:
    return os.geteuid() == 0 and all(shutil.which(name, path=_PATH) for name in _NAMES)


@contextmanager
def cluster(environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Starts it; gives the variables that its commands need."""
    folder = Path(tempfile.mkdtemp(prefix="wm-slurm-", dir="/tmp"))
    processes: list[subprocess.Popen[Any]] = []
    munge = pwd.getpwnam("munge") if _has("munge") else pwd.getpwnam(getpass.getuser())
    own = folder / "munge"
    own.mkdir(mode=0o755)
    (own / "key").write_bytes(os.urandom(128))
    (own / "key").chmod(0o600)
    for path in (own, own / "key"):
        os.chown(path, munge.pw_uid, munge.pw_gid)
    folder.chmod(0o755)
    name = socket.gethostname().split(".")[0]
    control, node = _free(), _free()
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    config = f"""
ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={own / "socket"}
CredType=cred/munge
SlurmctldPort={control}
SlurmdPort={node}
SlurmctldPidFile={folder / "slurmctld.pid"}
SlurmdPidFile={folder / "slurmd.pid"}
StateSaveLocation={folder / "state"}
SlurmdSpoolDir={folder / "spool"}
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
KillWait=5
MinJobAge=300
SlurmctldTimeout=30
SlurmdTimeout=30
NodeName={name} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN
PartitionName=main Nodes={name} Default=YES MaxTime=INFINITE State=UP
"""
    (folder / "slurm.conf").write_text(config)
    variables = {**environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _PATH}

    def start(*command: str, user: pwd.struct_passwd | None = None) -> subprocess.Popen[Any]:
        who: dict[str, Any] = (
            {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        )
        with open(folder / f"{command[0]}.out", "ab") as log:
            process = subprocess.Popen(
                [shutil.which(command[0], path=_PATH) or command[0], *command[1:]],
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **who,
            )
        processes.append(process)
        return process

    try:
        files = [f"--{what}={own / what}" for what in ("socket", "pid-file", "log-file", "seed-file")]
        start("munged", "-F", "--force", f"--key-file={own / 'key'}", "--num-threads=2", *files, user=munge)
        _wait(lambda: (own / "socket").exists(), folder)
        start("slurmctld", "-D", "-f", str(folder / "slurm.conf"))
        start("slurmd", "-D", "-f", str(folder / "slurm.conf"), "-N", name)
        _wait(lambda: "idle" in _sinfo(variables), folder)
        yield variables
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _has(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _sinfo(variables: Mapping[str, str]) -> str:
    command = ["sinfo", "-h", "-o", "%T"]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    return done.stdout


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _wait(is_ready, folder: Path) -> None:
    deadline = time.monotonic() + 60
    while not is_ready():
        if time.monotonic() > deadline:
            logs = "\n".join(
                f"{path}: {path.read_text(errors='replace')[-1500:]}" for path in folder.glob("*.out")
            )
            raise AssertionError(f"SLURM is not ready\n{logs}")
        time.sleep(0.1)
