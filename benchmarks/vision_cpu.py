"""Claim: the fourteen networks complete on two cores, and their report has every figure that the data allow.

Run: python benchmarks/vision_cpu.py [STUDY] (default: vision), after `wattmark study run vision --set samples=2000
--set epochs=1 --set repeats=1` or the like. Keeps benchmarks/results/vision_cpu.{json,md}.
WATTMARK_DATA_DIR says where the study ran.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from wattmark.report.study import study_figures, write_report
from wattmark.studies.analysis import analyse
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.designs.plan import plan
from wattmark.studies.execution.state import StudyFolder
from wattmark.studies.results import StudyResults, TrialResult

RESULTS = Path(__file__).parent / "results"
DEMANDED = {
    "quality-duration": "accuracy and durations by model",
    "overhead": "runtime with and without tools",
    "power": "average CPU and GPU power by model",
    "utilisation": "power against utilisation and memory",
    "makeup": "utilisation and energy against size, parameters, MACs, MACs per parameter and accuracy",
    "train-inference": "training against inference energy",
    "batch": "energy by batch size",
    "epochs": "loss, accuracy and power by epoch",
    "correlations": "correlation maps",
    "pareto": "Pareto front",
    "composition": "energy by component and stage",
}
"""Figures of the report -> what the study printed."""


def main() -> None:
    folder = StudyFolder.open((sys.argv[1:] or ["vision"])[0])
    results = folder.results()
    found = {
        "machine": machine(results),
        "load_average_at_the_end": os.getloadavg(),
        "design": {key: results.design[key] for key in ("factors", "fixed", "repeats", "quiet")},
        "trials": len(plan(folder.design())),
        "completed": len(results.completed),
        "failed": [
            {"factors": t.factors, "status": t.status} for t in results.trials if t.status != "completed"
        ],
        "duration_s": sum(trial.duration_s for trial in results.trials),
        "networks": [row(trial) for trial in results.completed],
        "figures": figures(results),
    }
    RESULTS.joinpath("vision_cpu.json").write_text(json.dumps(found, indent=1) + "\n")
    RESULTS.joinpath("vision_cpu.md").write_text(markdown(found))
    print(markdown(found))


def figures(results: StudyResults) -> dict[str, str]:
    """Each demanded figure: how many panels it has, or why it is absent. Raises if the page lacks one that is there."""
    analysis = analyse(results)
    there = {figure.key: figure for figure in study_figures(StudyData(results), analysis)}
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(results, Path(folder) / "report.html", analysis).read_text(encoding="utf-8")
    told: dict[str, str] = {}
    for key, what in DEMANDED.items():
        figure = there[key]
        if not figure.absent and f'id="figure-{key}"' not in page:
            raise SystemExit(f"the page lacks {what}")
        told[what] = f"absent: {figure.absent}" if figure.absent else f"{len(figure.panels)} panels"
    return told


def machine(results: StudyResults) -> dict[str, Any]:
    (facts,) = results.environment.values()
    kept = {key: facts.get(key) for key in ("os", "kernel", "cpu", "memory_bytes", "python", "packages")}
    channels = {item["component"]: f"{item['source']}, {item['method']}" for item in facts["channels"]}
    return {**kept, "channels": channels}


def row(trial: TrialResult) -> dict[str, Any]:
    def joules(name: str) -> float | None:
        stages = [stage.energy_j for stage in trial.stages_named(name)]
        return sum(energy["value"] for energy in stages if energy) if any(stages) else None

    return {
        "network": trial.factors["model"],
        "parameters": trial.metrics["parameters"],
        "macs": trial.metrics["macs"],
        "accuracy": trial.metrics["accuracy"],
        "training_j": joules("epoch"),
        "inference_j": joules("inference"),
        "total_j": trial.total_j,
        "training_s": sum(stage.duration_s for stage in trial.stages_named("epoch")),
        "inference_s": sum(stage.duration_s for stage in trial.stages_named("inference")),
        "duration_s": trial.duration_s,
        "others_share_of_cpus": trial.contention,
        "warnings": sorted({warning["code"] for warning in trial.warnings}),
    }


def markdown(found: dict[str, Any]) -> str:
    cpu, fixed = found["machine"]["cpu"], found["design"]["fixed"]
    shares = [
        one["others_share_of_cpus"] for one in found["networks"] if one["others_share_of_cpus"] is not None
    ]
    lines = [
        "# The fourteen networks on two cores",
        "",
        f"{', '.join(cpu['model'])}, {cpu['cores']} cores, {found['machine']['os']}, Python {found['machine']['python']}. "
        f"Energy: {'; '.join(f'{component} {how}' for component, how in found['machine']['channels'].items())}.",
        "",
        f"{found['completed']} of {found['trials']} trials completed, {found['duration_s'] / 60:.0f} min of trials. "
        + ", ".join(f"{key} = {value}" for key, value in fixed.items())
        + f", repeats = {found['design']['repeats']}.",
        "",
    ]
    if shares:
        lines += [
            f"Others used {min(shares):.0%} to {max(shares):.0%} of the CPU time during the trials (median "
            f"{statistics.median(shares):.0%}): times and joules are of a machine that was shared, and one run of each "
            "network gives no interval. They show that the study runs, not which network is the better one.",
            "",
        ]
    lines += [
        "| network | parameters | MACs | accuracy | training J | inference J | training s | inference s | others' share |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(found["networks"], key=lambda item: item["macs"]):
        cells = [
            f"{one['parameters']:,.0f}", f"{one['macs']:,.0f}", number(one["accuracy"], 3), number(one["training_j"], 1),
            number(one["inference_j"], 1), number(one["training_s"], 1), number(one["inference_s"], 1),
            number(one["others_share_of_cpus"], 2),
        ]  # fmt: skip
        lines.append(f"| {one['network']} | {' | '.join(cells)} |")
    lines += ["", "| figure of the report | here |", "|---|---|"]
    lines += [f"| {what} | {how} |" for what, how in found["figures"].items()]
    return "\n".join([*lines, ""])


def number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    main()
