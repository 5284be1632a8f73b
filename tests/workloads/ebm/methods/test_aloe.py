"""ALOE's sampler: its ways back, and the bound on the likelihood that they give."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from wattmark.workloads.ebm.codes import Code, number  # noqa: E402
from wattmark.workloads.ebm.measures import as_bits, as_tensor  # noqa: E402
from wattmark.workloads.ebm.methods.aloe import MOST_EDITS, AloeMethod, Sampler, draw_ways  # noqa: E402


def test_a_way_leads_back_to_its_own_word() -> None:
    words = torch.randint(0, 2, (500, 6)).float()
    back = draw_ways(words, torch.Generator().manual_seed(0))
    again = back.starts.clone()
    for owner, place in zip(back.owner.tolist(), back.flipped.tolist(), strict=True):
        again[owner, place] = 1 - again[owner, place]
    torch.testing.assert_close(again, words)
    assert back.lengths.sum() == len(back.flipped)
    assert (torch.bincount(back.owner, minlength=500) == back.lengths).all()


def test_an_edit_is_told_from_the_word_before_it() -> None:
    """The published code gives a last single edit to another sample; here each edit is one of its own way."""
    words = torch.randint(0, 2, (200, 6)).float()
    back = draw_ways(words, torch.Generator().manual_seed(3))
    single = torch.nonzero(back.lengths == 1)[:, 0]
    for owner in single.tolist():
        (row,) = torch.nonzero(back.owner == owner)[:, 0].tolist()
        edited = back.before[row].clone()
        edited[back.flipped[row]] = 1 - edited[back.flipped[row]]
        torch.testing.assert_close(edited, words[owner])
        torch.testing.assert_close(back.before[row], back.starts[owner])


def test_lengths_are_geometric() -> None:
    back = draw_ways(torch.zeros(20_000, 4), torch.Generator().manual_seed(1))
    share = torch.bincount(back.lengths, minlength=4)[:4] / 20_000
    np.testing.assert_allclose(share.numpy(), [0.5, 0.25, 0.125, 0.0625], atol=0.02)
    assert int(back.lengths.max()) <= MOST_EDITS


def test_the_bound_comes_to_the_likelihood_that_the_sampler_has() -> None:
    torch.manual_seed(4)
    sampler, code = Sampler(4, 16), Code(4)
    with torch.no_grad():
        sampler.editor.layers[-1].bias[0] = 1.5  # it mostly stops soon
    chance = torch.Generator().manual_seed(0)
    drawn = number(as_bits(sampler.sample(40_000, chance)))
    seen = np.bincount(drawn, minlength=16) / 40_000
    with torch.no_grad():
        bound = sampler.log_likelihood(as_tensor(code.every()), chance, ways=2_000)
    np.testing.assert_allclose(bound.exp().numpy(), seen, atol=0.01)
    with torch.no_grad():
        few = torch.stack([sampler.log_likelihood(as_tensor(code.every()), chance, 2) for _ in range(200)])
    assert (few.mean(0).numpy() < np.log(seen) + 0.05).all()  # a bound from below


def test_equal_seeds_learn_the_same() -> None:
    words = torch.randint(0, 2, (16, 6), generator=torch.Generator().manual_seed(9)).float()
    first, second = (AloeMethod(6, 3, 16) for _ in range(2))
    losses = [[method.step(words) for _ in range(3)] for method in (first, second)]
    assert losses[0] == losses[1]
    assert all(map(math.isfinite, losses[0]))
    torch.testing.assert_close(first.sample(8), second.sample(8))
