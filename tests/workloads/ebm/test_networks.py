"""The networks keep what their use rests on."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from wattmark.workloads.ebm.codes import Code, number  # noqa: E402
from wattmark.workloads.ebm.measures import as_bits, as_tensor  # noqa: E402
from wattmark.workloads.ebm.networks import Autoregressive, Editor  # noqa: E402


def test_the_density_sums_to_one_and_draws_what_it_says() -> None:
    torch.manual_seed(2)
    density, code = Autoregressive(8, width=32), Code(8)
    with torch.no_grad():
        chances = density(as_tensor(code.every())).exp().double().numpy()
    assert chances.sum() == pytest.approx(1.0, abs=1e-5)
    drawn = number(as_bits(density.sample(50_000, torch.Generator().manual_seed(0))))
    assert np.abs(np.bincount(drawn, minlength=256) / 50_000 - chances).sum() < 0.08


def test_a_bit_depends_on_those_before_it_only() -> None:
    torch.manual_seed(0)
    density = Autoregressive(6, width=32)
    words = torch.zeros(1, 6)
    with torch.no_grad():
        before = density.logits(words)
        for bit in range(6):
            other = words.clone()
            other[0, bit] = 1
            changed = (density.logits(other) != before)[0]
            assert not changed[: bit + 1].any()
        assert changed.numel() == 6


def test_the_editor_gives_chances() -> None:
    torch.manual_seed(0)
    stop, on, flips = Editor(6, width=16)(torch.ones(3, 6))
    torch.testing.assert_close(stop.exp() + on.exp(), torch.ones(3))
    torch.testing.assert_close(flips.exp().sum(1), torch.ones(3))
