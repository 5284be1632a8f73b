"""Writes a fake powercap tree with known watts, as a process: ``python faketree.py ROOT SCENARIO``.

Prints a line of JSON when the tree is ready; the true energy of any interval of it follows from :func:`true_energy_j`.
The tree and its writer are the tests' own (tests/fakes/powercap.py); this adds scenarios, and packages that differ
from each other (two equal counters would rightly be taken for one counter shown twice).
"""

from __future__ import annotations

import bisect
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from fakes.powercap import Constant, PowercapTree, Square, Writer

RANGE_UJ = 262_143_328_850


class Bursts:
    """Idle at 5 W; bursts of 200 W that last 20 to 200 ms, 50 to 800 ms apart, the same ones every time."""

    def __init__(self, low_w: float = 5.0, high_w: float = 200.0, seconds: float = 3600.0) -> None:
        chance = random.Random(7)
        self.edges_s, self.energy_j, self.power_w = [0.0], [0.0], [low_w]
        while self.edges_s[-1] < seconds:
            high = self.power_w[-1] == low_w
            length = chance.uniform(0.05, 0.8) if high else chance.uniform(0.02, 0.2)
            self.energy_j.append(self.energy_j[-1] + length * self.power_w[-1])
            self.edges_s.append(self.edges_s[-1] + length)
            self.power_w.append(high_w if high else low_w)

    def energy_uj(self, t_s: float) -> float:
        i = bisect.bisect_right(self.edges_s, t_s) - 1
        return (self.energy_j[i] + (t_s - self.edges_s[i]) * self.power_w[i]) * 1e6


class Scenario(NamedTuple):
    """``shares`` of the waveform by zone; ``counted`` zones make the truth; a start makes the wrap fall inside."""

    wave: Constant | Square | Bursts
    shares: dict[str, float]
    counted: tuple[str, ...]
    start_uj: int = 1_000_000
    range_uj: int = RANGE_UJ


PACKAGE = {"intel-rapl:0": 1.0}
WITH_DOMAINS = {"intel-rapl:0": 1.0, "intel-rapl:0:0": 0.7, "intel-rapl:0:1": 0.1}
TWO_PACKAGES = {
    "intel-rapl:0": 1.0,
    "intel-rapl:0:0": 0.7,
    "intel-rapl:0:1": 0.1,
    "intel-rapl:1": 0.62,
    "intel-rapl:1:0": 0.4,
    "intel-rapl:1:1": 0.06,
    "intel-rapl:2": 2.4,
}
NAMES = {"intel-rapl:0": "package-0", "intel-rapl:1": "package-1", "intel-rapl:2": "psys"}
INNER = ("core", "dram")

SCENARIOS = {
    "constant": Scenario(Constant(50), PACKAGE, ("intel-rapl:0",)),
    "square": Scenario(Square(10, 90, 1.0), PACKAGE, ("intel-rapl:0",)),
    "bursts": Scenario(Bursts(), PACKAGE, ("intel-rapl:0",)),
    # a small range, so that at 50 W the counter wraps every 6.1 s: each window of 10 s has one or two wraps
    "wrap": Scenario(Constant(50), PACKAGE, ("intel-rapl:0",), 1_000_000, 305_000_000),
    "two-packages": Scenario(
        Constant(50), TWO_PACKAGES, ("intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl:1:1")
    ),
    "domains": Scenario(Constant(50), WITH_DOMAINS, ("intel-rapl:0", "intel-rapl:0:1")),
}


def true_energy_j(scenario: str, tree_start_ns: int, start_ns: int, end_ns: int) -> float:
    """Joules that the counted zones took between two moments of the monotonic clock."""
    plan = SCENARIOS[scenario]
    begin, end = ((t - tree_start_ns) / 1e9 for t in (start_ns, end_ns))
    share = sum(plan.shares[zone] for zone in plan.counted)
    return (plan.wave.energy_uj(end) - plan.wave.energy_uj(begin)) * share / 1e6


def main(root: str, name: str, tick_s: float = 0.001) -> None:
    plan = SCENARIOS[name]
    tree = PowercapTree(root)
    for i, zone in enumerate(plan.shares):
        label = NAMES.get(zone) or INNER[int(zone.rsplit(":", 1)[1])]
        # counters that start apart, as those of a machine that has been on for a while
        tree.add(zone, label, (plan.start_uj + 37_000_000 * i) % plan.range_uj, plan.range_uj)
    control = Path(tree.links) / "intel-rapl"
    for folder in (
        control,
        *map(Path, tree.zones.values()),
    ):  # the kernel has this link, and CodeCarbon looks for it
        os.symlink(os.path.relpath(tree.links, folder.resolve()), folder / "subsystem")
    starts = {zone: (plan.start_uj + 37_000_000 * i) % plan.range_uj for i, zone in enumerate(plan.shares)}
    writers = [Writer(tree, plan.wave, {zone: share}, starts[zone]) for zone, share in plan.shares.items()]  # type: ignore[arg-type]
    start_ns = time.monotonic_ns()
    print(json.dumps({"start_ns": start_ns}), flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        now_s = (time.monotonic_ns() - start_ns) / 1e9
        for writer in writers:
            writer.step(now_s)
        time.sleep(tick_s)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
