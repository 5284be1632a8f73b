"""Carbon of a run, worked out afterwards from its joules, which it never changes.

Each stage (PUE, grid intensity) is a factor with its own interval, source and year. May import errors,
units and quantity; needs no network, no numpy and no store.
"""

from wattmark.impact.emissions import Carbon, Term, carbon, carbon_at, cost_at
from wattmark.impact.intensity import Intensity, intensity_of
from wattmark.impact.locate import FoundZone, resolve_zone
from wattmark.impact.places import Zone, find_zone, zones
from wattmark.impact.pue import Pue, as_pue, named_pues
from wattmark.impact.ranges import as_price
from wattmark.impact.tables import DataSource, IntensityFigure, data_sources

__all__ = [
    "Carbon",
    "DataSource",
    "FoundZone",
    "Intensity",
    "IntensityFigure",
    "Pue",
    "Term",
    "Zone",
    "as_price",
    "as_pue",
    "carbon",
    "carbon_at",
    "cost_at",
    "data_sources",
    "find_zone",
    "intensity_of",
    "named_pues",
    "resolve_zone",
    "zones",
]
