"""How an imported EnergyVis profile is accounted: its place is a US state's name, its PUE a number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from wattmark.impact import zones
from wattmark.runs.record import RunRecord


class Recorded(NamedTuple):
    """What a record says of its place and building. ``unknown_place`` is a name that is no zone here."""

    zone: str | None = None
    pue: float | None = None
    unknown_place: str | None = None


def recorded(record: RunRecord) -> Recorded:
    """Zone and PUE of a profile that ``wattmark import`` read; nothing for any other run."""
    kept: Any = record.extra.get("energyvis")
    if not isinstance(kept, Mapping):
        return Recorded()
    profile = cast("Mapping[str, Any]", kept)
    place, pue = profile.get("location"), profile.get("pue")
    zone = _state(place) if isinstance(place, str) else None
    usable = float(pue) if isinstance(pue, int | float) and 1 <= pue <= 10 else None
    return Recorded(zone, usable, place if place and zone is None else None)


def _state(name: str) -> str | None:
    """``"California"`` -> ``"US-CA"`` (there is a country called Georgia; EnergyVis knows US states only)."""
    wanted = name.strip().casefold()
    return next((zone.id for zone in zones("state") if zone.name.casefold() == wanted), None)
