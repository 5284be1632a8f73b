"""Batch size and power cap of recurring jobs, chosen as they recur: the traces of Zeus replayed.

    python benchmarks/recurring_jobs.py [--data ../shared/data/zeus_traces] [--seeds 20]

Data: You, Chung and Chowdhury, Zeus (NSDI 2023), Apache-2.0: epochs to a target by batch size (several seeds each) and
seconds and watts of an epoch by power limit, for six jobs on four GPUs. A job recurs 2 |sizes| |limits| times, as in that
paper; its cost is ``eta E + (1 - eta) P_max T`` with eta 0.5. What misses its target is run again, and all of it counts.
Regret: what the runs cost beyond as many runs at the best size and limit there is, as a multiple of one such run.

- ours: wattmark.advise.recurring, limits from four windows within the first epoch of a size (wattmark.advise.cap).
- Zeus: its published policy from the paper and the behaviour of its simulator, written anew: each size from the default
  downwards, then upwards, until one fails, twice over; then Thompson sampling with a Gaussian for each size; all limits
  profiled within the first epoch; runs stopped at twice the least cost so far.
- grid: every size and limit once (sizes that failed are left out), then the best of them.
- random: a size and limit drawn each time.
- default: the default size without a limit.

No constant of ours was chosen on these traces but the ones of wattmark.advise.cap (see benchmarks/power_caps.py).
Results: benchmarks/results/recurring_jobs.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wattmark.advise.cap import CapSearch, Goal, Window
from wattmark.advise.recurring import Bandit

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "recurring_jobs.json"
GPUS = ("v100", "a40", "p100", "rtx6000")
ETA, BETA = 0.5, 2.0
JOBS = {
    ("cifar100", "shufflenetv2", "adadelta"): (0.6, 100, 1024),
    ("imagenet", "resnet50", "adadelta"): (0.65, 100, 256),
    ("squad", "bert_base_uncased", "adamw"): (84.0, 6, 32),
    ("librispeech", "deepspeech2", "adamw"): (40.0, 16, 256),
    ("movielens-1m", "ncf", "adam"): (0.41, 100, 1024),
    ("sentiment140", "bert_base_uncased", "adamw"): (0.84, 10, 128),
}
"""Job -> target, most epochs, default size: as in the scripts beside the traces."""
MOST_TRIES = 20


@dataclass
class Job:
    """epochs: by size, those to the target of each run in the trace (inf: it was missed). power: by size, by limit."""

    name: str
    most_epochs: int
    default: int
    epochs: dict[int, list[float]]
    power: dict[int, dict[float, Window]]

    @property
    def sizes(self) -> list[int]:
        return sorted(self.power)

    @property
    def most_w(self) -> float:
        return max(max(row) for row in self.power.values())

    def epoch_cost(self, size: int, cap: float) -> float:
        window = self.power[size][cap]
        return ETA * window.joules + (1 - ETA) * self.most_w * window.seconds

    def best_cap(self, size: int) -> float:
        return min(self.power[size], key=lambda cap: self.epoch_cost(size, cap))

    def best_cost(self) -> float:
        """The mean cost at the best size and limit, of sizes that always reach the target."""
        costs = [
            float(np.mean(self.epochs[size])) * self.epoch_cost(size, self.best_cap(size))
            for size in self.sizes
            if max(self.epochs[size]) <= self.most_epochs
        ]
        return min(costs)


class Ledger:
    """Runs the job and adds up what it costs."""

    def __init__(self, job: Job, rng: np.random.Generator) -> None:
        self.job, self.rng = job, rng
        self.total = 0.0
        self.failed = 0

    def run(
        self, size: int, cap: float, bound: float, profiled: list[float] | None = None
    ) -> tuple[float, bool]:
        """One run, stopped before the epoch with which it would cost more than ``bound``; its cost, and whether it reached
        its target. profiled: the limits among which its first epoch is shared out."""
        job = self.job
        needed = job.epochs[size][self.rng.integers(len(job.epochs[size]))]
        per_epoch = job.epoch_cost(size, cap)
        first = np.mean([job.epoch_cost(size, one) for one in profiled]) if profiled else per_epoch
        most = min(job.most_epochs, bound // per_epoch if math.isfinite(bound) else job.most_epochs)
        reached = needed <= most
        done = needed if reached else most
        cost = float(first + (done - 1) * per_epoch) if done >= 1 else 0.0
        self.total += cost
        self.failed += not reached
        return cost, reached


Policy = Callable[[Job, np.random.Generator, int], Ledger]


def ours(job: Job, rng: np.random.Generator, times: int) -> Ledger:
    ledger = Ledger(job, rng)
    bandit = Bandit(job.sizes, job.default, int(rng.integers(1 << 30)))
    caps: dict[int, float] = {}
    for _ in range(times):
        for _ in range(MOST_TRIES):
            size = bandit.choose()
            profiled = None
            if size not in caps:
                caps[size], profiled = searched(job, size)
            bound = bandit.stop_at()
            cost, reached = ledger.run(size, caps[size], bound or math.inf, profiled)
            bandit.observe(size, max(cost, bound or 0.0) if not reached else cost, reached=reached)
            if reached:
                break
    return ledger


def searched(job: Job, size: int) -> tuple[float, list[float]]:
    row = job.power[size]
    if len(row) < 2:
        return max(row), [max(row)]
    search = CapSearch(sorted(row), Goal(eta=ETA))
    while (cap := search.next()) is not None:
        search.add(row[cap])
    return search.choice().cap_w, [window.cap_w for window in search.windows]


def zeus(job: Job, rng: np.random.Generator, times: int) -> Ledger:
    ledger = Ledger(job, rng)
    profiled: set[int] = set()
    least = math.inf
    costs: dict[int, list[float]] = defaultdict(list)
    sizes, default = job.sizes, job.default
    plan = iter(())
    good: list[int] = []
    rounds, best, failed_going = 0, math.inf, ""

    def order():
        at = sizes.index(default)
        return iter(
            [("down", size) for size in reversed(sizes[: at + 1])]
            + [("up", size) for size in sizes[at + 1 :]]
        )

    plan = order()
    arms: list[int] | None = None
    next_default = default
    done = 0
    while done < times:
        tries = 0
        spent = 0.0
        while True:
            going, size = "", 0
            while arms is None:
                step = next(plan, None)
                if step is None:
                    rounds += 1
                    sizes, default = sorted(good) or [default], next_default
                    good, best, failed_going = [], math.inf, ""
                    if rounds == 2:
                        arms = list(sizes)
                        break
                    plan = order()
                elif step[0] != failed_going:
                    going, size = step
                    break
            if arms is not None:
                cold = [arm for arm in arms if not costs[arm]]
                size = cold[0] if cold else min(arms, key=lambda arm: sampled(costs[arm], rng))
            caps = list(job.power[size])
            first = None if size in profiled else caps
            profiled.add(size)
            bound = BETA * least
            cost, reached = ledger.run(size, job.best_cap(size), bound, first)
            spent += cost
            seen = cost if cost > 0 else 100 * bound
            costs[size].append(seen)
            if going:
                if reached:
                    good.append(size)
                    if cost < best:
                        best, next_default = cost, size
                else:
                    failed_going = going
            tries += 1
            if reached or tries >= MOST_TRIES:
                if reached:
                    least = min(least, spent)
                break
        done += 1
    return ledger


def sampled(costs: list[float], rng: np.random.Generator) -> float:
    """Of the Gaussian of the mean of an arm's costs."""
    return (
        float(rng.normal(np.mean(costs), np.std(costs) / math.sqrt(len(costs))))
        if len(costs) > 1
        else costs[0]
    )


