"""The published table of Power Hungry Processing, recomputed from its original files, and what the package ships of it.

    python benchmarks/power_hungry.py [--data ../shared/data/power_hungry/data/emissions/complete] [--write]

Data: github.com/sashavor/co2_inference (MIT), 4,170 runs of ten tasks on eight A100 (arXiv 2311.16863). --write makes the
table that the package ships from them; without it that table is held against them. The ratios are those of means over runs:
what the paper tells; and of the GPUs' energy above idle, for three guesses of what eight A100 draw at rest (the lowest mean
of any run, its first percentile, 50 W each).

Results: benchmarks/results/power_hungry.json.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from wattmark.workloads.tasks.data import power_hungry

RESULTS = Path(__file__).parent / "results" / "power_hungry.json"
DATA = Path("../shared/data/power_hungry/data/emissions/complete")
SHIPPED = Path(power_hungry.__file__).with_suffix(".csv")
TOLD = (22.7, 26.3, 3.9, 544)
COLUMNS = ("data", "model", "runs", "gpu_wh", "ram_wh", "cpu_wh", "covered_s")


def rows_of(folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += [{**row, "data": path.stem} for row in csv.DictReader(file)]
    return found


def table(rows: list[dict[str, str]]) -> list[dict[str, object]]:
    groups: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        groups[row["data"], row["project_name"]].append(row)

    def wh(own: list[dict[str, str]], name: str) -> float:
        return 1000 * float(np.mean([float(row[name]) for row in own]))

    return [
        {
            "data": data,
            "model": model,
            "runs": len(own),
            "gpu_wh": wh(own, "gpu_energy"),
            "ram_wh": wh(own, "ram_energy"),
            "cpu_wh": wh(own, "cpu_energy"),
            "covered_s": 3600 * wh(own, "ram_energy") / float(own[0]["ram_power"]),
        }
        for (data, model), own in sorted(groups.items())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="The published table, recomputed.")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    rows = rows_of(args.data)
    made = table(rows)
    if args.write:
        with SHIPPED.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            for row in made:
                writer.writerow({k: f"{v:.7g}" if isinstance(v, float) else v for k, v in row.items()})
        power_hungry.published_runs.cache_clear()
    shipped = {(one.data, one.model): one for one in power_hungry.published_runs()}
    worst = max(
        abs(float(str(row[name])) / getattr(shipped[str(row["data"]), str(row["model"])], name) - 1)
        for row in made
        for name in ("gpu_wh", "ram_wh", "cpu_wh", "covered_s")
    )
    watts = [float(row["gpu_energy"]) * float(row["ram_power"]) / float(row["ram_energy"]) for row in rows]
    idles = {"lowest": min(watts), "first percentile": float(np.percentile(watts, 1)), "50 W each": 400.0}
    found = [one.published for one in power_hungry.published_ratios()]
    assert [round(ratio, 1) for ratio in found[:3]] == list(TOLD[:3]), found
    assert round(found[3]) == TOLD[3], found
    whole = {name: sum(float(row[f"{name}_energy"]) for row in rows) for name in ("gpu", "ram", "cpu")}
    result = {
        "runs": len(rows),
        "shipped_table_off_by_at_most": worst,
        "ratios_told": dict(zip((one.name for one in power_hungry.published_ratios()), TOLD, strict=True)),
        "ratios_recomputed": {one.name: round(one.published, 3) for one in power_hungry.published_ratios()},
        "ratios_gpus_above_idle": {
            f"{name} ({watt:.1f} W)": {
                one.name: round(one.above_idle, 2) for one in power_hungry.published_ratios(watt)
            }
            for name, watt in idles.items()
        },
        "share_of_energy": {name: round(own / sum(whole.values()), 3) for name, own in whole.items()},
        "tasks_wh_per_1000": {
            one.task: {
                "published": round(one.energy_wh, 3),
                "gpus_above_idle": round(one.above_idle_wh, 3),
                "memory_constant_share": round(one.memory_share, 3),
            }
            for one in power_hungry.published_tasks()
        },
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
