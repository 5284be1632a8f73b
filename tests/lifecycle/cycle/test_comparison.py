from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.lifecycle.cycle.comparison import Cycle, crossing
from wattmark.lifecycle.cycle.stages import Candidate, Stage, with_bases
from wattmark.quantity import Quantity

joules = st.floats(0.01, 1e9)


def model(
    name: str,
    fixed: float | Quantity,
    each: float | Quantity,
    base: str | None = None,
    stage: str = "training",
) -> Candidate:
    before = fixed if isinstance(fixed, Quantity) else Quantity.exact(fixed)
    use = each if isinstance(each, Quantity) else Quantity.exact(each, "J/use")
    return Candidate(
        name,
        {
            stage: (Stage(stage, before, "stated", False),),
            "inference": (Stage("inference", use, "stated", False),),
        },
        base,
    )


def test_models_cross_where_the_closed_form_says() -> None:
    small, large = model("small", 100.0, 3.0), model("large", 1_100.0, 1.0)
    at = crossing(large, small)
    assert at is not None
    assert (at.before, at.after, at.uses) == ("small", "large", 500.0)
    assert (at.low, at.high) == (pytest.approx(500.0), pytest.approx(500.0))
    cycle = Cycle([small, large], [(499.0, 1.0)])
    assert [(one.name, one.start, one.end) for one in cycle.regimes] == [
        ("small", 0.0, 500.0),
        ("large", 500.0, None),
    ]
    assert cycle.at(499.0)[0][0].name == "small"
    assert cycle.at(501.0)[0][0].name == "large"


def test_models_that_never_cross_have_no_crossing() -> None:
    better, worse = model("better", 1.0, 1.0), model("worse", 2.0, 2.0)
    assert crossing(better, worse) is None
    assert [one.name for one in Cycle([worse, better], []).regimes] == ["better"]
    assert crossing(better, model("equal", 1.0, 0.5)) is None  # they part at no use at all


@given(st.lists(st.tuples(joules, joules), min_size=1, max_size=6), st.floats(0, 1e12))
def test_the_cheapest_is_the_cheapest_everywhere(lines: list[tuple[float, float]], uses: float) -> None:
    cycle = Cycle([model(str(n), fixed, each) for n, (fixed, each) in enumerate(lines)], [])
    regimes = cycle.regimes
    assert regimes[0].start == 0.0
    assert regimes[-1].end is None
    assert all(a.end == b.start for a, b in pairwise(regimes))
    own = next(one for one in regimes if one.end is None or uses < one.end)
    least = min(fixed + uses * each for fixed, each in lines)
    assert cycle[own.name].energy(uses).value == pytest.approx(least, rel=1e-6)


def test_what_two_models_err_by_alike_cancels() -> None:
    """One sensor measured both: the scale of its joules cannot move the crossing."""

    def of(value: float, unit: str = "J") -> Quantity:
        return Quantity.exact(value, unit).with_error("scale/here", value * 0.3)

    shared = crossing(model("a", of(100.0), of(3.0, "J/use")), model("b", of(1_100.0), of(1.0, "J/use")))
    assert shared is not None
    assert (shared.low, shared.high) == (pytest.approx(500.0), pytest.approx(500.0))
    apart = crossing(
        model("a", of(100.0), of(3.0, "J/use")),
        model("b", of(1_100.0).without("scale").with_error("own/b", 330.0), of(1.0, "J/use")),
    )
    assert apart is not None
    assert apart.high is not None
    assert apart.low < 400
    assert apart.high > 600


def test_an_interval_of_a_crossing_is_that_of_fieller() -> None:
    """Independent normal errors: the roots of a quadratic (Fieller 1954)."""
    f, e, df, de = 1_000.0, 2.0, 100.0, 0.4
    small = model("small", Quantity.exact(0.0), Quantity.exact(e, "J/use").with_error("own/e", de))
    large = model("large", Quantity.exact(f).with_error("own/f", df), Quantity.exact(0.0, "J/use"))
    found = crossing(small, large)
    assert found is not None
    a, b, c = e**2 - de**2, -2 * e * f, f**2 - df**2
    root = math.sqrt(b * b - 4 * a * c)
    assert found.low == pytest.approx((-b - root) / (2 * a), rel=1e-6)
    assert found.high == pytest.approx((-b + root) / (2 * a), rel=1e-6)


