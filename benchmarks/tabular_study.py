"""Claim: the built-in study `tabular` repeats the comparison of arXiv 2307.00361: quality and joules of classifiers.

Run: python benchmarks/tabular_study.py. It runs the study (or goes on with it; WATTMARK_DATA_DIR says where it lives) and
keeps benchmarks/results/tabular.{json,md}; --as-it-stands keeps what is there without running on. Half an hour on two quiet
cores. Joules are the whole machine's while a stage ran, so others' work at the time makes them larger: its share
of the processors stands beside them.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wattmark.studies.designs.builtin import find_design
from wattmark.studies.execution.runner import run_study
from wattmark.studies.execution.state import load_results
from wattmark.studies.results import StudyResults, TrialResult

RESULTS = Path(__file__).parent / "results"
SCORES = ("accuracy", "auc", "precision", "recall", "f1", "f1_macro", "kappa", "mcc", "cross_validated_f1")
BUSY = 0.25
STAGES = ("train", "cross-validation", "inference")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--as-it-stands", action="store_true")
    results = (
        load_results("tabular") if parser.parse_args().as_it_stands else run_study(find_design("tabular"))
    )
    found = {
        "machine": machine(results),
        "data": results.design["fixed"],
        "failed": [
            {"model": t.factors["model"], "error": t.error} for t in results.trials if t.status != "completed"
        ],
        "models": [row(results, model) for model in results.design["factors"]["model"]],
    }
    RESULTS.joinpath("tabular.json").write_text(json.dumps(found, indent=1) + "\n")
    RESULTS.joinpath("tabular.md").write_text(markdown(found))
    print(markdown(found))


def machine(results: StudyResults) -> dict[str, Any]:
    """What the table was measured on, and with."""
    (facts,) = results.environment.values()
    channels = {item["component"]: f"{item['source']}, {item['method']}" for item in facts["channels"]}
    return {**{key: facts.get(key) for key in ("os", "cpu", "python", "packages")}, "channels": channels}


def row(results: StudyResults, model: str) -> dict[str, Any]:
    """Means of the scores, medians of the joules, over a model's repeats."""
    trials = [trial for trial in results.completed if trial.factors["model"] == model]
    return {
        "model": model,
        "runs": len(trials),
        "scores": {
            name: mean([trial.metrics[name] for trial in trials if name in trial.metrics]) for name in SCORES
        },
        "energy_j": {name: median([stage_j(trial, name) for trial in trials]) for name in STAGES},
        "inference_j_per_1000_rows": median([per_thousand(trial) for trial in trials]),
        "duration_s": median([trial.duration_s for trial in trials]),
        "others_share_of_cpus": median([trial.contention for trial in trials]),
    }


def stage_j(trial: TrialResult, name: str) -> float | None:
    energies = [stage.energy_j["value"] for stage in trial.stages_named(name) if stage.energy_j is not None]
    return sum(energies) if energies else None


def per_thousand(trial: TrialResult) -> float | None:
    """Joules for 1,000 rows classified."""
    rows = sum(stage.counts.get("samples", 0) for stage in trial.stages_named("inference"))
    energy = stage_j(trial, "inference")
    return None if energy is None or not rows else 1_000 * energy / rows


def mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None


def median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def markdown(found: dict[str, Any]) -> str:
    """The table for people, the best F1 first."""
    host, data = found["machine"], found["data"]
    energy = "; ".join(f"{component} {how}" for component, how in host["channels"].items())
    lines = [
        "# Anomaly detection in sensor streams: quality and joules",
        "",
        f"{', '.join(host['cpu']['model'])}, {host['cpu']['cores']} cores, {host['os']}, Python {host['python']}. "
        f"Energy: {energy}. {data['rows']} rows of `{data['data']}`, a fifth held out; {data['folds']} folds. "
        "Scores: means over the runs (another split in each); precision, recall and F1 are those of the anomalies. Joules: "
        "medians, of the whole machine while the stage ran, so they hold what others did meanwhile (last column).",
        "",
        *busy(found["models"]),
        "| model | runs | accuracy | AUC | precision | recall | F1 | macro F1 | kappa | MCC | F1 in cross-validation "
        "| training J | cross-validation J | inference J per 1,000 rows | s | others' CPU share |",
        f"|{'---|' * 16}",
    ]
    for one in sorted(found["models"], key=lambda one: -(one["scores"]["f1"] or 0.0)):
        cells = [
            *(cell(one["scores"][name], ".3f") for name in SCORES),
            *(cell(one["energy_j"][name], ".3g") for name in STAGES[:2]),
            cell(one["inference_j_per_1000_rows"], ".2g"), cell(one["duration_s"], ".1f"),
            cell(one["others_share_of_cpus"], ".2f"),
        ]  # fmt: skip
        lines.append(f"| {one['model']} | {one['runs']} | {' | '.join(cells)} |")
    for failure in found["failed"]:
        lines += ["", f"Left out: a run of {failure['model']}: {failure['error']}."]
    return "\n".join([*lines, ""])


def busy(models: Sequence[dict[str, Any]]) -> list[str]:
    """What a reader must know where others used the machine."""
    shares = [one["others_share_of_cpus"] for one in models if one["others_share_of_cpus"] is not None]
    if not shares or statistics.median(shares) < BUSY:
        return []
    return [
        "**Others kept this machine busy.** The scores stand; times and joules are many times those of a quiet machine and "
        "must not be compared between models.",
        "",
    ]


def cell(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


if __name__ == "__main__":
    main()
