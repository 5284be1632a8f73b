"""The cheapest setting within limits: rivals are told by ratios, which do not know what both err by alike."""

from __future__ import annotations

import pytest

from fakes.studies import study
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.runs.differences import Difference, of_quantities
from wattmark.studies.analysis.choice import Candidate, Choice, Limit, cheapest, cheapest_cell, parse_limits
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.results import StudyResults


def cost(value: float, own: float, scale: float = 0.5) -> Quantity:
    return Quantity(
        value,
        terms={
            "scale/lab": (-scale * value, scale * value),
            f"character/{value}": (-own * value, own * value),
        },
    )


SETTINGS = [
    Candidate("small at 1", {"j": cost(3.6, 0.05), "s": Quantity.exact(0.01, "s")}),
    Candidate("small at 8", {"j": cost(1.0, 0.05), "s": Quantity.exact(0.20, "s")}),
    Candidate("large at 8", {"j": cost(1.05, 0.05), "s": Quantity.exact(0.05, "s")}),
    Candidate("unmeasured", {"s": Quantity.exact(0.01, "s")}),
]


def choose(limits: str = "") -> Choice | None:
    def difference(first: int, second: int) -> Difference:
        return of_quantities(SETTINGS[first].metrics["j"], SETTINGS[second].metrics["j"])

    return cheapest(SETTINGS, "j", parse_limits(limits), difference)


def test_a_common_scale_makes_no_rivals_and_a_small_difference_does() -> None:
    found = choose()
    assert found is not None
    assert (found.label, found.place, found.outside) == ("small at 8", 1, 1)
    assert [one.label for one in found.rivals] == ["large at 8"]  # 3.6 times is clear in spite of +-50 %
    assert found.sentence == (
        "Not sure: one other may cost as little, by the ratios: large at 8 (1.05 times [0.978, 1.13])."
    )
    assert found.others[1].verdict == "3.60 times [3.35, 3.86]: more, clearly"


def test_limits_are_kept_and_where_none_keeps_them_there_is_no_choice() -> None:
    found = choose("s<0.1")
    assert found is not None
    assert found.label == "large at 8"
    assert found.rivals == ()
    assert found.sentence.startswith("Clearly: the next, small at 1, costs 3.43 times [")
    assert choose("s<0.001") is None
    only = choose("s<=0.06;s>0.02")
    assert only is not None
    assert only.sentence == "It is the only one within the limits."


def test_limits_are_read_as_the_page_writes_them() -> None:
    assert parse_limits("ttft_p95_s<0.5; accuracy>0.9") == [
        Limit("ttft_p95_s", at_most=0.5),
        Limit("accuracy", at_least=0.9),
    ]
    assert parse_limits("") == []
    with pytest.raises(ConfigError, match="no limit"):
        parse_limits("fast")


def planted() -> StudyResults:
    joules = {"a": 100.0, "b": 101.0, "c": 360.0}
    return study({"model": list(joules)}, 4, energy=lambda levels: joules[levels["model"]], noise=0.03)


def test_the_cells_of_a_study_are_asked_with_their_scatter() -> None:
    data = StudyData(planted())
    found = cheapest_cell(data, "training_energy_j")
    assert found is not None
    assert {found.label, *(one.label for one in found.rivals)} == {"a", "b"}
    clear = next(one for one in found.others if one.label == "c")
    assert clear.difference is not None
    assert clear.difference.ratio is not None
    assert clear.difference.ratio.low > 3
    assert found.to_dict()["others"][-1]["may_cost_as_little"] is False
    with pytest.raises(ConfigError, match="no trial of planted"):
        cheapest_cell(data, "j_per_token")
    assert cheapest_cell(data, "training_energy_j", [Limit("duration_s", at_most=1.0)]) is None


def test_every_cell_is_told_beside_the_cheapest() -> None:
    data = StudyData(planted())
    words = {cell.label: data.beside_cheapest(cell)[1] for cell in data.cells}
    assert sum(word == "the cheapest" for word in words.values()) == 1
    assert words["c"].endswith(": more, clearly")
    assert any(word.endswith(": not distinguishable") for word in words.values())
