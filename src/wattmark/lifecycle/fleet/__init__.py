"""Many runs, or the rows of a survey, at once: what drives their carbon, how it moved, and who stands where."""

from wattmark.lifecycle.fleet.question import Fleet, fleet
from wattmark.lifecycle.fleet.rows import Row, Survey
from wattmark.lifecycle.fleet.variance import Decomposition, decompose

__all__ = ["Decomposition", "Fleet", "Row", "Survey", "decompose", "fleet"]
