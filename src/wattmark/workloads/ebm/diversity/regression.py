"""Energy-based models of p(y | x), many of them learnt at once: tensors have a first dimension of models.

f(x, y) = w . phi(x, y), with ten features. Learnt with samples of a proposal around each y, by maximum likelihood whose
normaliser is importance-sampled, or by noise-contrastive estimation (arXiv 2005.01698), less beta times the mean pairwise
spread of the features (arXiv 2306.01489).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wattmark.workloads.ebm.diversity.bounds import BoundTerms, largest_output, regression_terms
from wattmark.workloads.ebm.diversity.curves import REACH, draw
from wattmark.workloads.ebm.diversity.regulariser import diversity, pairwise_spread

FEATURES = 10
PROPOSALS = 64
SPREADS = (0.1, 0.8)
"""Standard deviations of the proposal around y, half of the samples each."""
GRID = 401
Loss = Literal["mle", "nce"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to learn: a set, a loss, inputs to learn from, steps of so many inputs, and Adam's rate. judged: new inputs, and
    as many of those learnt from, on which a model is judged."""

    curve: str = "mixed"
    loss: Loss = "mle"
    inputs: int = 2_000
    steps: int = 1_000
    batch: int = 32
    rate: float = 1e-2
    judged: int = 1_000


@dataclass(frozen=True, slots=True)
class Learnt:
    """One model. nll of new inputs and of those learnt from, by integration over y; theta at tau 0.95; the norm A and the
    largest weight of its features; ``terms`` of the bound."""

    seed: int
    beta: float
    nll: float
    own_nll: float
    theta: float
    norm: float
    weight: float
    terms: BoundTerms

    @property
    def gap(self) -> float:
        """How much worse new inputs are than those learnt from."""
        return self.nll - self.own_nll


class Models:
    """``count`` networks side by side: inputs (models, n) or (models, n, k)."""

    def __init__(self, seeds: Sequence[int]) -> None:
        shapes = {
            "x1": (1, FEATURES), "x2": (FEATURES, FEATURES), "y1": (1, FEATURES), "xy1": (2 * FEATURES, FEATURES),
            "xy2": (FEATURES, FEATURES), "xy3": (FEATURES, FEATURES), "out": (FEATURES, 1),
        }  # fmt: skip
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.weights: dict[str, Tensor] = {}
        for name, (before, after) in shapes.items():
            reach = 1 / math.sqrt(before)
            for part, shape in (("w", (before, after)), ("b", (1, after))):
                drawn = [torch.rand(shape, generator=generator) for generator in generators]
                self.weights[f"{name}.{part}"] = ((2 * torch.stack(drawn) - 1) * reach).requires_grad_()

    def _layer(self, name: str, hidden: Tensor) -> Tensor:
        return torch.baddbmm(self.weights[f"{name}.b"], hidden, self.weights[f"{name}.w"])

    def features(self, x: Tensor, y: Tensor) -> Tensor:
        """phi of x (models, n) and y (models, n, k): (models, n, k, FEATURES)."""
        models, count, many = y.shape
        of_x = torch.relu(self._layer("x2", torch.relu(self._layer("x1", x[..., None]))))
        of_y = torch.tanh(self._layer("y1", y.reshape(models, count * many, 1)))
        both = torch.cat((of_x.repeat_interleave(many, 1), of_y), 2)
        hidden = torch.tanh(self._layer("xy1", both))
        hidden = torch.tanh(self._layer("xy2", hidden)) + hidden
        hidden = torch.tanh(self._layer("xy3", hidden)) + hidden
        return hidden.view(models, count, many, FEATURES)

    def score(self, features: Tensor) -> Tensor:
        """f of features (models, n, k, FEATURES): (models, n, k)."""
        models, count, many, width = features.shape
        return self._layer("out", features.reshape(models, count * many, width)).view(models, count, many)


