"""What machine is this? Facts that a run keeps beside its joules, read from small files, with no command started.

:func:`host_facts` takes a few milliseconds and never raises; what cannot be read is absent. Whether the working tree
was dirty needs git itself: :class:`GitDirty` asks it without waiting. Standard library only.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from wattmark.sources.base import Host, read_int, read_text

GIT_DEADLINE_S = 10.0
_UNLIMITED = 1 << 60
"""Version 1 of cgroups says "no limit" with a number near 2**63, rounded down to pages."""


def host_facts(host: Host, cwd: str, root: str = "") -> dict[str, Any]:
    """The machine as this process sees it, and the git commit of ``cwd``.

    Keys (each absent where it is not known): ``kernel``, ``machine``, ``os``, ``cpu`` (``model`` names, ``sockets``,
    ``cores`` physical, ``threads`` logical and online, ``governor``, ``turbo``), ``memory_bytes``, ``virtualisation``
    (``hypervisor`` flag, DMI ``vendor`` and ``product``, ``container``), ``cgroup`` (``version``, ``cpus``,
    ``memory_bytes``: the tightest limit on the way to the root), ``gpus``, ``git`` (``root``, ``commit``, ``branch``,
    ``dirty``: None until :class:`GitDirty` knows). ``root`` is put before ``/etc`` and ``/.dockerenv`` (for tests).
    """
    kernel = os.uname()
    cpuinfo = read_text(host.proc("cpuinfo")) or ""
    facts: dict[str, Any] = {
        "kernel": f"{kernel.sysname} {kernel.release}",
        "machine": kernel.machine,
        "os": _os_name(root),
        "cpu": cpu_facts(host, cpuinfo),
        "memory_bytes": _memory_bytes(host),
        "virtualisation": _virtualisation(host, cpuinfo, root),
        "cgroup": cgroup_limits(host),
        "gpus": _gpus(host),
        "git": git_facts(cwd),
    }
    return _known(facts)


def cpu_facts(host: Host, cpuinfo: str) -> dict[str, Any]:
    """Names, sockets, physical cores and logical CPUs of ``/proc/cpuinfo``; governor and turbo from cpufreq."""
    models: list[str] = []
    packages: set[str] = set()
    cores: set[tuple[str, str]] = set()
    threads = 0
    package = ""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if key == "processor" and value.isdigit():
            threads += 1
        elif key in ("model name", "Model", "cpu model") and value and value not in models:
            models.append(value)
        elif key == "physical id":
            package = value
            packages.add(value)
        elif key == "core id":
            cores.add((package, value))
    if not cores:
        packages, cores = _topology(host)
    return _known(
        {
            "model": models,
            "sockets": len(packages) or None,
            "cores": len(cores) or None,
            "threads": threads or None,
            "governor": read_text(host.sys("devices/system/cpu/cpu0/cpufreq/scaling_governor")),
            "turbo": _turbo(host),
        }
    )


def cgroup_limits(host: Host) -> dict[str, Any]:
    """The CPU quota (in CPUs) and memory limit (bytes) of this process's cgroups, version 1 or 2, outer ones included."""
    lines = (read_text(host.proc("self/cgroup")) or "").splitlines()
    paths = {names: path for _, names, path in (line.split(":", 2) for line in lines if line.count(":") >= 2)}
    if not paths:
        return {}
    root = host.sys("fs/cgroup")
    cpus: list[float] = []
    memory: list[int] = []
    version = 2 if set(paths) == {""} else 1
    for names, path in paths.items():
        controllers = names.split(",")
        for folder in _way_up(path):
            if not names:
                for base in (root, f"{root}/unified"):
                    cpus.extend(_quota(read_text(f"{base}{folder}/cpu.max")))
                    memory.extend(_limit(read_text(f"{base}{folder}/memory.max")))
            if "cpu" in controllers:
                for name in (names, "cpu"):
                    quota = read_int(f"{root}/{name}{folder}/cpu.cfs_quota_us")
                    period = read_int(f"{root}/{name}{folder}/cpu.cfs_period_us")
                    if quota and period and quota > 0:
                        cpus.append(quota / period)
            if "memory" in controllers:
                memory.extend(_limit(read_text(f"{root}/{names}{folder}/memory.limit_in_bytes")))
    return _known(
        {
            "version": version,
            "cpus": min(cpus) if cpus else None,
            "memory_bytes": min(memory) if memory else None,
        }
    )


