"""What is known of the command and of this machine before levers are tried: from a first run, which no figure counts."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wattmark.advise.levers.lever import Level
from wattmark.documents import is_mapping, items, mapping, number, text

_BATCH = re.compile(r"--?(?:[a-z]+[-_])*batch(?:[-_]?size)?|-b|-bs", re.IGNORECASE)
_WORKERS = re.compile(r"--?(?:num[-_]?)?workers|-j", re.IGNORECASE)
_LIBRARIES = ("jemalloc", "tcmalloc", "mimalloc")
_PLACES = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
)


@dataclass(frozen=True, slots=True)
class Argument:
    """A number in the command line: ``--batch-size 64`` or ``--batch-size=64``. place: of the word that holds it."""

    name: str
    place: int
    value: int

    def word(self, value: int) -> str:
        """The word with another number."""
        return f"{self.name}={value}" if self.joined else str(value)

    joined: bool = False


@dataclass(frozen=True, slots=True)
class Network:
    """What PyTorch was seen to do."""

    version: str
    cuda: bool
    training_calls: int
    inference_calls: int
    graph_in_inference: int
    layers: frozenset[str]
    devices: frozenset[str]
    dtypes: frozenset[str]
    loader_workers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """loaded: libraries that a Python process of it had; hooked: whether any reported; declared: levers of ``wm.levers()``,
    the usual level first."""

    command: tuple[str, ...]
    loaded: frozenset[str] = frozenset()
    hooked: bool = False
    declared: Mapping[str, tuple[Level, ...]] = field(default_factory=dict[str, tuple[Level, ...]])
    network: Network | None = None

    @property
    def batch(self) -> Argument | None:
        """The batch size in the command line."""
        return _argument(self.command, _BATCH)

    @property
    def workers(self) -> Argument | None:
        """The number of workers in the command line."""
        return _argument(self.command, _WORKERS)


@dataclass(frozen=True, slots=True)
class Reports:
    """What the Python processes of one run said. applied: what acted; refused: what could not, and why."""

    applied: frozenset[str]
    refused: Mapping[str, str]
    lines: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class Computer:
    """What of this machine levers depend on. cpus: that we may use; cores: one CPU of each core among them; allocators:
    library files by name; compiler: a C++ compiler; governors: files that are there, and whether we may write them."""

    cpus: tuple[int, ...]
    cores: tuple[int, ...]
    allocators: Mapping[str, str]
    glibc: tuple[int, int] | None
    compiler: bool
    governor: str | None
    governor_writable: bool

    @classmethod
    def here(cls, root: str = "/") -> Computer:
        """This one."""
        cpus = tuple(sorted(os.sched_getaffinity(0)))
        governors = [Path(root, f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor") for cpu in cpus]
        kept = [one for one in governors if one.is_file()]
        return cls(
            cpus,
            _cores(cpus, root),
            {name: path for name in _LIBRARIES if (path := _library(name, root)) is not None},
            _glibc(),
            any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "g++", "clang++")),
            kept[0].read_text(encoding="utf-8").strip() if kept else None,
            bool(kept) and all(os.access(one, os.W_OK) for one in kept),
        )


def read_reports(path: Path) -> Reports:
    """What the hook wrote; lines that are none (a process was killed while it wrote) are left out."""
    lines: list[Mapping[str, object]] = []
    try:
        rows = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        rows = []
    for row in rows:
        try:
            data: object = json.loads(row)
        except ValueError:
            continue
        if is_mapping(data):
            lines.append(data)
    applied = {str(name) for line in lines for name in items(line.get("applied"))}
    refused = {
        name: str(reason)
        for line in lines
        for name, reason in mapping(line.get("refused")).items()
        if name not in applied
    }
    return Reports(frozenset(applied), refused, tuple(lines))


def subject_of(command: Sequence[str], reports: Reports) -> Subject:
    """What a first run told of the command."""
    declared: dict[str, tuple[Level, ...]] = {}
    for line in reports.lines:
        for name, levels in mapping(line.get("declared")).items():
            known = tuple(one for one in items(levels) if isinstance(one, bool | int | float | str))
            if known:
                declared[name] = known
    seen = [mapping(line.get("torch")) for line in reports.lines if line.get("torch")]
    return Subject(
        tuple(command),
        frozenset(str(name) for line in reports.lines for name in items(line.get("loaded"))),
        bool(reports.lines),
        declared,
        _network(seen) if seen else None,
    )


def _network(seen: Sequence[Mapping[str, object]]) -> Network:
    def count(name: str) -> int:
        return int(sum(number(one.get(name)) or 0 for one in seen))

    def words(name: str) -> frozenset[str]:
        return frozenset(str(word) for one in seen for word in items(one.get(name)))

    return Network(
        text(seen[0].get("version")) or "",
        any(one.get("cuda") is True for one in seen),
        count("training_calls"),
        count("inference_calls"),
        count("graph_in_inference"),
        words("layers"),
        words("devices"),
        words("dtypes"),
        tuple(
            int(value)
            for one in seen
            for each in items(one.get("loader_workers"))
            if (value := number(each)) is not None
        ),
    )


def _argument(command: Sequence[str], name: re.Pattern[str]) -> Argument | None:
    for place, word in enumerate(command):
        head, equals, tail = word.partition("=")
        if equals and name.fullmatch(head) and tail.isdigit():
            return Argument(head, place, int(tail), joined=True)
        after = command[place + 1] if place + 1 < len(command) else ""
        if name.fullmatch(word) and after.isdigit():
            return Argument(word, place + 1, int(after))
    return None


def _cores(cpus: Sequence[int], root: str) -> tuple[int, ...]:
    """The first CPU of each core among these; all of them where the kernel does not say."""
    first: dict[str, int] = {}
    for cpu in cpus:
        path = Path(root, f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            siblings = path.read_text(encoding="utf-8").strip()
        except OSError:
            siblings = str(cpu)
        first.setdefault(siblings, cpu)
    return tuple(sorted(first.values()))


def _library(name: str, root: str) -> str | None:
    for place in _PLACES:
        folder = Path(root, place.lstrip("/"))
        found = sorted(folder.glob(f"lib{name}*.so*")) if folder.is_dir() else []
        if found:
            return str(found[0])
    return None


def _glibc() -> tuple[int, int] | None:
    try:
        words = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return None
    match = re.fullmatch(r"glibc (\d+)\.(\d+).*", words)
    return None if match is None else (int(match[1]), int(match[2]))