def grid(job: Job, rng: np.random.Generator, times: int) -> Ledger:
    ledger = Ledger(job, rng)
    left = [(size, cap) for size in job.sizes for cap in sorted(job.power[size], reverse=True)]
    seen: dict[tuple[int, float], float] = {}
    for _ in range(times):
        for _ in range(MOST_TRIES):
            size, cap = (
                left.pop(0)
                if left
                else min(seen, key=lambda arm: seen[arm])
                if seen
                else (job.default, job.most_w)
            )
            cost, reached = ledger.run(size, cap, math.inf)
            if reached:
                seen.setdefault((size, cap), cost)
                break
            left = [arm for arm in left if arm[0] != size]
    return ledger


def at_random(job: Job, rng: np.random.Generator, times: int) -> Ledger:
    ledger = Ledger(job, rng)
    for _ in range(times):
        for _ in range(MOST_TRIES):
            size = int(rng.choice(job.sizes))
            if ledger.run(size, float(rng.choice(list(job.power[size]))), math.inf)[1]:
                break
    return ledger


def default(job: Job, rng: np.random.Generator, times: int) -> Ledger:
    ledger = Ledger(job, rng)
    for _ in range(times):
        for _ in range(MOST_TRIES):
            if ledger.run(job.default, max(job.power[job.default]), math.inf)[1]:
                break
    return ledger


