"""Reasoning made real on a CPU: size x mode x difficulty -> accuracy, tokens, CPU time and joules per correct answer.

``python benchmarks/reasoning_cpu.py --model 0.1m:1500 --model 0.5m:900`` trains the models (once; they are kept in the data
folder), serves each with llama.cpp and writes results/reasoning_cpu.json and .md. CPU time is the server's own; joules
are those of client and server processes by their share of the machine's CPU time, so a busy machine does little harm.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil

from wattmark import measure
from wattmark.runs.attribution import attributed
from wattmark.serving.client import ClosedLoop, Limits, Target, run_load_blocking
from wattmark.serving.reasoning import ReasoningWorkload
from wattmark.serving.server import ServerOptions, open_target
from wattmark.serving.trained_models import TrainedModel, ensure_trained
from wattmark.units import significant
from wattmark.workloads.reasoning.modes import Mode
from wattmark.workloads.reasoning.tasks import named
from wattmark.workloads.reasoning.training import Plan

RESULT = Path(__file__).parent / "results" / "reasoning_cpu.json"
MODES = ("answer", "budget:8", "budget:16", "steps")
LEAST_S = 3.0
"""The same problems are asked again until so much time has passed: CPU times come in ticks of 10 ms."""
SERVER = ServerOptions(slots=4, context=320, threads=1)


def cell(url: str, pid: int, task: str, level: int, mode: str, count: int) -> dict[str, Any]:
    """One load of ``count`` problems, measured."""
    workload = ReasoningWorkload(task, level, Mode.parse(mode), count, "compact")
    target = Target(url, "local", "llama.cpp", extra_body=workload.extra_body)
    server = psutil.Process(pid)
    before = server.cpu_times()
    limits = Limits(requests=count, keep_text=True, scrape_s=None)
    rounds, records = 0, []
    with measure(f"reasoning {task} {level} {mode}") as run:
        ends = time.monotonic() + LEAST_S
        while rounds == 0 or time.monotonic() < ends:
            records = run_load_blocking(target, ClosedLoop.of(4), workload, limits=limits).records
            rounds += 1
    after = server.cpu_times()
    share = attributed(run.view)
    # A share of 0 of a load that ran for seconds means that no CPU times were recorded in it: not known, rather than free.
    energy = share.energy / rounds if share is not None and share.energy.value > 0 else None
    score = workload.score(records, energy)
    cpu_s = (after.user + after.system - before.user - before.system) / rounds
    cost = score.joules_per_correct
    return {
        "task": task,
        "level": level,
        "seen_in_training": named(task).seen(level),
        "mode": mode,
        "rounds": rounds,
        "asked": score.asked,
        "failed": score.failed,
        "correct": score.correct,
        "accuracy": None if score.accuracy is None else score.accuracy.as_dict(),
        "tokens_mean": score.tokens_mean,
        "server_cpu_s": cpu_s,
        "server_cpu_s_per_correct": cpu_s / score.correct if score.correct else None,
        "energy_j": None if score.energy is None else score.energy.as_dict(),
        "joules_per_correct": None if cost is None else cost.as_dict(),
        "methods": sorted({curve.curve.channel.method for curve in run.view.counted}),
    }


def of_model(model: TrainedModel, task: str, levels: list[int], count: int) -> dict[str, Any]:
    """All cells of one model."""
    with open_target(f"local:{model.path}", SERVER) as target:
        assert target.pid is not None
        cell(target.base_url, target.pid, task, levels[0], "answer", 8)  # warm
        cells = [
            cell(target.base_url, target.pid, task, level, mode, count) for level in levels for mode in MODES
        ]
        return {**model.details, "server": target.description, "cells": cells}


def table(data: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        "# Reasoning on a CPU: accuracy against cost",
        "",
        f"{data['date']}, {data['machine']}, load average {data['load_average'][0]:.1f} at the start. Made by "
        "`benchmarks/reasoning_cpu.py`.",
        "",
        f"Task {data['task']}; {data['problems']} test problems a cell, none of them trained on; a level marked * is a "
        "length that training never had. Accuracy with Wilson's 95 % interval. CPU time is the server's. Joules: client "
        f"and server processes, by their share of CPU time; method: {', '.join(data['methods'])}; a dash "
        "where they are not known, or nothing was right.",
        "",
        *(
            f"- {model['plan']['size']}: {model['parameters']:,} parameters, {model['steps']} steps in "
            f"{model['seconds']:.0f} s on one thread, last loss {model['losses'][-1][1]:.3f}"
            for model in data["models"]
        ),
    ]
    lines += [
        "",
        "| size | digits | mode | accuracy | tokens | CPU ms per correct answer | J per correct answer |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in data["models"]:
        for row in model["cells"]:
            right, cost, cpu_s = row["accuracy"], row["joules_per_correct"], row["server_cpu_s_per_correct"]
            shown = (
                "-" if right is None else f"{right['value']:.0%} [{right['low']:.0%}, {right['high']:.0%}]"
            )
            joules = "-" if cost is None else " ".join(
                (significant(cost["value"]), f"[{significant(cost['low'])}, {significant(cost['high'])}]")
            )  # fmt: skip
            level = f"{row['level']}{'' if row['seen_in_training'] else '*'}"
            lines.append(
                f"| {model['plan']['size']} | {level} | {row['mode']} | {shown} | "
                f"{row['tokens_mean']:.1f} | {'-' if cpu_s is None else f'{cpu_s * 1e3:.1f}'} | {joules} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="addition")
    parser.add_argument("--model", action="append", metavar="SIZE:STEPS")
    parser.add_argument("--levels", default="2,3,4,5")
    parser.add_argument("--problems", type=int, default=100)
    arguments = parser.parse_args()
    levels = [int(level) for level in arguments.levels.split(",")]
    load = os.getloadavg()
    models = []
    for text in arguments.model or ["0.1m:2000", "0.5m:2000", "2m:2000"]:
        size, _, steps = text.partition(":")
        model = ensure_trained(Plan(arguments.task, size, int(steps)))
        models.append(of_model(model, arguments.task, levels, arguments.problems))
    data = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": load,
        "task": arguments.task,
        "problems": arguments.problems,
        "methods": sorted(
            {method for model in models for row in model["cells"] for method in row["methods"]}
        ),
        "models": models,
    }
    RESULT.write_text(json.dumps(data, indent=1) + "\n")
    RESULT.with_suffix(".md").write_text(table(data))


if __name__ == "__main__":
    main()
