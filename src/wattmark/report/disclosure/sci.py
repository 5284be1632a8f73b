"""Software Carbon Intensity (ISO/IEC 21031:2024): ``SCI = (E x I + M) per R``; and SCI for AI on top of it.

E: kWh of the software, I: g CO2e per kWh (location-based; market instruments do not count), M: g CO2e of the hardware's
making that the software used up, R: the functional unit. Everything is computed from these four; a score without M is not
one, so without it the operational part stands alone and the score is empty.
"""

from __future__ import annotations

import json

from wattmark.quantity import Quantity
from wattmark.report.disclosure.footprint import Disclosure, Footprint, Gaps

CONSUMER = ("inference", "operation", "serving")
PROVIDER = (
    "datacreation",
    "preprocessing",
    "training",
    "finetuning",
    "retraining",
    "experiments",
    "compression",
)
NAMED = {"samples": "sample", "tokens": "token", "requests": "request", "images": "image", "queries": "query"}


def sci(footprint: Footprint) -> Disclosure:
    """The score with its coefficients."""
    gaps = Gaps()
    body = {
        "specification": "ISO/IEC 21031:2024 (SCI)",
        "software": footprint.name,
        **_score(footprint, gaps),
    }
    return Disclosure("sci", _json(body), "json", tuple(gaps.found), _notes(footprint))


def sci_ai(footprint: Footprint) -> Disclosure:
    """The consumer's score (using a model) or the provider's (making it), by the stage; the other one is left empty."""
    gaps = Gaps()
    stage = (gaps.fact(footprint, "stage", "stage (which score it is)") or "").casefold()
    score = _score(footprint, gaps)
    consumer, provider = stage in CONSUMER, stage in PROVIDER
    if stage and not (consumer or provider):
        gaps.add("consumer, provider", f"the stage is one of {', '.join((*CONSUMER, *PROVIDER))}")
    if consumer != provider:
        other = "provider" if consumer else "consumer"
        gaps.add(f"{other} score", f"runs of {'making' if consumer else 'using'} the model")
    body = {
        "specification": "SCI for AI (Green Software Foundation), on ISO/IEC 21031:2024",
        "system": footprint.facts.get("model") or footprint.name,
        "stage": stage or None,
        "consumer": score if consumer else None,
        "provider": score if provider else None,
    }
    return Disclosure("sci-ai", _json(body), "json", tuple(gaps.found), _notes(footprint))


def operational(footprint: Footprint) -> Quantity | None:
    """E x I in g CO2e; None where one of them is not known."""
    return None if footprint.energy is None else footprint.carbon


def score_of(footprint: Footprint) -> Quantity | None:
    """``(E x I + M) / R`` in g CO2e per functional unit; None where one of the four is not known."""
    operation, making, units = operational(footprint), footprint.embodied, footprint.units
    if operation is None or making is None or units is None:
        return None
    return (operation.with_source("") + making.with_source("")) / units


def _score(footprint: Footprint, gaps: Gaps) -> dict[str, object]:
    operation, making, units = operational(footprint), footprint.embodied, footprint.units
    if footprint.kwh is None:
        gaps.add("E", "no energy was measured")
    if operation is None:
        gaps.add("I", "--zone, --series or --provider")
    if making is None:
        gaps.add(
            "M",
            "--making KG, or --fact embodied_g=... (a score needs it; 0 only where the standard lets you leave it out)",
        )
    if units is None:
        remedy = f"--per {'|'.join(footprint.counts)}" if footprint.counts else "--per NAME --fact units=..."
        gaps.add("R", remedy)
    score = score_of(footprint)
    return {
        "functional_unit": NAMED.get(footprint.per or "", footprint.per),
        "score_g_per_unit": _amount(score),
        "operational_g_per_unit": _amount(None if operation is None or units is None else operation / units),
        "coefficients": {
            "E": {"value": _amount(footprint.kwh), "unit": "kWh", "origin": footprint.energy_origin,
                  "method": footprint.method,
                  "pue": footprint.pue.value},
            "I": {"value": _amount(footprint.g_per_kwh), "unit": "g/kWh", "origin": None if operation is None else "sourced",
                  "source": footprint.grid, "signal": footprint.signal, "zones": list(footprint.zones)},
            "M": {"value": _amount(making), "unit": "g", "origin": None if making is None else "sourced",
                  "source": "" if making is None else making.source},
            "R": {"value": units, "unit": footprint.per, "origin": None if units is None else
                  "sourced" if "units" in footprint.facts else "measured"},
        },
    }  # fmt: skip


def _amount(quantity: Quantity | None) -> dict[str, float] | None:
    if quantity is None:
        return None
    low, high = quantity.interval()
    return {"value": quantity.value, "low": low, "high": high}


def _notes(footprint: Footprint) -> tuple[str, ...]:
    return ("E has the building's overhead (PUE) in it",) if footprint.pue.high != 1 else ()


def _json(body: object) -> str:
    return json.dumps(body, indent=2, ensure_ascii=False)
