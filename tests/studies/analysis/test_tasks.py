"""What studies of tasks come to, on planted costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.task_study import SENTIMENT, Cell, task_study
from fakes.vision_study import vision_study
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.tasks import (
    STAR_COUNT,
    against_general,
    is_task_study,
    labelled,
    rated,
    stars,
    task_costs,
)
from wattmark.studies.results import StudyResults

ENERGIES = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=20)


def costs(results: StudyResults):
    return task_costs(StudyData(results))


def test_a_thousand_inferences_are_the_rounds_scaled():
    small, large = costs(task_study(SENTIMENT))
    assert small.energy is not None
    assert small.energy.value == pytest.approx(100.0)  # 0.1 J each; the training is not in them
    assert large.energy is not None
    assert large.energy.value == pytest.approx(3_000.0)
    assert small.per_input is not None
    assert small.per_input.value == pytest.approx(0.1 / 12)
    assert small.per_output is not None
    assert small.per_output.value == pytest.approx(0.1)
    assert small.inferences == 100
    assert (small.input_unit, small.output_unit, small.metric) == ("token", "token", "accuracy")


def test_a_single_trial_has_the_scatter_of_its_rounds():
    steady = costs(task_study(SENTIMENT))[0].energy
    shaky = costs(task_study(SENTIMENT, wobble=(0.7, 1.3)))[0].energy
    assert steady is not None
    assert shaky is not None
    assert shaky.high - shaky.low > 1.5 * (steady.high - steady.low)


def test_the_ratio_is_narrow_since_both_share_a_sensor():
    (one,) = against_general(costs(task_study(SENTIMENT, repeats=3)))
    assert one.ratio.value == pytest.approx(30.0)
    assert one.general.energy is not None
    assert (one.ratio.high - one.ratio.low) / one.ratio.value < 0.02
    assert (one.general.energy.high - one.general.energy.low) / one.general.energy.value > 0.15


def test_a_training_pays_after_what_it_took_over_what_it_saves():
    (one,) = against_general(costs(task_study(SENTIMENT, repeats=3)))
    assert one.pays_after is not None
    assert one.pays_after.value == pytest.approx(50.0 / 2.9, rel=1e-3)


def test_what_saves_nothing_never_pays():
    cells = (Cell("t", "small", 3.0, training_j=50.0), Cell("t", "large", 2.9, general=True))
    (one,) = against_general(costs(task_study(cells, repeats=3)))
    assert one.pays_after is None
    assert one.ratio.value < 1


def test_only_models_of_one_task_with_real_weights_are_set_against_one_another():
    cells = (
        Cell("a", "small", 0.1), Cell("b", "large", 3.0, general=True), Cell("b", "noise", 0.2, quality=None),
    )  # fmt: skip
    assert against_general(costs(task_study(cells))) == []


def test_quality_is_above_chance_only_beyond_its_interval():
    cells = (Cell("t", "good", 1.0, 0.9), Cell("t", "poor", 1.0, 0.55), Cell("t", "noise", 1.0, None))
    found = {cost.model: cost for cost in costs(task_study(cells))}
    assert found["good"].above_chance is True
    assert found["poor"].above_chance is False
    assert found["noise"].above_chance is None
    assert found["noise"].random
    assert found["noise"].quality is None
    assert found["good"].quality is not None
    assert found["good"].quality.unit == ""


def test_the_idle_share_is_idle_power_over_time():
    (cost,) = costs(task_study([Cell("t", "m", 1.0, idle_w=5.0)]))
    assert cost.idle_share == pytest.approx(5.0 * 5 / 100)
    (unknown,) = costs(task_study([Cell("t", "m", 1.0)]))
    assert unknown.idle_share is None


def test_stars_by_known_values():
    assert stars([0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]) == [5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 1]
    assert stars([7.0]) == [5]
    assert stars([7.0, 7.0]) == [5, 5]
    assert stars([]) == []


@given(ENERGIES, st.floats(0.1, 10))
def test_stars_are_ordered_bounded_and_do_not_depend_on_the_unit(energies: list[float], scale: float):
    found = stars(energies)
    assert all(1 <= count <= STAR_COUNT for count in found)
    assert found[energies.index(min(energies))] == STAR_COUNT
    if max(energies) > min(energies):
        assert found[energies.index(max(energies))] == 1
    for a, b in zip(
        sorted(zip(energies, found, strict=True)), sorted(zip(energies, found, strict=True))[1:], strict=False
    ):
        assert a[1] >= b[1]
    rescaled = stars([energy * scale for energy in energies])
    assert sum(abs(a - b) for a, b in zip(found, rescaled, strict=True)) <= len(found)


def test_stars_go_by_the_gpus_where_all_know_them():
    by_gpu = (Cell("t", "a", 10.0, gpu_j=1.0), Cell("t", "b", 9.0, gpu_j=5.0))
    assert [count for _, count in rated(costs(task_study(by_gpu)))] == [5, 1]
    one_unknown = (Cell("t", "a", 10.0, gpu_j=1.0), Cell("t", "b", 9.0))
    assert [count for _, count in rated(costs(task_study(one_unknown)))] == [1, 5]


def test_a_training_never_pays_before_nothing():
    cells = (Cell("t", "small", 0.1, training_j=0.01), Cell("t", "large", 3.0, general=True))
    (one,) = against_general(costs(task_study(cells, repeats=2)))
    assert one.pays_after is not None
    assert one.pays_after.low >= 0


def test_the_gpu_of_one_is_not_shown_where_its_stars_go_by_all_energy():
    """Else a label would tell joules by which its stars were not given."""
    cells = (Cell("t", "a", 10.0, gpu_j=1.0), Cell("t", "b", 9.0), Cell("u", "a", 10.0, gpu_j=1.0))
    assert [cost.gpu is not None for cost in costs(task_study(cells))] == [False, False, True]


def test_stars_are_among_the_models_of_one_task():
    cells = (Cell("a", "m", 1.0), Cell("a", "n", 2.0), Cell("b", "m", 100.0))
    assert {cost.label: count for cost, count in rated(labelled(costs(task_study(cells))))} == {
        "a, m": 5,
        "a, n": 1,
        "b, m": 5,
    }


def test_another_study_is_none_of_tasks():
    data = StudyData(vision_study())
    assert not is_task_study(data)
    assert task_costs(data) == []
