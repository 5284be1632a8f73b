# ruff: noqa: D103, E501
# pyright: basic
"""Refits the host-share scope: watts of a whole server per thread, idle and full, by kind of CPU, from SPECpower_ssj2008 rows.

    python tools/fit_specpower.py [../shared/data/hardware/ccf-coefficients/SPECpower-2026-03-09.csv]

Prints HOST_WATTS for wattmark.sources.models.cpu.curves. Medians of avg. watts / threads; the spread is the 5th and 95th percentile
of full watts over the median. Only derived coefficients are shipped. The published coefficients of the same repository
contradict its rows for EPYC (5th generation: 3.7 idle and 9.0 full W per thread, against 0.2 and about 1.2 here).
Data: SPEC, SPECpower_ssj2008 results 2007-2026, https://www.spec.org/power_ssj2008/ (SPEC fair use), collected by
cloud-carbon-footprint/ccf-coefficients b0032d9 (Apache-2.0).
"""

from __future__ import annotations

import csv
import re
import statistics
import sys
from collections import defaultdict
from pathlib import Path

DATA = (
    Path(__file__).resolve().parent.parent.parent
    / "shared/data/hardware/ccf-coefficients/SPECpower-2026-03-09.csv"
)

# The first pattern that fits the CPU description names the kind; model numbers, not brand names, decide the generation.
KINDS = [
    ("epyc-1", r"EPYC 7\d\d1"),
    ("epyc-2", r"EPYC 7\w\d2"),
    ("epyc-3", r"EPYC 7\w\w3"),
    ("epyc-4", r"EPYC (9\d\d4|8\d\d4|97\d4)"),
    ("epyc-5", r"EPYC 9\d\d5"),
    ("amd-client", r"EPYC 4\d\d\d|Ryzen"),
    ("opteron", r"Opteron"),
    ("arm", r"Ampere|Altra"),
    ("xeon-6", r"Xeon (Gold )?6[579]\d\d[PE]\b"),
    ("xeon-client", r"Xeon E[- ]|Xeon E3|Xeon 6369P|Core|Xeon(\(R\))? E-|Xeon X3|Xeon L3|Pentium"),
    ("xeon-d", r"Xeon-? ?(\(R\) )?D-"),
    ("xeon-4-5", r"(Platinum|Gold|Silver|Bronze|Xeon(\(R\))?) [3-8][45]\d\d"),
    ("xeon-3", r"(Platinum|Gold|Silver) [4-8]3\d\d"),
    ("xeon-1-2", r"(Platinum|Gold|Silver|Bronze) [3-8][12]\d\d"),
    ("xeon-v3-v4", r"E[57]-?\d{4}\w* ?[vV][34]"),
    ("xeon-v1-v2", r"E[57]-?\d{4}"),
    ("xeon-old", r"Xeon"),
]


def kind_of(description: str) -> str | None:
    text = re.sub(r"\(R\)|®", "", description)
    return next((kind for kind, pattern in KINDS if re.search(pattern, text)), None)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    rows: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                threads = float(row["Total Threads"])
                full, idle = float(row["avg. watts @ 100%"]), float(row["avg. watts @ active idle"])
            except ValueError:
                continue
            if threads > 0 and full > idle > 0:
                rows[kind_of(row["CPU Description"]) or "other"].append((idle / threads, full / threads))
    every = [pair for pairs in rows.values() for pair in pairs]
    rows["other"] = every
    print("HOST_WATTS: dict[str, HostWatts] = {")
    for kind in [k for k, _ in KINDS] + ["other"]:
        pairs = rows.get(kind, [])
        if not pairs:
            continue
        idle = statistics.median(i for i, _ in pairs)
        full = statistics.median(f for _, f in pairs)
        ranks = sorted(f / full for _, f in pairs)
        low, high = ranks[int(0.05 * (len(ranks) - 1))], ranks[int(0.95 * (len(ranks) - 1))]
        print(
            f'    "{kind}": HostWatts({idle:.2f}, {full:.2f}, {low:.2f}, {high:.2f}),  # {len(pairs)} results'
        )
    print("}")


if __name__ == "__main__":
    main()
