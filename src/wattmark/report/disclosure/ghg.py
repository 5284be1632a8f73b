"""GHG Protocol, scope 2 (Guidance of 2015): purchased electricity, location-based and market-based apart, never added.

The location-based figure takes the grid's average where the power was used; the market-based one the supplier's or
contract's own factor, which only the buyer knows. A life-cycle factor has upstream emissions in it that belong to scope
3, category 3: said.
"""

from __future__ import annotations

from wattmark.quantity import Quantity
from wattmark.report.disclosure.footprint import Disclosure, Footprint, Gaps
from wattmark.report.disclosure.paper import interval_words, table


def ghg(footprint: Footprint) -> Disclosure:
    """A table in Markdown."""
    gaps = Gaps()
    kwh = footprint.kwh
    if kwh is None:
        gaps.add("activity data (kWh)", "no energy was measured")
    location = footprint.carbon if footprint.signal == "average" else None
    if footprint.signal == "marginal":
        gaps.add(
            "scope 2, location-based",
            "a marginal series answers another question: give an average one, or --zone",
        )
    elif location is None:
        gaps.add("scope 2, location-based", "--zone, --series or --provider")
    factor = footprint.number("market_g_per_kwh")
    if factor is None or factor < 0:
        gaps.add("scope 2, market-based", "--fact market_g_per_kwh=... --fact market_source=...")
    market = None if kwh is None or factor is None or factor < 0 else (kwh * factor).with_unit("g")
    if factor is not None and not footprint.facts.get("market_source"):
        gaps.add("source of the market-based factor", "--fact market_source=...")
    making = footprint.embodied
    if making is None:
        gaps.add("scope 3, category 2 (the hardware's making)", "--making KG, or --fact embodied_g=...")
    rows = [
        (
            "activity data",
            "" if kwh is None else f"{interval_words(kwh)} kWh",
            "energy of computing with PUE",
        ),
        ("scope 2, location-based", _grams(location), footprint.grid if location is not None else ""),
        ("scope 2, market-based", _grams(market), footprint.facts.get("market_source", "")),
        ("scope 3, category 2, share", _grams(making), "" if making is None else making.source),
    ]
    notes = ["the two methods of scope 2 are reported beside each other, not added"]
    if location is not None and footprint.grid_scope == "life cycle":
        notes.append(
            "the grid's factor is over the life cycle: the part of fuels and plants belongs to scope 3, category 3"
        )
    period = (
        f"{footprint.started_at} to {footprint.ended_at}; {', '.join(footprint.zones) or 'place not known'}"
    )
    text = "\n".join(
        (
            f"GHG Protocol, {period}",
            "",
            table(("item", "g CO2e (95 % interval)", "source"), rows),
            "",
            *(f"- {note}" for note in notes),
        )
    )
    return Disclosure("ghg", text, "md", tuple(gaps.found), tuple(notes))


def _grams(quantity: Quantity | None) -> str:
    return "" if quantity is None else interval_words(quantity)
