"""Electricity Maps, API v4 (v3 as legacy): average intensity over the life cycle, by the hour or finer, of flows traced.

Shapes: portal.electricitymaps.com, API reference (``history``, ``past-range``, ``latest``, ``forecast``; auth-token
header). What the reference warns of, and what is done about it: a zone without data is answered for the place of the
caller's address unless ``shouldUseFallbackCallerLookup=false``, and the zone of the answer is looked at too; history ends
24 hours back on the free tier, whose key may be one of a sandbox with values for tests (``_disclaimer``, which is said);
data come 5 to 60 minutes late, so the hour that runs takes ``latest`` and what is left the forecast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from itertools import pairwise
from statistics import median

from wattmark.documents import items, mapping, mappings, text
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
from wattmark.impact.providers.keys import Secret, secret_of
from wattmark.impact.providers.web import Reply, Web
from wattmark.impact.series import Signal

VARIABLES = ("ELECTRICITYMAPS_API_KEY", "ELECTRICITY_MAPS_API_KEY", "EMAPS_TOKEN")
URL = "https://api.electricitymaps.com/v4"
LEGACY_URL = "https://api.electricitymaps.com/v3"
LONGEST_S = 10 * DAY_S
"""Of one request of ``past-range`` in steps of an hour."""
LATE_S = 7200.0
"""Data of the last two hours may not be there yet."""
GRANULARITY_S = {"5_minutes": 300.0, "15_minutes": 900.0, "hourly": 3600.0, "daily": DAY_S}
_FINEST_S = {"5_minutes": DAY_S, "15_minutes": DAY_S}
WHO = "Electricity Maps"


TERMS = Terms(
    "Electricity Maps",
    "its own; the free tier forbids commercial use",
    "https://www.electricitymaps.com/terms-and-conditions",
    1.0,
    "data of Electricity Maps; a key of the free tier is for use that is not commercial",
)


@dataclass(frozen=True, slots=True)
class ElectricityMaps:
    """zone: its own (``DE``, ``US-CAL-CISO``), or a cloud region (``gcp:europe-west1``)."""

    url: str = URL
    key: Secret | None = None
    web: Web = field(default_factory=Web)
    granularity: str = "hourly"
    name: str = "electricitymaps"
    signals: tuple[Signal, ...] = ("average",)
    terms: Terms = TERMS

    @property
    def place(self) -> str:
        """Address and granularity."""
        return f"{self.url} {self.granularity}"

    def ask(self, question: Question) -> Answer:
        """See :class:`CarbonProvider`."""
        signal = signal_of(self, question)
        zone, end_s = question.zone, question.end_s
        if not zone:
            raise ConfigError(f"{WHO} wants a zone", hint="--zone DE")
        me = self if self.key is not None else replace(self, key=secret_of(self.name, VARIABLES))
        found: dict[float, Reading] = {}
        notes: list[str] = []
        if question.start_s >= question.now_s - DAY_S:
            found.update(me._readings("history", zone, {}, notes))
        elif question.start_s < question.now_s:
            try:
                for start, until in stretches(
                    question.start_s - question.start_s % 3600,
                    min(end_s, question.now_s),
                    _FINEST_S.get(self.granularity, LONGEST_S),
                ):
                    limits = {"start": _iso(start), "end": _iso(until)}
                    found.update(me._readings("past-range", zone, limits, notes, of_plan=True))
            except _NotInPlanError as error:
                if end_s <= question.now_s - DAY_S:
                    raise
                notes.append(f"{error}; what it has of the last 24 hours is used")
                found.update(me._readings("history", zone, {}, notes))
        late = end_s > question.now_s - LATE_S
        if late and not _reaches(found, end_s):
            found = {**me._readings("latest", zone, {}, notes), **found}
        if late and not _reaches(found, end_s):
            try:
                expected = me._readings("forecast", zone, {}, notes, forecast=True, of_plan=True)
                found = {**expected, **found}
            except _NotInPlanError as error:
                notes.append(f"no forecast: {error}")
        ordered = tuple(found[start] for start in sorted(found))
        if not ordered:
            raise ProviderError(f"{WHO} has no intensity of {zone} for that time")
        return Answer(ordered, zone, signal, tuple(dict.fromkeys(notes)))

    def _readings(
        self,
        what: str,
        zone: str,
        params: dict[str, str],
        notes: list[str],
        *,
        forecast: bool = False,
        of_plan: bool = False,
    ) -> dict[float, Reading]:
        cloud, colon, region = zone.partition(":")
        where = (
            {"dataCenterProvider": cloud.lower(), "dataCenterRegion": region.lower()}
            if colon
            else {"zone": zone}
        )
        fine = {} if self.granularity == "hourly" else {"temporalGranularity": self.granularity}
        reply = self.web.get(
            WHO,
            f"{self.url.rstrip('/')}/carbon-intensity/{what}",
            {**where, **params, **fine, "shouldUseFallbackCallerLookup": "false"},
            {"auth-token": self.key.value if self.key else ""},
            secret=True,
        )
        if reply.status != 200:
            raise _refusal(reply, zone, what, of_plan=of_plan)
        table = mapping(document(reply.body, WHO))
        warning = text(table.get("_disclaimer"))
        if warning:
            notes.append(f"{WHO} says of these values: {' '.join(warning.split()):.200}")
        return _parsed(table, None if colon else zone, forecast=forecast)


class _NotInPlanError(ProviderError):
    """The key may not ask for this."""


def _refusal(reply: Reply, zone: str, what: str, *, of_plan: bool) -> ProviderError:
    said = message_of(reply.body)
    words = f" ({said})" if said else ""
    if of_plan and reply.status in (401, 403):
        kind = "times more than 24 hours back" if what == "past-range" else "forecasts"
        return _NotInPlanError(
            f"{WHO} does not give this key {kind}{words}", hint="its free tier has the last 24 hours only"
        )
    if reply.status in (401, 403):
        return ProviderError(f"{WHO} refuses the key{words}", hint=f"look at {VARIABLES[0]}")
    if reply.status in (400, 404):
        return ProviderError(
            f"{WHO} knows nothing of the zone {zone}{words}",
            hint="its map names them: app.electricitymaps.com",
        )
    return ProviderError(f"{WHO} answered with status {reply.status}{words}")


def _parsed(table: Mapping[str, object], zone: str | None, *, forecast: bool) -> dict[float, Reading]:
    rows = next(
        (
            mappings(table[key])
            for key in ("data", "history", "forecast")
            if isinstance(table.get(key), list)
            and len(mappings(table[key])) == len(items(table[key]))
        ),
        [table],
    )  # fmt: skip
    answered = text(table.get("zone"))
    if zone is not None and answered is not None and answered.casefold() != zone.casefold():
        raise ProviderError(
            f"{WHO} answered for {answered!r:.40} instead of {zone}: it has no data of that zone",
            hint="its map names the zones that it has",
        )
    points: dict[float, tuple[float | None, bool, float | None]] = {}
    for row in rows:
        if "carbonIntensity" not in row or "datetime" not in row:
            raise ProviderError(f"{WHO} answered with something else than intensities")
        step = GRANULARITY_S.get(str(row.get("temporalGranularity") or table.get("temporalGranularity")))
        points[moment(row["datetime"], WHO)] = (
            rate(row["carbonIntensity"], WHO),
            row.get("isEstimated") is True,
            step,
        )
    starts = sorted(points)
    usual = median(after - before for before, after in pairwise(starts)) if len(starts) > 1 else 3600.0
    return {
        start: Reading(
            start, start + (points[start][2] or usual), points[start][0], points[start][1], forecast
        )
        for start in starts
    }


def _reaches(found: dict[float, Reading], end_s: float) -> bool:
    ends = [reading.end_s for reading in found.values() if reading.g_per_kwh is not None]
    return bool(ends) and max(ends) >= end_s


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
