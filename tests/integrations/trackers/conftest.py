"""A machine of known watts."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def watts(fake_machine: object) -> None:
    """One package at a constant 50 W."""
