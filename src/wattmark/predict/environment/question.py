"""``wm.predict_training(...)``: a network on a GPU, for so many epochs, nothing measured."""

from __future__ import annotations

from functools import cache

from wattmark.errors import ConfigError
from wattmark.predict.base import Prediction
from wattmark.predict.environment.gaissa import trainings
from wattmark.predict.environment.predictor import EnvironmentPredictor
from wattmark.predict.environment.subject import Environment, NetworkFacts, find_network
from wattmark.predict.hardware.accelerators import find

BASIS = "arXiv 2307.05520 (CC BY 4.0)"


@cache
def shipped() -> EnvironmentPredictor:
    """The predictor that comes with Wattmark: fitted on the data of arXiv 2307.05520. Raises MissingExtra without
    scikit-learn."""
    return EnvironmentPredictor.fit(trainings(), BASIS)


def predict_training(
    network: str,
    *,
    gpu: str,
    batch: int = 32,
    samples: int = 50_000,
    validation: int = 0,
    epochs: int = 1,
    image: int = 224,
    parameters: float | None = None,
    macs: float | None = None,
    depth: int | None = None,
) -> Prediction:
    """Joules, seconds and watts of training an image classifier; of the GPU only.

    network: of the table, or any name with ``parameters``, ``macs`` (multiply-accumulates of one image of ``image`` pixels
    a side) and ``depth`` (layers, activations and norms counted). gpu: of the accelerator table. samples, validation: images
    of an epoch.
    Raises ConfigError for what is not known or cannot be, MissingExtra without scikit-learn.
    """
    if image < 1:
        raise ConfigError(f"an image has one pixel at least, not {image}")
    if parameters is not None and macs is not None and depth is not None:
        facts = NetworkFacts(network, parameters, macs, image, depth)
    elif parameters is None and macs is None and depth is None:
        facts = find_network(network).at(image)
    else:
        raise ConfigError(
            "a network that is not in the table has parameters, MACs and a depth", hint="give all three"
        )
    subject = Environment(facts, find(gpu), batch, samples, validation, epochs)
    return shipped().predict(subject)
