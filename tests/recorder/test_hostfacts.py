"""Facts of made-up machines, and git's files read as git itself reads them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from wattmark.recorder import hostfacts
from wattmark.recorder.hostfacts import GitDirty, cgroup_limits, git_facts, host_facts
from wattmark.sources.base import Host

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


class Machine:
    """A tree of /sys, /proc and /etc that a test fills."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environ: dict[str, str] = {}
        for name in ("sys", "proc", "etc"):
            (root / name).mkdir(parents=True)

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    @property
    def host(self) -> Host:
        return Host(str(self.root / "sys"), str(self.root / "proc"), self.environ)

    def facts(self) -> dict:
        return host_facts(self.host, str(self.root), str(self.root))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def cpuinfo(name: str, sockets: int, cores: int, flags: str = "fpu") -> str:
    """Two threads a core, numbered as Linux does."""
    return "".join(
        f"processor\t: {number}\nmodel name\t: {name}\nphysical id\t: {number // cores % sockets}\n"
        f"core id\t\t: {number % cores}\nflags\t\t: {flags}\n\n"
        for number in range(sockets * cores * 2)
    )


def test_a_server(machine: Machine):
    machine.write("proc/cpuinfo", cpuinfo("Xeon X", sockets=2, cores=4))
    machine.write("proc/meminfo", "MemTotal:       1024 kB\nMemFree:  10 kB\n")
    machine.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n")
    machine.write("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n")
    machine.write("sys/class/dmi/id/sys_vendor", "Dell Inc.\n")
    machine.write("sys/class/dmi/id/product_name", "R750\n")
    machine.write("etc/os-release", 'ID=debian\nPRETTY_NAME="Debian 12"\n')
    for number, name in enumerate(("H200", "H100")):
        machine.write(
            f"proc/driver/nvidia/gpus/0000:0{number}:00.0/information", f"Model: \t\t {name}\nIRQ: 3\n"
        )
    facts = machine.facts()
    assert facts["os"] == "Debian 12"
    assert facts["memory_bytes"] == 1024 * 1024
    assert facts["gpus"] == ["H200", "H100"]
    assert facts["cpu"] == {
        "model": ["Xeon X"], "sockets": 2, "cores": 8, "threads": 16, "governor": "performance", "turbo": False,
    }  # fmt: skip
    assert facts["virtualisation"] == {"hypervisor": False, "vendor": "Dell Inc.", "product": "R750"}


def test_an_arm_board_has_its_topology_from_sysfs(machine: Machine):
    machine.write("proc/cpuinfo", "processor : 0\nprocessor : 1\nModel : Pi 5\n")
    for number in range(2):
        machine.write(f"sys/devices/system/cpu/cpu{number}/topology/physical_package_id", "0")
        machine.write(f"sys/devices/system/cpu/cpu{number}/topology/core_id", str(number))
    assert machine.facts()["cpu"] == {"model": ["Pi 5"], "sockets": 1, "cores": 2, "threads": 2}


def test_what_is_not_known_is_absent(machine: Machine):
    assert set(machine.facts()) == {"kernel", "machine"}


def test_amd_boost(machine: Machine):
    machine.write("sys/devices/system/cpu/cpufreq/boost", "1")
    assert machine.facts()["cpu"]["turbo"] is True


def test_a_guest_in_a_container(machine: Machine):
    machine.write("proc/cpuinfo", cpuinfo("AMD EPYC", 1, 1, flags="fpu hypervisor"))
    machine.write(".dockerenv", "")
    assert machine.facts()["virtualisation"] == {"hypervisor": True, "container": "docker"}
    machine.environ["KUBERNETES_SERVICE_HOST"] = "10.0.0.1"
    assert machine.facts()["virtualisation"]["container"] == "kubernetes"


@pytest.mark.parametrize(
    ("line", "kind"),
    [("0::/kubepods/pod1", "kubernetes"), ("0::/docker/ab", "docker"), ("0::/user.slice", None)],
)
def test_containers_that_only_their_cgroup_betrays(machine: Machine, line: str, kind: str | None):
    machine.write("proc/self/cgroup", line)
    assert machine.facts().get("virtualisation", {}).get("container") == kind


def test_cgroup_2_takes_the_tightest_limit_on_the_way_up(machine: Machine):
    machine.write("proc/self/cgroup", "0::/a/b\n")
    machine.write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n")
    machine.write("sys/fs/cgroup/a/cpu.max", "150000 100000\n")
    machine.write("sys/fs/cgroup/a/b/memory.max", "4096\n")
    machine.write("sys/fs/cgroup/a/memory.max", "max\n")
    assert cgroup_limits(machine.host) == {"version": 2, "cpus": 1.5, "memory_bytes": 4096}


