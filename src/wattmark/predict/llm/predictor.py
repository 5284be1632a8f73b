"""Joules and seconds of a token: the roofline with factors fitted on measured servers, widths by models left out."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict import conformal
from wattmark.predict.base import Examples, Prediction
from wattmark.predict.hardware import accelerators
from wattmark.predict.llm import architecture, physics
from wattmark.predict.llm.subject import Serving
from wattmark.statistics import Float64

_SHIPPED = Path(__file__).parent / "data" / "coefficients.json"
METHOD = "roofline, fitted"
_NEW_ENGINE, _NEW_PRECISION, _NEW_HARDWARE = 0.45, 0.25, 0.20
"""What a thing that was not measured adds to the half width of the logarithm: judgement, not data."""
_PER_FACTOR = 0.15
"""And for each factor e beyond the range of a feature."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A server that was measured: joules and seconds per output token, all accelerators together."""

    subject: Serving
    joules: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LlmPredictor:
    """Factors of the parts, of joules and of seconds; half widths (90 %) of their logarithms, in units of what errors
    are near a model of this size; what was seen."""

    energy: tuple[float, ...]
    time: tuple[float, ...]
    energy_width: float
    time_width: float
    energy_likeness: conformal.Likeness
    time_likeness: conformal.Likeness
    low: tuple[float, ...]
    high: tuple[float, ...]
    hardware: tuple[str, ...]
    engines: tuple[str, ...]
    precisions: tuple[str, ...]
    basis: str

    @classmethod
    def fit(cls, observations: Sequence[Observation], basis: str = "own measurements") -> LlmPredictor:
        """Fit the factors by relative least squares, none negative, and the widths by leaving each model out.

        Raises ConfigError below two models, and for measurements that are no positive numbers.
        """
        measured = np.array([(one.joules, one.seconds) for one in observations], np.float64).reshape(-1, 2)
        if not (np.isfinite(measured).all() and (measured > 0).all()):
            raise ConfigError("joules and seconds per token must be numbers above zero")
        models = [one.subject.model.name for one in observations]
        if len(set(models)) < 2:
            raise ConfigError("a fit needs two models at least", hint="measure another: wattmark llm bench")
        times = np.array([physics.seconds(one.subject) for one in observations])
        joules = times * np.array([physics.watts(one.subject) for one in observations])
        features = np.array([_features(one.subject) for one in observations])
        sizes = features[:, 0]
        energy_width, energy_likeness = conformal.local_width(
            left_out(joules, measured[:, 0], models), models, sizes
        )
        time_width, time_likeness = conformal.local_width(
            left_out(times, measured[:, 1], models, physics.LEAST), models, sizes
        )
        return cls(
            tuple(factors(joules, measured[:, 0])),
            tuple(factors(times, measured[:, 1], physics.LEAST)),
            energy_width,
            time_width,
            energy_likeness,
            time_likeness,
            tuple(features.min(axis=0).tolist()),
            tuple(features.max(axis=0).tolist()),
            tuple(sorted({one.subject.hardware.id for one in observations})),
            tuple(sorted({one.subject.engine for one in observations})),
            tuple(sorted({one.subject.precision for one in observations})),
            f"{basis}: {len(observations)} servers, {len(set(models))} models",
        )

    def predict(self, subject: Serving) -> Prediction:
        """One request of the subject: its joules (GPU only), its share of the server's time, the server's power."""
        seconds = physics.seconds(subject)
        parts = seconds * physics.watts(subject) * np.array(self.energy)
        joules, time = float(parts.sum()), float((seconds * np.array(self.time)).sum())
        board = (subject.hardware.tdp_w or 0.0) * subject.accelerators
        power = min(joules / time, board)  # no accelerator draws more than its limit
        joules_seen = power * time
        outside, extra = self._outside(subject)
        size = _features(subject)[0]
        wide = (
            math.hypot(self.energy_width * self.energy_likeness.at(size), extra),
            math.hypot(self.time_width * self.time_likeness.at(size), extra),
        )
        name, tokens = f"llm/{subject.model.name}", subject.output
        scale = joules_seen / joules
        return Prediction(
            str(subject),
            conformal.spread_by(joules_seen * tokens, wide[0], f"{name}/energy", unit="J", source=METHOD),
            conformal.spread_by(time * tokens, wide[1], f"{name}/time", unit="s", source=METHOD),
            conformal.spread_by(power, min(wide), f"{name}/power", unit="W", source=METHOD, at_most=board),
            METHOD,
            self.basis,
            outside,
            {part: float(value) * tokens * scale for part, value in zip(physics.PARTS, parts, strict=True)},
        )

    def examples(self) -> Examples[Serving, Observation]:
        """Servers of five models whose joules and seconds are twice those of the roofline."""
        one = Serving(
            architecture.find("llama-3.1-8b"),
            accelerators.find("h100-sxm"),
            190,
            400,
            128,
            engine="vllm-0.5",
        )
        models = ("llama-3.1-8b", "gemma-2-2b", "mistral-7b", "mixtral-8x7b", "phi-3-medium")
        observations = [
            _twice_the_roofline(replace(one, model=architecture.find(name), concurrency=batch))
            for name in models
            for batch in (16.0, 64.0, 256.0)
        ]
        return Examples(
            observations,
            [replace(one, output=float(tokens)) for tokens in (100, 200, 400)],
            ((), [replace(observations[0], joules=math.nan)], observations[:1]),
            replace(one, hardware=accelerators.find("b200"), engine="vllm-v1", precision="fp8"),
        )

    def _outside(self, subject: Serving) -> tuple[tuple[str, ...], float]:
        reasons: list[str] = []
        squares = 0.0
        for value, seen, name, extra in (
            (subject.hardware.id, self.hardware, "accelerator", _NEW_HARDWARE),
            (subject.engine, self.engines, "engine", _NEW_ENGINE),
            (subject.precision, self.precisions, "precision", _NEW_PRECISION),
        ):
            if value not in seen:
                reasons.append(f"{name} {value} was not measured")
                squares += extra**2
        for name, value, low, high in zip(_FEATURES, _features(subject), self.low, self.high, strict=True):
            beyond = max(low - value, value - high, 0.0)
            if beyond > 0.05:
                reasons.append(
                    f"{name} {math.exp(value):.3g} is outside of {math.exp(low):.3g} to {math.exp(high):.3g}"
                )
                squares += (_PER_FACTOR * beyond) ** 2
        return tuple(reasons), math.sqrt(squares)


