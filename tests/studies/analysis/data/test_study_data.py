"""A cell's mean: where both ends of its interval lie."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.studies import trial
from wattmark.statistics import mean_half_width
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.results import StudyResults

joules = st.lists(st.floats(100, 5_000), min_size=1, max_size=6)


def data_of(*trials: object) -> StudyData:
    return StudyData(StudyResults("s", "S", {}, list(trials)))  # pyright: ignore[reportArgumentType]


@given(joules, st.floats(0, 0.3))
@settings(max_examples=40)
def test_an_energy_has_the_scatter_of_its_repeats_and_the_error_of_the_sensor(
    training_j: list[float], relative: float
) -> None:
    data = data_of(
        *(
            trial({}, training_j=value, repeat=number, accuracy_of_measurement=relative)
            for number, value in enumerate(training_j)
        )
    )
    (cell,) = data.cells
    for name, values in (
        ("training_energy_j", training_j),
        ("total_energy", [value + 110 for value in training_j]),
        ("energy_per_sample", [value / 2000 for value in training_j]),
    ):
        mean = data.mean(cell, name)
        assert mean is not None
        centre = float(np.mean(values))
        half = math.hypot(mean_half_width(values) or 0.0, centre * relative)
        assert mean.value == pytest.approx(centre)
        assert (mean.low, mean.high) == pytest.approx((max(0.0, centre - half), centre + half), rel=1e-6)


def test_what_the_workload_reports_with_ends_has_these_ends() -> None:
    given_ends = [(2.0, 1.0, 5.0), (2.0, 1.5, 4.0)]
    data = data_of(
        *(
            trial(
                {},
                repeat=number,
                metrics={"j_per_token": v, "j_per_token_low": low, "j_per_token_high": high},
            )
            for number, (v, low, high) in enumerate(given_ends)
        )
    )
    mean = data.mean(data.cells[0], "j_per_token")
    assert mean is not None
    assert (mean.value, mean.low, mean.high) == pytest.approx((2.0, 1.25, 4.5))


def test_a_share_is_at_most_one() -> None:
    data = data_of(*(trial({}, accuracy=value, repeat=n) for n, value in enumerate((0.9, 1.0))))
    mean = data.mean(data.cells[0], "accuracy")
    assert mean is not None
    assert mean.high == 1.0
    assert mean.low == pytest.approx(0.95 - 12.706 * 0.05, abs=1e-3)


def test_a_workload_may_report_under_the_name_of_a_column() -> None:
    data = data_of(trial({}, metrics={"samples": 7.0}))
    assert data.values("samples").tolist() == [7.0]
    assert data.columns["samples"].tolist() == [2000.0]


def test_cells_come_in_the_order_of_the_design() -> None:
    trials = [trial({"size": size}) for size in ("large", "small", "medium", 3, 2)]
    design = {"factors": {"size": ["small", "medium", "large"]}}
    data = StudyData(StudyResults("s", "S", design, trials))
    assert [cell.levels["size"] for cell in data.cells] == ["small", "medium", "large", 2, 3]
    listed = StudyData(
        StudyResults("s", "S", {"trial": [{"size": "medium"}, {"size": "large"}]}, trials[:1] + trials[2:3])
    )
    assert [cell.levels["size"] for cell in listed.cells] == ["medium", "large"]
