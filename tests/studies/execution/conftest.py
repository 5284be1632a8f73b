"""Trials here run beside whatever else keeps this machine busy; what is asserted is the fake sensor's, the machine's."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _only_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattmark.runs.attribution.OTHERS_BUSY", 1.0)
