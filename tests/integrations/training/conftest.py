"""Where a framework is not installed, a stand-in with its hooks; a machine of known watts."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest

PACKAGE = "wattmark.integrations.training"


@pytest.fixture(autouse=True)
def watts(fake_machine: object) -> None:
    """One package at a constant 50 W."""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """An integration, imported with whatever stands in for its framework now."""

    def load(name: str) -> ModuleType:
        monkeypatch.delitem(sys.modules, f"{PACKAGE}.{name}", raising=False)
        return importlib.import_module(f"{PACKAGE}.{name}")

    return load


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
