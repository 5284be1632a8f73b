"""A whole question: both sides, their difference, and who said how the run is accounted."""

from __future__ import annotations

import pytest

from fakes.trainings import training
from fakes.what_if import a_run
from wattmark.errors import ConfigError
from wattmark.predict import Scenario, what_if
from wattmark.predict.whatif.question import accounting_of
from wattmark.runs.view import RunView

RUN = a_run()


def test_the_difference_is_that_of_the_two_sides():
    answer = what_if(RUN, Scenario(pue=1.2), original=Scenario(zone="FR"))
    old, new = answer.outcome.original.carbon_g, answer.outcome.alternative.carbon_g
    assert old is not None
    assert new is not None
    carbon = answer.difference.carbon
    assert carbon is not None
    assert carbon.value == pytest.approx(new.value - old.value)
    assert (carbon.verdict, carbon.ratio and carbon.ratio.low) == ("more", pytest.approx(1.2))
    assert answer.difference.energy is not None
    assert answer.difference.energy.verdict == "same"


def test_the_place_is_the_users_else_that_of_the_run(monkeypatch):
    monkeypatch.delenv("WATTMARK_ZONE", raising=False)
    run = RunView(training("t1", zone="PL"))
    assert accounting_of(run).scenario.zone == "PL"
    said = accounting_of(run, Scenario(zone="FR"))
    assert (said.scenario.zone, said.zone_from) == ("FR", "you")
    unknown = accounting_of(RunView(training("t1", zone="no such place")))
    assert (unknown.scenario.zone, unknown.zone_from) == (None, None)


def test_hardware_that_a_record_hides_can_be_said():
    hidden = RunView(training("t1", gpu="GRID vGPU 17"))
    scenario = Scenario.model_validate({"hardware": [("h100-sxm", 1)]})
    assert what_if(hidden, scenario).outcome.alternative.energy_j is None
    said = Scenario.model_validate({"hardware": [("a100-sxm4-80", 1)]})
    assert what_if(hidden, scenario, original=said).outcome.alternative.energy_j is not None


def test_what_only_a_scenario_can_change_cannot_be_said_of_the_original():
    with pytest.raises(ConfigError, match="epochs"):
        what_if(RUN, Scenario(), original=Scenario(epochs=3))
