"""The contract suite over every predictor that is installed, ours and those of other packages.

python -m pytest --pyargs wattmark.testing.test_installed_predictors
"""

from __future__ import annotations

import pytest

from wattmark.predict import registry
from wattmark.predict.base import InstalledPredictor
from wattmark.testing.predictor_contract import InstalledPredictorContract


class TestInstalledPredictors(InstalledPredictorContract):
    """One after the other."""

    name = ""

    @pytest.fixture(autouse=True, params=registry.names())
    def turn(self, request: pytest.FixtureRequest) -> None:
        """Take this one."""
        self.name = request.param

    def installed(self) -> InstalledPredictor:
        """The one whose turn it is."""
        return registry.load(self.name)
