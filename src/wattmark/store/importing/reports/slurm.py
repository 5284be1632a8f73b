"""What ``sacct --parsable`` or ``--parsable2`` prints of jobs: the joules that Slurm counted, or a model of them.

A job has the energy of its own line, or of its steps where that is empty: the largest of its batch step, its external
step and all numbered steps together, which count the same nodes at the same time. Slurm marks what it does not know
with 0 or with its NO_VAL. A job without any gets what Green Algorithms would say of it, as GreenAlgorithms4HPC does for
such files: 12 W a busy core, 200 W a GPU, 0.3725 W a GB of requested memory (Lannelongue et al., "Green Algorithms",
Advanced Science 2021, doi:10.1002/advs.202100707; data v2.2, "Any"), with an interval that says how little that is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo

import numpy as np

from wattmark.runs.record import RunRecord, RunWarning
from wattmark.sources.base import Accuracy, Component
from wattmark.store.importing.reading import (
    MOST_KWH,
    MOST_SECONDS,
    Problem,
    Reading,
    TextFile,
    UnreadableCell,
    shortened,
)
from wattmark.store.importing.records import Reported, digest, reported_run
from wattmark.store.importing.stamps import moment
from wattmark.units import J_PER_KWH

_NO_VALUE = 4_294_967_293
"""NO_VAL and INFINITE of slurm.h are the largest values of 32 and of 64 bits."""
_ELAPSED = re.compile(r"(?:(\d{1,5})-)?(?:(\d{1,6}):)?(\d{1,6}):(\d{2})(?:\.(\d+))?")
_ENERGY = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)")
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)([nc]?)")
_SCALE = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_GB = {"K": 1e-6, "M": 1e-3, "": 1e-3, "G": 1.0, "T": 1e3, "P": 1e6}
_GPUS = re.compile(r"gres/gpu(?::[^=,]+)?=(\d{1,6})")
_CORE_W, _GPU_W, _W_PER_GB = 12.0, 200.0, 0.3725
# Whole nodes from their own meters (IPMI, RAPL by the site's choice); what the plugin reads is not in the file.
_COUNTED = Accuracy(
    0.2, 0.3, 0.0, "Slurm acct_gather_energy: RAPL or IPMI, as the site has it; judged", 0.1, 0.15
)
_MODEL = Accuracy(
    0.75, 3.0, 0.0, "Green Algorithms' means for any hardware, doi:10.1002/advs.202100707; judged", 0.5, 2.0
)


def recognises(file: TextFile) -> bool:
    """Whether a text is a table of sacct with jobs and how long they took."""
    return (
        any(_is_header(row.cells) for row in list(file.rows("|"))[:5]) if "|" in file.text[:4_096] else False
    )


def runs(file: TextFile, zone: tzinfo) -> Reading:
    """A run a job that has run; lines that cannot be read are named."""
    problems: list[Problem] = []
    jobs: dict[str, tuple[int, dict[str, str]]] = {}
    steps: dict[str, list[tuple[int, dict[str, str]]]] = {}
    header: list[str] = []
    for row in file.rows("|"):
        if _is_header(row.cells):
            header = row.cells
            continue
        if len(row.cells) != len(header):
            problems.append(
                Problem(row.line, f"{len(row.cells)} values where the header has {len(header)} names")
            )
            continue
        values = dict(zip(header, row.cells, strict=True))
        job, dot, _ = values["JobID"].partition(".")
        if not job:
            problems.append(Problem(row.line, "there is no JobID"))
        elif dot:
            steps.setdefault(job, []).append((row.line, values))
        else:
            jobs[job] = (row.line, values)
    records: list[RunRecord] = []
    for job, (line, values) in jobs.items():
        try:
            record = _run(job, values, steps.get(job, []), zone)
        except UnreadableCell as error:
            problems.append(Problem(line, str(error)))
            continue
        if record is not None:
            records.append(record)
    problems += [
        Problem(parts[0][0], f"a step of job {job[:40]}, which has no line")
        for job, parts in steps.items()
        if job not in jobs
    ]
    return Reading("slurm", tuple(records), tuple(sorted(problems)))


def _is_header(cells: Sequence[str]) -> bool:
    return "JobID" in cells and ("Elapsed" in cells or "ElapsedRaw" in cells)


def _run(
    job: str, values: Mapping[str, str], steps: Sequence[tuple[int, Mapping[str, str]]], zone: tzinfo
) -> RunRecord | None:
    """The run of a job; None for one that never started."""
    seconds = _seconds(values)
    if seconds == 0:
        return None
    end_ns = round(seconds * 1e9)
    start = next((values[name] for name in ("Start", "Submit") if _is_known(values.get(name))), None)
    if start is not None:
        started = moment(start, zone).ns
    elif _is_known(values.get("End")):
        started = moment(values["End"], zone).ns - end_ns
    else:
        raise UnreadableCell("the job has neither Start nor Submit nor End")
    joules = _energy_j(values) or _steps_j(steps)
    parts: list[tuple[Component, Accuracy, float]]
    if joules is not None:
        parts = [("host", _COUNTED, joules)]
        how = "the energy of its nodes as Slurm's plugin counted it, shared or not"
    else:
        parts = [
            (name, _MODEL, part) for name, part in _modelled_j(values, steps, seconds).items() if part > 0
        ]
        how = "Slurm counted no energy, so this is Green Algorithms' model by cores, GPUs and memory for any hardware"
    if sum(part for *_, part in parts) > MOST_KWH * J_PER_KWH:
        raise UnreadableCell("its energy is beyond all bounds")
    if not parts:
        raise UnreadableCell("the job has no energy and no cores to tell one from")
    return reported_run(
        [Reported(component, accuracy, [part / J_PER_KWH]) for component, accuracy, part in parts],
        np.array([0, end_ns], np.int64),
        tool="slurm",
        label="Slurm",
        run_id=f"slurm-{digest(chr(10).join((job, values.get('Cluster', ''), values.get('Submit', ''), start or '')))}",
        name=values.get("JobName") or f"job {job}",
        started_ns=started,
        environment={"slurm": {key: value for key, value in values.items() if value}},
        warnings=(RunWarning("imported-slurm", f"Imported from sacct, job {job[:40]}: {how}."),),
        extra={},
    )


def _is_known(text: str | None) -> bool:
    return bool(text) and text not in ("Unknown", "None", "N/A")


def _seconds(values: Mapping[str, str]) -> float:
    raw = values.get("ElapsedRaw", "")
    seconds = float(raw) if raw.isdecimal() and len(raw) < 12 else _elapsed_s(values.get("Elapsed", ""))
    if seconds > MOST_SECONDS:
        raise UnreadableCell(f"{seconds:g} s is beyond all bounds")
    return seconds


def _elapsed_s(text: str) -> float:
    """Seconds of ``4-00:16:00``, ``03:00:30`` or ``00:12.345``."""
    match = _ELAPSED.fullmatch(text)
    if match is None:
        raise UnreadableCell(f"{shortened(text)} is no time that passed")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _energy_j(values: Mapping[str, str]) -> float | None:
    """Joules of a line; None where Slurm has none."""
    for name in ("ConsumedEnergyRaw", "ConsumedEnergy"):
        text = values.get(name, "")
        if not _is_known(text):
            continue
        match = _ENERGY.fullmatch(text)
        if match is None:
            raise UnreadableCell(f"{shortened(text)} is no energy ({name})")
        joules = float(match[1]) * _SCALE[match[2]]
        if joules >= 1.8e19 or _NO_VALUE <= joules <= _NO_VALUE + 2:
            continue
        if joules > 0:
            return joules
    return None


def _steps_j(steps: Sequence[tuple[int, Mapping[str, str]]]) -> float | None:
    energies = {values["JobID"].partition(".")[2]: _energy_j(values) for _, values in steps}
    numbered = sum(joules or 0.0 for step, joules in energies.items() if step.isdecimal())
    most = max(numbered, *(joules or 0.0 for joules in energies.values()), 0.0)
    return most or None


def _modelled_j(
    values: Mapping[str, str], steps: Sequence[tuple[int, Mapping[str, str]]], seconds: float
) -> dict[Component, float]:
    busy = max((_busy_s(line) for line in (values, *(line for _, line in steps))), default=0.0)
    cores = next(
        (
            int(values[name])
            for name in ("AllocCPUS", "NCPUS", "ReqCPUS")
            if values.get(name, "").isdecimal() and len(values[name]) < 9
        ),
        0,
    )
    gpus = _GPUS.findall(values.get("AllocTRES", "") or values.get("ReqTRES", ""))
    gpu_count = max((int(count) for count in gpus), default=0)
    return {
        "cpu": (min(busy, cores * seconds) if busy and cores else busy or cores * seconds) * _CORE_W,
        "gpu": gpu_count * seconds * _GPU_W,
        "dram": _memory_gb(values, max(cores, 1)) * seconds * _W_PER_GB,
    }


def _busy_s(values: Mapping[str, str]) -> float:
    """CPU seconds that a line says were used; 0 where it says none."""
    try:
        return _elapsed_s(values.get("TotalCPU", "") or "00:00")
    except UnreadableCell:
        return 0.0


def _memory_gb(values: Mapping[str, str], cores: int) -> float:
    """Of the whole job: ``6760Mc`` is for each core, ``250Gn`` for each node, ``16G`` for all."""
    match = _MEMORY.fullmatch(values.get("ReqMem", ""))
    if match is None:
        return 0.0
    nodes = values.get("NNodes", "")
    times = {"c": cores, "n": int(nodes) if nodes.isdecimal() and len(nodes) < 7 else 1}.get(match[3], 1)
    return min(float(match[1]) * _GB[match[2]] * times, 1e7)
