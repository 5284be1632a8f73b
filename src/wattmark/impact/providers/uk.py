"""Great Britain's Carbon Intensity API of the National Energy System Operator: average, by the half hour, without a key.

Shapes: carbon-intensity.github.io/api-definitions (``/intensity/{from}/{to}``,
``/regional/intensity/{from}/{to}/regionid/{id}``). Its stamps have minutes only (``2026-01-01T12:00Z``); ``actual`` is
null until it is known, where the forecast stands and says so; regions have forecasts only, and by consumption, so they
differ from the nation's (by generation).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

from wattmark.documents import is_list, items, mapping, mappings
from wattmark.errors import ConfigError, ProviderError
from wattmark.impact.providers.base import (
    DAY_S,
    Answer,
    Question,
    Reading,
    Terms,
    document,
    message_of,
    moment,
    rate,
    signal_of,
    stretches,
)
from wattmark.impact.providers.web import Web
from wattmark.impact.series import Signal

URL = "https://api.carbonintensity.org.uk"
LONGEST_S = 13 * DAY_S
HALF_HOUR_S = 1800.0
REGIONS = (
    "North Scotland", "South Scotland", "North West England", "North East England", "Yorkshire",
    "North Wales and Merseyside", "South Wales", "West Midlands",
    "East Midlands", "East England", "South West England", "South England", "London",
    "South East England", "England", "Scotland", "Wales",
)  # fmt: skip
"""In the order of their numbers, from 1."""
WHO = "the UK Carbon Intensity API"


TERMS = Terms(
    "National Energy System Operator, Carbon Intensity API",
    "CC BY 4.0",
    "https://carbonintensity.org.uk/",
    None,
    "National Energy System Operator, Carbon Intensity API, CC BY 4.0; CO2 of generation only, not over the life cycle",
)


@dataclass(frozen=True, slots=True)
class UkCarbonIntensity:
    """zone: ``GB``, or a region by name or number (``London``, ``GB-13``)."""

    url: str = URL
    web: Web = field(default_factory=Web)
    name: str = "uk"
    signals: tuple[Signal, ...] = ("average",)
    terms: Terms = TERMS

    @property
    def place(self) -> str:
        """The address."""
        return self.url

    def ask(self, question: Question) -> Answer:
        """See :class:`CarbonProvider`."""
        signal = signal_of(self, question)
        region = region_of(question.zone)
        found: dict[float, Reading] = {}
        first_s = question.start_s - question.start_s % HALF_HOUR_S
        for start, until in stretches(first_s, question.end_s, LONGEST_S):
            path = f"intensity/{_stamp(start)}/{_stamp(until)}"
            if region is not None:
                path = f"regional/{path}/regionid/{region}"
            found.update(self._readings(path, question.zone, question.now_s))
        if not found:
            raise ProviderError(
                f"{WHO} has nothing for that time", hint="it begins in 2017 and ends in two days"
            )
        notes = ("a region of Great Britain has forecasts only",) if region is not None else ()
        return Answer(tuple(found[start] for start in sorted(found)), question.zone, signal, notes)

    def _readings(self, path: str, zone: str, now_s: float) -> dict[float, Reading]:
        reply = self.web.get(WHO, f"{self.url.rstrip('/')}/{path}")
        if reply.status != 200:
            said = message_of(reply.body)
            raise ProviderError(f"{WHO} answered with status {reply.status}{f' ({said})' if said else ''}")
        data: object = mapping(document(reply.body, WHO)).get("data")
        if region_of(zone) is not None:  # an object with the data in it, or a list of one
            data = mapping(items(data)[0] if items(data) else data).get("data")
        if not is_list(data) or len(mappings(data)) != len(data):
            raise ProviderError(f"{WHO} answered with something else than intensities")
        found: dict[float, Reading] = {}
        for row in mappings(data):
            start, end = moment(row.get("from"), WHO), moment(row.get("to"), WHO)
            told = mapping(row.get("intensity"))
            if not told or end <= start:
                raise ProviderError(f"{WHO} answered with something else than intensities")
            actual = rate(told.get("actual"), WHO)
            expected = rate(told.get("forecast"), WHO)
            value = expected if actual is None else actual
            found[start] = Reading(start, end, value, actual is None and start < now_s, actual is None)
        return found


def region_of(zone: str) -> int | None:
    """A region's number, None for all of Great Britain. Raises ConfigError."""
    word = zone.strip().casefold()
    if word in ("", "gb", "uk", "gbr", "great britain"):
        return None
    for number, name in enumerate(REGIONS, 1):
        if word in (name.casefold(), f"gb-{number}", str(number)):
            return number
    raise ConfigError(
        f"{WHO} has no zone {zone!r:.40}", hint=f"GB, or a region: {', '.join(REGIONS[:4])}, London ..."
    )


def _stamp(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
