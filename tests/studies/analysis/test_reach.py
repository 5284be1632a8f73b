"""Joules until a stated quality, from trials with known courses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.studies import bounds, trial
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.reach import reaches, target_of
from wattmark.studies.results import Stage, StudyResults, TrialResult


def _trial(method: str, repeat: int, each_j: float, qualities: list[float | None]) -> TrialResult:
    stages = list[Stage]()
    for number, quality in enumerate(qualities):
        stages.append(Stage("epoch", "epoch", 2.0 * number, 1.0, bounds(each_j, 0.1)))
        attrs = {} if quality is None else {"kl": quality}
        stages.append(
            Stage("evaluation", "evaluation", 2.0 * number + 1, 1.0, bounds(50.0, 0.1), attrs=attrs)
        )
    last = qualities[-1]
    metrics = {} if last is None else {"kl": last}
    return replace(trial({"method": method}, repeat=repeat), stages=tuple(stages), metrics=metrics)


def _data(trials: list[TrialResult], target: float | None = 0.2, better: str = "lower") -> StudyData:
    quality = {"metric": "kl", "better": better, **({} if target is None else {"target": target})}
    design = {"factors": {"method": sorted({str(t.factors["method"]) for t in trials})}, "quality": quality}
    return StudyData(StudyResults("reach", "Reach", design, trials))


def test_the_energy_is_that_of_all_learning_up_to_the_first_good_evaluation() -> None:
    data = _data(
        [_trial("a", n, 10.0, [0.9, 0.5, 0.2, 0.1]) for n in range(2)]
        + [_trial("b", n, 4.0, [0.5, 0.4, 0.3, 0.15]) for n in range(2)]
    )
    a, b = reaches(data)
    assert a.energy is not None
    assert b.energy is not None
    assert a.energy.value == pytest.approx(30.0)  # evaluations are not counted
    assert b.energy.value == pytest.approx(16.0)
    low, high = a.energy.interval()
    assert low < 25.0  # it may have been reached up to 10 J before
    assert 30.0 < high < 36.0


def test_a_cell_of_which_one_run_never_came_so_far_has_no_mean() -> None:
    a, b = reaches(
        _data(
            [
                _trial("a", 0, 10.0, [0.9, 0.1]),
                _trial("a", 1, 12.0, [0.9, 0.3]),
                _trial("b", 0, 5.0, [0.1, 0.3]),
                _trial("b", 1, 5.0, [0.1, 0.1]),
            ]
        )
    )
    assert (a.reached, a.energy, a.spent_j) == (1, None, 24.0)
    assert a.words == "1 of 2 runs; over 24 J without"
    assert (b.reached, b.spent_j) == (2, None)
    assert b.energy is not None
    assert b.energy.value == pytest.approx(5.0)  # the first time counts


def test_more_may_be_better() -> None:
    (a,) = reaches(_data([_trial("a", n, 10.0, [0.1, 0.7, 0.9]) for n in range(2)], 0.8, "higher"))
    assert a.energy is not None
    assert a.energy.value == pytest.approx(30.0)


def test_an_evaluation_that_said_nothing_is_not_good() -> None:
    (a,) = reaches(_data([_trial("a", n, 10.0, [None, 0.1]) for n in range(2)]))
    assert a.energy is not None
    assert a.energy.value == pytest.approx(20.0)


def test_without_a_target_or_without_evaluations_there_is_nothing() -> None:
    course = [_trial("a", n, 10.0, [0.9, 0.1]) for n in range(2)]
    assert target_of(_data(course, None)) is None
    assert reaches(_data(course, None)) == []
    bare = [replace(one, stages=one.stages[:1]) for one in course]
    assert reaches(_data(bare)) == []
