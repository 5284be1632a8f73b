"""ENTSO-E's Transparency Platform: generation by type (documents A75), weighed with life-cycle factors by fuel.

Shapes: transparency.entsoe.eu, RESTful API user guide. An answer without data comes with status 200, as an
acknowledgement. In curve type A03 a point that repeats the one before is left out; steps of 15 minutes since October
2025, others by the hour, so each type is a step function of its own and all are cut at all of their edges.

The figure is that of what is generated in the zone: imports are not in it, consumption of pumped storage is none of its
generation. Types without a factor of the source (waste, "other") stay out of numerator and denominator, and the answer
says so. Types are published one after the other: a moment at which some that matter are not there yet is a hole.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # nosec: documents with a type declaration are refused before they are parsed
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import pairwise

from wattmark.errors import ConfigError, ProviderError
from wattmark.impact.intensity import least_factor
from wattmark.impact.providers.base import (
    DAY_S,
    Answer,
    Question,
    Reading,
    Terms,
    moment,
    signal_of,
    stretches,
)
from wattmark.impact.providers.keys import Secret, secret_of
from wattmark.impact.providers.web import Web
from wattmark.impact.series import Signal

VARIABLES = ("ENTSOE_API_TOKEN", "ENTSOE_TOKEN", "ENTSOE_API_KEY")
URL = "https://web-api.tp.entsoe.eu/api"
LONGEST_S = 30 * DAY_S
WHO = "ENTSO-E"
G_PER_KWH: Mapping[str, float] = {
    "B01": 230.0,  # biomass, dedicated
    "B02": 820.0, "B05": 820.0,  # lignite and hard coal: the source has coal as one
    "B03": 490.0, "B04": 490.0,  # coal gas and natural gas: combined cycle
    "B06": 840.0, "B07": 840.0, "B08": 820.0,  # oil and oil shale (IPCC SRREN); peat as coal
    "B09": 38.0,  # geothermal
    "B10": 24.0, "B11": 24.0, "B12": 24.0,  # hydropower
    "B13": 17.0,  # marine
    "B14": 12.0,  # nuclear
    "B16": 48.0,  # solar, utility scale
    "B18": 12.0, "B19": 11.0,  # wind offshore and onshore
}  # fmt: skip
"""Medians over the life cycle, g CO2e/kWh: IPCC AR5, Working Group III (2014), Annex III, table A.III.2; oil: IPCC SRREN
(2011), Annex II, table A.II.4."""
AREAS: Mapping[str, str] = {
    "AT": "10YAT-APG------L", "BE": "10YBE----------2", "BG": "10YCA-BULGARIA-R", "CH": "10YCH-SWISSGRIDZ",
    "CZ": "10YCZ-CEPS-----N", "DE": "10Y1001A1001A83F", "DE-LU": "10Y1001A1001A82H", "DK-DK1": "10YDK-1--------W",
    "DK-DK2": "10YDK-2--------M", "EE": "10Y1001A1001A39I", "ES": "10YES-REE------0", "FI": "10YFI-1--------U",
    "FR": "10YFR-RTE------C", "GR": "10YGR-HTSO-----Y", "HR": "10YHR-HEP------M", "HU": "10YHU-MAVIR----U",
    "IT": "10YIT-GRTN-----B", "LT": "10YLT-1001A0008Q", "LV": "10YLV-1001A00074", "NL": "10YNL----------L",
    "NO-NO1": "10YNO-1--------2", "NO-NO2": "10YNO-2--------T", "NO-NO3": "10YNO-3--------J", "NO-NO4": "10YNO-4--------9",
    "NO-NO5": "10Y1001A1001A48H", "PL": "10YPL-AREA-----S", "PT": "10YPT-REN------W", "RO": "10YRO-TEL------P",
    "RS": "10YCS-SERBIATSOV", "SE-SE1": "10Y1001A1001A44P", "SE-SE2": "10Y1001A1001A45N", "SE-SE3": "10Y1001A1001A46L",
    "SE-SE4": "10Y1001A1001A47J", "SI": "10YSI-ELES-----O", "SK": "10YSK-SEPS-----K",
}  # fmt: skip
"""Zones and their energy identification codes (entsoe.eu, EIC codes, areas Y)."""
STEPS_S = {"PT15M": 900.0, "PT30M": 1800.0, "PT60M": 3600.0, "PT1H": 3600.0, "P1D": DAY_S}
_MOST_POINTS = 200_000
_MATTERS = 0.05
"""Where types that usually make more than this share of the generation are not told, the mix of the others is another."""
_AT_NIGHT = "B16"
"""Solar power: what is not told of it may be the night."""


TERMS = Terms(
    "ENTSO-E Transparency Platform",
    "CC BY 4.0 for most of its data",
    "https://transparency.entsoe.eu/",
    None,
    "generation by ENTSO-E Transparency Platform, factors of IPCC AR5 and SRREN; imports are not in it",
)


@dataclass(frozen=True, slots=True)
class Entsoe:
    """zone: of :data:`AREAS`, or an EIC code of its own."""

    url: str = URL
    key: Secret | None = None
    web: Web = field(default_factory=Web)
    name: str = "entsoe"
    signals: tuple[Signal, ...] = ("average",)
    terms: Terms = TERMS

    @property
    def place(self) -> str:
        """The address."""
        return self.url

    def ask(self, question: Question) -> Answer:
        """See :class:`CarbonProvider`."""
        signal = signal_of(self, question)
        area = area_of(question.zone)
        if question.start_s >= question.now_s:
            raise ProviderError(f"{WHO} has what was generated, no forecast of it by type")
        key = self.key or secret_of(self.name, VARIABLES)
        assert key is not None
        generation: dict[str, _Steps] = {}
        first_s = question.start_s - question.start_s % 3600
        last_s = min(question.end_s, question.now_s)
        nothing: _NothingThereError | None = None
        for start, until in stretches(first_s, last_s + (-last_s) % 3600, LONGEST_S):
            try:
                for kind, steps in self._generation(area, key, start, until).items():
                    generation.setdefault(kind, _Steps()).extend(steps)
            except _NothingThereError as error:  # of this part; others may have something
                nothing = error
        readings, untold = mixed(generation)
        if not readings:
            raise nothing or ProviderError(
                f"{WHO} has no generation with known factors of {question.zone} for that time"
            )
        known = [reading.g_per_kwh for reading in readings if reading.g_per_kwh is not None]
        notes = ("of what is generated in the zone; imports are not in it",)
        if untold > 0:
            notes += (f"{untold:.1%} of the generation is of types without a factor, and left out",)
        mean = sum(known) / len(known) if known else 0.0
        return Answer(tuple(readings), question.zone, signal, notes, least_factor(mean) if mean > 0 else None)

    def _generation(self, area: str, key: Secret, start: float, until: float) -> dict[str, _Steps]:
        reply = self.web.get(
            WHO,
            self.url,
            {
                "securityToken": key.value,
                "documentType": "A75",
                "processType": "A16",
                "in_Domain": area,
                "periodStart": _stamp(start),
                "periodEnd": _stamp(until),
            },
            {"Accept": "application/xml"},
            secret=True,
        )
        if reply.status in (401, 403):
            raise ProviderError(f"{WHO} refuses the token", hint=f"look at {VARIABLES[0]}")
        root = parsed(reply.body)
        if _tag(root) == "Acknowledgement_MarketDocument":
            reasons = [element.text or "" for element in root.iter() if _tag(element) == "text"]
            said = " ".join(" ".join(reasons).split())[:200] or "no reason given"
            raise _NothingThereError(
                f"{WHO} has nothing to give: {said}", hint="data come an hour late or more"
            )
        if reply.status != 200 or _tag(root) != "GL_MarketDocument":
            raise ProviderError(f"{WHO} answered with status {reply.status} and a {_tag(root):.60}")
        return generation_of(root)


class _NothingThereError(ProviderError):
    """An acknowledgement in place of data."""


class _Steps:
    """MW over time: steps of constant power."""

    def __init__(self) -> None:
        self.steps: dict[float, tuple[float, float]] = {}
        self._order: list[float] | None = None

    def add(self, start: float, end: float, megawatts: float) -> None:
        """[start, end)."""
        self.steps[start] = (end, megawatts)
        self._order = None

    def extend(self, other: _Steps) -> None:
        """All of another's."""
        self.steps.update(other.steps)
        self._order = None

    @property
    def mean(self) -> float:
        """MW over the time that is told; what is below zero counts as nothing."""
        seconds = sum(end - start for start, (end, _) in self.steps.items())
        energy = sum(max(power, 0.0) * (end - start) for start, (end, power) in self.steps.items())
        return energy / seconds if seconds > 0 else 0.0

    def at(self, at: float) -> float | None:
        """MW at a moment, None where nothing is told."""
        if self._order is None:
            self._order = sorted(self.steps)
        row = bisect_right(self._order, at) - 1
        if row < 0:
            return None
        end, megawatts = self.steps[self._order[row]]
        return megawatts if at < end else None


