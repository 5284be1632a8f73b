"""Zones: places with an electricity grid whose carbon intensity is known, and how people may write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from wattmark.errors import ConfigError
from wattmark.impact.tables import IntensityFigure, estimates, names_in_sources, read_lines

Kind = Literal["country", "aggregate", "region", "egrid", "state", "cloud"]

_KIND_OF_SOURCE: Mapping[str, Kind] = {"egrid": "egrid", "us-states": "state"}
_AVAILABILITY_ZONE = re.compile(r"(.+\d)-?[a-f]")


@dataclass(frozen=True, slots=True)
class Zone:
    """A place to account carbon for.

    id: canonical name (``FR``, ``US-CAMX``, ``gcp:europe-west1``, ``WORLD``). kind:
    ``country``, ``aggregate`` (EU), ``region`` (part of a country), ``egrid`` (US subregion), ``state``
    (US) or ``cloud``. country: ISO alpha-2, None for an aggregate. alpha3: of a country only.
    areas: the areas whose published figures apply here.
    """

    id: str
    name: str
    kind: Kind
    country: str | None
    alpha3: str | None
    areas: tuple[str, ...]

    @property
    def estimates(self) -> tuple[IntensityFigure, ...]:
        """Every published figure for this place, its own area's first, then by preference of source."""
        by_area = estimates()
        return tuple(estimate for area in self.areas for estimate in by_area.get(area, ()))

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``, the map and the API: the place and g CO2e/kWh by source and year."""
        by_source: dict[str, dict[str, float]] = {}
        for estimate in self.estimates:
            by_source.setdefault(estimate.source.title, {}).setdefault(str(estimate.year), estimate.g_per_kwh)
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "country": self.country,
            "alpha3": self.alpha3,
            "g_per_kwh": by_source,
        }


def zones(kind: Kind | None = None) -> tuple[Zone, ...]:
    """All zones with at least one figure, or those of one kind, sorted by id."""
    return tuple(zone for zone in _all().values() if kind is None or zone.kind == kind)


def find_zone(text: str) -> Zone:
    """The zone that ``text`` means, in any case.

    Accepted: ISO 3166 alpha-2 or alpha-3 codes and English names of countries; Electricity Maps zones
    (``NO-NO1``); eGRID subregions with or without ``US-``; US states (``US-VA``); cloud regions with
    or without ``gcp:``, ``aws:``, ``azure:``, also with an availability zone's letter; ``WORLD``, ``EU``.

    Raises:
        ConfigError: nothing fits, or more than one does; the hint names the nearest.
    """
    key = _fold(text)
    zone_ids = _aliases().get(key) or _cloud_of_availability_zone(key)
    if len(zone_ids) == 1:
        return _all()[zone_ids[0]]
    if zone_ids:
        raise ConfigError(
            f"the zone {text!r} may be any of {', '.join(zone_ids)}", hint="write one of them in full"
        )
    raise ConfigError(f"no zone is called {text!r}", hint=_hint(key))


@cache
def _all() -> Mapping[str, Zone]:
    have = estimates()
    by_id: dict[str, Zone] = {}
    for zone, kind, alpha3, name in read_lines("places.csv")[1:]:
        if zone in have and kind == "country":
            by_id[zone] = Zone(zone, name, "country", zone, alpha3 or None, (zone,))
        elif zone in have:
            by_id[zone] = Zone(zone, name, "aggregate", None, None, (zone,))
    for zone, (name, source) in names_in_sources().items():
        kind = _KIND_OF_SOURCE.get(source.id, "region")
        by_id.setdefault(zone, Zone(zone, name, kind, zone.split("-")[0], None, (zone,)))
    for zone, name, country, areas in read_lines("cloud.csv")[1:]:
        usable = tuple(area for area in (zone, *areas.split()) if area in have)
        if usable:
            by_id[zone] = Zone(zone, name, "cloud", country, None, usable)
    return dict(sorted(by_id.items()))


@cache
def _aliases() -> Mapping[str, tuple[str, ...]]:
    """Folded spelling -> ids. A canonical id always means itself; other spellings may be ambiguous."""
    spellings: dict[str, list[str]] = {}
    for zone in _all().values():
        for spelling in _other_spellings(zone):
            spellings.setdefault(_fold(spelling), []).append(zone.id)
    return {key: tuple(ids) for key, ids in spellings.items()} | {_fold(zone): (zone,) for zone in _all()}


def _other_spellings(zone: Zone) -> Iterable[str]:
    if zone.kind == "cloud":
        yield zone.id.partition(":")[2]
    elif zone.kind == "egrid":
        yield zone.id.removeprefix("US-")
    elif zone.kind in ("country", "aggregate"):
        yield zone.name
        if zone.alpha3:
            yield zone.alpha3


def _cloud_of_availability_zone(key: str) -> tuple[str, ...]:
    match = _AVAILABILITY_ZONE.fullmatch(key)
    ids = _aliases().get(match[1], ()) if match else ()
    return tuple(zone for zone in ids if _all()[zone].kind == "cloud")


def _fold(text: str) -> str:
    """Case, underscores and blanks make no difference (Azure writes ``West Europe`` and ``westeurope``)."""
    return "".join(text.casefold().replace("_", "-").split())


def _hint(key: str) -> str:
    from difflib import get_close_matches

    near = dict.fromkeys(
        zone for spelling in get_close_matches(key, _aliases(), 5, 0.6) for zone in _aliases()[spelling]
    )
    if near:
        return "did you mean " + " or ".join(f"{zone} ({_all()[zone].name})" for zone in list(near)[:3]) + "?"
    return "use a country (FR), a grid zone (US-CAL-CISO, US-CAMX), a cloud region (aws:eu-west-3) or WORLD"
