"""Dispatch at self-powered edge sites: rules, linear programmes and learners on the same weeks, beside the bound.

    python benchmarks/edge.py [--weeks 5] [--seeds 10] [--first 0] [--updates 90] [--traces FOLDER]

Seeds that are in the results already (of the same weeks and updates) are not run again; ``--first`` begins later.

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
from typing import Any

import numpy as np

os.environ.setdefault("WATTMARK_DATA_DIR", tempfile.mkdtemp())

from wattmark.plan.edge.study import A2C, GREEDY, edge
from wattmark.statistics import mean_interval

RESULTS = Path(__file__).parent / "results" / "edge.json"


def main() -> None:
    parser = argparse.ArgumentParser(description="Controllers of edge sites on the same weeks.")
    parser.add_argument("--weeks", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--updates", type=int, default=90)
    parser.add_argument("--traces", type=Path)
    parser.add_argument("--learners", type=Path, default=Path(tempfile.gettempdir()) / "edge-learners")
    args = parser.parse_args()
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    same = (kept.get("updates"), kept.get("weeks")) == (args.updates, args.weeks)
    results: list[dict[str, Any]] = kept["results"] if same else []
    there = {(one["seed"], one["source"]) for one in results}
    for seed in range(args.first, args.first + args.seeds):
        for traces, source in ((None, "synthetic"), (args.traces, "traces")):
            if (source == "traces" and traces is None) or (seed, source) in there:
                continue
            begun = time.monotonic()
            answer = edge(
                weeks=args.weeks,
                updates=args.updates,
                seed=1_000 * seed,
                traces=traces,
                folder=args.learners / str(args.updates),
                tell=print,
            )
            found = {"rows": [_short(row.as_dict()) for row in answer.rows]}
            found.update(
                adaptation=answer.as_dict()["adaptation"],
                seed=seed,
                source=source,
                seconds=round(time.monotonic() - begun),
                load=round(os.getloadavg()[0], 1),
            )
            results.append(found)
            document = {"updates": args.updates, "weeks": args.weeks, "summary": summary(results)}
            RESULTS.write_text(json.dumps({**document, "results": results}, indent=1) + "\n")
    for source, rows in summary(results).items():
        print(source)
        for name, row in rows.items():
            print(f"  {name:24}" + "".join(f"  {key} {value}" for key, value in row.items()))


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """Without error terms, which are of one process."""
    return {
        key: round(value, 5) if isinstance(value, float) else value
        for key, value in row.items()
        if key not in ("saving", "nonrenewable_saving", "training_j")
    } | {"training_j": None if row["training_j"] is None else round(row["training_j"]["value"], 1)}


def summary(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By source of the weeks and controller: the mean over seeds, with its 95 % interval, of what is saved against greedy
    and against A2C, and of the distance to the bound."""
    found: dict[str, dict[str, Any]] = {}
    for source in dict.fromkeys(str(one["source"]) for one in results):
        part = [{row["name"]: row for row in one["rows"]} for one in results if one["source"] == source]
        found[source] = {
            name: {
                "seeds": len(part),
                "cost_less_than_greedy": _mean([1 - one[name]["cost"] / one[GREEDY]["cost"] for one in part]),
                "cost_less_than_a2c": _mean([1 - one[name]["cost"] / one[A2C]["cost"] for one in part]),
                "nonrenewable_less_than_greedy": _mean(
                    [1 - one[name]["nonrenewable_kwh"] / one[GREEDY]["nonrenewable_kwh"] for one in part]
                ),
                "beyond_bound": _mean([one[name]["beyond_bound"] for one in part]),
            }
            for name in part[0]
        }
        adapted = [one["adaptation"] for one in results if one["source"] == source]
        found[source]["new sites"] = {
            f"{who} after {updates}": _mean([one[who][at] for one in adapted])
            for who in ("known", "scratch")
            for at, updates in enumerate(adapted[0]["updates"])
        }
    return found


def _mean(values: list[float]) -> list[float]:
    """Mean, low and high; the mean alone of one value."""
    if len(values) < 2:
        return [round(value, 4) for value in values]
    found = mean_interval(np.array(values), signed=True)
    assert found is not None
    return [round(value, 4) for value in (found.value, found.low, found.high)]


if __name__ == "__main__":
    main()