def git_facts(cwd: str) -> dict[str, Any]:
    """Root, commit and branch of the git work tree that holds ``cwd``, from its files; empty outside one.

    A detached head has no ``branch``; a branch without a commit has no ``commit``.
    """
    found = _git_folder(cwd)
    if found is None:
        return {}
    tree, folder = found
    head = read_text(f"{folder}/HEAD") or ""
    facts: dict[str, Any] = {"root": tree, "dirty": None}
    common = read_text(f"{folder}/commondir")  # a linked work tree keeps its branches with the first one
    shared = os.path.normpath(os.path.join(folder, common)) if common else folder
    for _ in range(5):  # git's own limit for symbolic references
        if not head.startswith("ref:"):
            break
        name = head[4:].strip()
        facts["branch"] = name.removeprefix("refs/heads/")
        head = read_text(f"{folder}/{name}") or read_text(f"{shared}/{name}") or _packed_ref(shared, name)
    if len(head) >= 40 and all(sign in "0123456789abcdef" for sign in head):
        facts["commit"] = head
    return facts


class GitDirty:
    """Asks git whether tracked files of ``cwd`` differ from its last commit, without waiting for the answer.

    ``poll()`` until ``done``; then ``dirty`` is True, False, or None where git could not say (not installed, no
    repository, not this user's, longer than ten seconds, for which it is killed). ``git diff`` rather
    than ``git diff-index``: a file that was only touched is not dirty. No lock is taken and nothing is written.
    """

    def __init__(self, cwd: str, git: str = "git") -> None:
        self.dirty: bool | None = None
        self.done = False
        self._deadline = time.monotonic() + GIT_DEADLINE_S
        self._pid = 0
        arguments = [
            git,
            "--no-pager",
            "-c",
            "core.fsmonitor=false",
            "-C",
            cwd,
            "diff",
            "--no-ext-diff",
            "--quiet",
            "HEAD",
            "--",
        ]
        environ = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            environ.pop(name, None)
        try:
            self._pid = os.posix_spawnp(
                git,
                arguments,
                environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setpgroup=0,
                setsigmask=[],
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
            )
        except OSError:
            self.done = True

    @property
    def pid(self) -> int:
        """The process of git while it runs (not part of the measured work), else 0."""
        return self._pid

    def poll(self) -> bool:
        """Look whether git has answered; True once there is nothing more to wait for. Never blocks."""
        if self._pid:
            self._collect()
        if not self.done and time.monotonic() > self._deadline:
            self.close()
        return self.done

    def close(self) -> None:
        """Wait no longer: kill git if it still runs (a later ``poll`` collects it). May be called twice."""
        if self._pid and not self.done:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except ProcessLookupError:  # ended by itself just now
                self._collect()
        self.done = True

    def _collect(self) -> None:
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self._pid, -1
        if not pid:
            return
        self._pid = 0
        if not self.done:
            self.done = True
            self.dirty = {0: False, 256: True}.get(status)  # exit codes 0 and 1, as wait statuses


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in facts.items() if value is not None and value not in ("", [], {})}


