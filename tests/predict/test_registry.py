"""Predictors by name: ours and those that come with other packages, and the contract over all of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wattmark.errors import ConfigError
from wattmark.predict import registry
from wattmark.predict.base import InstalledPredictor
from wattmark.testing.predictor_contract import InstalledPredictorContract


@pytest.fixture(params=registry.OURS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


class TestOurs(InstalledPredictorContract):
    @pytest.fixture(autouse=True)
    def turn(self, name: str) -> None:
        self.name = name

    def installed(self) -> InstalledPredictor:
        return registry.load(self.name)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Another package on the path: a predictor by the shipped model, and one that cannot be loaded."""
    (tmp_path / "my_energy.py").write_text("from wattmark.predict.early import shipped as predictor\n")
    metadata = tmp_path / "my_energy-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-energy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[wattmark.predictors]\nmine = my_energy:predictor\nbroken = my_energy:nothing\nearly = my_energy:x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("my_energy", None)


def test_a_predictor_of_another_package_is_found_and_ours_stay_ours(package: Path) -> None:
    assert registry.names()[: len(registry.OURS)] == list(registry.OURS)
    assert {"mine", "broken"} <= set(registry.foreign())
    example = registry.load("mine").examples()
    assert registry.load("mine").predict(example.subjects[0]).method == "early in the run"
    assert registry.load("early").examples().subjects  # not my_energy:x


def test_what_cannot_be_loaded_says_how_an_entry_point_looks(package: Path) -> None:
    with pytest.raises(ConfigError, match="my_energy:nothing") as error:
        registry.load("broken")
    assert "package.module:function" in str(error.value.hint)
    with pytest.raises(ConfigError, match="no predictor 'nobody'") as error:
        registry.load("nobody")
    assert "early" in str(error.value.hint)
