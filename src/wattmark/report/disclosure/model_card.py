"""Hugging Face model card: ``co2_eq_emissions`` of its metadata (huggingface.co/docs/hub/model-cards-co2)."""

from __future__ import annotations

import json

from wattmark.report.disclosure.footprint import Disclosure, Footprint, Gaps, origin_of
from wattmark.report.disclosure.paper import hardware_words, sentence


def model_card(footprint: Footprint) -> Disclosure:
    """YAML front matter and a section of text. Emissions are in grams there."""
    gaps = Gaps()
    lines = ["---", "co2_eq_emissions:"]
    if footprint.carbon is None:
        gaps.add("emissions", "--zone, --series or --provider")
    else:
        lines.append(f"  emissions: {footprint.carbon.value:.6g}")
    source = f"wattmark; {origin_of(footprint)}; grid: {footprint.grid or 'not known'}"
    lines.append(f"  source: {_quoted(source)}")
    stage = gaps.fact(footprint, "stage", "training_type")
    known = {"training": "pre-training", "finetuning": "fine-tuning"}
    for key, value in (
        ("training_type", known.get(stage, stage) if stage else None),
        ("geographical_location", ", ".join(footprint.zone_names)),
        ("hardware_used", hardware_words(footprint)),
    ):
        if value:
            lines.append(f"  {key}: {_quoted(value)}")
        elif key != "training_type":
            gaps.add(key)
    text = "\n".join((*lines, "---", "", "## Environmental impact", "", sentence(footprint)))
    return Disclosure("model-card", text, "md", tuple(gaps.found), ("emissions are in grams of CO2e",))


def _quoted(text: str) -> str:
    """A YAML string that nothing in it can leave (JSON's strings are YAML's, YAML 1.2, 1.3)."""
    return json.dumps(text)
