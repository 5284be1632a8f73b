"""The Green Software Foundation's Carbon Aware SDK, its web API at an address of one's own.

Shapes: carbon-aware-sdk.greensoftware.foundation, web API (``/emissions/bylocation``, ``/emissions/forecasts/current``).
It does not say whether its source is average or marginal (that is how it was set up), so the user must.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

from wattmark.documents import is_list, items, mapping, mappings
from wattmark.errors import ConfigError, ProviderError
from wattmark.impact.providers.base import (
    Answer,
    Question,
    Reading,
    Terms,
    document,
    message_of,
    moment,
    rate,
)
from wattmark.impact.providers.web import Web
from wattmark.impact.series import Signal
from wattmark.impact.series.cells import length_of

USUAL_S = 3600.0
WHO = "the Carbon Aware SDK"


TERMS = Terms(
    "Carbon Aware SDK",
    "that of the source behind it",
    "https://carbon-aware-sdk.greensoftware.foundation/",
    1.0,
    "the data are those of the source that this Carbon Aware SDK was set up with",
)


@dataclass(frozen=True, slots=True)
class CarbonAware:
    """url: where its web API runs. zone: a location of its own (``westus``). The answers' unit is g/kWh."""

    url: str
    web: Web = field(default_factory=Web)
    name: str = "carbon-aware"
    signals: tuple[Signal, ...] = ("average", "marginal")
    terms: Terms = TERMS

    @property
    def place(self) -> str:
        """The address."""
        return self.url

    def ask(self, question: Question) -> Answer:
        """See :class:`CarbonProvider`."""
        if question.signal is None:
            raise ConfigError(
                f"{WHO} does not say whether its intensities are average or marginal",
                hint="--signal marginal where it asks WattTime, --signal average where Electricity Maps",
            )
        found: dict[float, Reading] = {}
        if question.start_s < question.now_s:
            rows = self._rows(
                "emissions/bylocation",
                {
                    "location": question.zone,
                    "time": _iso(
                        question.start_s - question.start_s % USUAL_S
                    ),  # the step that holds the start
                    "toTime": _iso(min(question.end_s, question.now_s)),
                },
            )
            found.update(_readings(rows, "time", "rating", forecast=False))
        ends = [reading.end_s for reading in found.values()]
        if not ends or max(ends) < question.end_s:
            plans = self._rows("emissions/forecasts/current", {"location": question.zone}, optional=True)
            for plan in mappings(plans):
                rows = plan.get("forecastData")
                found = {**_readings(rows, "timestamp", "value", forecast=True), **found}
        if not found:
            raise ProviderError(f"{WHO} has no intensity of {question.zone} for that time")
        return Answer(tuple(found[start] for start in sorted(found)), question.zone, question.signal)

    def _rows(self, path: str, params: dict[str, str], *, optional: bool = False) -> object:
        reply = self.web.get(WHO, f"{self.url.rstrip('/')}/{path}", params)
        if reply.status == 204 or (optional and reply.status in (400, 404, 501)):
            return []  # no content; or a source without forecasts
        if reply.status != 200:
            said = message_of(reply.body)
            raise ProviderError(
                f"{WHO} answered with status {reply.status}{f' ({said})' if said else ''}",
                hint="is the location one of its own?",
            )
        data = document(reply.body, WHO)
        if not is_list(data) or len(mappings(data)) != len(data):
            raise ProviderError(f"{WHO} answered with something else than a list")
        return data


def _readings(rows: object, time_key: str, value_key: str, *, forecast: bool) -> dict[float, Reading]:
    if not is_list(rows) or len(mappings(rows)) != len(items(rows)):
        raise ProviderError(f"{WHO} answered with something else than intensities")
    found: dict[float, Reading] = {}
    for row in mappings(rows):
        start = moment(mapping(row).get(time_key), WHO)
        found[start] = Reading(
            start,
            start + (length_of(row.get("duration")) or USUAL_S),
            rate(row.get(value_key), WHO),
            False,
            forecast,
        )
    return found


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
