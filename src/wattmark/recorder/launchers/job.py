"""The job that a launcher says a process is of: what ranks on several hosts have in common, by their environment.

:func:`~wattmark.recorder.launch.job_key` tells ranks on one host; this tells hosts. Standard library only.
"""

from __future__ import annotations

import os

from wattmark.recorder.system import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

HOSTS_ENV = "WATTMARK_HOSTS"
"""How many hosts a job has, where no launcher tells."""
MOST_HOSTS = 65_536
_IDS: Sequence[tuple[str, Sequence[str]]] = (
    ("job", ("WATTMARK_JOB",)),
    ("torchrun", ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT")),
    ("slurm", ("SLURM_JOB_ID", "SLURM_STEP_ID")),
    ("pmix", ("PMIX_NAMESPACE",)),
    ("ompi", ("OMPI_MCA_ess_base_jobid",)),
    ("pmi", ("PMI_JOBID",)),
    ("ddp", ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE")),
)
_HOSTS = (HOSTS_ENV, "GROUP_WORLD_SIZE", "SLURM_STEP_NUM_NODES", "CROSS_SIZE")
_NODES = ("GROUP_RANK", "NODE_RANK", "SLURM_NODEID", "CROSS_RANK")
_WORLDS = (
    ("WORLD_SIZE", "LOCAL_WORLD_SIZE"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("PMI_SIZE", "MPI_LOCALNRANKS"),
)
_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def job_of(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """The job of this process over hosts; None outside any launcher, and for one that is of one host alone.

    Keys: ``id`` (the same on all of its hosts), ``unique`` (no other job ever has it: else hosts are of one job only if
    their times overlap), ``hosts`` (how many there are, None where nothing tells), ``node`` and ``rank`` (of this process,
    None where nothing tells), ``names`` (of all hosts, where SLURM tells them), ``boot`` (of this machine).
    """
    for kind, names in _IDS:  # noqa: B007
        values = [environ.get(name, "") for name in names]
        if values[0]:
            break
    else:
        return None
    hosts = _hosts(environ)
    if hosts == 1 or (hosts is None and environ.get("MASTER_ADDR") in _LOCAL and kind != "job"):
        return None
    more = [environ.get(name, "") for name in ("SLURM_JOB_ID", "RAY_JOB_ID") if kind != "slurm"]
    attempt = environ.get("TORCHELASTIC_RESTART_COUNT", "") or environ.get("SLURM_RESTART_COUNT", "")
    words = [kind, *values, *more, *([f"r{attempt}"] if attempt not in ("", "0") else [])]
    text = "-".join(word for word in words if word)
    return {
        "id": "".join(sign if sign.isalnum() or sign in "-." else "_" for sign in text)[:180],
        "unique": bool(environ.get("SLURM_JOB_ID")) or (kind == "torchrun" and _is_uuid(values[0])),
        "hosts": hosts,
        "node": _first(environ, _NODES),
        "rank": _first(environ, _RANKS),
        "names": _node_names(environ.get("SLURM_STEP_NODELIST", "")),
        "boot": boot_id(),
    }


def _is_uuid(word: str) -> bool:
    """Whether an id was drawn at random: one that people write into a script (``--rdzv-id 100``) comes again."""
    digits = word.replace("-", "")
    return len(digits) == 32 and all(digit in "0123456789abcdefABCDEF" for digit in digits)


def _hosts(environ: Mapping[str, str]) -> int | None:
    told = _first(environ, _HOSTS)
    if told:
        return min(told, MOST_HOSTS)
    for world, local in _WORLDS:
        ranks, here = _first(environ, (world,)), _first(environ, (local,))
        if ranks and here:
            return min(-(-ranks // here), MOST_HOSTS)
    return None


def _first(environ: Mapping[str, str], names: Sequence[str]) -> int | None:
    for name in names:
        value = environ.get(name, "")
        if value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)
    return None


def _node_names(text: str) -> list[str]:
    """SLURM's ``node[01-03,7],gpu1`` taken apart; empty for what is written in another way, or names too many."""
    if text.count("[") != text.count("]"):
        return []
    import re  # most recorders do not need it

    names: list[str] = []
    for word in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        match = re.fullmatch(r"([\w.-]*)(?:\[([\d,-]+)\])?([\w.-]*)", word)
        if match is None:
            return []
        head, ranges, tail = match.groups()
        for part in (ranges or "").split(","):
            first, dash, last = part.partition("-")
            if not first:
                names.append(head + tail)
                continue
            low, high = int(first), int(last) if dash and last else int(first)
            if high - low > 4_096 or len(names) > 4_096:
                return []
            names += [f"{head}{number:0{len(first)}d}{tail}" for number in range(low, high + 1)]
    return names


def clock_error_s() -> float | None:
    """How far this host's wall clock may be off, in seconds, as its kernel has been told by NTP (adjtimex(2): maxerror);
    None where nothing keeps it right, or the kernel is not asked."""
    try:
        import ctypes

        buffer = (ctypes.c_long * 64)()  # struct timex, all of it; modes 0 only reads
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(buffer))
    except (ImportError, OSError, AttributeError):
        return None
    if state < 0 or state == 5 or os.uname().sysname != "Linux":  # TIME_ERROR: not synchronised
        return None
    return float(buffer[3]) / 1e6