POLICIES: dict[str, Policy] = {
    "ours": ours,
    "Zeus": zeus,
    "grid": grid,
    "random": at_random,
    "default": default,
}


def jobs(folder: Path, gpu: str) -> list[Job]:
    power: dict[tuple[str, ...], dict[int, dict[float, Window]]] = defaultdict(lambda: defaultdict(dict))
    with (folder / f"summary_power_{gpu}.csv").open() as file:
        for row in csv.DictReader(file):
            key = (row["dataset"], row["network"], row["optimizer"])
            window = Window(
                float(row["power_limit"]), float(row["time_per_epoch"]), float(row["average_power"])
            )
            power[key][int(row["batch_size"])][window.cap_w] = window
    epochs: dict[tuple[str, ...], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    with (folder / "summary_train.csv").open() as file:
        for row in csv.DictReader(file):
            key = (row["dataset"], row["network"], row["optimizer"])
            if key in JOBS and float(row["target_metric"]) == JOBS[key][0]:
                epochs[key][int(row["batch_size"])].append(float(row["target_epoch"] or "inf"))
    found = []
    for key, (_, most, first) in JOBS.items():
        sizes = {size: row for size, row in power[key].items() if epochs[key].get(size)}
        if sizes:
            near = min((size for size in sizes if size <= first), key=lambda size: first - size)
            found.append(Job(key[0], most, near, {size: epochs[key][size] for size in sizes}, sizes))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Recurring jobs, replayed.")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "zeus_traces")
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    rows = []
    for gpu in GPUS:
        for job in jobs(args.data, gpu):
            caps = {cap for row in job.power.values() for cap in row}
            times = 2 * len(job.sizes) * len(caps)
            least = job.best_cost()
            row: dict[str, object] = {"gpu": gpu, "job": job.name, "sizes": len(job.sizes), "runs": times}
            for name, policy in POLICIES.items():
                ledgers = [policy(job, np.random.default_rng(seed), times) for seed in range(args.seeds)]
                regrets = [one.total / least - times for one in ledgers]
                row[name] = {
                    "regret_mean": round(float(np.mean(regrets)), 2),
                    "regret_sd": round(float(np.std(regrets)), 2),
                    "beyond_best_percent": round(100 * float(np.mean(regrets)) / times, 1),
                    "failed_mean": round(float(np.mean([one.failed for one in ledgers])), 1),
                }
            rows.append(row)
            print(gpu, job.name, times, {name: row[name]["regret_mean"] for name in POLICIES}, flush=True)
    overall = {
        name: {
            "regret_median_of_jobs": round(float(np.median([row[name]["regret_mean"] for row in rows])), 2),
            "beyond_best_percent_mean": round(
                float(np.mean([row[name]["beyond_best_percent"] for row in rows])), 1
            ),
            "beyond_best_percent_worst": max(row[name]["beyond_best_percent"] for row in rows),
        }
        for name in POLICIES
    }
    better = sum(row["ours"]["regret_mean"] < row["Zeus"]["regret_mean"] for row in rows)
    result = {
        "seeds": args.seeds,
        "overall": overall,
        "jobs_better_than_zeus": f"{better} of {len(rows)}",
        "jobs": rows,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({"overall": overall, "better": result["jobs_better_than_zeus"]}, indent=1))


if __name__ == "__main__":
    main()
