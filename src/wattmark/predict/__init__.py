"""What if: the energy, time, carbon and cost of a run elsewhere, on other hardware, with other settings.

``scenario.evaluate`` answers a :class:`~wattmark.predict.whatif.scenario.Scenario` for a run; the other modules each predict
one thing (hardware, epochs, power caps, levels of a study), always with an interval, or say why they cannot. May
import ``errors`` ... ``studies``.
"""

from wattmark.predict.hardware.accelerators import Hardware, catalogue, find, near, of_device
from wattmark.predict.whatif.outcome import Outcome
from wattmark.predict.whatif.scenario import Scenario, evaluate
from wattmark.predict.whatif.state import Unpredictable

__all__ = [
    "Hardware",
    "Outcome",
    "Scenario",
    "Unpredictable",
    "catalogue",
    "evaluate",
    "find",
    "near",
    "of_device",
]
