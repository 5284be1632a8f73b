from __future__ import annotations

from wattmark.studies.designs.design import Design
from wattmark.studies.designs.plan import Trial, cells, further_trials, plan, trial_id
from wattmark.studies.results import TrialResult


def design(**changes: object) -> Design:
    data = {
        "name": "p",
        "repeats": 2,
        "factors": {"a": [1, 2, 3], "b": ["x", "y"]},
        "command": {"argv": ["echo", "{a}{b}"]},
    }
    return Design.model_validate({**data, **changes})


def ended(trial: Trial, energy_j: float, status: str = "completed") -> TrialResult:
    energy = {"total": {"value": energy_j, "low": energy_j, "high": energy_j}}
    return TrialResult(
        trial.id, trial.index, trial.repeat, trial.factors, status, energy_j=energy, duration_s=1.0
    )  # type: ignore[arg-type]


def test_full_combinations_are_all_of_them() -> None:
    assert len(cells(design())) == 6
    assert len({trial.id for trial in plan(design())}) == 12


def test_listed_combinations_are_those_and_no_others() -> None:
    listed = design(factors={}, combinations="listed", trial=[{"a": 1, "b": "x"}, {"a": 3, "b": "y"}])
    assert cells(listed) == [{"a": 1, "b": "x"}, {"a": 3, "b": "y"}]


def test_without_factors_there_is_one_cell() -> None:
    assert len(plan(design(factors={}, command={"argv": ["true"]}))) == 2


def test_the_seed_decides_the_order_and_nothing_else_does() -> None:
    order = [trial.id for trial in plan(design())]
    assert order == [trial.id for trial in plan(design())]
    other = [trial.id for trial in plan(design(seed=1))]
    assert order != other
    assert sorted(order) == sorted(other)


def test_every_repeat_is_a_block_with_each_cell_once() -> None:
    trials = plan(design())
    assert [trial.repeat for trial in trials] == [0] * 6 + [1] * 6
    assert [trial.index for trial in trials] == list(range(12))


def test_ids_depend_on_levels_and_repeat_only() -> None:
    assert trial_id({"a": 1, "b": 2}, 0) == trial_id({"b": 2, "a": 1}, 0)
    assert (
        len({trial_id({"a": 1}, 0), trial_id({"a": 1.0}, 0), trial_id({"a": "1"}, 0), trial_id({"a": 1}, 1)})
        == 4
    )


def test_cells_are_repeated_until_their_mean_is_known() -> None:
    stopped = design(
        factors={"a": [1, 2]}, command={"argv": ["{a}"]}, stop={"within_pct": 10, "max_repeats": 4}
    )
    done = [
        ended(trial, 10 + (trial.repeat * 5 if trial.factors["a"] == 2 else 0)) for trial in plan(stopped)
    ]
    more = further_trials(stopped, done)
    assert [(trial.factors, trial.repeat, trial.index) for trial in more] == [({"a": 2}, 2, 4)]
    done += [ended(more[0], 20)]
    done += [ended(further_trials(stopped, done)[0], 30)]
    assert further_trials(stopped, done) == []  # four repeats are the limit


def test_repeating_ends_when_the_time_is_up() -> None:
    stopped = design(stop={"within_pct": 1, "max_repeats": 9, "max_seconds": 12})
    assert further_trials(stopped, [ended(trial, trial.index) for trial in plan(stopped)]) == []


def test_cells_that_only_fail_are_not_repeated() -> None:
    stopped = design(stop={"within_pct": 1, "max_repeats": 9})
    assert further_trials(stopped, [ended(trial, 1, "failed") for trial in plan(stopped)]) == []