def test_intervals_of_crossings_hold_the_truth() -> None:
    rng = np.random.default_rng(3)
    truth = (5_000.0 - 1_000.0) / (2.0 - 0.5)
    held = 0
    for _ in range(600):
        scale = 1 + 0.2 * rng.standard_normal() / 1.96
        drawn = [
            value * scale * (1 + 0.1 * rng.standard_normal() / 1.96) for value in (1_000.0, 2.0, 5_000.0, 0.5)
        ]
        parts = [
            Quantity.exact(value).with_error("scale/x", value * 0.2).with_error(f"own/{at}", value * 0.1)
            for at, value in enumerate(drawn)
        ]
        found = crossing(
            model("a", parts[0], parts[1].with_unit("J/use")),
            model("b", parts[2], parts[3].with_unit("J/use")),
        )
        held += found is not None and found.low <= truth and (found.high is None or truth <= found.high)
    assert 0.92 <= held / 600 <= 0.98


def test_a_crossing_that_may_never_come_has_no_upper_end() -> None:
    each = Quantity.exact(1.0, "J/use").with_error("own/a", 0.5)
    found = crossing(model("a", 10.0, each), model("b", 100.0, 0.9))
    assert found is not None
    assert not found.sure
    assert found.high is None
    regimes = Cycle([model("a", 10.0, each), model("b", 100.0, 0.9)], []).regimes
    assert regimes[-1].name == "b"
    assert regimes[-1].clear is None


def test_a_distilled_model_has_what_its_teacher_took() -> None:
    teacher = model("teacher", Quantity.exact(1_000.0).with_error("own/t", 300.0), 2.0)
    student = model("student", 50.0, 0.5, base="teacher", stage="compression")
    done = with_bases({"student": student, "teacher": teacher})
    cycle = Cycle(list(done.values()), [])
    assert cycle["student"].fixed.value == 1_050.0
    (made,) = cycle.break_evens
    assert made.cost.value == 50.0
    assert made.cost.half_width == 0.0  # the teacher's error is in both
    assert made.paid is not None
    assert made.paid.uses == pytest.approx(50 / 1.5)
    assert made.paid.high == pytest.approx(50 / 1.5)
    with pytest.raises(ConfigError, match="a circle"):
        with_bases({"a": model("a", 1, 1, base="b"), "b": model("b", 1, 1, base="a")})
    with pytest.raises(ConfigError, match="nothing is known"):
        with_bases({"a": model("a", 1, 1, base="b")})


def test_the_score_is_one_for_what_is_cheapest_everywhere() -> None:
    cycle = Cycle([model("a", 10.0, 1.0), model("b", 20.0, 2.0)], [(10.0, 1.0), (1e6, 3.0)])
    assert cycle.score("a") == 1.0
    assert cycle.score("b") == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="expected usage"):
        Cycle([model("a", 1.0, 1.0)], []).score("a")


@given(joules, joules, st.floats(0, 1e9))
def test_a_split_sums_to_one(fixed: float, each: float, uses: float) -> None:
    split = Cycle([model("a", fixed, each)], []).split("a", uses)
    assert split is not None
    assert split.data + split.training + split.inference == pytest.approx(1.0)
    assert split.data == 0.0


def test_what_is_left_out_or_cannot_be_is_said() -> None:
    with_data = Candidate(
        "a", {**model("a", 1, 1).stages, "data": (Stage("data", Quantity.exact(5.0), "", True),)}
    )
    cycle = Cycle([with_data, model("b", 2, 0.5)], [])
    assert any("data is known of a, not of b" in note for note in cycle.notes)
    assert any("without a range" in note for note in cycle.notes)
    for usage, why in (
        ([(-1.0, 1.0)], "cannot be"),
        ([(math.nan, 1.0)], "cannot be"),
        ([(1.0, 0.0)], "weight"),
    ):
        with pytest.raises(ConfigError, match=why):
            Cycle([model("a", 1, 1)], usage)
    with pytest.raises(ConfigError, match="before its use"):
        Cycle([Candidate("a", {"inference": model("a", 1, 1).stages["inference"]})], [])
    with pytest.raises(ConfigError, match="what a use"):
        Cycle([Candidate("a", {"training": model("a", 1, 1).stages["training"]})], [])
    with pytest.raises(ConfigError, match="no model"):
        Cycle([], [])


def test_a_curve_spans_the_crossings() -> None:
    curve = Cycle([model("a", 100.0, 3.0), model("b", 1_100.0, 1.0)], [(1e7, 1.0)]).curve()
    assert curve.uses[0] <= 500 / 30 * 1.01
    assert curve.uses[-1] >= 1e7
    assert [line.name for line in curve.lines] == ["a", "b"]
    assert np.all(curve.lines[0].low <= curve.lines[0].value)
