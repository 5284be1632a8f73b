"""Learning a discrete density of the plane as the workload of a study: by which method, for how long, how well.

Stages: ``data``, then ``epoch`` (learning only) and ``evaluation`` in turns, ``inference`` (words drawn by the method's own
sampler) and ``picture``. What an evaluation found stands with its stage, so that a study can say how many joules of learning
a method needed to become so good.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from wattmark.errors import ConfigError, MissingExtra
from wattmark.workloads.ebm.codes import MOST_ENUMERATED, Code
from wattmark.workloads.ebm.picture import Picture
from wattmark.workloads.ebm.points import SETS, draw
from wattmark.workloads.registry import Config, Factor, SpanMaker

if TYPE_CHECKING:
    from wattmark.workloads.ebm.measures import Truth
    from wattmark.workloads.ebm.methods.base import Method

_SAMPLES = 4_000
_PROPOSAL_STEPS = 400
_PROPOSALS = 20_000
_HELD_OUT = 20_000


class EbmWorkload:
    """A discrete density learnt from samples."""

    factors: Mapping[str, Factor] = {
        "data": Factor("moons", "a set of points in the plane", choices=tuple(SETS)),
        "method": Factor(
            "aloe",
            "aloe: an energy and a learnt sampler; pcd: an energy and Gibbs chains; autoregressive: bit by bit",
            choices=("aloe", "pcd", "autoregressive"),
        ),
        "bits": Factor(16, "of a point's code: a sign and the Gray code of the magnitude, for both axes"),
        "cpu_seconds": Factor(20.0, "processor time of learning; evaluations are not counted"),
        "steps": Factor(
            0, "of learning, in the place of cpu_seconds: then equal seeds give equal models; 0: by time"
        ),
        "evaluations": Factor(5, "how often it is evaluated, at equal distances of learning"),
        "width": Factor(256, "of the hidden layers"),
        "batch_size": Factor(128, "words of a step"),
        "threads": Factor(1, "of torch"),
        "seed": Factor(0, "of data, weights and sampling"),
    }

    def warm_up(self, config: Config) -> None:
        """Load torch and take two small steps. Raises MissingExtra without torch, ConfigError for levels that cannot be."""
        _checked(config)
        import torch

        from wattmark.workloads.ebm.methods.table import METHODS

        torch.set_num_threads(int(config["threads"]))
        bits = int(config["bits"])
        method = METHODS[str(config["method"])](bits, 0, int(config["width"]))
        for _ in range(2):
            method.step(torch.zeros(4, bits))
        method.sample(4)

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """``mmd`` (squared, unbiased) of the method's own samples, ``nll`` in nats and, up to 20 bits, ``kl`` exactly."""
        _checked(config)
        import torch

        from wattmark.workloads.ebm.measures import as_bits, as_tensor
        from wattmark.workloads.ebm.methods.table import METHODS

        torch.set_num_threads(int(config["threads"]))
        name, bits, seed = str(config["data"]), int(config["bits"]), int(config["seed"])
        code, rng = Code(bits), np.random.default_rng([seed, 1])
        with span("data"):
            judge = _Judge.of(name, code, seed)
        method = METHODS[str(config["method"])](bits, seed, int(config["width"]))
        size, parts = int(config["batch_size"]), int(config["evaluations"])
        rows = dict[str, list[dict[str, float]]](epoch=[], evaluation=[])
        steps, learnt_s = 0, 0.0
        planned, length_s = int(config["steps"]), float(config["cpu_seconds"])
        for part in range(1, parts + 1):
            losses = list[float]()
            begun, before_s = time.process_time(), learnt_s
            with span("epoch") as handle:
                while (
                    (steps + len(losses)) * parts < planned * part
                    if planned
                    else learnt_s * parts < length_s * part or not losses
                ):
                    words = as_tensor(code.encode(draw(name, size, rng)))
                    losses.append(method.step(words))
                    learnt_s = before_s + time.process_time() - begun
                handle.add(samples=size * len(losses), steps=len(losses))
            steps += len(losses)
            rows["epoch"].append({"epoch": part - 1, "loss": float(np.mean(losses))})
            with span("evaluation"):
                rows["evaluation"].append({"epoch": part - 1, **judge.of_method(method)})
        with span("inference", samples=_SAMPLES):
            drawn = method.sample(_SAMPLES)
        last = rows["evaluation"][-1]
        with span("picture"):
            samples = code.decode(as_bits(drawn))
            picture = Picture.of(draw(name, _SAMPLES, rng), samples, judge.density(method))
        return {
            **{key: value for key, value in last.items() if key != "epoch"},
            "loss": rows["epoch"][-1]["loss"],
            "learning_steps": steps,
            "parameters": method.parameters,
            **judge.baseline,
            **rows,
            "picture": [picture.as_dict()],
        }


