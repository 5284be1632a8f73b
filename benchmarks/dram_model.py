"""What the DRAM model does not see: how much of memory's power is rest, and how much the work of one CPU adds.

    python benchmarks/dram_model.py

From DRAM counters of other people's machines (tools/data/package_readings.csv: idle, arithmetic and streaming loads at
full utilisation): watts per gigabyte at rest and streaming, and watts above rest for each logical CPU, which bound the
character of the work that the model states (``TRAFFIC_W`` of wattmark.sources.models.dram). Then that is asked of every
reading: the ratio of any two loads of one machine, which knows neither the module nor the machine, should lie in what the
characters of two works leave open.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from itertools import permutations
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.quantity import Quantity  # noqa: E402
from wattmark.sources.models import dram  # noqa: E402

READINGS = ROOT / "tools" / "data" / "package_readings.csv"
RESULTS = Path(__file__).parent / "results" / "dram_model.json"
ARITHMETIC, STREAMING = ("cpu", "ipsec"), ("vm", "cpu+vm")
NOT_USED = ("turbostress-hecht",)
"""DRAM watts in a wrong unit (tools/data/SOURCE.txt)."""


def machines() -> dict[str, dict[str, float]]:
    """By host: memory_gb, logical CPUs, and watts of each load at full utilisation (``idle`` at none)."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    with READINGS.open() as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            if not row["dram_w"] or row["source"] in NOT_USED:
                continue
            if row["work"] == "idle" or float(row["utilisation"]) == 1:
                own = found[row["host"]]
                own[row["work"]] = float(row["dram_w"])
                own["memory_gb"] = float(row["memory_gb"])
                own["cpus"] = float(row["threads"]) * float(row["sockets"])
    return {host: own for host, own in found.items() if any(work in own for work in STREAMING)}


def character_of(own: dict[str, float]) -> tuple[float, float]:
    """What the model states for a machine like this."""
    power_w = dram.W_PER_GB * own["memory_gb"]
    accuracy = dram.accuracy_of(dram.GREEN, power_w, int(own["cpus"]))
    return accuracy.character_low, accuracy.character_high


def holds(true_ratio: float, low: float, high: float) -> bool:
    """Whether the ratio of two works of this character holds a ratio that was read."""
    a, b = (Quantity(1.0, unit="", terms={f"character/{n}": (-low, high)}, at_least=0.0) for n in range(2))
    ratio = a / b
    return ratio.low <= true_ratio <= ratio.high


def main() -> None:
    rows = {}
    held = asked = before = 0
    for host, own in machines().items():
        arithmetic = [own[work] for work in ARITHMETIC if work in own]
        streaming = [own[work] for work in STREAMING if work in own]
        rest = own.get("idle")
        low, high = character_of(own)
        for one, other in permutations([*arithmetic, *streaming], 2):
            asked += 1
            held += holds(one / other, low, high)
            before += holds(one / other, *dram.MOST_CHARACTER)
        rows[host] = {
            "memory_gb": own["memory_gb"],
            "cpus": own["cpus"],
            "rest_w_per_gb": None if rest is None else round(rest / own["memory_gb"], 3),
            "streaming_w_per_gb": round(max(streaming) / own["memory_gb"], 3),
            "arithmetic_w_per_cpu": None
            if rest is None
            else round((max(arithmetic) - rest) / own["cpus"], 2),
            "streaming_w_per_cpu": None if rest is None else round((max(streaming) - rest) / own["cpus"], 2),
            "streaming_over_arithmetic": round(max(streaming) / (sum(arithmetic) / len(arithmetic)), 2),
            "stated_character": [round(-low, 2), round(high, 2)],
        }
    known = [row for row in rows.values() if row["rest_w_per_gb"] is not None]
    result = {
        "machines": rows,
        "most_w_per_cpu": {
            name: max(row[f"{name}_w_per_cpu"] for row in known) for name in ("arithmetic", "streaming")
        },
        "stated_w_per_cpu": {"arithmetic": dram.TRAFFIC_W[0], "streaming": dram.TRAFFIC_W[1]},
        "ratios_of_two_loads": {"asked": asked, "held": held, "held_if_all_memory_were_at_hand": before},
        "note": "all machines have dozens of CPUs, and their loads are extreme: arithmetic against streaming; that few CPUs "
        "beside much memory make little traffic is physics here, not a reading",
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
