"""The methods by name."""

from __future__ import annotations

from collections.abc import Callable

from wattmark.workloads.ebm.methods.aloe import AloeMethod
from wattmark.workloads.ebm.methods.autoregressive import AutoregressiveMethod
from wattmark.workloads.ebm.methods.base import Method
from wattmark.workloads.ebm.methods.pcd import PersistentMethod

METHODS: dict[str, Callable[[int, int, int], Method]] = {
    "aloe": AloeMethod,
    "pcd": PersistentMethod,
    "autoregressive": AutoregressiveMethod,
}
"""Name -> what makes one for words of so many bits, from a seed, with hidden layers so wide."""