def _twice_the_roofline(subject: Serving) -> Observation:
    seconds = physics.seconds(subject)
    return Observation(subject, 2 * float((seconds * physics.watts(subject)).sum()), 2 * float(seconds.sum()))


_FEATURES = ("active parameters", "parameters", "batch", "prompt tokens", "output tokens")


def _features(subject: Serving) -> list[float]:
    """Logarithms of what a prediction is outside or inside of."""
    m = subject.model
    return [
        math.log(max(value, 1.0))
        for value in (m.active, m.parameters, subject.concurrency, subject.prompt, subject.output)
    ]


@cache
def shipped() -> LlmPredictor:
    """The predictor that comes with Wattmark, fitted by ``tools/fit_llm.py`` on ML.ENERGY's measurements (Apache-2.0)."""
    data: dict[str, Any] = json.loads(_SHIPPED.read_text(encoding="utf-8"))
    del data["attribution"]
    fields = {key: _tuple(value) for key, value in data.items()}
    for name in ("energy_likeness", "time_likeness"):
        fields[name] = conformal.Likeness(*(_tuple(data[name][part]) for part in ("places", "errors")))
    return LlmPredictor(**fields)


def _tuple(value: Any) -> Any:
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


def as_shipped(predictor: LlmPredictor, attribution: str) -> str:
    """The text of the file that :func:`shipped` reads."""
    return json.dumps({"attribution": attribution, **asdict(predictor)}, indent=1) + "\n"


def factors(parts: Float64, truth: Float64, least: Sequence[float] | None = None) -> Float64:
    """c >= least (k,), by default 0, that make ``parts @ c`` (n, k) close to ``truth`` (n,) relative to it, outliers with
    less weight (Cauchy's, of the logarithm, at 0.3)."""
    floor = np.zeros(parts.shape[1]) if least is None else np.array(least)
    weights = 1 / truth
    c = floor + 1.0
    for _ in range(15):
        c = floor + nonnegative(parts * weights[:, None], (truth - parts @ floor) * weights)
        fit = np.maximum(parts @ c, 1e-300)
        weights = 1 / np.sqrt(truth * fit) / np.sqrt(1 + (np.log(fit / truth) / 0.3) ** 2)
    return c


def nonnegative(a: Float64, b: Float64) -> Float64:
    """x >= 0 of least ``|a x - b|``: Lawson and Hanson, "Solving Least Squares Problems" (1974), chapter 23."""
    scale = np.sqrt((a * a).sum(axis=0))
    scale[scale == 0] = 1.0
    a = a / scale
    n = a.shape[1]
    x, passive = np.zeros(n), np.zeros(n, bool)
    for _ in range(10 * n):
        gradient = a.T @ (b - a @ x)
        gradient[passive] = -np.inf
        best = int(np.argmax(gradient))
        if passive.all() or gradient[best] <= 1e-10 * np.abs(b).sum():
            break
        passive[best] = True
        while True:
            trial = np.zeros(n)
            trial[passive] = np.linalg.lstsq(a[:, passive], b, rcond=None)[0]
            if (trial[passive] > 0).all():
                break
            bad = passive & (trial <= 0)
            step = float(np.min(x[bad] / np.maximum(x[bad] - trial[bad], 1e-300)))
            x = x + step * (trial - x)
            passive &= x > 1e-14
            x[~passive] = 0.0
        x = trial
    return x / scale


def left_out(
    parts: Float64,
    truth: Float64,
    groups: Sequence[str],
    least: Sequence[float] | None = None,
) -> Float64:
    """log(prediction / truth), (n,), of a fit that did not see the group of the row."""
    errors = np.empty(len(truth))
    names = np.array(groups)
    for name in dict.fromkeys(groups):
        test = names == name
        errors[test] = np.log(parts[test] @ factors(parts[~test], truth[~test], least) / truth[test])
    return errors
