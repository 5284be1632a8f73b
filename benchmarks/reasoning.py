"""Reasoning made real on a CPU: task x size x mode x difficulty -> accuracy, tokens, CPU time and joules per right answer.

``python benchmarks/reasoning.py --model addition:0.1m:2000 --model sorting:0.5m:1200`` trains the models (once; they are
kept in the data folder), serves each with llama.cpp and writes results/reasoning.json and .md. CPU time is the server's own;
joules are those of client and server processes by their share of the machine's CPU time, so a busy machine does
little harm. At the end a small model is trained twice in processes of their own, to see whether the weights are the same.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from wattmark import measure
from wattmark.reasoning.modes import Mode
from wattmark.reasoning.tasks import named, problems
from wattmark.reasoning.training import Plan, evaluate, load
from wattmark.runs.attribution import attributed
from wattmark.serving.load.client import ClosedLoop, Limits, Target, run_load_blocking
from wattmark.serving.prompts.reasoning import ReasoningWorkload
from wattmark.serving.server.local import ServerOptions, open_server
from wattmark.serving.server.trained import TrainedModel, ensure_trained
from wattmark.units import significant

RESULT = Path(__file__).parent / "results" / "reasoning.json"
MODES = ("answer", "budget:16", "steps")
LEVELS = {
    "addition": (2, 3, 4, 5),
    "sorting": (3, 5, 6, 7),
    "parity": (10, 12, 14),
    "multiplication": (2, 3, 4),
}
BATCH = 32
DEFAULT = (
    "addition:0.1m:2000",
    "addition:0.5m:1500",
    "addition:2m:400",
    "sorting:0.1m:1500",
    "sorting:0.5m:1200",
)
LEAST_S = 2.0
"""The same problems are asked again until so much time has passed: CPU times come in ticks of 10 ms."""
SERVER = ServerOptions(slots=4, context=320, threads=1)
REPEATED = Plan("addition", "0.06m", 600, batch=16)
"""What is trained twice."""


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


def of_model(model: TrainedModel, task: str, count: int) -> dict[str, Any]:
    """All cells of one model."""
    with open_server(f"local:{model.path}", SERVER) as target:
        assert target.pid is not None
        levels = LEVELS[task]
        cell(target.base_url, target.pid, task, levels[0], "answer", 8)  # warm
        cells = [
            cell(target.base_url, target.pid, task, level, mode, count) for level in levels for mode in MODES
        ]
        return {**model.details, "server": target.description, "cells": cells}


def trained_twice() -> list[dict[str, Any]]:
    """The same plan in two fresh processes with empty data folders: hash of the weights, and accuracy."""
    found: list[dict[str, Any]] = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, __file__, "--once"], env={**os.environ, "WATTMARK_DATA_DIR": folder},
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def once() -> None:
    """Train :data:`REPEATED`, and say what came of it."""
    model = ensure_trained(REPEATED)
    network = load(REPEATED, model.path.with_name(f"{REPEATED.name}.checkpoint"))
    score = evaluate(network, problems("addition", 2, 100), Mode.parse("steps"))
    digest = hashlib.sha256(model.path.read_bytes()).hexdigest()
    print(json.dumps({"sha256": digest, "correct": score.correct, "asked": score.asked}))


def table(data: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        "# Reasoning on a CPU: accuracy against cost",
        "",
        f"{data['date']}, {data['machine']}, load average {data['load_average'][0]:.1f} at the start. Made by "
        "`benchmarks/reasoning.py`.",
        "",
        f"{data['problems']} test problems a cell, none of them trained on; a level marked * is a length that "
        "training never had. Accuracy with Wilson's 95 % interval. CPU time is the server's. Joules: client and server "
        f"processes, by their share of CPU time; method: {', '.join(data['methods'])}; a dash where they are not known, or "
        "nothing was right.",
        "",
        *(
            f"- {model['plan']['task']} {model['plan']['size']}: {model['parameters']:,} parameters, {model['steps']} steps "
            f"of {model['plan']['batch']} problems in {model['seconds']:.0f} s on one thread, last loss "
            f"{model['losses'][-1][1]:.3f}"
            for model in data["models"]
        ),
        "",
        "| task | size | level | mode | accuracy | tokens | CPU ms per right answer | J per right answer |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model in data["models"]:
        lines += [_row(model["plan"]["size"], row) for row in model["cells"]]
    first, second = data["trained_twice"]
    same = "the same" if first["sha256"] == second["sha256"] else "NOT the same"
    plan = data["repeated_plan"]
    lines += [
        "",
        f"Trained twice with the same seed ({plan}, two processes): weights {same} (sha256 {first['sha256'][:12]} and "
        f"{second['sha256'][:12]}), {first['correct']} and {second['correct']} of {first['asked']} sums right.",
    ]
    return "\n".join(lines) + "\n"


def _row(size: str, row: dict[str, Any]) -> str:
    right, cost, cpu_s = row["accuracy"], row["joules_per_correct"], row["server_cpu_s_per_correct"]
    shown = "-" if right is None else f"{right['value']:.0%} [{right['low']:.0%}, {right['high']:.0%}]"
    joules = "-" if cost is None else " ".join(
        (significant(cost["value"]), f"[{significant(cost['low'])}, {significant(cost['high'])}]")
    )  # fmt: skip
    level = f"{row['level']}{'' if row['seen_in_training'] else '*'}"
    tokens = "-" if row["tokens_mean"] is None else f"{row['tokens_mean']:.1f}"
    cpu = "-" if cpu_s is None else f"{cpu_s * 1e3:.1f}"
    return f"| {row['task']} | {size} | {level} | {row['mode']} | {shown} | {tokens} | {cpu} | {joules} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append", metavar="TASK:SIZE:STEPS")
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        once()
        return
    load_average = os.getloadavg()
    models: list[dict[str, Any]] = []
    for text in arguments.model or DEFAULT:
        task, size, steps = text.split(":")
        model = ensure_trained(Plan(task, size, int(steps), batch=BATCH))
        models.append(of_model(model, task, arguments.problems))
        print(text, flush=True)
    data: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_average": load_average,
        "problems": arguments.problems,
        "methods": sorted(
            {method for model in models for row in model["cells"] for method in row["methods"]}
        ),
        "models": models,
        "repeated_plan": REPEATED.name,
        "trained_twice": trained_twice(),
    }
    RESULT.write_text(json.dumps(data, indent=1) + "\n")
    RESULT.with_suffix(".md").write_text(table(data))


if __name__ == "__main__":
    main()
