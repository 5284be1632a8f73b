from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.plan.edge import learning
from wattmark.plan.edge.learning import Learner
from wattmark.plan.edge.workload import EdgeWorkload
from wattmark.workloads.registry import complete, load

pytest.importorskip("scipy")


class Span:
    def add(self, **details: Any) -> None:
        pass


@contextmanager
def span(name: str, **counts: Any) -> Iterator[Span]:
    yield Span()


def trial(**config: Any) -> dict[str, Any]:
    work = load("edge")
    whole = complete(work, {"weeks": 1, "days": 1, "sites": 2, "updates": 1, **config})
    work.warm_up(whole)
    return work.run(whole, span)


def test_what_a_controller_saves_is_against_greedy_and_never_beyond_the_bound() -> None:
    greedy, forecast, chance = (trial(controller=name) for name in ("greedy", "forecast", "random"))
    assert (greedy["saved"], greedy["nonrenewable_saved"]) == (0.0, 0.0)
    assert forecast["cost"] == pytest.approx(greedy["cost"] * (1 - forecast["saved"]))
    assert 0 <= forecast["beyond_bound"] < chance["beyond_bound"]
    assert trial(controller="forecast") == forecast
    assert trial(controller="forecast", seed=5)["cost"] != forecast["cost"]


def test_a_learner_that_was_stopped_goes_on_and_one_that_is_done_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(learning, "Plan", partial(learning.Plan, batch=2, steps=6))
    whole = trial(controller="mamrl", updates=2)
    assert list((tmp_path / "edge-learners").iterdir()) == []
    update, begun = Learner._update, []

    def stopped(self: Learner, *given: Any) -> float:
        begun.append(self.done)
        if self.done == 1 and len(begun) == 2:
            self.save(tmp_path / "edge-learners" / "mamrl-2-0-2.pt")
            raise KeyboardInterrupt
        return update(self, *given)

    monkeypatch.setattr(Learner, "_update", stopped)
    with pytest.raises(KeyboardInterrupt):
        trial(controller="mamrl", updates=2)
    assert trial(controller="mamrl", updates=2) == whole
    assert begun == [0, 1, 1]


@pytest.mark.parametrize("wrong", [{"weeks": 0}, {"days": 61}, {"updates": -1}])
def test_what_cannot_be_simulated_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="must be from 1"):
        trial(**wrong)
    with pytest.raises(ConfigError):
        complete(EdgeWorkload(), {"controller": "nobody"})
