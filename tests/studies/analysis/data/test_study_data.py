"""A cell's mean: where both ends of its interval lie."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.studies import trial
from wattmark.quantity import Quantity, QuantityDict
from wattmark.runs.differences import Difference
from wattmark.statistics import mean_half_width
from wattmark.studies.analysis.data.errors import with_errors_of
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.results import StudyResults, TrialResult

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
    assert (mean.value, mean.low, mean.high) == pytest.approx((2.0, 1.25, 4.5), rel=2e-3)


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


# --- between cells ---

SHIFTS = st.tuples(st.floats(-0.6, 0), st.floats(0, 0.9))


def terms_of(joules: float, shifts: dict[str, tuple[float, float]]) -> QuantityDict:
    terms = {name: (down * joules, up * joules) for name, (down, up) in shifts.items()}
    return Quantity(joules, unit="J", terms=terms, at_least=0.0).as_dict()


def measured(
    levels: dict[str, Any], joules: float, repeat: int = 0, **shifts: tuple[float, float]
) -> TrialResult:
    """A trial whose energies have these errors; the names with an underscore after the kind."""
    named = {name.replace("_", "/"): shift for name, shift in shifts.items()}
    made = trial(levels, training_j=joules, repeat=repeat)
    energies = {name: terms_of(part["value"], named) for name, part in (made.energy_j or {}).items()}
    return replace(made, energy_j=energies)


def two_cells(first: TrialResult, second: TrialResult) -> Difference:
    data = data_of(first, second)
    a, b = data.cells
    gap = data.difference(a, b, "total_energy")
    assert gap is not None
    return gap


def test_the_scale_of_the_sensor_cancels_between_cells_of_one_host() -> None:
    wide = (-0.5, 0.8)
    gap = two_cells(measured({"m": "a"}, 1000, scale_lab=wide), measured({"m": "b"}, 3600, scale_lab=wide))
    assert gap.ratio is not None
    assert gap.clear
    assert gap.ratio.value == pytest.approx(3710 / 1110)
    assert gap.ratio.high / gap.ratio.low < 1.2  # what single runs scatter
    assert gap.common == ("scale",)


def test_two_hosts_do_not_share_the_scale() -> None:
    wide = (-0.5, 0.8)
    gap = two_cells(measured({"m": "a"}, 1000, scale_a=wide), measured({"m": "b"}, 2000, scale_b=wide))
    assert not gap.clear
    assert gap.rests_on[0] == "scale of the sensor"


def test_the_character_of_two_commands_does_not_cancel() -> None:
    apart = [
        two_cells(
            measured({"m": "a"}, 1000, scale_lab=(-0.3, 0.3), character_a=(-width, width)),
            measured({"m": "b"}, 1500, scale_lab=(-0.3, 0.3), character_b=(-width, width)),
        )
        for width in (0.02, 0.4)
    ]
    assert [gap.clear for gap in apart] == [True, False]


@given(st.floats(10, 1e5), SHIFTS, SHIFTS, st.integers(1, 4))
@settings(max_examples=30)
def test_a_cell_less_itself_is_nothing_with_no_width(
    joules: float, scale: tuple[float, float], character: tuple[float, float], repeats: int
) -> None:
    data = data_of(
        *(
            measured({"m": "a"}, joules * (1 + 0.03 * n), n, scale_lab=scale, character_a=character)
            for n in range(repeats)
        )
    )
    (cell,) = data.cells
    for name in ("total_energy", "training_energy_j", "energy_per_sample", "power", "total_duration_s"):
        mean = data.mean(cell, name)
        assert mean is not None
        nothing = mean - mean
        assert (nothing.value, nothing.low, nothing.high) == (0.0, 0.0, 0.0)
        assert mean.low <= mean.value <= mean.high
        assert mean.low >= 0
        ratio = mean / mean
        assert (ratio.value, ratio.low, ratio.high) == (1.0, 1.0, 1.0)


@given(SHIFTS, SHIFTS, st.floats(0, 0.9), st.floats(0, 2))
def test_a_part_of_a_run_shares_the_errors_of_the_whole_and_has_the_ends_of_its_own(
    scale: tuple[float, float], character: tuple[float, float], below: float, above: float
) -> None:
    shifts = {"scale/lab": scale, "character/a": character, "edges/run": (-0.01, 0.01)}
    energy = Quantity.from_dict(terms_of(100.0, shifts))
    part = with_errors_of(energy, 7.0, "J", ends=(7 * (1 - below), 7 * (1 + above)), own="edges/part")
    assert "edges/run" not in part.terms
    assert part.low == pytest.approx(7 * (1 - below), rel=1e-6)
    assert part.high == pytest.approx(7 * (1 + above), rel=1e-6)


def test_a_record_without_terms_has_the_scale_of_its_sensor_alone() -> None:
    gap = two_cells(trial({"m": "a"}, training_j=1000), trial({"m": "b"}, training_j=1300))
    assert gap.common == ("scale",)
    assert gap.clear
    strangers = two_cells(trial({"m": "a"}, host=""), trial({"m": "b"}, host=""))
    assert strangers.common == ()


def test_repeats_are_compared_by_students_t_on_logarithms() -> None:
    rng = np.random.default_rng(3)
    clear = {1.0: 0, 1.1: 0}
    for _ in range(150):
        for factor in clear:
            trials = [
                measured({"m": m}, 1000 * f * math.exp(rng.normal(0, 0.02)), n, scale_lab=(-0.4, 0.4))
                for m, f in (("a", 1.0), ("b", factor))
                for n in range(5)
            ]
            data = data_of(*trials)
            gap = data.difference(data.cells[0], data.cells[1], "total_energy")
            assert gap is not None
            clear[factor] += gap.clear
    assert clear[1.0] <= 15  # 5 % of 150 are 7.5
    assert clear[1.1] >= 0.9 * 150


def test_a_study_that_does_not_know_a_metric_says_nothing_of_it() -> None:
    data = data_of(trial({"m": "a"}), trial({"m": "b"}))
    assert data.difference(data.cells[0], data.cells[1], "j_per_token") is None


def test_what_a_workload_makes_of_the_machines_joules_has_the_machines_errors_in_a_study_of_trees() -> None:
    def energy(joules: float) -> dict[str, Any]:
        shifts = {"scale/lab": (-0.4 * joules, 0.6 * joules)}
        return {"total": Quantity(joules, terms=shifts, at_least=0.0).as_dict()}

    def served(model: str, cost: float, repeat: int) -> TrialResult:
        ends = {"j_per_token": cost, "j_per_token_low": 0.6 * cost, "j_per_token_high": 1.6 * cost}
        tree = {"total": Quantity(5.0, terms={"share/x": (-0.1, 0.1)}, at_least=0.0).as_dict()}
        return trial(
            {"model": model}, repeat=repeat, metrics=ends, energy_j=energy(30.0), tree_j=tree, contention=0.2
        )

    costs = {"a": (1.0, 1.01), "b": (1.5, 1.52)}
    trials = [served(model, cost, n) for model, pair in costs.items() for n, cost in enumerate(pair)]
    results = StudyResults("s", "S", {}, trials).in_scope()
    assert results.scope == "tree"
    data = StudyData(results)
    apart = data.difference(data.cells[0], data.cells[1], "j_per_token")
    assert apart is not None
    assert apart.ratio is not None
    assert apart.ratio.low > 1.3  # +-60 % of each is the machine's scale, which both have
    assert data.mean(data.cells[0], "j_per_token").unit == "J"


def test_a_utilisation_is_a_percentage() -> None:
    trials = [trial({}, repeat=n, series={"cpu/utilisation": used}) for n, used in enumerate((99.0, 60.0))]
    busy = [replace(one, stages=tuple(replace(s, series=one.series) for s in one.stages)) for one in trials]
    data = StudyData(StudyResults("s", "S", {}, busy))
    mean = data.mean(data.cells[0], "cpu_utilisation")
    assert mean is not None
    assert (mean.value, mean.low, mean.high) == (pytest.approx(79.5), 0.0, 100.0)