def generation_of(root: ET.Element) -> dict[str, _Steps]:
    """MW by production type. Raises ProviderError."""
    found: dict[str, _Steps] = {}
    for series in root:
        if _tag(series) != "TimeSeries":
            continue
        children = {_tag(child): child for child in series}
        if "outBiddingZone_Domain.mRID" in children:  # consumption, of pumps
            continue
        kind = next(((e.text or "").strip() for e in series.iter() if _tag(e) == "psrType"), "")
        repeats = (children["curveType"].text or "").strip() == "A03" if "curveType" in children else False
        for period in series:
            if _tag(period) == "Period":
                steps = found.setdefault(kind, _Steps())
                for start, end, megawatts in _points(period, repeats=repeats):
                    steps.add(start, end, megawatts)
    return found


def _points(period: ET.Element, *, repeats: bool) -> Iterator[tuple[float, float, float]]:
    texts: dict[str, str] = {}
    for element in period.iter():
        if _tag(element) in ("start", "end", "resolution"):
            texts.setdefault(_tag(element), (element.text or "").strip())
    step = STEPS_S.get(texts.get("resolution", ""))
    if step is None:
        raise ProviderError(f"{WHO} answered in steps of {texts.get('resolution', 'none')!r:.40}")
    begin, end = moment(texts.get("start"), WHO), moment(texts.get("end"), WHO)
    last = round((end - begin) / step)
    if not 0 < last <= _MOST_POINTS:
        raise ProviderError(f"{WHO} answered with a period of {end - begin:.0f} s")
    told: dict[int, float] = {}
    for point in period:
        if _tag(point) == "Point":
            cells = {_tag(cell): (cell.text or "").strip() for cell in point}
            position, quantity = cells.get("position", ""), cells.get("quantity", "")
            if not re.fullmatch(r"\d{1,6}", position) or not re.fullmatch(r"-?\d{1,9}(\.\d{0,9})?", quantity):
                raise ProviderError(f"{WHO} answered with a point that cannot be read")
            if 1 <= int(position) <= last:
                told[int(position)] = float(quantity)
    positions = sorted(told)
    for row, position in enumerate(positions):
        following = positions[row + 1] if row + 1 < len(positions) else last + 1
        until = following if repeats else position + 1
        yield begin + (position - 1) * step, begin + (until - 1) * step, told[position]


