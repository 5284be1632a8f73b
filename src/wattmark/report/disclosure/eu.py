"""EU AI Act, Annex XI, section 1, point 2 (d) and (e): what providers of general-purpose models document of computing and
energy.

(d) asks for the computational resources of training (such as floating-point operations), the training time and other
details; (e) for the known or estimated energy consumption. Regulation (EU) 2024/1689.
"""

from __future__ import annotations

from wattmark.report.disclosure.footprint import Disclosure, Footprint, Gaps, origin_of
from wattmark.report.disclosure.paper import cell, hardware_words, interval_words, table
from wattmark.units import format_duration, significant


def ai_act(footprint: Footprint) -> Disclosure:
    """Both points as Markdown."""
    gaps = Gaps()
    stage = footprint.facts.get("stage")
    if stage is None:
        gaps.add("which part of the model's making these runs are", "--fact stage=training")
    flops = footprint.number("flops")
    if flops is None:
        gaps.add("2(d) floating-point operations", "--fact flops=...: of all training")
    model = gaps.fact(footprint, "model", "the model's name") or footprint.name
    kwh = None if footprint.energy is None else (footprint.energy / 3.6e6).with_unit("kWh")
    if kwh is None:
        gaps.add("2(e) energy consumption", "no energy was measured")
    known = "estimated" if footprint.energy_origin == "modeled" else "known (measured)"
    rows = [
        ("2(d) computational resources: operations", "" if flops is None else f"{flops:.3g} FLOP"),
        ("2(d) training time", f"{format_duration(footprint.duration_s)} of {len(footprint.run_ids)} runs"),
        ("2(d) hardware", hardware_words(footprint)),
        ("2(d) period", f"{footprint.started_at} to {footprint.ended_at}"),
        ("2(e) energy consumption", "" if kwh is None else f"{interval_words(kwh)} kWh, {known}"),
        ("2(e) method", origin_of(footprint) if kwh is not None else ""),
    ]
    if footprint.pue.high != 1 and footprint.kwh is not None:
        rows.append(
            (
                "2(e) with the building's overhead",
                f"{interval_words(footprint.kwh)} kWh, PUE {significant(footprint.pue.value)}",
            )
        )
    text = "\n".join(
        (
            "## Technical documentation, Regulation (EU) 2024/1689, Annex XI, section 1, point 2 (d) and (e)",
            "",
            f"Model: {cell(model)}. Stage: {cell(stage or '')}",
            "",
            table(("point", "statement"), rows),
        )
    )
    return Disclosure("ai-act", text, "md", tuple(gaps.found))
