"""One Gaussian process for a phase of a kind: what its cost is, of any shape, and how sure that is.

The mean is physics (launch, operations, bytes; factors fitted to relative least squares, none negative); on the
logarithm of what is left, over the logarithms of the sizes, a process with a Matern kernel of smoothness 2.5, a length
scale for each size and white noise (scikit-learn), as in THOR (arXiv 2501.16397), which has it on the joules themselves.
"""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wattmark.errors import MissingExtra
from wattmark.predict.layers.kinds import Kind
from wattmark.predict.llm.predictor import factors
from wattmark.statistics import Float64

LEAST = 1e-9
_NOISE = 0.02


@dataclass(slots=True)
class Process:
    """kind: whose phase it is. factors: (4,) of the work. log_low, log_span: (d,) by which the sizes are scaled. process:
    of scikit-learn; None where all shapes are one."""

    kind: Kind
    factors: Float64
    log_low: Float64
    log_span: Float64
    process: Any
    offset: float

    @classmethod
    def fit(
        cls,
        kind: Kind,
        shapes: Sequence[tuple[float, ...]],
        costs: Sequence[float],
        errors: Sequence[float],
        hyperparameters: Any = None,
    ) -> Process:
        """Of shapes (n,) and their costs, with their relative standard errors. hyperparameters: of another fit of the same
        phase, which are then kept: much quicker."""
        truth = _above_noise(np.array(costs, np.float64))
        terms = np.array([kind.terms(shape) for shape in shapes])
        weights = factors(terms, truth) if len(shapes) > 1 else np.array([truth[0], 0.0, 0.0, 0.0])
        left = np.log(truth / np.maximum(terms @ weights, LEAST))
        logs = np.array([kind.features(shape) for shape in shapes])
        low, span = logs.min(axis=0), np.ptp(logs, axis=0)
        offset = float(left.mean())
        process = None
        if (span > 0).any() and len(shapes) > 2:
            span = np.where(span > 0, span, 1.0)
            noise = np.maximum(np.array(errors, np.float64), 1e-3) ** 2
            process = _processed((logs - low) / span, left - offset, noise, hyperparameters)
        return cls(kind, weights, low, np.where(span > 0, span, 1.0), process, offset)

    def predict(self, shapes: Sequence[tuple[float, ...]]) -> tuple[Float64, Float64]:
        """The cost (n,) of shapes, and the deviation (n,) of its logarithm."""
        terms = np.array([self.kind.terms(shape) for shape in shapes])
        mean = np.maximum(terms @ self.factors, LEAST) * math.exp(self.offset)
        if self.process is None:
            return mean, np.zeros(len(shapes))
        logs = np.array([self.kind.features(shape) for shape in shapes])
        left, deviation = self.process.predict((logs - self.log_low) / self.log_span, return_std=True)
        # far from every shape the process is back at physics; what noise makes of it is not more than a factor e
        return mean * np.exp(np.clip(left, -1.0, 1.0)), deviation

    @property
    def launch(self) -> float:
        """What a call of no size costs."""
        return float(self.factors[0]) * math.exp(self.offset)

    @property
    def hyperparameters(self) -> Any:
        """What to hand to the next fit; None without a process."""
        return None if self.process is None else self.process.kernel_


def _above_noise(costs: Float64) -> Float64:
    """What a subtraction left of a small cost may be nothing, or less: such a one is a part of what small ones cost."""
    small = np.sort(costs[costs > 0])[: max(1, len(costs) // 4)]
    return np.maximum(costs, max(LEAST, 0.3 * float(np.median(small))) if len(small) else LEAST)


def _processed(x: Float64, y: Float64, noise: Float64, hyperparameters: Any) -> Any:
    gaussian: Any = _sklearn("sklearn.gaussian_process")
    kernels: Any = _sklearn("sklearn.gaussian_process.kernels")
    kernel = hyperparameters or (
        kernels.ConstantKernel(0.1, (1e-4, 4.0)) * kernels.Matern(np.ones(x.shape[1]), (0.1, 30.0), nu=2.5)
        + kernels.WhiteKernel(_NOISE**2, (1e-5, 0.1))
    )
    process = gaussian.GaussianProcessRegressor(
        kernel, alpha=noise, optimizer=None if hyperparameters else "fmin_l_bfgs_b", random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound says that the size does not matter
        process.fit(x, y)
    return process


def _sklearn(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra("scikit-learn", "study") from error
