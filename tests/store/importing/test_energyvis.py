"""Profiles of EnergyVis become runs: epochs, devices, place and PUE; what the file lacks is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ImportFileError
from wattmark.runs.view import RunView
from wattmark.store import import_file

SAMPLE = {
    "name": "Sample Profile",
    "components": {"cpu": {"Intel i7 2600K": 1}, "gpu": {"geforce-gtx-1080-ti": 4}},
    "serverData": {"cpu": {"epoch": [0.05, 0.06, 0.05]}, "gpu": {"epoch": [0.1, 0.2, 0.1]}},
    "location": "California",
    "PUE": 1.59,
}


def written(folder: Path, profile: Any) -> Path:
    path = folder / "profile.json"
    path.write_text(json.dumps(profile))
    return path


def test_a_profile_is_a_run_with_its_epochs(tmp_path: Path):
    (record,) = import_file(written(tmp_path, SAMPLE))
    view = RunView(record)
    assert record.name == "Sample Profile"
    assert record.tags == {"imported": "energyvis"}
    assert view.energy_by_component["cpu"].value == pytest.approx(0.16 * 3.6e6)
    assert view.energy_by_component["gpu"].value == pytest.approx(0.4 * 3.6e6)
    epochs = [span for span in view.spans() if span.name == "epoch"]
    assert [span.by_component["gpu"].value for span in epochs] == pytest.approx([0.36e6, 0.72e6, 0.36e6])
    assert {curve.channel.method for curve in record.curves} == {"modelled"}
    assert {curve.channel.label for curve in record.curves} == {"imported"}


def test_place_and_pue_are_kept_and_never_multiplied_in(tmp_path: Path):
    (record,) = import_file(written(tmp_path, SAMPLE))
    assert record.extra["energyvis"] == {"location": "California", "pue": 1.59, "author": None}
    assert record.environment == {"cpu": {"model": ["Intel i7 2600K"]}, "gpus": ["4 x geforce-gtx-1080-ti"]}


def test_without_samples_there_are_no_times_and_the_run_says_so(tmp_path: Path):
    (record,) = import_file(written(tmp_path, SAMPLE))
    assert record.extra["duration_known"] is False
    assert any("no times" in warning.message for warning in record.warnings)


def test_samples_every_ten_seconds_tell_the_length(tmp_path: Path):
    timed = {
        **SAMPLE,
        "serverData": {"cpu": {"epoch": [0.1, 0.1], "interval": [0.01] * 12}, "gpu": {"epoch": [1, 1]}},
    }
    (record,) = import_file(written(tmp_path, timed))
    assert record.duration_s == 120
    assert record.extra["duration_known"] is True


def test_a_list_of_profiles_is_as_many_runs(tmp_path: Path):
    records = import_file(written(tmp_path, [SAMPLE, {**SAMPLE, "name": "Other"}]))
    assert [record.name for record in records] == ["Sample Profile", "Other"]
    assert len({record.run_id for record in records}) == 2


def test_the_same_profile_is_the_same_run(tmp_path: Path):
    first, second = (import_file(written(tmp_path, SAMPLE))[0] for _ in range(2))
    assert first.run_id == second.run_id


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"serverData": []}, "serverData is no object"),
        ({"serverData": {}}, "same number of epochs"),
        ({"serverData": {"cpu": {"epoch": []}}}, "same number of epochs"),
        ({"serverData": {"cpu": {"epoch": [1]}, "gpu": {"epoch": [1, 2]}}}, "same number of epochs"),
        ({"serverData": {"cpu": {"epoch": [-1]}}}, "no energy in kWh"),
        ({"serverData": {"cpu": {"epoch": ["much"]}}}, "no energy in kWh"),
        ({"serverData": {"cpu": {"epoch": [True]}}}, "no energy in kWh"),
        ({"serverData": {"cpu": {"epoch": [1e300]}}}, "no energy in kWh"),
        ({"serverData": {"cpu": {"epoch": 5}}}, "is no list"),
        ({"components": {"gpu": {"x": -1}}}, "is no number of .x."),
        ({"components": {"gpu": ["x"]}}, "components.gpu is no object"),
    ],
)
def test_a_damaged_profile_is_told_and_not_guessed(tmp_path: Path, change: dict[str, Any], why: str):
    with pytest.raises(ImportFileError, match=why):
        import_file(written(tmp_path, {**SAMPLE, **change}))


def test_json_that_is_neither_says_both(tmp_path: Path):
    with pytest.raises(ImportFileError, match="no export of Wattmark and no profile of EnergyVis"):
        import_file(written(tmp_path, {"something": 1}))


def test_the_profile_that_energyvis_ships_is_read():
    shipped = Path(__file__).parents[4] / "shared/data/energyvis/frontend/src/consts/sample_profile.json"
    if not shipped.exists():
        pytest.skip("the shared data are not here")
    (record,) = import_file(shipped)
    energy = RunView(record).energy
    assert energy is not None
    assert energy.value == pytest.approx(0.6 * 3.6e6)
