"""The energy of a model's life: stages before use, joules per use, and which model is the cheapest for how much use."""

from wattmark.lifecycle.cycle.comparison import Crossing, Cycle, Regime
from wattmark.lifecycle.cycle.stages import FIXED_STAGES, STAGES, Candidate, Stage

__all__ = ["FIXED_STAGES", "STAGES", "Candidate", "Crossing", "Cycle", "Regime", "Stage"]
