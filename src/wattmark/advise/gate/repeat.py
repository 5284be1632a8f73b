"""One repeat of a command in one tree, measured: CPU seconds, time, and joules where they are asked for."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wattmark.advise.gate import child
from wattmark.documents import numbers
from wattmark.errors import ConfigError, WattmarkError
from wattmark.quantity import total
from wattmark.recorder.hostfacts import host_facts
from wattmark.runs.result import RunResult
from wattmark.sources.base import Host
from wattmark.text import singular

EXACT = ("cpu_s", "instructions", "duration_s")
"""Metrics that need no sensor."""
_PER = "j_per_"
_MODELLED = "modelled"


@dataclass(frozen=True, slots=True)
class Machine:
    """What a figure belongs to: repeats of another one are not comparable. methods: component -> how its joules were got."""

    host: str
    cpu: str
    threads: int
    memory_gb: int
    gpus: str
    methods: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def here(cls, methods: Mapping[str, str] | None = None) -> Machine:
        """This one."""
        return cls.of_facts(os.uname().nodename, host_facts(Host.here(), "/"), methods or {})

    @classmethod
    def of_facts(cls, host: str, facts: Mapping[str, Any], methods: Mapping[str, str]) -> Machine:
        """From what a run kept of its machine."""
        cpu: Any = facts.get("cpu")
        named: Mapping[str, Any] = cpu if isinstance(cpu, Mapping) else {}  # pyright: ignore[reportUnknownVariableType]
        model = named.get("model", cpu if isinstance(cpu, str) else "")
        gpus = facts.get("gpus") or ""
        return cls(
            host,
            ", ".join(model) if isinstance(model, list) else str(model),  # pyright: ignore[reportUnknownArgumentType]
            int(named.get("threads") or 0),
            round((facts.get("memory_bytes") or 0) / 2**30),
            ", ".join(map(str, gpus)) if isinstance(gpus, list) else str(gpus),  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            dict(methods),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Machine:
        """The inverse of ``dataclasses.asdict``."""
        return cls(
            str(data["host"]), str(data["cpu"]), int(data["threads"]), int(data["memory_gb"]), str(data["gpus"]),
            dict(data.get("methods", {})),
        )  # fmt: skip

    def differences(self, other: Machine, *, any_host: bool = False) -> list[str]:
        """How another machine differs from this one, in words."""
        words = [
            f"{name}: {theirs or 'unknown'} there, {mine or 'unknown'} here"
            for name, mine, theirs in (
                ("host", self.host, other.host),
                ("CPU", self.cpu, other.cpu),
                ("threads", self.threads, other.threads),
                ("GPUs", self.gpus, other.gpus),
            )
            if mine != theirs and not (name == "host" and any_host)
        ]
        if abs(self.memory_gb - other.memory_gb) > 0.1 * max(self.memory_gb, 1):
            words.append(f"memory: {other.memory_gb} GB there, {self.memory_gb} GB here")
        for component in sorted({*self.methods, *other.methods} if self.methods and other.methods else ()):
            mine, theirs = (one.methods.get(component, "not measured") for one in (self, other))
            if mine != theirs:
                words.append(f"{component}: {theirs} there, {mine} here")
        return words


@dataclass(frozen=True, slots=True)
class Repeat:
    """What one repeat gave: metric -> value. others_busy: what other processes used of the machine, 0..1, None if not
    known."""

    values: Mapping[str, float]
    others_busy: float | None
    methods: Mapping[str, str]
    run_id: str | None = None


class CommandFailed(WattmarkError):
    """The command that is gated ended with an error."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a command runs under beside its words: variables of its environment, and the CPUs that it may use (None: all of
    ours)."""

    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    cpus: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of a command used: :data:`EXACT` by name, what others used of the machine (0..1, None if not known), the
    kept run (None where no sensor was asked for), and what it printed on standard output."""

    values: Mapping[str, float]
    others_busy: float | None
    run: RunResult | None
    output: str


def run_once(
    command: Sequence[str],
    folder: str,
    *,
    name: str,
    tags: Mapping[str, str] | None = None,
    conditions: Conditions | None = None,
    perf: bool = False,
    limit_s: float | None = None,
) -> Usage:
    """Run a command in a folder. tags: of the run that is kept; None runs it without sensors and keeps nothing.

    However it ends (an error, ``limit_s`` is over, Ctrl-C), nothing of it goes on. Raises CommandFailed.
    """
    with tempfile.TemporaryDirectory(prefix="wattmark-once-") as scratch:
        out, told = Path(scratch, "usage.json"), Path(scratch, "run.json")
        words = [sys.executable, child.__file__, str(out), folder, *(["--perf"] if perf else [])]
        if conditions is not None:
            given = Path(scratch, "conditions.json")
            cpus = None if conditions.cpus is None else list(conditions.cpus)
            given.write_text(
                json.dumps({"environ": dict(conditions.environ), "cpus": cpus}), encoding="utf-8"
            )
            words += ["--with", str(given)]
        words += ["--", *command]
        if tags is not None:
            pairs = [word for key, value in tags.items() for word in ("--tag", f"{key}={value}")]
            measured = ["run", "--quiet", "--json", str(told), "--name", name, *pairs, "--"]
            words = [sys.executable, "-c", WATTMARK, *measured, *words]
        code, output, errors = _run_in_group(words, scratch, limit_s)
        if code != 0:
            last = [
                line
                for line in (errors or output).splitlines()
                if line.strip() and not line.startswith("  hint: ")
            ][-1:]
            raise CommandFailed(
                f"the command took longer than {limit_s:.0f} s ({name})"
                if code is None
                else f"the command ended with {code} ({name}): {last[0][:300] if last else 'it said nothing'}",
                hint=f"run it by hand in {folder}: {shlex.join(command)}",
            )
        usage = numbers(json.loads(out.read_text(encoding="utf-8")))
        run = None if tags is None else RunResult.from_dict(json.loads(told.read_text(encoding="utf-8")))
        values = {name: usage[name] for name in EXACT if name in usage}
        return Usage(values, usage.get("others_busy"), run, output)


