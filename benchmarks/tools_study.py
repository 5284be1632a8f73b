"""Claim: what measuring tools cost, and how far apart their joules are, around one and the same training.

Run: python benchmarks/tools_study.py. It makes the environments of the peers where they are missing, runs the built-in study
`tools` (or goes on with it) and keeps benchmarks/results/tools_study.{json,md}. WATTMARK_DATA_DIR says where both live.
Differences are paired: a tool's run less the run without a tool in the same repeat. Wall time depends on what else the
machine does, processor time hardly does, so both are kept with the load.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wattmark.studies.designs.builtin import find_design
from wattmark.studies.execution.runner import run_study
from wattmark.studies.results import StudyResults, TrialResult
from wattmark.workloads import tools

RESULTS = Path(__file__).parent / "results"
J_PER_WH = 3600.0


def main() -> None:
    missing = [tool for tool in tools.PEERS if not (tools.environment_of(tool) / "bin" / "python").exists()]
    tools.install(missing)
    before = os.getloadavg()
    results = run_study(find_design("tools"))
    found = {
        "machine": machine(results),
        "load_average": {"before": before, "after": os.getloadavg()},
        "versions": {tool: version(tool) for tool in tools.PEERS},
        "epochs": results.design["fixed"]["epochs"],
        "failed": [trial.error for trial in results.trials if trial.status != "completed"],
        "tools": [row(results, tool) for tool in tools.TOOLS],
    }
    RESULTS.joinpath("tools_study.json").write_text(json.dumps(found, indent=1) + "\n")
    RESULTS.joinpath("tools_study.md").write_text(markdown(found))
    print(markdown(found))


def machine(results: StudyResults) -> dict[str, Any]:
    """What the table was measured on, and with."""
    (facts,) = results.environment.values()
    kept = {key: facts.get(key) for key in ("os", "kernel", "cpu", "memory_bytes", "python", "packages")}
    channels = {item["component"]: f"{item['source']}, {item['method']}" for item in facts["channels"]}
    return {**kept, "channels": channels}


def row(results: StudyResults, tool: str) -> dict[str, Any]:
    """Medians over the repeats of a tool, and its differences from none."""
    trials = [trial for trial in results.completed if trial.factors["tool"] == tool]
    plain = {trial.repeat: trial for trial in results.completed if trial.factors["tool"] == "none"}

    def added(name: str) -> dict[str, float] | None:
        pairs = [(t.metrics[name], plain[t.repeat].metrics[name]) for t in trials if t.repeat in plain]
        return None if tool == "none" else spread([with_tool - without for with_tool, without in pairs])

    reported = [
        trial.metrics["tool_energy_j"] / J_PER_WH for trial in trials if "tool_energy_j" in trial.metrics
    ]
    return {
        "tool": tool,
        "runs": len(trials),
        "training_s": spread(metric(trials, "training_s")),
        "tool_s": spread(metric(trials, "tool_s")),
        "whole_s": spread(metric(trials, "whole_s")),
        "cpu_s": spread(metric(trials, "cpu_s")),
        "added_whole_s": added("whole_s"),
        "added_cpu_s": added("cpu_s"),
        "reported_wh": spread(reported),
        "measured_outside_wh": spread([t.total_j / J_PER_WH for t in trials if t.total_j is not None]),
        "accuracy": spread(metric(trials, "accuracy")),
        "others_share_of_cpus": spread([t.contention for t in trials if t.contention is not None]),
    }


def metric(trials: Sequence[TrialResult], name: str) -> list[float]:
    return [float(trial.metrics[name]) for trial in trials]


def spread(values: Sequence[float]) -> dict[str, float] | None:
    """Median, least and most."""
    if not values:
        return None
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def version(tool: str) -> str:
    python = tools.environment_of(tool) / "bin" / "python"
    code = f"from importlib.metadata import version; print(version({tool!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def markdown(found: dict[str, Any]) -> str:
    """The table for people."""
    cpu, load = found["machine"]["cpu"], found["load_average"]
    lines = [
        "# Measuring tools around the same training",
        "",
        f"{', '.join(cpu['model'])}, {cpu['cores']} cores, {found['machine']['os']}, Python {found['machine']['python']}. "
        f"Load average {load['before'][0]:.1f} before and {load['after'][0]:.1f} after. Energy here: "
        f"{'; '.join(f'{component} {how}' for component, how in found['machine']['channels'].items())}.",
        "",
        f"A training of scikit-learn's MLP (64-256-128-10) on digits, {found['epochs']} epochs, one thread, no network, "
        "periods of 1 s. Medians, in brackets least and most. Added: against the run without a tool in the same repeat, "
        "whole processes. Reported: what the tool says the training took. Outside: Wattmark around the whole process.",
        "",
        "| tool | runs | training s | around it s | added s | added CPU s | reported Wh | outside Wh | others' CPU share |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found["tools"]:
        name = " ".join(
            [one["tool"], *([found["versions"][one["tool"]]] if one["tool"] in tools.PEERS else [])]
        )
        cells = [
            cell(one["training_s"], 2), cell(one["tool_s"], 2), cell(one["added_whole_s"], 2),
            cell(one["added_cpu_s"], 2), cell(one["reported_wh"], 4), cell(one["measured_outside_wh"], 4),
            cell(one["others_share_of_cpus"], 2),
        ]  # fmt: skip
        lines.append(f"| {name} | {one['runs']} | {' | '.join(cells)} |")
    lines += [
        "",
        "Reported joules are not the same quantity: CarbonTracker's hold its PUE of 1.58 and take half the TDP of the "
        "processor that it recognises, CodeCarbon takes a TDP by load of the whole machine and adds memory, Eco2AI this "
        "process's share of a TDP, Wattmark a model of the processor's and memory's activity where there is no sensor.",
        "",
    ]
    return "\n".join(lines)


def cell(value: dict[str, float] | None, digits: int) -> str:
    if value is None:
        return "-"
    return f"{value['median']:.{digits}f} ({value['low']:.{digits}f}..{value['high']:.{digits}f})"


if __name__ == "__main__":
    main()
