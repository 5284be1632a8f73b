"""What an accuracy says about its parts."""

import math

import pytest

from wattmark.sources.base import Accuracy, Channel


def channel(accuracy: Accuracy) -> Channel:
    return Channel("cpu/x", "cpu", "x", "modelled", "package", "energy", accuracy)


def test_the_parts_of_an_accuracy_make_up_the_whole() -> None:
    accuracy = Accuracy(0.5, 0.8, 1.0, "a paper", 0.3, 0.4, 0.2, 0.3)
    parts = (accuracy.character_low, accuracy.curve_low, accuracy.specimen_low)
    assert math.hypot(*parts) == pytest.approx(0.5)
    assert math.hypot(0.4, 0.3, accuracy.specimen_high) == pytest.approx(0.8)


def test_an_accuracy_without_a_split_is_a_constant_of_the_machine() -> None:
    accuracy = Accuracy(0.05, 0.06, 1.0, "a paper")
    assert (accuracy.specimen_low, accuracy.specimen_high) == pytest.approx((0.05, 0.06))


def test_journals_of_other_versions_load() -> None:
    """Before the split there were four fields; a later version may have more."""
    data = channel(Accuracy(0.05, 0.06, 1.0, "a paper")).to_dict()
    for name in ("character_low", "character_high", "curve_low", "curve_high"):
        del data["accuracy"][name]
    assert Channel.from_dict(data).accuracy == Accuracy(0.05, 0.06, 1.0, "a paper")
    data["accuracy"]["drift_per_year"] = 0.01
    assert Channel.from_dict(data).accuracy == Accuracy(0.05, 0.06, 1.0, "a paper")
