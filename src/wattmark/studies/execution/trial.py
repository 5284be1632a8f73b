"""One trial, in a process of its own: ``python -m wattmark.studies.execution.trial SPEC.json``.

The spec is plain data (see :func:`spec_of`). The result is written to the file that the spec names, in one
piece or not at all; whatever the work prints goes to this process's own output. A process that is killed leaves no
result; what was measured until then is in its journal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from wattmark.documents import mappings
from wattmark.studies.execution.memory import oom_kills, speaks_of_memory
from wattmark.studies.execution.quiet import Rest, baseline_file, prepare
from wattmark.text import keep_output_whole
from wattmark.tracker.measure import Run, measure
from wattmark.workloads import registry
from wattmark.workloads.command import CommandFailed, CommandWorkload, numbers_of

if TYPE_CHECKING:
    from wattmark.studies.designs.design import Design
    from wattmark.studies.designs.plan import Trial
    from wattmark.studies.results import Stage, TrialStatus
    from wattmark.workloads.registry import Config, Level

MESSAGE_LENGTH = 500


class CommandSpec(TypedDict):
    """A :class:`~wattmark.studies.designs.design.Command` as plain data."""

    argv: list[str]
    shell: bool
    cwd: str | None
    env: dict[str, str]
    metrics_from: str


class TrialSpec(TypedDict):
    """What a trial's process must know."""

    study: str
    id: str
    index: int
    repeat: int
    factors: dict[str, Level]
    fixed: dict[str, Level]
    seed: int
    workload: str | None
    command: CommandSpec | None
    warm_up: bool
    quiet: Rest
    folder: str
    result: str


def spec_of(design: Design, trial: Trial, folder: Path) -> TrialSpec:
    """What a trial's process must know; the opposite of reading it below."""
    command, quiet = design.command, design.quiet
    return {
        "study": design.name,
        "id": trial.id,
        "index": trial.index,
        "repeat": trial.repeat,
        "factors": dict(trial.factors),
        "fixed": dict(design.fixed),
        "seed": design.seed,
        "workload": design.workload,
        "command": command
        and {
            "argv": command.argv,
            "shell": command.shell,
            "cwd": command.cwd,
            "env": command.env,
            "metrics_from": command.metrics_from,
        },
        "warm_up": design.warm_up,
        "quiet": {
            "baseline_s": quiet.baseline_s,
            "cooldown_within_pct": quiet.cooldown_within_pct,
            "cooldown_max_s": quiet.cooldown_max_s,
        },
        "folder": str(folder),
        "result": str(result_file(folder, trial.id)),
    }


def result_file(folder: Path, trial_id: str) -> Path:
    """Where the trial's process leaves its result."""
    return folder / "results" / f"{trial_id}.json"


def log_file(folder: Path, trial_id: str) -> Path:
    """Where all that a trial printed is kept."""
    return folder / "logs" / f"{trial_id}.log"


def main(spec_path: str) -> int:
    """Run the trial; 0 if it ended well, 1 with a traceback in the log if not."""
    keep_output_whole()
    spec: TrialSpec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    folder = Path(spec["folder"])
    idle_w, warnings = prepare(baseline_file(folder, os.uname().nodename), spec["quiet"])
    workload, config = _work(spec)
    killed = oom_kills()
    run = measure(
        f"{spec['study']} {label(spec['factors'])}".strip(),
        tags={"study": spec["study"], "trial": spec["id"]},
    )
    metrics: Mapping[str, object] = {}
    failure: BaseException | None = None
    try:
        if spec["warm_up"]:
            workload.warm_up(config)
        with run:
            metrics = workload.run(config, run.span)
    except CommandFailed as error:
        sys.stderr.write(f"{error}\n")
        failure = error
    except BaseException as error:
        failure = error
        raise  # with its traceback into the log
    finally:
        status = _status(failure, oom_kills() > killed)
        _write(spec, run, status, failure, metrics, idle_w, warnings)
    return 0 if failure is None else 1


def label(factors: Mapping[str, object]) -> str:
    """``network=LeNet batch_size=16``: how people tell trials apart."""
    return " ".join(f"{name}={level}" for name, level in factors.items())


def _work(spec: TrialSpec) -> tuple[registry.Workload, Config]:
    config = {**spec["fixed"], **spec["factors"]}
    command = spec["command"]
    if command is not None:
        work = CommandWorkload(command["argv"], command["shell"], command["cwd"], command["env"])
        return work, {**config, "repeat": spec["repeat"], "seed": spec["seed"]}
    workload = registry.load(spec["workload"] or "")
    config = registry.complete(workload, config)
    if "seed" in workload.factors and "seed" not in {**spec["fixed"], **spec["factors"]}:
        config["seed"] = (
            spec["seed"] + spec["repeat"]
        )  # repeats must differ by more than noise of the machine
    return workload, config


def _status(failure: BaseException | None, kernel_killed: bool) -> TrialStatus:
    if failure is None:
        return "completed"
    if isinstance(failure, CommandFailed):
        was_killed = failure.exit_code in (-9, 137)
        return "out-of-memory" if was_killed and kernel_killed else "failed"
    if isinstance(failure, MemoryError) or speaks_of_memory(f"{type(failure).__name__}: {failure}"):
        return "out-of-memory"
    return "interrupted" if isinstance(failure, KeyboardInterrupt) else "failed"


def _write(
    spec: TrialSpec,
    run: Run,
    status: TrialStatus,
    failure: BaseException | None,
    metrics: Mapping[str, object],
    idle_w: Mapping[str, float] | None,
    warnings: list[dict[str, str]],
) -> None:
    from wattmark.studies.execution.measured import environment_of, with_run
    from wattmark.studies.results import TrialResult

    data: dict[str, object] = {"environment": {}, "session": None}
    result = TrialResult(
        trial_id=spec["id"],
        index=spec["index"],
        repeat=spec["repeat"],
        factors=spec["factors"],
        status=status,
        idle_w=idle_w,
        error=None if failure is None else f"{type(failure).__name__}: {failure}"[:MESSAGE_LENGTH],
        host=os.uname().nodename,
        warnings=warnings,
    )
    if run.end_ns:
        view = run.view
        data = {"environment": environment_of(view.record), "session": view.record.extra.get("session")}
        result = with_run(result, view)
        if spec["command"] is not None and spec["command"]["metrics_from"] == "spans":
            metrics = _span_metrics(result.stages)
        result = replace(result, stages=_described(result.stages, metrics))
    result = replace(result, metrics=numbers_of(metrics))
    path = Path(spec["result"])
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps({**data, "result": result.to_json()}, default=str), encoding="utf-8")
    new.replace(path)


def _described(stages: Sequence[Stage], metrics: Mapping[str, object]) -> list[Stage]:
    """The stages with what the workload said of them afterwards, matched by name and order."""
    rows_by_name = {name: iter(mappings(rows)) for name, rows in metrics.items()}
    nothing: Mapping[str, object] = {}
    return [
        replace(stage, attrs={**stage.attrs, **next(rows_by_name.get(stage.name, iter(())), nothing)})
        for stage in stages
    ]


def _span_metrics(stages: Sequence[Stage]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for stage in stages:
        metrics.update(numbers_of(stage.attrs))
    return metrics


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