def _os_name(root: str) -> str | None:
    """``PRETTY_NAME`` of os-release(5)."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        for line in (read_text(root + path) or "").splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip("\"'")
    return None


def _memory_bytes(host: Host) -> int | None:
    for line in (read_text(host.proc("meminfo")) or "").splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "MemTotal:" and words[1].isdigit():
            return int(words[1]) * 1024
    return None


def _topology(host: Host) -> tuple[set[str], set[tuple[str, str]]]:
    """Packages and cores from sysfs, for machines whose cpuinfo does not name them (Arm)."""
    packages: set[str] = set()
    cores: set[tuple[str, str]] = set()
    base = host.sys("devices/system/cpu")
    for name in _entries(base):
        if name.startswith("cpu") and name[3:].isdigit():
            package = read_text(f"{base}/{name}/topology/physical_package_id")
            core = read_text(f"{base}/{name}/topology/core_id")
            if package is not None and core is not None and package != "-1":
                packages.add(package)
                cores.add((package, core))
    return packages, cores


def _turbo(host: Host) -> bool | None:
    """Whether the clock may rise above the base clock, from intel_pstate or cpufreq."""
    no_turbo = read_int(host.sys("devices/system/cpu/intel_pstate/no_turbo"))
    if no_turbo is not None:
        return no_turbo == 0
    boost = read_int(host.sys("devices/system/cpu/cpufreq/boost"))
    return None if boost is None else boost != 0


def _virtualisation(host: Host, cpuinfo: str, root: str) -> dict[str, Any]:
    start = cpuinfo.find("\nflags")
    flags = cpuinfo[start : cpuinfo.find("\n", start + 1)].split() if start >= 0 else None
    return _known(
        {
            "hypervisor": None if flags is None else "hypervisor" in flags,
            "type": read_text(host.sys("hypervisor/type")),
            "vendor": read_text(host.sys("class/dmi/id/sys_vendor")),
            "product": read_text(host.sys("class/dmi/id/product_name")),
            "container": _container(host, root),
        }
    )


def _container(host: Host, root: str) -> str | None:
    if os.path.exists(f"{root}/run/.containerenv"):
        return "podman"
    if host.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if os.path.exists(f"{root}/.dockerenv"):
        return "docker"
    if host.environ.get("APPTAINER_CONTAINER") or host.environ.get("SINGULARITY_CONTAINER"):
        return "apptainer"
    groups = read_text(host.proc("self/cgroup")) or ""
    for word in ("kubepods", "docker", "libpod", "lxc", "garden"):
        if f"/{word}" in groups:
            return "kubernetes" if word == "kubepods" else word
    return host.environ.get("container") or None


def _gpus(host: Host) -> list[str]:
    """Names of NVIDIA GPUs as their driver lists them (no library is loaded for it)."""
    base = host.proc("driver/nvidia/gpus")
    names: list[str] = []
    for name in _entries(base):
        for line in (read_text(f"{base}/{name}/information") or "").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "Model":
                names.append(value.strip())
    return names


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _way_up(path: str) -> list[str]:
    """``/a/b`` -> ``["/a/b", "/a", ""]``; a path outside the cgroup namespace (``/../x``) gives the root only."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts:
        return [""]
    return ["".join(f"/{part}" for part in parts[:count]) for count in range(len(parts), -1, -1)]


def _quota(text: str | None) -> list[float]:
    """``cpu.max`` of version 2: ``"150000 100000"`` is one and a half CPUs, ``"max 100000"`` no limit."""
    words = (text or "").split()
    if len(words) != 2 or not words[0].isdigit() or not words[1].isdigit() or int(words[1]) == 0:
        return []
    return [int(words[0]) / int(words[1])]


def _limit(text: str | None) -> list[int]:
    return [int(text)] if text and text.isdigit() and int(text) < _UNLIMITED else []


def _git_folder(cwd: str) -> tuple[str, str] | None:
    """The work tree at or above a folder and its git folder (``.git``, or where a ``.git`` file points)."""
    tree = os.path.abspath(cwd)
    while cwd:
        dot_git = f"{tree.rstrip('/')}/.git"
        if os.path.isfile(f"{dot_git}/HEAD"):
            return tree, dot_git
        pointer = read_text(dot_git) if os.path.isfile(dot_git) else None
        if pointer and pointer.startswith("gitdir:"):
            return tree, os.path.normpath(os.path.join(tree, pointer[7:].strip()))
        parent = os.path.dirname(tree)
        if parent == tree:
            return None
        tree = parent
    return None


def _packed_ref(folder: str, name: str) -> str:
    """The commit of a reference in ``packed-refs``, or an empty string."""
    for line in (read_text(f"{folder}/packed-refs") or "").splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            return commit
    return ""
