"""Gibbs sampling keeps the density that it samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from wattmark.workloads.ebm.codes import Code, number  # noqa: E402
from wattmark.workloads.ebm.gibbs import sweep, transition  # noqa: E402
from wattmark.workloads.ebm.measures import as_bits, as_tensor, log_weights  # noqa: E402
from wattmark.workloads.ebm.networks import Energy  # noqa: E402


def _energy(seed: int, bits: int = 6) -> Energy:
    torch.manual_seed(seed)
    energy = Energy(bits, width=8)
    with torch.no_grad():
        for weight in energy.parameters():
            weight.mul_(4)  # far from flat
    return energy


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000), st.integers(0, 5))
def test_each_update_is_in_detailed_balance(seed: int, bit: int) -> None:
    energy, code = _energy(seed), Code(6)
    every = as_tensor(code.every())
    table = transition(energy, every, bit).numpy()
    weights = np.exp(log_weights(energy, code.every()))
    np.testing.assert_allclose(table.sum(1), 1.0, rtol=1e-6)
    flow = weights[:, None] * table
    np.testing.assert_allclose(flow, flow.T, rtol=1e-5, atol=1e-9)


def test_a_sweep_leaves_the_density_where_it_is() -> None:
    energy, code = _energy(5), Code(6)
    weights = np.exp(log_weights(energy, code.every()))
    chances = weights / weights.sum()
    rng = np.random.default_rng(0)
    words = code.every()[rng.choice(64, 40_000, p=chances)]
    after = as_bits(sweep(energy, as_tensor(words), torch.Generator().manual_seed(1)))
    seen = np.bincount(number(after), minlength=64) / len(after)
    assert (after != words).any()
    assert np.abs(seen - chances).sum() < 0.06  # some 4 / sqrt(40,000) a word


def test_many_sweeps_reach_the_density_from_anywhere() -> None:
    energy, code = _energy(7), Code(6)
    weights = np.exp(log_weights(energy, code.every()))
    words = torch.zeros(20_000, 6)
    after = as_bits(sweep(energy, words, torch.Generator().manual_seed(1), sweeps=30))
    seen = np.bincount(number(after), minlength=64) / len(after)
    assert np.abs(seen - weights / weights.sum()).sum() < 0.12
    assert not words.any()  # the given words stay as they are
