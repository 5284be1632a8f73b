"""What a cgroup is to people: a job of SLURM, a pod, a container, a unit of systemd, by its path."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["slurm", "pod", "container", "unit", "cgroup"]

_SLURM = re.compile(r"/job_(\d+)(?:/|$)")
_POD = re.compile(
    r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?=[./]|$)"
)
_CONTAINER = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?=/|$)")
_UNIT = re.compile(r"([^/]+\.(?:service|scope|socket|mount))(?=/|$)")


class Unit(NamedTuple):
    """What energy is told for. kind: slurm (job's number), pod (uid), container (the first twelve digits of its id), unit
    (of systemd), or the cgroup's own path."""

    kind: Kind
    name: str


def unit_of(path: str) -> Unit:
    """The unit of a cgroup's path. A job before a pod before a container before a unit: what a scheduler started is its."""
    job = _SLURM.search(path)
    if job is not None and "slurm" in path:
        return Unit("slurm", job[1])
    pod = _POD.search(path)
    if pod is not None and "kubepods" in path:
        return Unit("pod", pod[1].replace("_", "-"))
    container = _CONTAINER.search(path)
    if container is not None:
        return Unit("container", container[1][:12])
    units: list[str] = _UNIT.findall(path)
    if units:
        return Unit("unit", units[-1])
    return Unit("cgroup", path or "/")
