"""AI Energy Score table: Wh per 1,000 queries of each model, and stars (huggingface.co/AIEnergyScore).

The star rule used here: the range from the lowest to the highest energy of the task's models is cut in five equal parts,
and the lowest part has five stars. (Its documentation says so, and one sentence later something that reads as fifths of
the models.) A range needs at least two models, of the table or given. The score is of GPUs alone on its own hardware: the
table says what is in ours.
"""

from __future__ import annotations

import math

from wattmark.quantity import Quantity
from wattmark.report.disclosure.footprint import Disclosure, Footprint, Gaps
from wattmark.report.disclosure.paper import cell
from wattmark.units import J_PER_WH, format_number

QUERIES = 1000
RULE = "stars: five equal parts of the range of energies, the lowest part has five"


def ai_energy_score(footprint: Footprint) -> Disclosure:
    """The table in Markdown."""
    gaps = Gaps()
    rows = footprint.groups or (footprint,)
    per = footprint.per or ("requests" if "requests" in footprint.counts else "samples")
    task = gaps.fact(footprint, "task", "task")
    told = [(row, _per_thousand(row, per)) for row in rows]
    low, high = footprint.number("lowest_wh"), footprint.number("highest_wh")
    known = [wh.value for _, wh in told if wh is not None]
    if low is None or high is None:
        low, high = (min(known), max(known)) if len(known) > 1 else (None, None)
    if low is None:
        gaps.add("stars", "several models (a tag model=...), or --fact lowest_wh=... --fact highest_wh=...")
    lines = [
        f"| model | task | energy per {QUERIES:,} queries (Wh) | interval | of it GPU | stars |",
        "|---|---|---|---|---|---|",
    ]
    for row, wh in told:
        name = row.facts.get("model") or row.name
        if wh is None:
            gaps.add(f"Wh per {QUERIES:,} queries of {name}", f"runs that count {per}: span(..., {per}=...)")
        gpu = row.energy_by_component.get("gpu")
        share = (
            ""
            if gpu is None or row.energy is None or row.energy.value <= 0
            else f"{gpu.value / row.energy.value:.0%}"
        )
        stars = None if wh is None or low is None or high is None else stars_of(wh.value, low, high)
        cells = (
            name,
            task or "",
            "" if wh is None else format_number(wh.value),
            "" if wh is None else f"{format_number(wh.low)} to {format_number(wh.high)}",
            share,
            "" if stars is None else "★" * stars,
        )
        lines.append("| " + " | ".join(map(cell, cells)) + " |")
    notes = (
        RULE,
        f"a query is one of {per}; energy of computing without PUE, all components that were counted",
    )
    return Disclosure("ai-energy-score", "\n".join((*lines, "", *(f"- {note}" for note in notes))), "md",
                      tuple(gaps.found), notes)  # fmt: skip


def stars_of(wh: float, lowest: float, highest: float) -> int:
    """5 for the lowest fifth of the range, 1 for the highest; an edge belongs to the better part."""
    if highest <= lowest:
        return 5
    place = (wh - lowest) / (highest - lowest) * 5
    return 5 - min(4, max(0, math.ceil(place) - 1))


def _per_thousand(footprint: Footprint, per: str) -> Quantity | None:
    queries = footprint.counts.get(per)
    if footprint.energy is None or not queries or queries <= 0:
        return None
    return (footprint.energy / J_PER_WH * (QUERIES / queries)).with_unit("Wh")
