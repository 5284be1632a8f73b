"""Every method learns, by the same rules."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from wattmark.workloads.ebm.codes import Code  # noqa: E402
from wattmark.workloads.ebm.measures import log_sum, log_weights, mmd  # noqa: E402
from wattmark.workloads.ebm.methods.base import Method  # noqa: E402
from wattmark.workloads.ebm.methods.table import METHODS  # noqa: E402

PEAKS = np.array([[0, 0, 0, 0, 1, 1], [1, 1, 1, 0, 0, 0]], np.uint8)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_learns_two_peaks(name: str) -> None:
    method = METHODS[name](6, 1, 32)
    assert method.parameters > 1_000
    rng = np.random.default_rng(0)
    before = _log_chance(method)
    for _ in range(200):
        method.step(torch.tensor(PEAKS[rng.integers(0, 2, 64)]).float())
    after = _log_chance(method)
    assert after > before + 1.0
    samples = method.sample(500).to(torch.uint8).numpy()
    data = PEAKS[rng.integers(0, 2, 500)]
    noise = rng.integers(0, 2, (500, 6), dtype=np.uint8)
    assert mmd(data, samples) < mmd(data, noise) / 2


def _log_chance(method: Method) -> float:
    """Mean log p of the peaks, exactly."""
    weights = log_weights(method.log_weight, Code(6).every())
    return float(log_weights(method.log_weight, PEAKS).mean()) - log_sum(weights)
