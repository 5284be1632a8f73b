"""An imported EnergyVis profile: its place is a state, its PUE a stage, its epochs can be extrapolated."""

from __future__ import annotations

import pytest

from fakes.what_if import a_run
from wattmark.predict import Scenario, evaluate
from wattmark.predict.whatif.energyvis import Recorded, recorded


def profile(location: object = "California", pue: object = 1.59, **changes: object):
    extra = {"energyvis": {"location": location, "pue": pue}, "duration_known": False}
    return a_run(extra=extra, tags={"imported": "energyvis"}, **changes)  # pyright: ignore[reportArgumentType]


def test_a_states_name_is_its_zone():
    assert recorded(profile().record) == Recorded("US-CA", 1.59)
    assert recorded(profile("Georgia").record).zone == "US-GA"


def test_a_place_that_is_none_is_named():
    assert recorded(profile("Atlantis").record).unknown_place == "Atlantis"
    assert any("Atlantis" in note for note in evaluate(profile("Atlantis"), Scenario()).notes)


@pytest.mark.parametrize("pue", [None, 0.2, "much", 99])
def test_a_pue_that_makes_no_sense_is_left_out(pue: object):
    assert recorded(profile(pue=pue).record).pue is None


def test_any_other_run_says_nothing():
    assert recorded(a_run().record) == Recorded()


def test_the_profile_is_accounted_as_it_says_itself():
    outcome = evaluate(profile(), Scenario(zone="US-VT"))
    assert outcome.original.carbon is not None
    assert outcome.original.carbon.zone.id == "US-CA"
    assert outcome.original.carbon.pue.ratio.value == 1.59
    assert outcome.alternative.carbon is not None
    assert outcome.alternative.carbon.pue.ratio.value == 1.59
    assert outcome.original.duration_s is None
    assert {one.basis for one in outcome.original.by_component} == {"imported"}


def test_its_hardware_can_be_exchanged_without_times():
    outcome = evaluate(profile(utilisation=None), Scenario.model_validate({"hardware": [["h100-sxm", 1]]}))
    assert outcome.alternative.energy_j is not None
    assert outcome.alternative.duration_s is None
    assert "duration_s" in outcome.alternative.reasons
