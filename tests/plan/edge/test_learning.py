from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.plan.edge.learning import Learner, Plan, observation
from wattmark.plan.edge.rules import greedy, simulate
from wattmark.plan.edge.scenario import Scenario, synthetic
from wattmark.plan.edge.simulator import EdgeGrid

pytest.importorskip("torch")
SMALL = Plan(updates=4, batch=3, steps=24, hidden=8)


def made(update: int) -> list[Scenario]:
    return [synthetic(9_000 + 3 * update + at, sites=2, steps=24, past=48) for at in range(3)]


@pytest.mark.parametrize("central", [False, True])
def test_a_learner_is_the_same_by_seed_and_goes_on_where_it_was(tmp_path: Path, central: bool) -> None:
    whole = Learner(2, SMALL, central=central, seed=1)
    whole.train(made)
    first = Learner(2, SMALL, central=central, seed=1)
    first.train(made, updates=2, checkpoint=tmp_path / "learner.pt")
    again = Learner.load(tmp_path / "learner.pt")
    assert (again.done, again.history) == (2, first.history)
    again.train(made)
    assert again.history == pytest.approx(whole.history)
    week = synthetic(1, sites=2, steps=24)
    assert simulate(week, again.controller()).cost == pytest.approx(simulate(week, whole.controller()).cost)


def test_what_is_no_learner_is_said(tmp_path: Path) -> None:
    path = tmp_path / "learner.pt"
    path.write_bytes(b"nothing")
    for wrong in (path, tmp_path / "none.pt"):
        with pytest.raises(ConfigError, match="no learner"):
            Learner.load(wrong)


def test_new_sites_begin_with_what_is_known() -> None:
    learner = Learner(2, SMALL, seed=1)
    other = learner.for_new_sites(3)
    grid = EdgeGrid([synthetic(1, sites=3, steps=24)])
    assert other.controller()(grid)[0].shape == (1, 3)
    for name, value in learner.net["meta"].state_dict().items():
        assert np.array_equal(value.numpy(), other.net["meta"].state_dict()[name].numpy())
    with pytest.raises(ConfigError, match="its own sites"):
        Learner(2, SMALL, central=True).for_new_sites(3)


def test_it_begins_as_greedy_does() -> None:
    week = synthetic(2, sites=2, steps=48)
    assert simulate(week, Learner(2, SMALL, seed=3).controller()).cost == pytest.approx(
        simulate(week, greedy).cost
    )


def test_what_is_seen_is_of_before() -> None:
    """Tomorrow's weather changes nothing of what is seen now."""
    one = synthetic(5, sites=2, steps=24)
    changed = one.renewable.copy()
    changed[one.past + 1 :] = 0
    other = Scenario(changed, one.compute, one.network, one.price, one.past)
    assert np.array_equal(observation(EdgeGrid([one])), observation(EdgeGrid([other])))
