"""Energy before, early in, and instead of a run; every prediction scored.

:func:`what_if` is the door to "what if"; ``whatif.scenario.evaluate`` answers a :class:`Scenario` for a run, and the modules
beside it each predict one thing (hardware, epochs, power caps, levels of a study), always with an interval, or say why they
cannot. ``live`` predicts a run that goes on, ``scores`` keeps what was predicted. Names are imported on first use, since
``wattmark run --predict`` needs few of them soon. May import ``errors`` ... ``studies``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattmark.predict.hardware.accelerators import Hardware, catalogue, find, near, of_device
    from wattmark.predict.whatif.difference import Difference, Differences
    from wattmark.predict.whatif.outcome import Outcome
    from wattmark.predict.whatif.question import WhatIf, what_if
    from wattmark.predict.whatif.scenario import Scenario, evaluate
    from wattmark.predict.whatif.state import Unpredictable

_HOMES = {
    "hardware.accelerators": ("Hardware", "catalogue", "find", "near", "of_device"),
    "whatif.difference": ("Difference", "Differences"),
    "whatif.outcome": ("Outcome",),
    "whatif.question": ("WhatIf", "what_if"),
    "whatif.scenario": ("Scenario", "evaluate"),
    "whatif.state": ("Unpredictable",),
}

__all__ = [
    "Difference",
    "Differences",
    "Hardware",
    "Outcome",
    "Scenario",
    "Unpredictable",
    "WhatIf",
    "catalogue",
    "evaluate",
    "find",
    "near",
    "of_device",
    "what_if",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    import importlib

    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(importlib.import_module(f"wattmark.predict.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'wattmark.predict' has no attribute {name!r}")
