"""Formats by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wattmark.errors import ConfigError
from wattmark.report.disclosure.ai_energy_score import ai_energy_score
from wattmark.report.disclosure.boamps import boamps
from wattmark.report.disclosure.eu import ai_act
from wattmark.report.disclosure.footprint import Disclosure, Footprint
from wattmark.report.disclosure.ghg import ghg
from wattmark.report.disclosure.model_card import model_card
from wattmark.report.disclosure.paper import as_json, latex, markdown
from wattmark.report.disclosure.sci import sci, sci_ai
from wattmark.report.disclosure.spdx import spdx

FORMATS: Mapping[str, Callable[[Footprint], Disclosure]] = {
    "boamps": boamps,
    "sci": sci,
    "sci-ai": sci_ai,
    "ai-energy-score": ai_energy_score,
    "ai-act": ai_act,
    "model-card": model_card,
    "spdx": spdx,
    "ghg": ghg,
    "latex": latex,
    "md": markdown,
    "json": as_json,
}


def disclose(footprint: Footprint, format: str) -> Disclosure:
    """The footprint in this format. Raises ConfigError for one that is not known."""
    if format not in FORMATS:
        raise ConfigError(f"there is no format {format!r:.40}", hint=f"one of {', '.join(FORMATS)}")
    return FORMATS[format](footprint)