def test_cgroup_1_knows_no_limit_by_a_huge_number(machine: Machine):
    machine.write("proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/x\n0::/\n")
    machine.write("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "50000")
    machine.write("sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000")
    machine.write("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712")
    assert cgroup_limits(machine.host) == {"version": 1, "cpus": 0.5}
    machine.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "8192")
    assert cgroup_limits(machine.host)["memory_bytes"] == 8192


@pytest.mark.parametrize("text", ["", "nonsense", "0::", "a:b", "0::/../outside"])
def test_odd_cgroup_files_are_no_error(machine: Machine, text: str):
    machine.write("proc/self/cgroup", text)
    assert cgroup_limits(machine.host).keys() <= {"version"}


def test_this_machine_is_described():
    facts = host_facts(Host.here(), os.getcwd())
    assert facts["kernel"].startswith("Linux")
    assert facts["cpu"]["threads"] >= 1
    assert facts["memory_bytes"] > 2**20


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A git work tree with one commit."""
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "file").write_text("one\n")
    git(folder, "add", "file")
    git(folder, "commit", "-q", "-m", "first")
    return folder


@needs_git
def test_commit_and_branch_from_below_the_root(tree: Path):
    (tree / "a" / "b").mkdir(parents=True)
    expected = {"root": str(tree), "dirty": None, "branch": "main", "commit": git(tree, "rev-parse", "HEAD")}
    assert git_facts(str(tree / "a" / "b")) == expected
    git(tree, "pack-refs", "--all")
    assert not (tree / ".git/refs/heads/main").exists()
    assert git_facts(str(tree)) == expected


@needs_git
def test_a_linked_work_tree(tree: Path, tmp_path: Path):
    git(tree, "worktree", "add", "-q", "-b", "topic/x", str(tmp_path / "linked"))
    facts = git_facts(str(tmp_path / "linked"))
    assert (facts["branch"], facts["commit"]) == ("topic/x", git(tree, "rev-parse", "HEAD"))
    assert facts["root"] == str(tmp_path / "linked")


@needs_git
def test_a_detached_head_has_no_branch_and_an_empty_branch_no_commit(tree: Path):
    git(tree, "checkout", "-q", "--detach")
    assert set(git_facts(str(tree))) == {"root", "dirty", "commit"}
    git(tree, "checkout", "-q", "--orphan", "empty")
    assert git_facts(str(tree)) == {"root": str(tree), "dirty": None, "branch": "empty"}


def test_outside_git_there_is_nothing_to_say(tmp_path: Path):
    assert git_facts(str(tmp_path)) == {}
    assert git_facts("") == {}
    (tmp_path / ".git").write_text("no pointer")
    assert git_facts(str(tmp_path)) == {}


def wait_for(asked: GitDirty) -> bool | None:
    deadline = time.monotonic() + 60
    while not asked.poll() or asked.pid:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return asked.dirty


@needs_git
def test_dirty_is_a_changed_tracked_file(tree: Path):
    assert wait_for(GitDirty(str(tree))) is False
    (tree / "untracked").write_text("x")
    os.utime(tree / "file", (1, 1))
    assert wait_for(GitDirty(str(tree))) is False, "an untracked or a merely touched file is no change"
    (tree / "file").write_text("two\n")
    assert wait_for(GitDirty(str(tree))) is True
    git(tree, "add", "file")
    assert wait_for(GitDirty(str(tree))) is True, "a staged change is one, too"


@needs_git
def test_dirty_is_unknown_outside_git(tmp_path: Path):
    assert wait_for(GitDirty(str(tmp_path))) is None


def test_dirty_is_unknown_without_git(tmp_path: Path):
    assert wait_for(GitDirty(str(tmp_path), git=str(tmp_path / "no-such-git"))) is None


@pytest.fixture
def slow_git(tmp_path: Path) -> str:
    """A git that never answers."""
    path = tmp_path / "slow-git"
    path.write_text("#!/bin/sh\nexec sleep 100\n")
    path.chmod(0o755)
    return str(path)


def test_a_git_that_does_not_answer_is_ended(tmp_path: Path, slow_git: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hostfacts, "GIT_DEADLINE_S", 0.0)
    asked = GitDirty(str(tmp_path), git=slow_git)
    pid = asked.pid
    assert wait_for(asked) is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_closing_early_leaves_no_process(tmp_path: Path, slow_git: str):
    asked = GitDirty(str(tmp_path), git=slow_git)
    pid = asked.pid
    assert not asked.poll()
    asked.close()
    asked.close()
    assert asked.done
    assert wait_for(asked) is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
