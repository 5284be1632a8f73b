"""Which batch size a recurring job runs with next, so that all its runs together cost little.

After Zeus (You, Chung and Chowdhury, NSDI 2023): Thompson sampling over batch sizes, and runs that turn out to be dear are
stopped early. What is different: neighbouring sizes tell of each other. The logarithm of a run's cost is taken as a Gaussian
process over the logarithm of the size (C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning, 2006,
section 2.2), so that sizes that their neighbours show to be bad are never run, where Zeus runs each one twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError

Float64 = NDArray[np.float64]

SPREAD, LENGTH_OCTAVES = 0.8, 1.5
"""Of the log cost over all sizes, and how far (in doublings) one size tells of another."""
RUN_TO_RUN, RUNS_OF_PRIOR = 0.15, 4.0
"""Scatter of the log cost of alike runs before any is known, and how many runs that is worth."""
STOP_FACTOR = 1.5
"""A run is stopped when it has cost so many times what the best size is expected to."""
FAILED_FACTOR = 1.5
"""What did not reach its target would have cost at least so many times what it had when it was stopped."""


class Trial(NamedTuple):
    """One run: its size, what it has cost, and whether it reached its target."""

    size: int
    cost: float
    reached: bool


class Bandit:
    """``choose()`` names the size of the next run, ``observe()`` takes what came of it, ``stop_at()`` is when to give up.

    sizes: batch sizes that the job can run with; default: the one that it has run with so far, tried first. Raises
    ConfigError for sizes that cannot be.
    """

    def __init__(
        self, sizes: Sequence[int], default: int, seed: int | None = None, trials: Sequence[Trial] = ()
    ) -> None:
        self.sizes = tuple(sorted(set(sizes)))
        if not self.sizes or self.sizes[0] < 1:
            raise ConfigError("batch sizes are whole numbers from 1 on", hint="--sizes 32,64,128")
        if default not in self.sizes:
            raise ConfigError(f"the default size {default} is none of {', '.join(map(str, self.sizes))}")
        self.default = default
        self.trials = [trial for trial in trials if trial.size in self.sizes]
        self._rng = np.random.default_rng(seed)
        at = np.log2(np.array(self.sizes, np.float64))
        self._prior: Float64 = SPREAD**2 * np.exp(-0.5 * ((at[:, None] - at[None, :]) / LENGTH_OCTAVES) ** 2)

    def choose(self) -> int:
        """The next run's size: the default until one has reached its target, then one drawn by how likely it is best."""
        if not any(trial.reached for trial in self.trials):
            failed = [trial.size for trial in self.trials]
            near = sorted(
                self.sizes, key=lambda size: (failed.count(size), abs(math.log2(size / self.default)))
            )
            return near[0]
        mean, covariance = self._posterior()
        drawn = self._rng.multivariate_normal(mean, covariance, method="cholesky", check_valid="ignore")
        return self.sizes[int(np.argmin(drawn))]

    def observe(self, size: int, cost: float, *, reached: bool) -> None:
        """What a run has cost, in whichever unit; one that was stopped or missed its target did not reach it."""
        if size not in self.sizes or not cost > 0 or not math.isfinite(cost):
            raise ConfigError(f"a run of size {size} that cost {cost:g} cannot be")
        self.trials.append(Trial(size, cost, reached))

    def stop_at(self) -> float | None:
        """The cost at which a run is given up; None before any has reached its target."""
        if not any(trial.reached for trial in self.trials):
            return None
        best, scatter = min(self.expected().values()), self._scatter()
        return best * max(STOP_FACTOR, math.exp(3 * scatter))

    def best(self) -> int:
        """The size that is expected to cost least."""
        expected = self.expected()
        return min(expected, key=lambda size: expected[size]) if self.trials else self.default

    def expected(self) -> dict[int, float]:
        """What a run of each size is expected to cost (the median)."""
        mean, _ = self._posterior()
        return dict(zip(self.sizes, np.exp(mean).tolist(), strict=True))

    def _posterior(self) -> tuple[Float64, Float64]:
        """Mean (k,) and covariance (k, k) of the log cost by size."""
        if not self.trials:
            return np.zeros(len(self.sizes)), self._prior
        logs: dict[int, list[float]] = {}
        for trial in self.trials:
            log = math.log(trial.cost) + (0.0 if trial.reached else math.log(FAILED_FACTOR))
            logs.setdefault(self.sizes.index(trial.size), []).append(log)
        places = np.array(sorted(logs), np.int64)
        means = np.array([np.mean(logs[place]) for place in sorted(logs)], np.float64)
        counts = np.array([len(logs[place]) for place in sorted(logs)], np.float64)
        centre = float(means.mean())
        among = self._prior[np.ix_(places, places)] + np.diag(self._scatter() ** 2 / counts)
        gain = np.linalg.solve(among, self._prior[places, :]).T
        covariance = self._prior - gain @ self._prior[places, :]
        mean = centre + gain @ (means - centre)
        return mean, (covariance + covariance.T) / 2 + 1e-9 * np.eye(len(self.sizes))

    def _scatter(self) -> float:
        """Of the log cost of alike runs that reached their target."""
        squares, freedom = RUNS_OF_PRIOR * RUN_TO_RUN**2, RUNS_OF_PRIOR
        for size in self.sizes:
            logs = [math.log(trial.cost) for trial in self.trials if trial.size == size and trial.reached]
            if len(logs) > 1:
                mean = sum(logs) / len(logs)
                squares += sum((value - mean) ** 2 for value in logs)
                freedom += len(logs) - 1
        return math.sqrt(squares / freedom)
