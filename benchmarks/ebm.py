"""Claim: which way to learn a discrete density gets how far on seven sets in the plane with equal processor time.

Run: python benchmarks/ebm.py [--bits 16] [--width 256] [--cpu-seconds 100] [--methods aloe,pcd,autoregressive]. The
defaults are the issue's bars: 16 bits, at most five minutes a set on two cores. Energy is modelled from processor time here,
so equal processor time is equal joules. MMD is the squared one of 4,000 samples of the method's own sampler; KL is exact.
Keeps benchmarks/results/ebm.{json,md}.
"""

from __future__ import annotations

import argparse
import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from wattmark.workloads.ebm.points import SETS
from wattmark.workloads.ebm.workload import EbmWorkload
from wattmark.workloads.registry import complete

RESULTS = Path(__file__).parent / "results"
BAR = 10.0


class _Nothing:
    def add(self, **_: object) -> None:
        """No stages here."""


def no_span(_name: str, **_counts: object) -> AbstractContextManager[_Nothing]:
    return nullcontext(_Nothing())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bits", type=int, default=16)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--cpu-seconds", type=float, default=100.0)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--methods", default="aloe,pcd,autoregressive")
    given = parser.parse_args()
    workload = EbmWorkload()
    rows = []
    for name in SETS:
        for method in given.methods.split(","):
            config = complete(
                workload,
                {"data": name, "method": method, "bits": given.bits, "width": given.width, "batch_size": given.batch,
                 "cpu_seconds": given.cpu_seconds, "evaluations": 1, "seed": 1},
            )  # fmt: skip
            workload.warm_up(config)
            found = workload.run(config, no_span)
            kept = ("mmd", "mmd_uniform", "kl", "kl_uniform", "nll", "learning_steps")
            rows.append({"set": name, "method": method, **{key: found[key] for key in kept if key in found}})
            print(json.dumps(rows[-1]), flush=True)
            keep(given, rows)
    print(markdown(keep(given, rows)))


def keep(given: argparse.Namespace, rows: list[dict]) -> dict:
    """Write down what there is, after each method: a run that is cut short says what it got to."""
    result = {
        "bits": given.bits,
        "width": given.width,
        "batch": given.batch,
        "cpu_s": given.cpu_seconds,
        "rows": rows,
    }
    RESULTS.joinpath("ebm.json").write_text(json.dumps(result, indent=1) + "\n")
    RESULTS.joinpath("ebm.md").write_text(markdown(result))
    return result


def markdown(result: dict) -> str:
    rows = result["rows"]
    lines = [
        f"# Seven densities: {result['bits']} bits, hidden layers of {result['width']}, batches of {result['batch']}, "
        f"{result['cpu_s']:g} s of processor time each",
        "",
        "| set | method | steps | KL, nats (knowing nothing) | MMD^2 | of uniform's |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['set']} | {row['method']} | {row['learning_steps']} | {row['kl']:.3f} ({row['kl_uniform']:.2f}) "
        f"| {row['mmd']:.5f} | {share_of_uniform(row)} |"
        for row in rows
    ]
    by = {(row["set"], row["method"]): row for row in rows}
    sets = list(dict.fromkeys(row["set"] for row in rows))
    sets = [name for name in sets if {(name, "aloe"), (name, "pcd")} <= by.keys()]
    if sets:
        enough = sum(by[name, "aloe"]["mmd"] < by[name, "aloe"]["mmd_uniform"] / BAR for name in sets)
        nearer = sum(by[name, "aloe"]["mmd"] < by[name, "pcd"]["mmd"] for name in sets)
        surer = sum(by[name, "aloe"]["kl"] < by[name, "pcd"]["kl"] for name in sets)
        lines += [
            "",
            f"ALOE: under a tenth of uniform's MMD^2 on {enough} of {len(sets)}; nearer than PCD by MMD^2 on {nearer}, "
            f"by KL on {surer} of {len(sets)}.",
        ]
    return "\n".join([*lines, ""])


def share_of_uniform(row: dict) -> str:
    return f"1/{row['mmd_uniform'] / row['mmd']:.0f}" if row["mmd"] > 0 else "below its noise"


if __name__ == "__main__":
    main()
