"""How well does the gate decide? In simulation, and on real workloads of this machine.

    python benchmarks/gate.py [--real 100] [--seconds 1200]

Simulation: base and head lognormal with one run-to-run spread, the gate's own decision (over: more than 0 beyond chance
and by the best estimate more than 3 %), 2,000 gates each; beside it the pairs of a fixed-size one-sided t-test of the
same power, and a mixture sequential probability ratio test (Johari, Koomen, Pekelis and Walsh, Operations Research 70,
2022; normal mixture with the spread known and the mixing deviation equal to the regression) that may look after every
pair.

Real: CPU seconds of two programs (plain Python; numpy and its libraries) through the whole command, with 5 % more
iterations planted and with none. Writes benchmarks/results/gate.json and gate.md.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.advise.gate.decision import Gate, Limits
from wattmark.advise.gate.repeat import Bench
from wattmark.statistics import SequentialTest, t_quantile

ROOT = Path(__file__).resolve().parent.parent
GATES = 2_000
SPREADS = (0.01, 0.02, 0.03, 0.05, 0.08)
EFFECT, ALLOWED = math.log(1.05), math.log(1.03)
PROGRAMS = {
    "python": "import sys\nx = 0\nfor i in range(int(3_000_000 * float(sys.argv[1]))):\n    x += i * i % 7\n",
    "numpy": (
        "import sys, os\nos.environ['OPENBLAS_NUM_THREADS'] = '1'\nimport numpy as np\n"
        "a = np.random.default_rng(0).normal(size=(160, 160))\nx = a\n"
        "for i in range(int(1200 * float(sys.argv[1]))):\n    x = np.tanh(a @ x / 160)\n"
    ),
}


def simulate(effect: float, spread: float, seed: int) -> tuple[float, float]:
    """Share of gates that say over, and the median pairs at which they do."""
    rng = np.random.default_rng(seed)
    test = SequentialTest()
    logs = rng.normal(effect, spread * math.sqrt(2), (GATES, test.looks[-1]))
    stopped, over = np.zeros(GATES, int), np.zeros(GATES, bool)
    for count, level in zip(test.looks, test.levels, strict=True):
        part = logs[:, :count]
        mean, error = part.mean(axis=1), part.std(axis=1, ddof=1) / math.sqrt(count)
        critical = t_quantile(count - 1, 1 - level)
        within = (ALLOWED - mean) / error >= critical
        more = (mean / error >= critical) & (mean > ALLOWED) & ~within
        fresh = stopped == 0
        over |= fresh & more
        stopped = np.where(fresh & (within | more), count, stopped)
    return float(over.mean()), float(np.median(stopped[over])) if over.any() else math.nan


def msprt(effect: float, spread: float, seed: int) -> tuple[float, float]:
    """The same of a one-sided mixture test with known spread that looks after every pair, up to 40."""
    rng = np.random.default_rng(seed)
    variance, mix = 2 * spread**2, EFFECT**2
    logs = rng.normal(effect, math.sqrt(variance), (GATES, 40))
    n = np.arange(1, 41)
    mean = np.cumsum(logs, axis=1) / n
    ratio = np.sqrt(variance / (variance + n * mix)) * np.exp(
        n**2 * mix * mean**2 / (2 * variance * (variance + n * mix))
    )
    crossed = (ratio >= 1 / (2 * 0.05)) & (mean > 0)
    power = float(crossed.any(axis=1).mean())
    first = crossed.argmax(axis=1)[crossed.any(axis=1)] + 1
    return power, float(np.median(first)) if power else math.nan


def fixed(spread: float, power: float) -> int:
    """Pairs of a one-sided t-test at 0.05 with this power against 5 %."""
    for n in range(3, 400):
        noncentral = EFFECT / (spread * math.sqrt(2)) * math.sqrt(n)
        if noncentral - t_quantile(n - 1, 0.95) >= t_quantile(math.inf, max(min(power, 0.999), 0.501)):
            return n
    return 400


def real(gates: int, seconds: float) -> dict[str, Any]:
    began, results = time.monotonic(), {}
    with tempfile.TemporaryDirectory() as home:
        folders = {}
        for side, scale in (("base", 1.0), ("same", 1.0), ("more", 1.05)):
            for name, text in PROGRAMS.items():
                folder = Path(home, f"{side}-{name}")
                folder.mkdir()
                (folder / "work.py").write_text(text.replace("sys.argv[1]", repr(scale)))
                folders[side, name] = str(folder)
        rows: dict[str, list[Any]] = {f"{name}, {side}": [] for name in PROGRAMS for side in ("same", "more")}
        for _ in range(gates):
            for name in PROGRAMS:
                for side in ("same", "more"):
                    if time.monotonic() - began > seconds:
                        break
                    bench = Bench((sys.executable, "work.py"), "cpu_s", "b")
                    verdict = Gate(bench, Limits(), "base").against_commit(
                        folders[side, name], folders["base", name]
                    )
                    rows[f"{name}, {side}"].append(
                        (verdict.outcome, verdict.pairs, verdict.spread, verdict.ratio)
                    )
        for key, verdicts in rows.items():
            if verdicts:
                results[key] = {
                    "gates": len(verdicts),
                    **{
                        word: sum(row[0] == word for row in verdicts)
                        for word in ("over", "within", "undecided")
                    },
                    "median pairs": float(np.median([row[1] for row in verdicts])),
                    "median spread": float(np.median([row[2] for row in verdicts])),
                    "median ratio": float(np.median([row[3] for row in verdicts])),
                }
    return results


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--real", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1200.0)
    given = parser.parse_args()
    table = []
    for number, spread in enumerate(SPREADS):
        power, pairs = simulate(EFFECT, spread, number)
        wrong, _ = simulate(0.0, spread, 100 + number)
        rival, rival_pairs = msprt(EFFECT, spread, number)
        table.append(
            {
                "spread": spread, "power at 5 %": power, "median pairs": pairs, "over at 0 %": wrong,
                "fixed-size pairs of this "
                "power": fixed(spread, power), "mSPRT power": rival, "mSPRT median pairs": rival_pairs,
                "mSPRT over at 0 %": msprt(0.0, spread, 100 + number)[0],
            }
        )  # fmt: skip
    result = {"simulation": table, "real, CPU seconds": real(given.real, given.seconds) if given.real else {}}
    (ROOT / "benchmarks/results/gate.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    lines = ["spread  power  pairs  wrong  fixed-size pairs  mSPRT power  mSPRT pairs  mSPRT wrong"]
    lines += [
        f"{row['spread'] * 100:5.0f} %  {row['power at 5 %']:5.2f}  {row['median pairs']:5.0f}  {row['over at 0 %']:5.3f}  "
        f"{row['fixed-size pairs of this power']:16d}  {row['mSPRT power']:11.2f}  {row['mSPRT median pairs']:11.0f}  "
        f"{row['mSPRT over at 0 %']:11.3f}"
        for row in table
    ]
    for key, row in result["real, CPU seconds"].items():
        lines.append(
            f"real, {key}: {row['gates']} gates, {row['over']} over, {row['within']} within, "
            f"{row['undecided']} undecided; median "
            f"{row['median pairs']:.0f} pairs, spread {row['median spread'] * 100:.1f} %"
        )
    (ROOT / "benchmarks/results/gate.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
