"""The most that a part can draw, by its name: tables of processors and accelerators, in place of one number for all.

Standard library only; each look-up scans its table once, some tenths of a millisecond.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from wattmark.sources.base import Host, read_int, read_text
from wattmark.sources.models.cpu.names import identify, parse_cpuinfo
from wattmark.sources.plausibility import GPU_LIMIT_FACTOR, LEAST_BOUND_W, package_bound_w

ACCELERATORS = os.path.join(os.path.dirname(__file__), "data", "accelerators.csv")
# Words that makers put around the name of a part, and that catalogues leave out.
_NOISE = frozenset(
    ("nvidia", "amd", "intel", "tesla", "geforce", "instinct", "radeon", "graphics", "corporation", "generation", "gpu")
)  # fmt: skip


def processor_tdp_w(host: Host) -> float | None:
    """Thermal design power (watts) of one package, where the exact part is known or the user says it."""
    stated = host.option("cpu-model", "tdp_w")
    if isinstance(stated, int | float) and stated > 0:
        return float(stated)
    first = (read_text(host.proc("cpuinfo")) or "").split("\n\n", 1)[0]
    info = parse_cpuinfo(first)
    part = identify(info)
    return part.tdp_w if part.match == "part" else None


def processor_bound_w(host: Host, threads: int, limits_w: Sequence[float] = ()) -> float | None:
    """The most that one package can draw (watts); None if nothing is known of it. See :func:`package_bound_w`."""
    return package_bound_w(threads, limits_w, processor_tdp_w(host))


def threads_of_package(host: Host) -> int:
    """Logical CPUs of one package, also where a container shows fewer; 0 if it is not said."""
    text = read_text(host.proc("cpuinfo")) or ""
    siblings = re.search(r"^siblings\s*:\s*(\d+)", text, re.MULTILINE)
    return int(siblings[1]) if siblings else 0


def folded(name: str) -> str:
    """``"NVIDIA A100-SXM4-80GB"`` -> ``"a100sxm480gb"``: letters and digits, without the words of the maker."""
    words = re.split(
        r"[^a-z0-9]+", name.casefold().replace("®", " ").replace("(tm)", " ").replace("(r)", " ")
    )
    return "".join(word for word in words if word not in _NOISE)


def accelerator_tdp_w(name: str) -> float | None:
    """Board power (watts) of an accelerator by the name that its driver gives it; None if it is not in the table."""
    import csv

    wanted = folded(name)
    if not wanted:
        return None
    with open(ACCELERATORS, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if wanted in {folded(one) for one in (row["name"], *row["aliases"].split(";"))} and row["tdp_w"]:
                return float(row["tdp_w"])
    return None


def gpu_bound_w(name: str, limits_w: Iterable[float]) -> float | None:
    """The most that a graphics card can draw (watts): twice its highest power limit, or its board power by name."""
    limit_w = max((limit for limit in limits_w if limit > 0), default=None) or accelerator_tdp_w(name)
    return None if limit_w is None else max(GPU_LIMIT_FACTOR * limit_w, LEAST_BOUND_W)


def hwmon_limits_w(folder: str) -> list[float]:
    """The power limits of a graphics driver's hwmon folder, in watts.

    amdgpu: power1_cap_max and power1_cap; i915 and xe: power1_rated_max and power1_max (µW, docs.kernel.org/gpu and
    Documentation/ABI/testing/sysfs-driver-intel-xe-hwmon).
    """
    files = [f"power{number}_{end}" for number in (1, 2) for end in ("cap_max", "cap", "rated_max", "max")]
    values = [read_int(f"{folder}/{file}") for file in files]
    return [value / 1e6 for value in values if value and value < 4_000_000_000]
