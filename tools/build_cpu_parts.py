# ruff: noqa: D103, E402, E501
# pyright: basic
"""Builds src/wattmark/sources/data/cpu_parts.tsv: CPU name, TDP, cores, clocks.

Sources, all MIT (see SOURCE.txt beside each): CodeCarbon's intel_cpu_ark_dataset.csv, amd_cpu_server_dataset.csv and
cpu_power.csv; the seed study's sustainable_ai/data/tdp.csv. The first source that has a name wins. Clocks that none of them has come,
in this order, from tools/data/clocks.csv (the makers' product pages), from the part's own name ("Pentium 4 2.80GHz"), from the same part
without "Pro", from the median of the parts of its series and suffix (Core i7-4xxxHQ), if there are three, of its generation and suffix
over all tiers (Core ix-4xxxHQ), if there are two, and at last from what is typical of its line (TYPICAL; written "~2.4", used where nothing better is known).
Usage: python tools/build_cpu_parts.py ../shared/data/hardware
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

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


# Base clock (GHz) in the middle of a line of parts from before 2012 or of embedded ones; the longest prefix that fits.
TYPICAL = {
    "athlon": 2.0, "athlon 64": 2.2, "athlon 64 x2": 2.3, "athlon ii": 2.8, "athlon x2": 2.4, "athlon x4": 3.4, "athlon neo": 1.5,
    "athlon mp": 1.6, "athlon xp": 1.9, "athlon pro": 3.2, "phenom": 2.3, "phenom ii": 3.0, "opteron": 2.3, "sempron": 1.9, "fx": 3.6,
    "turion": 2.0, "turion ii": 2.4, "turion x2": 2.1, "turionx2": 2.1, "pro a": 3.2, "mobile": 2.0, "embedded": 2.2, "gx-": 1.5,
    "core 2 duo e": 2.5, "core 2 duo": 2.0, "core2 duo e": 2.5, "core2 duo": 2.0, "core 2 quad": 2.5, "core2 quad": 2.5,
    "core 2 extreme": 2.9, "core2 extreme": 2.9, "core duo": 1.8, "core solo": 1.4, "core 2 solo": 1.3, "core2 solo": 1.3,
    "core i3": 2.6, "core i5": 2.6, "core i7": 2.8, "core i9": 2.8, "core ultra": 2.2, "core": 2.0, "pentium": 2.0, "pentium d": 3.0,
    "pentium 4": 3.0, "celeron": 1.8, "celeron d": 2.8, "atom": 1.6, "xeon": 2.6, "xeon phi": 1.2, "xeon platinum": 2.5, "xeon gold": 2.6,
    "xeon silver": 2.3, "xeon bronze": 1.9, "xeon w": 3.2, "xeon x": 2.9, "xeon l": 2.1, "xeon lv": 2.0, "xeon e5": 2.4, "xeon e7": 2.2,
    "xeon e3": 3.2, "ryzen": 3.3, "ryzen embedded": 2.4, "ryzen ai": 2.2, "ryzen threadripper": 3.4, "epyc": 2.4, "apple": 3.2,
    "snapdragon": 2.2, "hygon": 2.5, "microsoft": 2.1, "rx-": 2.2, "qc-": 1.6, "tl-": 2.0, "armv8": 2.0, "firepro": 2.0,
}  # fmt: skip


def stated_clocks() -> dict[str, tuple[str, str]]:
    """Base and boost clock from the makers' pages."""
    found: dict[str, tuple[str, str]] = {}
    for line in (ROOT / "tools/data/clocks.csv").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, base, turbo = line.split(",")
            found[normalise(name)] = (base, turbo)
    return found


def clock_in_name(key: str) -> str:
    """``"pentium 4 2.80ghz"`` -> ``"2.8"``; the Pentium III and older state MHz. Empty where the name has no clock."""
    if not key.startswith(("pentium", "celeron", "xeon", "mobile pentium")):
        return ""
    found = re.search(r" ([1-3]\.\d{1,2})(?:a|b|c|d|e|ghz)?$", key)
    if found:
        return f"{float(found[1]):g}"
    found = re.search(r"^(?:pentium (?:iii|ii|pro|mmx)|celeron|pentium iii xeon) (\d{3,4})[a-z]{0,2}$", key)
    return f"{int(found[1]) / 1000:g}" if found and 150 <= int(found[1]) <= 1500 else ""


def series(key: str) -> str:
    """``"core i7-4710hq"`` -> ``"core i7-4#hq"``: brand, generation and suffix of a part."""
    return re.sub(r"(\d)(\d+)", lambda m: m[1] + "#" if len(m[0]) in (3, 4) else m[0][:2] + "#", key)


def generation(key: str) -> str:
    """``"core i7-4710hq"`` -> ``"core i#-4#hq"``: a series over all tiers."""
    return re.sub(r"^(ryzen (?:threadripper |pro )*|core i|core ultra |xeon \w+ )\d", r"\1#", series(key))


def fill_clocks(parts: dict[str, list[str]]) -> None:
    """Clocks for parts that have none, by the rule at the top."""
    stated = stated_clocks()
    for key, row in parts.items():
        if not row[2] and not row[3]:
            row[2], row[3] = stated.get(key) or (clock_in_name(key), "")
    for key, row in parts.items():
        plain = parts.get(key.replace(" pro ", " "))
        if not row[2] and not row[3] and plain is not None and plain is not row:
            row[2], row[3] = plain[2], plain[3]
    for group, least in ((series, 3), (generation, 2)):
        known: dict[str, list[list[str]]] = defaultdict(list)
        for key, row in parts.items():
            if row[2] and row[3]:
                known[group(key)].append(row)
        for key, row in parts.items():
            like = known.get(group(key), [])
            if not row[2] and not row[3] and len(like) >= least:
                row[2], row[3] = (f"{median(float(one[column]) for one in like):g}" for column in (2, 3))
    for key, row in parts.items():
        prefix = max((start for start in TYPICAL if key.startswith(start)), key=len, default=None)
        if not row[2] and not row[3] and prefix is not None:
            row[2] = f"~{TYPICAL[prefix]:g}"


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
    fill_clocks(parts)
    out = ROOT / "src/wattmark/sources/data/cpu_parts.tsv"
    with open(out, "w", encoding="utf-8") as file:
        file.write(
            "# name (normalised)\ttdp_w\tcores\tbase_ghz (~: typical of its line)\tturbo_ghz\tlabel; built by tools/build_cpu_parts.py\n"
        )
        file.write(
            "# MIT: mlco2/codecarbon b05965e (cpu_power, Intel ARK and AMD data sets), ioannismavromatis/sustainable-ai 88c92ff\n"
        )
        for key in sorted(parts):
            file.write("\t".join([key, *parts[key]]) + "\n")
    without = sum(not (row[2] or row[3]) for row in parts.values())
    print(f"{len(parts)} parts, {without} without a clock, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT.parent / "shared/data/hardware"))
