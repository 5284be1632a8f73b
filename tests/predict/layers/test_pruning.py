"""Narrower networks under an energy budget: what is searched, measured and lost."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from predict.layers.conftest import mlp, simulated_profile
from predict.layers.test_predictor import predictor
from wattmark.errors import ConfigError
from wattmark.predict.layers.pruning import Data, Family, Widths, prune, search


def build(widths: Widths) -> nn.Module:
    return mlp(widths)


def family(widths: Widths = (1024, 768, 1024)) -> Family:
    return Family("mlp", build, widths, (100,), 2048, "sgd")


def data() -> Data:
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn((10, 100), generator=generator)
    classes = torch.randint(0, 10, (1200,), generator=generator)
    inputs = centres[classes] + torch.randn((1200, 100), generator=generator)
    return inputs[:1000], classes[:1000], inputs[1000:], classes[1000:]


@pytest.mark.parametrize("share", [0.8, 0.5])
def test_the_widths_found_are_within_the_budget_and_no_narrower_than_need_be(share: float) -> None:
    widths = search(family(), predictor(), share)
    full = predictor().step(family().training(family().widths)).joules
    cost = predictor().step(family().training(widths)).joules
    assert 0.75 * share * full < cost <= share * full
    assert all(most / 4 <= width <= most for width, most in zip(widths, family().widths, strict=True))


def test_half_of_the_energy_is_saved_as_predicted_and_as_measured_and_the_loss_is_told() -> None:
    device = simulated_profile()[0]
    pruning = prune(family(), predictor(), device, share=0.5, data=data(), epochs=30)
    assert pruning.predicted_share <= 0.5
    assert pruning.measured_share == pytest.approx(pruning.predicted_share, rel=0.15)
    assert pruning.full.accuracy is not None
    assert pruning.full.accuracy > 0.8
    assert pruning.accuracy_lost is not None
    assert -0.1 < pruning.accuracy_lost < 0.2
    assert pruning.pruned.measured is not None
    assert pruning.pruned.measured.joules == pytest.approx(pruning.pruned.predicted.value, rel=0.25)
    assert set(pruning.as_dict()) >= {"full", "pruned", "predicted_share", "measured_share", "accuracy_lost"}


def test_without_data_there_is_no_accuracy() -> None:
    pruning = prune(family(), predictor(), simulated_profile()[0], share=0.7)
    assert pruning.accuracy_lost is None


@pytest.mark.parametrize(
    ("share", "widths", "words"),
    [
        (0.0, (64,), "between 0 and 1"),
        (1.0, (64,), "between 0 and 1"),
        (0.5, (), "no widths"),
        (0.01, (512,), "narrowest"),
    ],
)
def test_what_cannot_be_is_refused(share: float, widths: Widths, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        search(family(widths), predictor(), share)
