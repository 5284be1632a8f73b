"""What if: the energy, time, carbon and cost of a run elsewhere, on other hardware, with other settings.

:func:`what_if` is the door; ``scenario.evaluate`` answers a :class:`Scenario` for a run, and the other modules each
predict one thing (hardware, epochs, power caps, levels of a study), always with an interval, or say why they cannot.
May import ``errors`` ... ``studies``.
"""

from wattmark.predict.hardware.accelerators import Hardware, catalogue, find, near, of_device
from wattmark.predict.whatif.difference import Difference, Differences
from wattmark.predict.whatif.outcome import Outcome
from wattmark.predict.whatif.question import WhatIf, what_if
from wattmark.predict.whatif.scenario import Scenario, evaluate
from wattmark.predict.whatif.state import Unpredictable

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
