# ruff: noqa: D103, E402, E501
# pyright: basic
"""Builds src/wattmark/sources/data/cpu_parts.tsv: CPU name, TDP, cores, clocks.

Sources, all MIT (see SOURCE.txt beside each): CodeCarbon's intel_cpu_ark_dataset.csv, amd_cpu_server_dataset.csv and
cpu_power.csv; the seed study's sustainable_ai/data/tdp.csv. The first source that has a name wins.
Usage: python tools/build_cpu_parts.py ../shared/data/hardware
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.sources.models.cpu.names import normalise

# Cloud and common parts that no source lists. TDP: AWS/Google/Azure parts are not published; the closest public part of
# the same die and core count is taken (7B12 -> 7742, 7R32 -> 7642, 7B13/7V13 -> 7763 less boost, 9R14/9B14/9V74 -> 9654).
EXTRA = """\
AMD EPYC 7R32|48|2.8|3.3|225
AMD EPYC 7B12|64|2.25|3.3|225
AMD EPYC 7V12|64|2.45|3.3|240
AMD EPYC 7B13|64|2.45|3.5|240
AMD EPYC 7V13|64|2.45|3.6|240
AMD EPYC 7V73X|64|2.2|3.5|280
AMD EPYC 9R14|96|2.6|3.7|360
AMD EPYC 9B14|96|2.6|3.7|360
AMD EPYC 9V74|80|2.6|3.7|360
AMD EPYC 9V84|96|2.4|3.7|400
Intel Xeon Platinum 8481C|56|2.7|3.8|350
Intel Xeon Platinum 8488C|48|2.4|3.8|350
Intel Xeon Platinum 8370C|32|2.8|3.5|270
Intel Xeon Platinum 8272CL|26|2.6|3.7|195
Intel Xeon Platinum 8573C|56|2.3|4.2|350
"""


def ghz(text: str) -> str:
    found = re.search(r"(\d+(?:\.\d+)?)\s*(GHz|MHz)", text or "")
    if not found:
        return ""
    value = float(found[1]) / (1000 if found[2] == "MHz" else 1)
    return f"{value:g}"


def watts(text: str) -> str:
    numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", text or "")]
    return f"{sum(numbers) / len(numbers):g}" if numbers and max(numbers) > 0 else ""


def rows(data: Path):
    for line in EXTRA.splitlines():
        name, cores, base, turbo, tdp = line.split("|")
        yield name, tdp, cores, base, turbo
    with open(data / "codecarbon/amd_cpu_server_dataset.csv", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            turbo = ghz(row["All Core Boost Speed"]) or ghz(row["Max. Boost Clock"])
            yield row["Name"], watts(row["Default TDP"]), row["# of CPU Cores"], ghz(row["Base Clock"]), turbo
    with open(data / "codecarbon/intel_cpu_ark_dataset.csv", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            clocks = ghz(row["processor_base_frequency"]), ghz(row["max_turbo_frequency"])
            yield row["cpu_name"], watts(row["tdp"]), row["total_cores"], *clocks
    with open(data / "sustainable_ai/data/tdp.csv", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            yield row["Name"], watts(row["TDP"]), row["Cores"], "", ""
    with open(data / "codecarbon/cpu_power.csv", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            yield row["Name"], watts(row["TDP"]), "", "", ""


def main(data: Path) -> None:
    parts: dict[str, list[str]] = {}
    for name, tdp, cores, base, turbo in rows(data):
        key = normalise(name)
        brand = re.match(r"[a-z]{2,}", key)
        if not tdp or not brand or not any(c.isdigit() for c in key) or "coprocessor" in key:
            continue
        label = " ".join(re.sub(r"[®™]|\(R\)|\(TM\)|\bProcessor\b", " ", name).split())
        known = parts.setdefault(key, [tdp, cores.strip(), base, turbo, label])
        for column, value in ((1, cores.strip()), (2, base), (3, turbo)):
            known[column] = known[column] or value  # a later source may fill what an earlier one lacks
    out = ROOT / "src/wattmark/sources/data/cpu_parts.tsv"
    with open(out, "w", encoding="utf-8") as file:
        file.write(
            "# name (normalised)\ttdp_w\tcores\tbase_ghz\tturbo_ghz\tlabel; built by tools/build_cpu_parts.py\n"
        )
        file.write(
            "# MIT: mlco2/codecarbon b05965e (cpu_power, Intel ARK and AMD data sets), ioannismavromatis/sustainable-ai 88c92ff\n"
        )
        for key in sorted(parts):
            file.write("\t".join([key, *parts[key]]) + "\n")
    print(f"{len(parts)} parts, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT.parent / "shared/data/hardware"))