def _checked(config: Config) -> None:
    if find_spec("torch") is None:
        raise MissingExtra("torch", "study")
    try:
        Code(int(config["bits"]))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    for name in ("cpu_seconds", "evaluations", "width", "batch_size", "threads"):
        if float(config[name]) <= 0:
            raise ConfigError(f"{name} must be above 0, not {config[name]}")
    if int(config["steps"]) and int(config["steps"]) < int(config["evaluations"]):
        raise ConfigError(
            f"{config['steps']} steps cannot be evaluated {config['evaluations']} times",
            hint="as many steps as evaluations, or more; 0 for a length in processor time",
        )


@dataclass(frozen=True, slots=True)
class _Judge:
    """What a method is measured with: words that it has not seen, and the set's own density where it can be counted."""

    code: Code
    held_out: np.ndarray[Any, np.dtype[np.uint8]]
    truth: Truth | None
    seed: int
    baseline: dict[str, float]

    @classmethod
    def of(cls, name: str, code: Code, seed: int) -> _Judge:
        from wattmark.workloads.ebm.measures import Truth, mmd

        rng = np.random.default_rng([seed, 2])
        held_out = code.encode(draw(name, _HELD_OUT, rng))
        noise = rng.integers(0, 2, (_SAMPLES, code.bits), dtype=np.uint8)
        known = code.bits <= MOST_ENUMERATED
        truth = Truth.of(name, code) if known else None
        baseline = {"mmd_uniform": mmd(held_out[:_SAMPLES], noise)}
        if truth is not None:
            baseline["kl_uniform"] = code.bits * float(np.log(2)) - truth.entropy
        return cls(code, held_out, truth, seed, baseline)

    def of_method(self, method: Method) -> dict[str, float]:
        """The measures of a method as it now is."""
        from wattmark.workloads.ebm.measures import as_bits, log_sum, log_weights, mmd

        found = {"mmd": mmd(self.held_out[:_SAMPLES], as_bits(method.sample(_SAMPLES)))}
        if self.truth is not None:
            weights = log_weights(method.log_weight, self.code.every())
            log_z = log_sum(weights)
            nll = self.truth.cross_entropy(weights - log_z)
            return {**found, "nll": nll, "log_z": log_z, "kl": nll - self.truth.entropy}
        return {**found, **self._sampled(method)}

    def _sampled(self, method: Method) -> dict[str, float]:
        """NLL with log Z from words of a density that is fitted to the held-out words for this alone."""
        import torch

        from wattmark.workloads.ebm.measures import as_bits, as_tensor, log_weights, sampled_log_z
        from wattmark.workloads.ebm.methods.autoregressive import AutoregressiveMethod

        proposal = AutoregressiveMethod(self.code.bits, self.seed + 7)
        rows = torch.Generator().manual_seed(self.seed)
        words = as_tensor(self.held_out)
        for _ in range(_PROPOSAL_STEPS):
            proposal.step(words[torch.randint(0, len(words), (256,), generator=rows)])
        drawn = as_bits(proposal.sample(_PROPOSALS))
        found = sampled_log_z(method.log_weight, drawn, log_weights(proposal.log_weight, drawn))
        mean = float(log_weights(method.log_weight, self.held_out[:_SAMPLES]).mean())
        return {
            "nll": found.log_z - mean,
            "log_z": found.log_z,
            "effective_proposals": found.effective,
        }

    def density(self, method: Method) -> np.ndarray[Any, np.dtype[np.float64]] | None:
        """The model's chances by word, (2^bits,); None where they are too many."""
        if self.truth is None:
            return None
        from wattmark.workloads.ebm.measures import log_sum, log_weights

        weights = log_weights(method.log_weight, self.code.every())
        return np.exp(weights - log_sum(weights))
