"""Regression by energies with and without a reward for diverse features, as the workload of a study."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from wattmark.errors import ConfigError, MissingExtra
from wattmark.workloads.ebm.diversity.curves import CURVES
from wattmark.workloads.registry import Config, Factor, SpanMaker


class DiversityWorkload:
    """One-dimensional regression by an energy with ten features."""

    factors: Mapping[str, Factor] = {
        "data": Factor(
            "mixed", "mixed: two branches and a skewed one; widening: a growing noise", choices=tuple(CURVES)
        ),
        "loss": Factor(
            "mle", "mle: importance-sampled likelihood; nce: noise-contrastive", choices=("mle", "nce")
        ),
        "beta": Factor(0.0, "reward for the pairwise spread of the features"),
        "inputs": Factor(2_000, "to learn from; a thousand new ones judge"),
        "steps": Factor(1_000, "of learning"),
        "threads": Factor(1, "of torch"),
        "seed": Factor(0, "of data, weights and batches; equal seeds make pairs over beta"),
    }

    def warm_up(self, config: Config) -> None:
        """Load torch and take two steps. Raises MissingExtra without torch, ConfigError for levels that cannot be."""
        if find_spec("torch") is None:
            raise MissingExtra("torch", "study")
        for name in ("inputs", "steps", "threads"):
            if int(config[name]) < 1:
                raise ConfigError(f"{name} must be above 0, not {config[name]}")
        if float(config["beta"]) < 0:
            raise ConfigError(f"beta must not be below 0: it is {config['beta']}")
        from wattmark.workloads.ebm.diversity.regression import Plan, learn

        learn(Plan(inputs=40, steps=2, judged=40), [0], [0.0])

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """``nll`` of new inputs, ``gap`` to those learnt from, ``diversity`` (theta) and the terms of the bound."""
        import torch

        from wattmark.workloads.ebm.diversity.regression import Plan, learn

        torch.set_num_threads(int(config["threads"]))
        plan = Plan(
            str(config["data"]),
            "nce" if config["loss"] == "nce" else "mle",
            int(config["inputs"]),
            int(config["steps"]),
        )
        with span("train", samples=plan.steps * plan.batch, steps=plan.steps):
            (found,) = learn(plan, [int(config["seed"])], [float(config["beta"])])
        return {
            "nll": found.nll,
            "gap": found.gap,
            "diversity": found.theta,
            "feature_norm": found.norm,
            "largest_output": found.terms.largest_output,
            "bound_deviation": found.terms.deviation,
        }
