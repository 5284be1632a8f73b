"""A run and its alternative: identity, terms that multiply to the carbon, joules that PUE never changes."""

from __future__ import annotations

import numpy as np
import pytest

from wattmark.predict import Scenario, evaluate
from wattmark.runs.record import Curve, RunRecord, SeriesData, Spans
from wattmark.runs.view import RunView
from wattmark.sources.base import Accuracy, Channel, Series

S = 1_000_000_000


def a_run(
    gpu: str = "NVIDIA A100-SXM4-80GB", epochs: int = 5, utilisation: float | None = 95.0, **changes: object
) -> RunView:
    """100 s: 10 s of preparation, epochs of equal length until 90 s; GPU 300 W, CPU 50 W (modelled)."""
    t = np.arange(0, 101) * S
    accuracy = Accuracy(0.05, 0.05, 0.0, "made up")
    curves = tuple(
        Curve(
            Channel(name, component, "made", method, "board", "energy", accuracy, label=label),  # pyright: ignore
            t,
            (np.arange(0, 101) * watts * 10**6).astype(np.int64),
        )
        for name, component, method, watts, label in (
            ("gpu0/board", "gpu", "integrated", 300, f"{gpu} GPU-1234"),
            ("cpu/package", "cpu", "modelled", 50, ""),
        )
    )
    edges = np.linspace(10 * S, 90 * S, epochs + 1).astype(np.int64)
    spans = Spans(
        ("epoch",),
        np.zeros(epochs, np.int32),
        edges[:-1],
        edges[1:],
        np.full(epochs, -1, np.int32),
        np.ones(epochs, np.int64),
        np.ones(epochs, np.int64),
        np.zeros(epochs, np.bool_),
    )
    series = () if utilisation is None else (
        SeriesData(Series("gpu0/utilisation", "%", "made"), t, np.full(101, utilisation, np.float32)),
    )  # fmt: skip
    given: dict[str, object] = {
        "environment": {"cpu": {"model": ["AMD EPYC 7763 64-Core Processor"], "sockets": 1, "cores": 64}},
        "curves": curves,
        "spans": spans,
        "series": series,
    }
    return RunView(RunRecord("ab12", "a run", "completed", 0, 10**18, 0, 100 * S, **{**given, **changes}))  # pyright: ignore


HOME = Scenario(zone="FR", price_per_kwh=0.2, currency="EUR")


def test_nothing_changed_is_the_original_number_for_number():
    outcome = evaluate(a_run(), Scenario(), original=HOME)
    assert outcome.alternative == outcome.original
    assert outcome.changed == ()
    view = a_run()
    assert outcome.original.energy_j is not None
    assert view.energy is not None
    assert outcome.original.energy_j.value == pytest.approx(view.energy.value)


def test_carbon_is_the_product_of_the_terms_that_are_shown():
    outcome = evaluate(a_run(), Scenario(zone="PL", pue=1.4), original=HOME).as_dict()
    for side in (outcome["original"], outcome["alternative"]):
        term = {one["symbol"]: one["value"] for one in side["terms"]}
        assert side["carbon_g"]["value"] == term["E"] * (term["PUE"] * term["I"] / 3.6e6)
        assert side["cost"]["value"] == pytest.approx(term["E"] / 3.6e6 * term["PUE"] * term["p"])


def test_the_building_never_changes_the_joules():
    outcome = evaluate(a_run(), Scenario(pue=2.0), original=HOME)
    assert outcome.alternative.energy_j == outcome.original.energy_j
    assert outcome.alternative.carbon_g is not None
    assert outcome.original.carbon_g is not None
    assert outcome.alternative.carbon_g.value == pytest.approx(2 * outcome.original.carbon_g.value)
