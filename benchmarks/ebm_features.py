"""Claim: a reward for diverse features (arXiv 2306.01489) makes an energy's features more diverse in every pair of models;
what it does to the likelihood, and what it costs.

Run: python benchmarks/ebm_features.py LOSS [--seeds 20] [--steps 300]. For each of the two sets, models of equal seeds with
beta 0, beta chosen, and beta far too large. The chosen one is the best of a few on other seeds than those that judge. Keeps
benchmarks/results/ebm_features_LOSS.{json,md}. Joules are not measured here: learning costs as many steps for each beta, and
``spread_cost`` is what the reward adds to the processor time of a step.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from wattmark.statistics import mean_interval, t_tail
from wattmark.workloads.ebm.diversity.curves import CURVES
from wattmark.workloads.ebm.diversity.regression import Learnt, Plan, learn
from wattmark.workloads.ebm.diversity.regulariser import pairwise_spread

RESULTS = Path(__file__).parent / "results"
CANDIDATES = (1e-4, 2e-4)
TOO_LARGE = 1e-2


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("loss", choices=("mle", "nce"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for curve in CURVES:
        plan = Plan(curve, given.loss, steps=given.steps, judged=300)
        tried = [100, 101, 102, 103]
        trial = learn(plan, tried * len(CANDIDATES), [beta for beta in CANDIDATES for _ in tried])
        chosen = min(CANDIDATES, key=lambda beta: np.mean([one.nll for one in trial if one.beta == beta]))
        seeds = list(range(given.seeds))
        betas = (0.0, chosen, TOO_LARGE)
        begun = time.process_time()
        found = learn(plan, seeds * 3, [beta for beta in betas for _ in seeds])
        spent_s = time.process_time() - begun
        rows.append(row(curve, chosen, found, spent_s))
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "loss": given.loss,
        "seeds": given.seeds,
        "steps": given.steps,
        "spread_cost": spread_cost(),
        "sets": rows,
    }
    name = f"ebm_features_{given.loss}"
    RESULTS.joinpath(f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    RESULTS.joinpath(f"{name}.md").write_text(markdown(result))
    print(markdown(result))


def row(curve: str, chosen: float, found: list[Learnt], spent_s: float) -> dict:
    by_beta = {beta: [one for one in found if one.beta == beta] for beta in (0.0, chosen, TOO_LARGE)}
    plain, diverse, over = by_beta.values()
    differences = np.array([b.nll - a.nll for a, b in zip(plain, diverse, strict=True)])
    mean = mean_interval(differences, "nat", signed=True)
    t = float(differences.mean() / (differences.std(ddof=1) / len(differences) ** 0.5))
    points = [(one.terms.deviation, one.gap) for one in (*plain, *diverse)]
    return {
        "set": curve,
        "beta": chosen,
        "more_diverse": sum(b.theta > a.theta for a, b in zip(plain, diverse, strict=True)),
        "theta": [float(np.mean([one.theta for one in group])) for group in by_beta.values()],
        "nll": [float(np.mean([one.nll for one in group])) for group in by_beta.values()],
        "gap": [float(np.mean([one.gap for one in group])) for group in by_beta.values()],
        "largest_output": [
            float(np.mean([one.terms.largest_output for one in group])) for group in by_beta.values()
        ],
        "deviation": [float(np.mean([one.terms.deviation for one in group])) for group in by_beta.values()],
        "nll_difference": [mean.value, mean.low, mean.high],
        "p_worse": t_tail(len(differences) - 1, t),
        "over_worse": sum(b.nll > a.nll for a, b in zip(plain, over, strict=True)),
        "bound_and_gap_correlate": float(np.corrcoef(np.array(points).T)[0, 1]),
        "cpu_s_for_all": spent_s,
    }


def spread_cost() -> dict:
    """Microseconds of the spread of 2,080 inputs of so many features, in O(D), and over all pairs."""
    cost = {}
    for count in (10, 100):
        features = torch.randn(2_080, count)
        for name, work in (
            ("linear", lambda f: pairwise_spread(f)),
            ("pairs", lambda f: (f[:, :, None] - f[:, None]).square().sum((1, 2))),
        ):
            work(features)
            begun = time.process_time()
            for _ in range(20):
                work(features)
            cost[f"{name}_{count}_us"] = round((time.process_time() - begun) / 20 * 1e6, 1)
    return cost


def markdown(result: dict) -> str:
    lines = [
        f"# Diverse features of an energy ({result['loss']}, {result['seeds']} seeds, {result['steps']} steps)",
        "",
        "Columns: beta 0 / chosen / far too large (0.01). NLL in nats on 300 new inputs; theta at tau 0.95; gap: NLL of new",
        "inputs less that of those learnt from; S: the bound's largest output. Pairs have equal seeds.",
        "",
        "| set | beta | theta | more diverse | NLL | NLL difference, 95 % | p (worse) | gap | S | too large is worse |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in result["sets"]:
        three = {
            key: " / ".join(f"{value:.3g}" for value in one[key])
            for key in ("theta", "nll", "gap", "largest_output")
        }
        value, low, high = one["nll_difference"]
        lines.append(
            f"| {one['set']} | {one['beta']:g} | {three['theta']} | {one['more_diverse']} of {result['seeds']} "
            f"| {three['nll']} | {value:+.3f} [{low:+.3f}, {high:+.3f}] | {one['p_worse']:.2g} | {three['gap']} "
            f"| {three['largest_output']} | {one['over_worse']} of {result['seeds']} |"
        )
    cost = result["spread_cost"]
    lines += [
        "",
        f"The spread of 2,080 inputs takes {cost['linear_10_us']:g} us of processor time for 10 features and "
        f"{cost['linear_100_us']:g} us for 100; over all pairs {cost['pairs_10_us']:g} and {cost['pairs_100_us']:g} us.",
        "",
        "Measured on a machine that other work kept busy.",
    ]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
