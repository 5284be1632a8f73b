"""The race decides as a gate does, pairs with the base beside it, and keeps its promises on chance."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from wattmark.advise.levers.race import Pairs, blocks, confirming, racing


def raced(change: float, spread: float, seed: int, rounds: int = 7) -> Pairs:
    rng = np.random.default_rng(seed)
    pairs = Pairs(racing(rounds))
    for _ in range(rounds):
        base, own = np.exp(rng.normal(0, spread, 2))
        pairs.add(float(base), float(own) * math.exp(change))
        if pairs.settled is not None:
            break
    return pairs


def test_a_clear_loser_goes_early_and_a_clear_winner_is_seen() -> None:
    losers = [raced(0.3, 0.02, seed) for seed in range(50)]
    assert sum(one.verdict == "costs" for one in losers) >= 48
    assert np.median([len(one.logs) for one in losers]) == 3
    winners = [raced(math.log(0.8), 0.02, seed) for seed in range(50)]
    assert sum(one.verdict == "saves" for one in winners) >= 48
    share = winners[0].share
    assert share is not None
    assert share.low is not None
    assert share.high is not None
    assert share.low < 0.8 < share.high


def test_a_lever_that_does_nothing_rarely_looks_like_a_saver() -> None:
    nothing = [raced(0.0, 0.03, seed) for seed in range(400)]
    assert sum(one.verdict == "saves" for one in nothing) <= 0.08 * len(nothing)
    little = [raced(0.0, 0.002, seed) for seed in range(100)]
    assert (
        sum(one.verdict == "little" for one in little) + sum(one.verdict == "costs" for one in little) >= 90
    )


def test_the_second_comparison_errs_once_in_twenty_at_most() -> None:
    wrong = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        pairs = Pairs(confirming(14))
        for _ in range(14):
            pairs.add(1.0, math.exp(rng.normal(0, 0.05)))
        wrong += pairs.verdict == "saves"
    assert wrong <= 0.08 * 300


def test_what_others_used_is_taken_out() -> None:
    rng = np.random.default_rng(1)
    widths = {}
    for known in (True, False):
        pairs = Pairs(confirming(20))
        for _ in range(20):
            busy = float(rng.uniform(-1, 1))
            pairs.add(1.0, math.exp(0.4 * busy + rng.normal(0, 0.01)), busy if known else None)
        share = pairs.share
        assert share is not None
        assert share.low is not None
        assert share.high is not None
        widths[known] = share.high - share.low
    assert widths[True] < widths[False] / 3


def test_one_pair_has_no_interval_and_none_has_no_estimate() -> None:
    pairs = Pairs(racing(3))
    assert pairs.share is None
    pairs.add(2.0, 1.0)
    share = pairs.share
    assert share is not None
    assert (share.value, share.low, share.high, share.pairs) == (0.5, None, None, 1)
    assert pairs.verdict == "open"


@pytest.mark.parametrize("count", [1, 3, 4, 10])
def test_every_lever_stands_beside_a_base_that_takes_turns(count: int) -> None:
    names = [f"lever {number}" for number in range(count)]
    shuffled = list(range(count))
    random.Random(count).shuffle(shuffled)
    found = blocks(names, 3, shuffled)
    assert sorted(name for block in found for name in block if name is not None) == sorted(names)
    assert all(block.count(None) == 1 and len(block) <= 4 for block in found)
    assert all(block[0] is None or block[-1] is None for block in found)
