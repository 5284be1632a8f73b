"""Campaigns over real parsers: seeds are valid, new branches are kept, what is not promised is a crash."""

from __future__ import annotations

import random

import pytest

from wattmark.workloads.ebm.fuzz.campaign import run_campaign
from wattmark.workloads.ebm.fuzz.coverage import Branches
from wattmark.workloads.ebm.fuzz.mutators import RandomMutator, mutator_of
from wattmark.workloads.ebm.fuzz.targets import TARGETS, Target

OURS = ("journal", "importers", "series", "events")


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_valid_and_reach_the_parser(name: str) -> None:
    target = TARGETS[name]
    for data in target.seeds:
        branches, error = Branches(target.files).of(target.parse, data)
        assert error is None
        assert len(branches) > 5


@pytest.mark.parametrize("name", OURS)
def test_our_parsers_raise_what_they_promise_only(name: str) -> None:
    found = run_campaign(TARGETS[name], RandomMutator(), 1_000, seed=1)
    assert found.crashes == ()
    assert found.branches > found.of_seeds
    assert list(found.course) == sorted(found.course)
    assert len(found.course) == 10


def _careless(data: bytes) -> int:
    if b"," in data:
        return data.split(b",")[2][0]
    return 0


def test_an_error_that_is_not_promised_is_one_crash_with_its_input() -> None:
    target = Target(_careless, (__file__,), (KeyError,), [b"a,b,c"])
    found = run_campaign(target, RandomMutator(), 300, seed=0)
    assert len(found.crashes) == 1  # one place, however many inputs
    with pytest.raises(IndexError):
        _careless(found.crashes[0].data)
    assert run_campaign(target, RandomMutator(), 300, seed=0) == found


def test_an_energy_draws_likely_bytes() -> None:
    torch = pytest.importorskip("torch")
    from wattmark.workloads.ebm.fuzz.windows import EnergyMutator

    mutator = mutator_of("energy", [b"0,1;0,1;0,1;0,1;0,1;"], seed=0)
    assert isinstance(mutator, EnergyMutator)
    chances = mutator.conditional(b"0,1;0,1;", 4)
    assert float(chances.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(chances[ord("0")]) > 5 / 256
    data, rng = b"0,1;" * 10, random.Random(0)
    changed = [mutator.mutate(data, rng) for _ in range(20)]
    assert any(one != data for one in changed)
    assert torch.is_tensor(chances)