def mixed(generation: Mapping[str, _Steps]) -> tuple[list[Reading], float]:
    """g/kWh wherever some type is told, and the share of the energy that is of types without a factor."""
    edges = sorted(
        {
            edge
            for steps in generation.values()
            for start, (end, _) in steps.steps.items()
            for edge in (start, end)
        }
    )
    usual = {kind: steps.mean for kind, steps in generation.items() if kind != _AT_NIGHT}
    together = sum(usual.values())
    readings: list[Reading] = []
    energy, without = 0.0, 0.0
    for start, end in pairwise(edges):
        grams, megawatts, told, lacking = 0.0, 0.0, False, 0.0
        for kind, steps in generation.items():
            power = steps.at(start)
            if power is None:
                lacking += usual.get(kind, 0.0)
                continue
            told = True
            power = max(power, 0.0)  # own use of a plant that stands still
            energy += power * (end - start)
            factor = G_PER_KWH.get(kind)
            if factor is None:
                without += power * (end - start)
            else:
                grams, megawatts = grams + power * factor, megawatts + power
        if told:
            whole = megawatts > 0 and lacking <= _MATTERS * together
            readings.append(Reading(start, end, grams / megawatts if whole else None))
    return readings, without / energy if energy > 0 else 0.0


def parsed(body: bytes) -> ET.Element:
    """The root of a document without a type declaration (whose entities could grow without end). Raises ProviderError."""
    if b"<!" in body:
        raise ProviderError(f"{WHO} answered with a document of another kind")
    try:
        return ET.fromstring(body)  # noqa: S314 no declaration of entities in it
    except (ET.ParseError, ValueError, LookupError) as error:
        raise ProviderError(f"{WHO} answered with no XML: is it the right address?") from error


def area_of(zone: str) -> str:
    """A zone's EIC code. Raises ConfigError."""
    word = zone.strip().upper()
    if word in AREAS:
        return AREAS[word]
    if re.fullmatch(r"[0-9]{2}Y[A-Z0-9-]{12}[A-Z0-9]", word):
        return word
    raise ConfigError(
        f"{WHO} has no zone {zone!r:.40}", hint=f"one of {', '.join(list(AREAS)[:8])} ..., or an EIC code"
    )


def _tag(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _stamp(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, timezone.utc).strftime("%Y%m%d%H%M")
