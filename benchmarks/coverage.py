"""Do stated 95 % intervals hold the truth 95 times in 100? Simulated machines, read through the real path.

    python benchmarks/coverage.py [--pairs 10000]

A machine has sensors (or models: ``guest`` is a virtual machine whose CPU and memory are modelled) with the accuracy that
Wattmark states for them, and its errors are drawn from just that: one scale
and one curve for the machine, one character for each command, one offset. Two runs of it (the same command or two
commands, in their own lengths, with power that changes within sampling intervals) become records with samples at real
times; :class:`~wattmark.runs.view.RunView` gives the energies, and the truth is known. Counted is how often the interval
holds it: of energies, of the difference, the ratio and the sum of two runs, of spans, of joules per token, and of runs on
two machines of one kind. The machine's edges are held as bounds, so pieces that are short against the sampling interval
hold more often than stated, and say so.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.quantity import Quantity  # noqa: E402
from wattmark.runs.record import Curve, RunRecord, Spans  # noqa: E402
from wattmark.runs.view import RunView  # noqa: E402
from wattmark.sources.base import Accuracy, Channel, Component  # noqa: E402
from wattmark.sources.models import dram  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "coverage.json"
S = 1_000_000_000


@dataclass(frozen=True)
class Part:
    """A channel of the simulated machine. share: of the machine's watts; steady: they do not change."""

    channel: str
    component: Component
    accuracy: Accuracy
    share: float = 1.0
    steady: bool = False


CPU_MODEL = Accuracy(0.45, 0.70, 0.3, "as the CPU model states", 0.21, 0.28, 0.30, 0.45)
_GUEST_GB, _GUEST_CPUS = 23.5, 2
_GUEST_W = _GUEST_GB * dram.W_PER_GB
"""The guest that studies of this project ran on: its memory is two thirds of its modelled watts."""
SENSORS = {
    "model": (Part("cpu0/package", "cpu", CPU_MODEL),),
    "guest": (
        Part("cpu0/package", "cpu", CPU_MODEL, 0.32),
        Part("dram/model", "dram", dram.accuracy_of(dram.GREEN, _GUEST_W, _GUEST_CPUS), 0.68, steady=True),
    ),
    "counter": (
        Part("cpu0/package", "cpu", Accuracy(0.05, 0.05, 1.5, "as RAPL states", 0.015, 0.015, 0.03, 0.03)),
    ),
    "board": (Part("gpu0/board", "gpu", Accuracy(0.05, 0.05, 0.0, "as NVML states", 0.01, 0.01)),),
}


@dataclass
class Machine:
    """Errors of one machine by part, each in units of its own half-width: normal on either side."""

    host: str
    specimen: list[float]
    offset: list[float]


def error(z: float, low: float, high: float) -> float:
    """A two-sided normal error of which the ends are the 95 % interval."""
    return z / 1.959964 * (high if z > 0 else low)


def factor(z: float, low: float, high: float) -> float:
    """Truth over reading: log-normal on either side, with the ends of the 95 % interval at ``1 - low`` and ``1 + high``."""
    return math.exp(z / 1.959964 * (math.log1p(high) if z > 0 else -math.log1p(-low)))


