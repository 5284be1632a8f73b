"""What runs used, in the formats that others ask for: BoAmps, SCI, SCI for AI, AI Energy Score, AI Act, model cards,
SPDX, GHG Protocol, a paper.

Every format is a function from a :class:`Footprint` to a :class:`Disclosure`: its text, and what the data could not fill.
What is not known is left empty and listed, never invented.
"""

from wattmark.report.disclosure.footprint import Component, Disclosure, Footprint
from wattmark.report.disclosure.formats import FORMATS, disclose

__all__ = ["FORMATS", "Component", "Disclosure", "Footprint", "disclose"]
