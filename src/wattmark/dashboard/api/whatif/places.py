"""Places for the map and the list of "What if": each with the intensity of its grid, and named PUEs."""

from __future__ import annotations

from functools import cache
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from wattmark.dashboard.api.whatif.coordinates import CITIES, SMALL_COUNTRIES
from wattmark.errors import ConfigError
from wattmark.impact import Zone, intensity_of, named_pues, zones
from wattmark.quantity import Quantity

router = APIRouter(tags=["what if"])


class Place(BaseModel):
    """A zone. intensity: of its grid in g CO2e/kWh, with the range of the sources.

    lat, lon: where it may be drawn as a point (None: it is an area, or its place is not published).
    """

    id: str
    name: str
    kind: str
    country: str | None
    intensity: Quantity
    year: int
    url: str
    years: list[int]
    lat: float | None
    lon: float | None


class NamedPue(BaseModel):
    """A PUE that may be given by its name."""

    name: str
    ratio: Quantity
    year: int | None
    url: str


@router.get("/places")
def places(year: Annotated[int | None, Query(ge=1990, le=2100)] = None) -> list[Place]:
    """Every zone with a published intensity, sorted by id; of that year, or of the nearest year that it has.

    Zones that have no figure within ten years of ``year`` are left out.
    """
    return list(_places(year))


@router.get("/pues")
def pues() -> list[NamedPue]:
    """The PUEs that may be given by name, each with its range and its source."""
    return [
        NamedPue(
            name=pue.name,
            ratio=pue.ratio,
            year=pue.year,
            url=pue.url,
        )
        for pue in named_pues().values()
    ]


@cache
def _places(year: int | None) -> tuple[Place, ...]:
    return tuple(place for zone in zones() if (place := _place(zone, year)) is not None)


def _place(zone: Zone, year: int | None) -> Place | None:
    try:
        intensity = intensity_of(zone, year)
    except ConfigError:
        return None
    lat, lon = _point(zone)
    return Place(
        id=zone.id,
        name=zone.name,
        kind=zone.kind,
        country=zone.country,
        intensity=intensity.g_per_kwh,
        year=intensity.year,
        url=intensity.source.url,
        years=sorted({estimate.year for estimate in zone.estimates}),
        lat=lat,
        lon=lon,
    )


def _point(zone: Zone) -> tuple[float, float] | tuple[None, None]:
    if zone.kind == "cloud":
        return CITIES.get(zone.name) or (None, None)
    return SMALL_COUNTRIES.get(zone.id) or (None, None)
