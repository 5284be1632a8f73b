"""Profiles: budgets, what is measured next, what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from predict.layers.conftest import networks
from wattmark.errors import ConfigError
from wattmark.predict.layers import storage
from wattmark.predict.layers.kinds import KINDS
from wattmark.predict.layers.predictor import LayerPredictor
from wattmark.predict.layers.process import Process
from wattmark.predict.layers.profiler import CERTAIN, FIRST, MOST, Budget, Profile, profile
from wattmark.predict.layers.question import budget_of
from wattmark.testing.simulated_device import SimulatedDevice


def test_kinds_are_known_or_measured_as_often_as_may_be_or_the_budget_is_spent() -> None:
    device = SimulatedDevice()
    kept = profile(device, networks()[:1], Budget(60.0), kinds=["relu", "view"])
    count = sum(sample.call.kind == "relu" for sample in kept.layers)
    assert kept.unsure["relu"] <= CERTAIN or count == 2 * MOST
    assert sum(sample.call.kind == "view" for sample in kept.layers) == FIRST
    assert device.spent().seconds < 60.0


@pytest.mark.parametrize("budget", [Budget(seconds=3.0), Budget(seconds=1e9, joules=8.0)])
def test_a_budget_ends_the_profile(budget: Budget) -> None:
    device = SimulatedDevice()
    kept = profile(device, networks(), budget, kinds=["linear"])
    spent = device.spent()
    over = max(spent.seconds / budget.seconds, spent.joules / budget.joules)
    assert 0.5 < over < 3.0  # the first shapes, the chains and one network are measured whatever it is
    assert len(kept.wholes) >= 1


def test_the_same_seed_measures_the_same_shapes() -> None:
    shapes = [
        [
            sample.call
            for sample in profile(SimulatedDevice(), [], Budget(1.0), kinds=["linear"], seed=3).layers
        ]
        for _ in range(2)
    ]
    assert shapes[0] == shapes[1]


def test_chains_say_how_far_costs_add_up(simulated: tuple[SimulatedDevice, Profile]) -> None:
    _, kept = simulated
    assert len(kept.chains) == 8
    assert kept.additivity is not None
    assert 0.0 < kept.additivity < 0.2  # a part of the launches is hidden, on this device


@pytest.mark.parametrize("name", sorted(KINDS))
def test_shapes_are_within_what_can_be_profiled(name: str) -> None:
    kind = KINDS[name]
    rng = np.random.default_rng(1)
    for _ in range(50):
        sizes = kind.draw(rng)
        assert kind.is_profiled(sizes)
        assert kind.beyond(sizes) == ""
        assert all(size.low <= value <= size.high for size, value in zip(kind.sizes, sizes, strict=True))
        assert np.isfinite(kind.features(sizes)).all()


def test_a_profile_is_kept_and_read_again(
    simulated: tuple[SimulatedDevice, Profile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    _, kept = simulated
    with pytest.raises(ConfigError, match="no layers were profiled") as error:
        storage.load()
    assert "predict layers fit" in str(error.value.hint)
    assert storage.save(kept) == storage.path_of("simulated")
    again = storage.load()
    assert again == kept
    training = networks()[0].training()
    fits = [LayerPredictor.fit((*some.layers, *some.wholes)).step(training) for some in (kept, again)]
    assert fits[0] == fits[1]


def test_a_file_that_is_no_profile_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    storage.folder().mkdir(parents=True)
    storage.path_of("x").write_text("{}")
    with pytest.raises(ConfigError, match="no profile of layers"):
        storage.load()


@pytest.mark.parametrize(
    ("text", "seconds", "joules"),
    [
        ("5min", 300.0, float("inf")),
        ("90s", 90.0, float("inf")),
        ("20kJ", float("inf"), 2e4),
        ("1min,1Wh", 60.0, 3600.0),
    ],
)
def test_budgets_in_words(text: str, seconds: float, joules: float) -> None:
    assert budget_of(text) == Budget(seconds, joules)


@pytest.mark.parametrize("text", ["", "5", "5 parsecs", "0s", "-3min", "1..2s", "nan"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="budget"):
        budget_of(text)


def test_a_small_cost_that_noise_made_nothing_does_not_spoil_the_others() -> None:
    kind = KINDS["relu"]
    shapes = [(float(elements),) for elements in np.geomspace(16, 4e6, 24)]
    costs = [2e-6 + 1e-10 * elements for (elements,) in shapes]
    clean = Process.fit(kind, shapes, costs, [0.01] * 24)
    spoilt = Process.fit(kind, shapes, [0.0, *costs[1:]], [0.01] * 24)
    asked = [(500.0,), (1e5,), (1e6,)]
    assert spoilt.predict(asked)[0] == pytest.approx(clean.predict(asked)[0], rel=0.15)
    assert clean.predict(asked)[0] == pytest.approx(
        [2e-6 + 1e-10 * elements for (elements,) in asked], rel=0.05
    )