def one_run(
    rng: np.random.Generator,
    parts: Sequence[Part],
    machine: Machine,
    curve_z: Sequence[float],
    character_z: Sequence[float],
    command: str,
    number: int,
    watts: float,
    seconds: float,
    period_s: float,
) -> tuple[RunView, float, list[float]]:
    """The run as it was read, its true joules, and those of its three spans."""
    edges = np.sort(rng.uniform(0, seconds, 4))
    curves: list[Curve] = []
    whole, pieces = 0.0, np.zeros(3)
    for place, part in enumerate(parts):
        accuracy = part.accuracy
        rate, phase = rng.uniform(0.5, 3.0), rng.uniform(0, 2 * np.pi)
        depth = 0.0 if part.steady else rng.uniform(0.0, 0.4)
        share = (
            factor(machine.specimen[place], accuracy.specimen_low, accuracy.specimen_high)
            * factor(curve_z[place], accuracy.curve_low, accuracy.curve_high)
            * factor(character_z[place], accuracy.character_low, accuracy.character_high)
        )
        # a model of steady watts reads the same whatever the truth is
        true_w = part.share * watts * (share if part.steady else 1.0)

        def truth(
            t: np.ndarray, w: float = true_w, depth: float = depth, rate: float = rate, phase: float = phase
        ) -> np.ndarray:
            return w * (t - depth / (2 * np.pi * rate) * np.cos(2 * np.pi * rate * t + phase))

        extra_w = error(machine.offset[place], accuracy.absolute_w, accuracy.absolute_w)
        t = np.arange(-1.0, seconds + 1.0, period_s)
        t = t + rng.uniform(-0.05, 0.05, len(t)) * period_s
        read = (truth(t) - extra_w * t) / share
        channel = Channel(
            part.channel,
            part.component,
            "simulated",
            "modelled",
            "package",
            "energy",
            accuracy,
            update_period_s=0.001,
        )
        curves.append(
            Curve(channel, (t * S).astype(np.int64) + 10 * S, ((read - read[0]) * 1e6).astype(np.int64))
        )
        whole += float(truth(np.array(seconds)) - truth(np.array(0.0)))
        pieces += np.diff(truth(edges))
    starts, ends = (edges[:-1] * S).astype(np.int64) + 10 * S, (edges[1:] * S).astype(np.int64) + 10 * S
    count = len(starts)
    zero = np.zeros(count, np.int64)
    spans = Spans(
        ("part",), np.zeros(count, np.int32), starts, ends, np.full(count, -1, np.int32), zero, zero,
        np.zeros(count, np.bool_), {row: {"counts": {"tokens": 100}} for row in range(count)},
    )  # fmt: skip
    record = RunRecord(
        f"r{number}", command, "completed", 0, 0, 10 * S, int((10 + seconds) * S), curves=tuple(curves), spans=spans,
        environment={"host": machine.host, "cpu": {"model": ["Simulated"]},
                     "process": {"command": ["wattmark", "run", "--", command], "cwd": "/"}},
    )  # fmt: skip
    return RunView(record), whole, pieces.tolist()


def holds(quantity: Quantity, truth: float) -> bool:
    low, high = quantity.interval()
    slack = 1e-9 * abs(truth)
    return low - slack <= truth <= high + slack


def simulate(sensors: Sequence[Part], pairs: int, seed: int = 1) -> dict[str, dict[str, float]]:
    """Coverage and mean relative width by kind of number."""
    rng = np.random.default_rng(seed)
    seen: dict[str, list[tuple[bool, float]]] = {}

    def note(kind: str, quantity: Quantity, truth: float) -> None:
        low, high = quantity.interval()
        seen.setdefault(kind, []).append((holds(quantity, truth), (high - low) / abs(truth)))

    for pair in range(pairs):
        count = len(sensors)
        curve_z = rng.standard_normal(count).tolist()
        here, there = (Machine(host, *rng.standard_normal((2, count)).tolist()) for host in ("a", "b"))
        first_z, second_z = rng.standard_normal((2, count)).tolist()
        same = pair % 2 == 0
        runs = []
        for number, (machine, z, command) in enumerate(
            ((here, first_z, "one"), (here, first_z if same else second_z, "one" if same else "two"),
             (there, first_z, "one"))
        ):  # fmt: skip
            runs.append(
                one_run(
                    rng, sensors, machine, curve_z, z, command, 10 * pair + number, rng.uniform(5, 200),
                    rng.uniform(2, 60), 0.1,
                )
            )  # fmt: skip
        (a, true_a, parts), (b, true_b, _), (c, true_c, _) = runs
        words = "same command" if same else "two commands"
        note("energy", a.energy, true_a)
        note(f"difference, {words}", b.energy - a.energy, true_b - true_a)
        note(f"ratio, {words}", b.energy / a.energy, true_b / true_a)
        note(f"sum, {words}", a.energy + b.energy, true_a + true_b)
        note("ratio, two machines of a kind", c.energy / a.energy, true_c / true_a)
        for span, truth in zip(a.spans(), parts, strict=True):
            if span.duration_s >= 0.3:
                note("span of 3 samples or more", span.energy, truth)
                note("per token", span.energy / span.counts["tokens"], truth / 100)
    return {
        kind: {
            "held": round(float(np.mean([held for held, _ in rows])), 4),
            "width": round(float(np.median([width for _, width in rows])), 4),
            "count": len(rows),
        }
        for kind, rows in seen.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    result = {name: simulate(sensors, options.pairs) for name, sensors in SENSORS.items()}
    options.output.write_text(
        json.dumps({"machine": platform.machine(), "pairs": options.pairs, "sensors": result}, indent=1)
        + "\n"
    )
    for name, rows in result.items():
        print(name)
        for kind, row in rows.items():
            print(
                f"  {kind:34} held {row['held'] * 100:5.1f} %  median width {row['width'] * 100:6.1f} % of the value"
            )


if __name__ == "__main__":
    main()
