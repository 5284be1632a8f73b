"""Fleets with known shares of the variance of carbon: how often the stated intervals hold them.

    python benchmarks/fleet_shares.py [--fleets 400]

Each fleet is drawn from a law whose shares are known: logarithms of power, time and intensity, normal, heavy-tailed
(Student's t of 8) or skewed, correlated or not, of 30 to 400 rows. Bar: each share held in 95 of 100 (within what so many
fleets can tell). Results: benchmarks/results/fleet_shares.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from wattmark.lifecycle.fleet.variance import decompose

RESULTS = Path(__file__).parent / "results" / "fleet_shares.json"
NAMES = ("power", "time", "intensity")
LAWS = {
    "independent": np.diag([0.6, 1.5, 0.8]) ** 2,
    "one drives all": np.diag([0.2, 2.0, 0.3]) ** 2,
    "correlated": np.array([[0.5, 0.4, -0.2], [0.4, 1.6, -0.3], [-0.2, -0.3, 0.7]]),
}


def drawn(law: np.ndarray, shape: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    root = np.linalg.cholesky(law)
    if shape == "normal":
        noise = rng.standard_normal((3, rows))
    elif shape == "heavy":
        noise = rng.standard_t(8, (3, rows)) / np.sqrt(8 / 6)
    else:  # skewed: a gamma of shape 8, standardised
        noise = (rng.gamma(8, 1, (3, rows)) - 8) / np.sqrt(8)
    return root @ noise


def main() -> None:
    parser = argparse.ArgumentParser(description="How often intervals of shares hold the planted ones.")
    parser.add_argument("--fleets", type=int, default=400)
    args = parser.parse_args()
    rng = np.random.default_rng(20)
    results: list[dict[str, object]] = []
    for name, law in LAWS.items():
        total = law.sum()
        truth = {
            **{("own", one): law[at, at] / total for at, one in enumerate(NAMES)},
            **{("all", one): law[at].sum() / total for at, one in enumerate(NAMES)},
            **{(NAMES[a], NAMES[b]): 2 * law[a, b] / total for a in range(3) for b in range(a + 1, 3)},
        }
        for shape in ("normal", "heavy", "skewed"):
            for rows in (30, 100, 400):
                held = dict.fromkeys(truth, 0)
                for seed in range(args.fleets):
                    table = drawn(law, shape, rows, rng)
                    found = decompose(dict(zip(NAMES, table, strict=True)), seed=seed, resamples=500)
                    for key, value in truth.items():
                        one = (
                            found.own[key[1]] if key[0] == "own"
                            else found.in_all[key[1]] if key[0] == "all"
                            else found.together[key]
                        )  # fmt: skip
                        held[key] += bool(one.low <= value <= one.high)
                shares = {" ".join(key): round(100 * count / args.fleets, 1) for key, count in held.items()}
                mean = round(sum(shares.values()) / len(shares), 1)
                results.append(
                    {"law": name, "shape": shape, "rows": rows, "held_percent": shares, "mean": mean}
                )
                print(name, shape, rows, mean, min(shares.values()))
    RESULTS.write_text(json.dumps({"fleets": args.fleets, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
