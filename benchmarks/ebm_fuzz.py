"""Claim: what an energy of valid inputs adds to random changes when parsers are fuzzed, by executions and by joules.

Run: python benchmarks/ebm_fuzz.py [--executions 1500] [--seeds 3]. Branches beyond those of the seeds, means over
campaigns, for equal executions; joules of all of it, and CPU seconds of each with the learning of the energy in them.
Keeps benchmarks/results/ebm_fuzz.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import fmean

import torch

from wattmark import measure
from wattmark.workloads.ebm.fuzz.campaign import run_campaign
from wattmark.workloads.ebm.fuzz.mutators import mutator_of
from wattmark.workloads.ebm.fuzz.targets import TARGETS

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--executions", type=int, default=1_500)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with measure("fuzzing") as run:
        for name, target in TARGETS.items():
            for kind in ("random", "energy"):
                for seed in range(given.seeds):
                    begun = time.process_time()
                    with run.span(f"{name}-{kind}-{seed}"):
                        mutator = mutator_of(kind, target.seeds, seed)
                        found = run_campaign(target, mutator, given.executions, seed)
                    rows.append(
                        {
                            "target": name, "mutator": kind, "seed": seed, "found": found.branches - found.of_seeds,
                            "crashes": [crash.error for crash in found.crashes],
                            "cpu_s": time.process_time() - begun,
                        }
                    )  # fmt: skip
                    print(rows[-1], flush=True)
    tree = run.energy
    whole_s = sum(row["cpu_s"] for row in rows)
    result = {
        "executions": given.executions,
        "seeds": given.seeds,
        "energy_of_all": None if tree is None else str(tree),
        "cpu_s_of_all": whole_s,
        "rows": rows,
    }
    RESULTS.joinpath("ebm_fuzz.json").write_text(json.dumps(result, indent=1) + "\n")
    RESULTS.joinpath("ebm_fuzz.md").write_text(markdown(result))
    print(markdown(result))


def markdown(result: dict) -> str:
    lines = [
        f"# Fuzzing guided by an energy: {result['executions']} executions, {result['seeds']} campaigns each",
        "",
        "Branches beyond those of the valid inputs; CPU seconds stand for joules here (the machine has no sensor, and its",
        "model is of CPU time); the energy's learning is in them. All campaigns: "
        f"{result['energy_of_all']} of the machine, busy with other work, for {result['cpu_s_of_all']:.0f} s of CPU.",
        "",
        "| parser | random | energy | random, per CPU s | energy, per CPU s | errors not promised |",
        "|---|---|---|---|---|---|",
    ]
    for target in dict.fromkeys(row["target"] for row in result["rows"]):
        cells = []
        for kind in ("random", "energy"):
            own = [row for row in result["rows"] if (row["target"], row["mutator"]) == (target, kind)]
            cells.append((fmean(r["found"] for r in own), fmean(r["found"] / r["cpu_s"] for r in own)))
        crashes = {error for row in result["rows"] if row["target"] == target for error in row["crashes"]}
        (a, a_s), (b, b_s) = cells
        lines.append(f"| {target} | {a:.0f} | {b:.0f} | {a_s:.1f} | {b_s:.1f} | {len(crashes) or 'none'} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
