"""A run and its alternative: identity, terms that multiply to the carbon, joules that PUE never changes."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fakes.studies import study as a_study
from fakes.what_if import a_run
from wattmark.errors import ConfigError
from wattmark.impact import zones
from wattmark.predict import Scenario, evaluate
from wattmark.predict.whatif.outcome import Estimate

HOME = Scenario(zone="FR", price_per_kwh=0.2, currency="EUR")
RUN = a_run()
ZONES = st.sampled_from([zone.id for zone in zones()])


def joules(side: Estimate) -> float:
    assert side.energy_j is not None
    return side.energy_j.value


def test_nothing_changed_is_the_original_number_for_number():
    outcome = evaluate(RUN, Scenario(), original=HOME)
    assert outcome.alternative == outcome.original
    assert outcome.changed == ()
    assert RUN.energy is not None
    assert joules(outcome.original) == pytest.approx(RUN.energy.value)


def test_saying_again_what_is_the_case_is_the_original_too():
    same = Scenario(
        zone="FR", pue=1.0, epochs=5, hardware=(("a100-sxm4-80", 1), ("AMD EPYC 7763", 1)), price_per_kwh=0.2
    )  # pyright: ignore[reportArgumentType]
    outcome = evaluate(RUN, same, original=HOME)
    for name in ("energy_j", "duration_s", "carbon_g", "cost", "by_component"):
        assert getattr(outcome.alternative, name) == getattr(outcome.original, name), name


@given(ZONES, st.floats(1, 3), st.sampled_from([None, "h100-sxm", "t4"]), st.sampled_from([None, 3, 5, 40]))
def test_carbon_is_the_product_of_the_terms_that_are_shown(
    zone: str, pue: float, hardware: str | None, epochs: int | None
):
    scenario = Scenario.model_validate(
        {"zone": zone, "pue": pue, "epochs": epochs, "hardware": hardware and [(hardware, 2)]}
    )
    outcome = evaluate(RUN, scenario, original=HOME).as_dict()
    for side in (outcome["original"], outcome["alternative"]):
        term = {one["symbol"]: one["value"] for one in side["terms"]}
        assert side["carbon_g"]["value"] == term["E"] * (term["PUE"] * term["I"] / 3.6e6)
        assert side["carbon_g"]["value"] == pytest.approx(
            side["energy_j"]["value"] * side["grams_per_j"]["value"]
        )
        assert side["cost"]["value"] == pytest.approx(term["E"] / 3.6e6 * term["PUE"] * term["p"])
        factors = [one["value"] for one in side["terms"] if one["role"] == "factor"]
        whole = term.get("E0", term["E"])
        for factor in factors:
            whole *= factor
        assert whole == pytest.approx(term["E"])


@given(ZONES, st.floats(1, 10))
def test_place_and_building_never_change_joules_or_seconds(zone: str, pue: float):
    outcome = evaluate(RUN, Scenario(zone=zone, pue=pue), original=HOME)
    assert outcome.alternative.energy_j == outcome.original.energy_j
    assert outcome.alternative.duration_s == outcome.original.duration_s
    assert outcome.alternative.by_component == outcome.original.by_component


def test_a_pue_of_one_applies_nothing_and_two_doubles_the_grams():
    grams = [evaluate(RUN, Scenario(pue=pue), original=HOME).alternative.carbon_g for pue in (1.0, 2.0)]
    plain = evaluate(RUN, Scenario(), original=HOME).original.carbon_g
    assert grams[0] == plain
    assert grams[1] is not None
    assert plain is not None
    assert grams[1].value == pytest.approx(2 * plain.value)


def test_what_is_not_given_has_a_reason_and_no_number():
    side = evaluate(RUN, Scenario(hardware=[("h100-sxm", 1)])).alternative  # pyright: ignore[reportArgumentType]
    assert side.energy_j is not None
    assert side.carbon_g is None
    assert side.cost is None
    assert side.reasons == {
        "carbon_g": "unknown, because no place is given",
        "cost": "unknown, because no price per kWh is given",
    }


def test_what_cannot_be_predicted_says_why_instead_of_a_number():
    outcome = evaluate(RUN, Scenario(hardware=[("tpu-v5e", 4)]), original=HOME)  # pyright: ignore[reportArgumentType]
    side = outcome.alternative
    assert (side.energy_j, side.duration_s, side.carbon, side.cost) == (None, None, None, None)
    assert "power of Google TPU v5e (chip) is not published" in side.reasons["energy_j"]
    assert outcome.original.energy_j is not None


def test_a_tariff_and_a_building_within_a_range_cancel_between_both_sides():
    home = Scenario(zone="FR", pue="1.1-1.3", price_per_kwh="0.2-0.4", currency="EUR")
    outcome = evaluate(RUN, Scenario(epochs=8), original=home)
    before, after = outcome.original, outcome.alternative
    assert before.cost is not None
    assert after.cost is not None
    assert before.carbon is not None
    assert after.carbon is not None
    assert {"price", "pue"} <= {kind for kind, *_ in before.cost.budget()}
    assert "pue" in {kind for kind, *_ in before.carbon.grams.budget()}
    joules_apart = after.energy_j / before.energy_j
    assert (after.cost / before.cost).interval() == pytest.approx(joules_apart.interval())
    assert before.cost.half_width > 0.3 * before.cost.value
    for wrong in (
        {"price_per_kwh": "cheap"},
        {"price_per_kwh": "3e10"},
        {"pue": "0.5-1.2"},
        {"pue": "1.1-30"},
    ):
        with pytest.raises(ValidationError):
            Scenario.model_validate(wrong)


def test_measured_modelled_and_predicted_joules_are_told_apart():
    outcome = evaluate(RUN, Scenario(hardware=[("h100-sxm", 1)]), original=HOME)  # pyright: ignore[reportArgumentType]
    assert {one.component: one.basis for one in outcome.original.by_component} == {
        "gpu": "measured",
        "cpu": "modelled",
    }
    assert {one.basis for one in outcome.alternative.by_component} == {"predicted"}


def test_other_hardware_changes_time_as_well_as_joules():
    outcome = evaluate(RUN, Scenario(hardware=[("t4", 1)]), original=HOME)  # pyright: ignore[reportArgumentType]
    assert outcome.alternative.duration_s is not None
    assert outcome.alternative.duration_s.low > 100.0
    assert joules(outcome.alternative) != joules(outcome.original)


def test_another_cpu_changes_the_joules_and_the_seconds():
    idle_gpu = a_run(utilisation=40.0)
    outcome = evaluate(idle_gpu, Scenario(hardware=[("cpu:epyc-7302", 1)]), original=HOME)  # pyright: ignore[reportArgumentType]
    assert joules(outcome.alternative) != joules(outcome.original)
    assert outcome.alternative.duration_s is not None
    assert outcome.alternative.duration_s.value != 100.0


def test_the_series_of_epochs_is_measured_first_and_extrapolated_then():
    rows = evaluate(RUN, Scenario(epochs=8), original=HOME).alternative.epochs
    assert [row.epoch for row in rows] == list(range(1, 9))
    assert [row.measured for row in rows] == [True] * 5 + [False] * 3
    assert [row.extrapolated for row in rows] == [False] * 5 + [True] * 3
    assert rows[-1].cumulative_j.value == pytest.approx(8 * 16 * 350)
    assert rows[-1].t_s is not None
    assert rows[-1].t_s.value == pytest.approx(8 * 16 + 10)
    assert all(a.cumulative_j.value < b.cumulative_j.value for a, b in pairwise(rows))


def test_the_series_follows_the_other_hardware():
    outcome = evaluate(RUN, Scenario(hardware=[("h100-sxm", 1)]), original=HOME)  # pyright: ignore[reportArgumentType]
    ratio = joules(outcome.alternative) / joules(outcome.original)
    before, after = outcome.original.epochs, outcome.alternative.epochs
    assert [row.energy_j.value for row in after] == pytest.approx(
        [row.energy_j.value * ratio for row in before]
    )
    assert not any(row.measured for row in after)


def test_a_very_long_series_is_thinned_and_keeps_its_last_epoch():
    rows = evaluate(RUN, Scenario(epochs=100_000), original=HOME).alternative.epochs
    assert len(rows) <= 2_001
    assert rows[-1].epoch == 100_000
    assert rows[-1].cumulative_j.value == pytest.approx(100_000 * 16 * 350)


def test_changes_add_up_in_one_scenario():
    scenario = Scenario.model_validate(
        {"zone": "PL", "pue": "average", "hardware": [["h100-sxm", 2]], "epochs": 50, "power_cap_w": 400}
    )
    outcome = evaluate(RUN, scenario, original=HOME)
    assert [step.field for step in outcome.steps] == ["epochs", "hardware", "power_cap_w"]
    assert outcome.changed == ("zone", "pue", "hardware", "epochs", "power_cap_w")
    json.dumps(outcome.as_dict(), allow_nan=False)


def test_levels_need_a_study():
    outcome = evaluate(RUN, Scenario(levels={"batch_size": 64}), original=HOME)
    assert "belongs to no study" in outcome.alternative.reasons["energy_j"]


def test_levels_of_the_runs_study_are_offered_and_used():
    study = a_study(
        {"batch_size": [16, 64]},
        repeats=1,
        noise=0.0,
        energy=lambda f: 1000.0 * (2 if f["batch_size"] == 16 else 1),
    )
    object.__setattr__(study.trials[0], "run_id", "ab12")
    outcome = evaluate(RUN, Scenario(levels={"batch_size": 64}), study, original=HOME)
    assert outcome.options["levels"] == {"batch_size": [16, 64]}
    assert joules(outcome.alternative) < 0.6 * joules(outcome.original)


def test_a_run_without_energy_says_so():
    outcome = evaluate(a_run(curves=()), Scenario(zone="FR"))
    assert outcome.original.energy_j is None
    assert outcome.alternative.reasons["energy_j"] == "unknown, because no energy was measured"
    assert outcome.original.carbon is None


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"epochs": 10**9},
        {"pue": 0.5},
        {"pue": float("nan")},
        {"power_cap_w": -1},
        {"hardware": [["h100-sxm", 0]]},
        {"hardware": [["h100-sxm"]]},
        {"price_per_kwh": -0.1},
        {"hour": 12},
        {"zone": ""},
        {"hardware": [["x" * 1000, 1]]},
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(bad: dict[str, object]):
    with pytest.raises(ValidationError):
        Scenario.model_validate(bad)


@pytest.mark.parametrize(
    "bad", [{"zone": "Atlantis"}, {"pue": "castle"}, {"hardware": [["h999", 1]]}, {"year": 1990}]
)
def test_a_name_that_does_not_exist_is_told(bad: dict[str, object]):
    with pytest.raises(ConfigError):
        evaluate(RUN, Scenario.model_validate(bad), original=HOME)


def test_a_scenario_survives_its_own_json():
    scenario = Scenario.model_validate(
        {"hardware": [["h100-sxm", 8]], "levels": {"batch_size": 64}, "pue": 1.2}
    )
    assert Scenario.model_validate_json(scenario.model_dump_json(exclude_none=True)) == scenario


def test_a_run_that_goes_on_is_taken_as_of_now():
    outcome = evaluate(a_run(status="running"), Scenario(zone="FR"))
    assert any("still going on" in note for note in outcome.notes)