WATTMARK = "import sys; sys.path.pop(0); from wattmark.cli import main; main()"
"""Starts the command, for ``python -c``, without the working folder on its path."""
_GRACE_S = 10.0


def _run_in_group(words: Sequence[str], folder: str, limit_s: float | None) -> tuple[int | None, str, str]:
    """Exit code (None where the time was over), output and errors of a process in a group of its own, which ends with us."""
    process = subprocess.Popen(
        words,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        _end_group(process)
        return None, "", ""
    except BaseException:
        _end_group(process)
        raise
    return process.returncode, output, errors


def _end_group(process: subprocess.Popen[str]) -> None:
    """Ask all of it to end, as Ctrl-C does; what does not within a while is killed."""
    for kind, patience in ((signal.SIGINT, _GRACE_S), (signal.SIGTERM, _GRACE_S), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        try:
            process.communicate(timeout=patience)
            break
        except subprocess.TimeoutExpired:
            continue
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs the command, each time alike. metric: the one that is judged. tag: what kept runs are tagged with."""

    command: tuple[str, ...]
    metric: str
    tag: str

    def __post_init__(self) -> None:
        if not self.command:
            raise ConfigError(
                "there is no command to gate", hint="wattmark gate --baseline main -- python bench.py"
            )
        if self.metric not in (*EXACT, "energy_j") and not self.metric.startswith(_PER):
            raise ConfigError(
                f"there is no metric {self.metric!r}",
                hint=f"{', '.join(EXACT)}, energy_j, or j_per_sample, j_per_token ...",
            )
        if self.metric == "instructions" and shutil.which("perf") is None:
            raise ConfigError(
                "instructions are counted by perf, which is not installed", hint="--metric cpu_s"
            )

    @property
    def joules(self) -> bool:
        """Whether the sensors are needed."""
        return self.metric not in EXACT

    def run(self, folder: str, side: str) -> Repeat:
        """Once, in a folder. Raises CommandFailed; ConfigError for a metric that the command does not give."""
        tags = {"gate": self.tag, "gate-side": side} if self.joules else None
        used = run_once(
            self.command, folder, name=f"gate {side}", tags=tags, perf=self.metric == "instructions"
        )
        if used.run is None:
            return self._checked(Repeat(used.values, used.others_busy, {}))
        measured, methods = measured_joules(used.run, self.metric)
        return self._checked(Repeat({**used.values, **measured}, used.others_busy, methods, used.run.run_id))

    def _checked(self, repeat: Repeat) -> Repeat:
        value = repeat.values.get(self.metric)
        if value is None:
            if self.metric == "instructions":
                raise ConfigError("this machine counts no instructions for us", hint="--metric cpu_s")
            there = ", ".join(sorted(repeat.values))
            raise ConfigError(
                f"the command gives no {self.metric}; there is {there}",
                hint="count what it does: with wm.span('work', samples=n) gives j_per_sample",
            )
        if not value > 0:
            raise ConfigError(
                f"{self.metric} is {value:g}: a share of that says nothing", hint="a longer command"
            )
        return repeat


def measured_joules(run: RunResult, metric: str) -> tuple[dict[str, float], dict[str, str]]:
    """Joules of a run's measured components, whole and per count, and the method of each component.

    Raises ConfigError where all are modelled: a gate would judge the model, which is CPU time times a curve.
    """
    counted = {channel.component for channel in run.channels if channel.counted}
    methods = {name: " and ".join(sorted(how)) for name, how in run.methods.items() if name in counted}
    measured = [name for name, how in methods.items() if how != _MODELLED and name in run.energy_by_component]
    if not measured:
        raise ConfigError(
            "the joules here are modelled, not measured: a gate would judge the model, which is CPU time times a curve"
            if methods
            else "nothing here measures energy",
            hint=f"judge the CPU time itself: --metric cpu_s instead of {metric}; or see wattmark sources --fix",
        )
    energy = total(run.energy_by_component[name] for name in measured)
    if len(measured) == len(methods) and run.attributed is not None:
        energy = run.attributed.energy  # a neighbour's joules are not in it, whatever it does
    assert energy is not None
    values = {"energy_j": energy.value}
    for name, count in run.counts.items():
        if count > 0:
            values[_PER + name] = values[_PER + singular(name)] = energy.value / count
    with contextlib.suppress(KeyError):
        del values[_PER]
    return values, methods