def losses(models: Models, x: Tensor, y: Tensor, noise: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """Of each model its loss, and the mean pairwise spread of its features at the data: (models,) each.

    x, y: (models, n). noise: standard normal, (models, n, PROPOSALS).
    """
    spread = torch.tensor(SPREADS).repeat_interleave(PROPOSALS // 2)
    proposed = torch.cat((y[..., None], y[..., None] + noise * spread), 2)
    features = models.features(x, proposed)
    scores = models.score(features)
    away = (proposed - y[..., None]).square()
    parts = [torch.exp(-away / (2 * s * s)) / (s * math.sqrt(2 * math.pi)) for s in SPREADS]
    weighed = scores - torch.log((parts[0] + parts[1]) / 2)
    if loss == "mle":
        log_z = torch.logsumexp(weighed[..., 1:], 2) - math.log(PROPOSALS)
        value = (log_z - scores[..., 0]).mean(1)
    else:
        value = (torch.logsumexp(weighed, 2) - weighed[..., 0]).mean(1)
    return value, pairwise_spread(features[:, :, 0]).mean(1)


def learn(plan: Plan, seeds: Sequence[int], betas: Sequence[float]) -> list[Learnt]:
    """One model for each seed with its beta; equal seeds have equal data, weights at first, batches and proposals, so that
    models of two betas are a pair."""
    count = plan.inputs + plan.judged
    data = [draw(plan.curve, count, np.random.default_rng([seed, 5])) for seed in seeds]
    x = torch.tensor(np.stack([one[0] for one in data]), dtype=torch.float32)
    y = torch.tensor(np.stack([one[1] for one in data]), dtype=torch.float32)
    known_x, known_y = x[:, : plan.inputs], y[:, : plan.inputs]
    models = Models(seeds)
    optimizer = torch.optim.Adam(models.weights.values(), lr=plan.rate)
    strength = torch.tensor(betas)
    generators = [torch.Generator().manual_seed(seed + 10_000) for seed in seeds]
    for _ in range(plan.steps):
        rows = torch.stack([torch.randint(0, plan.inputs, (plan.batch,), generator=g) for g in generators])
        noise = torch.stack([torch.randn(plan.batch, PROPOSALS, generator=g) for g in generators])
        value, spread = losses(models, known_x.gather(1, rows), known_y.gather(1, rows), noise, plan.loss)
        optimizer.zero_grad()
        torch.autograd.backward((value - strength * spread).sum())
        optimizer.step()  # pyright: ignore[reportUnknownMemberType]
    return _judged(models, plan, seeds, betas, x, y)


@torch.no_grad()
def _judged(
    models: Models, plan: Plan, seeds: Sequence[int], betas: Sequence[float], x: Tensor, y: Tensor
) -> list[Learnt]:
    own = min(plan.judged, plan.inputs)
    judged = torch.cat((torch.arange(own), torch.arange(plan.inputs, x.shape[1])))
    nll = negative_log_likelihood(models, x[:, judged], y[:, judged])
    features = models.features(x[:, plan.inputs :], y[:, plan.inputs :, None])[:, :, 0]
    theta, norm = diversity(features), features.square().sum(-1).sqrt().amax(1)
    weight = models.weights["out.w"].abs().amax((1, 2))
    found: list[Learnt] = []
    for place, (seed, beta) in enumerate(zip(seeds, betas, strict=True)):
        largest = largest_output(float(weight[place]), FEATURES, float(norm[place]), float(theta[place]))
        found.append(
            Learnt(
                seed,
                beta,
                float(nll[place, own:].mean()),
                float(nll[place, :own].mean()),
                float(theta[place]),
                float(norm[place]),
                float(weight[place]),
                regression_terms(largest, REACH, plan.inputs),
            )
        )
    return found


@torch.no_grad()
def negative_log_likelihood(models: Models, x: Tensor, y: Tensor) -> Tensor:
    """Nats of each y (models, n) given its x, by the trapezium rule over y within ``REACH``."""
    grid = torch.linspace(-REACH, REACH, GRID)
    parts: list[Tensor] = []
    for start in range(0, x.shape[1], 100):
        own_x, own_y = x[:, start : start + 100], y[:, start : start + 100, None]
        everywhere = models.score(models.features(own_x, grid.expand(*own_x.shape, GRID)))
        edge = torch.zeros(GRID)
        edge[0] = edge[-1] = math.log(0.5)
        log_z = torch.logsumexp(everywhere + edge, 2) + math.log(2 * REACH / (GRID - 1))
        parts.append(log_z - models.score(models.features(own_x, own_y))[..., 0])
    return torch.cat(parts, 1)
