"""A small run with epochs and logged losses, for trackers."""

from __future__ import annotations

import time
from typing import Any

import wattmark as wm
from wattmark.integrations.training.loop import Loop


def measured() -> Any:
    """A run of two epochs of 0.2 s that logs a loss at steps 4 and 8."""
    with wm.measure("mine") as run:
        for epoch in range(2):
            with run.span("epoch", epoch=epoch, samples=100):
                time.sleep(0.2)
                run.log(loss=1.0 / (epoch + 1), step=4 * (epoch + 1))
    return run


def trained(**options: Any) -> Loop:
    """The same by a loop."""
    with Loop("mine", **options) as energy:
        for epoch in energy.epochs(range(2)):
            for _ in energy.steps(range(4)):
                time.sleep(0.05)
            energy.log({"loss": 1.0 / (epoch + 1)})
    return energy


def epochs_of(run: Any) -> list[float]:
    """Joules of its epochs."""
    return [span.energy.value for span in run.spans if span.name == "epoch"]
