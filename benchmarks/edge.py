"""Dispatch at self-powered edge sites: rules, linear programmes and learners on the same weeks, beside the bound.

    python benchmarks/edge.py [--weeks 10] [--seeds 1] [--updates 100] [--traces FOLDER]

Weeks of weather and demand made up by seeds that no training has seen, and (with --traces) of the sun and load that the
Vessim project ships (MIT). Bars: cost between the bound and greedy; 10 % less cost and 5 % less energy that is not
renewable than the best other controller without foresight; adaptation to new sites faster than an A2C from scratch.
Results: benchmarks/results/edge.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("WATTMARK_DATA_DIR", tempfile.mkdtemp())

from wattmark.plan.edge.study import edge

RESULTS = Path(__file__).parent / "results" / "edge.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Controllers of edge sites on the same weeks.")
    parser.add_argument("--weeks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--traces", type=Path)
    args = parser.parse_args()
    keep = tempfile.mkdtemp()
    results: list[dict[str, object]] = []
    for seed in range(args.seeds):
        for traces in (None, args.traces) if args.traces else (None,):
            begun = time.monotonic()
            answer = edge(
                weeks=args.weeks,
                updates=args.updates,
                seed=1_000 * seed,
                traces=traces,
                folder=keep,
                tell=print,
            )
            found = answer.as_dict()
            found.update(
                seed=seed, seconds=round(time.monotonic() - begun), load=round(os.getloadavg()[0], 1)
            )
            results.append(found)
            RESULTS.write_text(json.dumps({"updates": args.updates, "results": results}, indent=1) + "\n")
            for row in answer.rows:
                saved = (
                    ""
                    if row.saving is None
                    else f"{row.saving.value:7.1%} [{row.saving.low:.1%}, {row.saving.high:.1%}]"
                )
                print(
                    f"{row.name:24} {row.cost:7.2f} {row.nonrenewable_kwh:7.1f} kWh {row.beyond_bound:6.1%} {saved}"
                )


if __name__ == "__main__":
    main()
