"""Kernel distance and likelihoods against what they must be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from wattmark.workloads.ebm.codes import Code  # noqa: E402
from wattmark.workloads.ebm.measures import (  # noqa: E402
    BANDWIDTH,
    Truth,
    exact_log_z,
    log_sum,
    log_weights,
    mmd,
    sampled_log_z,
)
from wattmark.workloads.ebm.methods.autoregressive import AutoregressiveMethod  # noqa: E402
from wattmark.workloads.ebm.networks import Energy  # noqa: E402


def test_the_distance_of_two_samples_of_one_density_is_zero_on_average() -> None:
    rng = np.random.default_rng(0)
    values = []
    for _ in range(200):
        words = (rng.random((120, 10)) < np.linspace(0.2, 0.8, 10)).astype(np.uint8)
        values.append(mmd(words[:60], words[60:]))
    error = np.std(values) / math.sqrt(len(values))
    assert abs(np.mean(values)) < 3.5 * error
    assert min(values) < 0 < max(values)  # unbiased, so below zero as often


def test_the_distance_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (2, 7, 5), dtype=np.uint8)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return math.exp(-BANDWIDTH * int((x != y).sum()))

    within = [np.mean([kernel(s[i], s[j]) for i in range(7) for j in range(7) if i != j]) for s in (a, b)]
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert mmd(a, b) == pytest.approx(sum(within) - 2 * across, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 500))
def test_log_z_is_that_of_the_enumeration_and_importance_sampling_comes_to_it(seed: int) -> None:
    torch.manual_seed(seed)
    code, energy = Code(8), Energy(8, width=8)
    exact = exact_log_z(energy, code)
    with torch.no_grad():
        each = [float(energy(torch.tensor(word[None]).float())) for word in code.every()]
    by_hand = math.log(sum(map(math.exp, each)))
    assert exact == pytest.approx(by_hand, abs=1e-4)
    proposal = AutoregressiveMethod(8, seed, 16)
    drawn = proposal.sample(4_000).to(torch.uint8).numpy()
    found = sampled_log_z(energy, drawn, log_weights(proposal.log_weight, drawn))
    assert found.log_z == pytest.approx(exact, abs=0.15)
    assert 1 < found.effective <= 4_000 * (1 + 1e-9)


def test_a_log_sum_does_not_overflow() -> None:
    assert log_sum(np.array([1_000.0, 1_000.0])) == pytest.approx(1_000 + math.log(2))


def test_the_truth_of_a_set_is_its_own_best_model() -> None:
    code = Code(8)
    truth = Truth.of("moons", code, draws=200_000)
    with np.errstate(divide="ignore"):
        own = truth.cross_entropy(np.log(truth.chances))
    assert own == pytest.approx(truth.entropy, abs=2e-3)
    uniform = truth.cross_entropy(np.full(256, -8 * math.log(2)))
    assert uniform == pytest.approx(8 * math.log(2))
    assert uniform > truth.entropy + 0.5
