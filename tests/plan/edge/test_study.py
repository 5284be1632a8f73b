from __future__ import annotations

import pytest

import wattmark as wm
from wattmark.errors import ConfigError

pytest.importorskip("scipy")


def test_controllers_stand_between_the_bound_and_random_and_the_best_is_recommended() -> None:
    answer = wm.edge(weeks=2, sites=2, days=1, updates=0)
    names = [row.name for row in answer.rows]
    assert names[0] == "all known beforehand"
    assert answer.recommended == names[1]
    costs = [row.cost for row in answer.rows]
    assert costs == sorted(costs)
    assert all(row.beyond_bound >= -1e-6 for row in answer.rows)
    assert answer.as_dict()["rows"][0]["clairvoyant"]
    assert any("few" in note for note in answer.notes)


def test_learners_are_kept_and_their_training_is_measured(tmp_path) -> None:
    pytest.importorskip("torch")
    from wattmark.plan.edge.learning import Plan

    small = Plan(batch=2, steps=6, hidden=4)
    answer = wm.edge(weeks=1, sites=2, days=1, updates=2, plan=small, folder=tmp_path)
    trained = {row.name: row.training for row in answer.rows if row.training is not None}
    assert set(trained) == {"MAMRL", "A2C, one agent"}
    assert [run.tags["model"] for run in wm.runs(tag="stage=training")]
    assert answer.adaptation is not None
    assert answer.adaptation.updates[0] == 0
    again = wm.edge(weeks=1, sites=2, days=1, updates=2, plan=small, folder=tmp_path)
    assert all(row.training is None for row in again.rows)  # nothing was left to learn
    assert again.learning == answer.learning


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(ConfigError, match="1 to 1,000 weeks"):
        wm.edge(weeks=0)
