# ruff: noqa: D103, E501
# pyright: basic
"""What servers add to their CPUs and memory: the default overhead of wattmark.runs.wall.model, from SPECpower_ssj2008 rows.

    python tools/fit_wall.py [../shared/data/hardware/ccf-coefficients/SPECpower-2026-03-09.csv]

For every result since 2012 whose CPU is in data/cpu_parts.tsv the package's model (wattmark.sources.models.cpu) and 0.3725 W a GB give
the parts' watts, idle and full. Prints how many times these the row's watts at the plug are: the medians and the ends of the central 95 %,
idle and full, then their number, median and end of those that can be. (A constant beside a slope comes out negative: the model's idle watts are more than those of servers tuned for this
benchmark.) The package's model is not measured, so the spread holds its errors too. Only derived coefficients are shipped.
Data: SPEC, SPECpower_ssj2008 results, https://www.spec.org/power_ssj2008/ (SPEC fair use), collected by
cloud-carbon-footprint/ccf-coefficients b0032d9 (Apache-2.0).
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import numpy as np

from wattmark.sources.models.cpu.curves import package_power_w
from wattmark.sources.models.cpu.names import CpuInfo, identify
from wattmark.sources.models.dram import W_PER_GB

DATA = (
    Path(__file__).resolve().parent.parent.parent
    / "shared/data/hardware/ccf-coefficients/SPECpower-2026-03-09.csv"
)

LEAST = 1.05
"""The best supplies lose 4 to 6 % (80 PLUS Titanium); what is below is an error of the modelled parts."""


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    rows = []
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                threads, chips, memory = (
                    float(row["Total Threads"]),
                    float(row["Chips"]),
                    float(row["Total Memory (GB)"]),
                )
                full, idle = float(row["avg. watts @ 100%"]), float(row["avg. watts @ active idle"])
                year = int(row["Published"][-4:])
            except ValueError:
                continue
            name = re.sub(r"\(.*?\)|[Pp]rocessor", " ", row["CPU Description"]).strip()
            vendor = "AuthenticAMD" if "AMD" in name or "EPYC" in name else "GenuineIntel"
            part = identify(CpuInfo(vendor, name=name, threads=int(threads), sockets=int(chips)))
            if part.match != "part" or year < 2012 or not full > idle > 0:
                continue
            memory_w = memory * W_PER_GB
            low, high = (chips * package_power_w(part, u).value + memory_w for u in (0.0, 1.0))
            rows.append((idle / low, full / high))
    table = np.array(rows)
    print(f"{len(table)} results")
    for name, values in (("idle", table[:, 0]), ("full", table[:, 1]), ("both", table.ravel())):
        possible = values[values >= LEAST]
        print(
            name,
            np.round(np.percentile(values, (2.5, 50, 97.5)), 2),
            len(possible),
            np.round(np.percentile(possible, (50, 97.5)), 2),
        )


if __name__ == "__main__":
    main()
