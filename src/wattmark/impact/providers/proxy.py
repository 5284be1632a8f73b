"""A proxy of one's own: one machine has the key (and its licence), the others ask it.

``GET URL/v1/intensity?zone=DE&signal=average&start=ISO&end=ISO`` answers ``{"zone", "signal", "unit": "g/kWh", "source",
"licence", "keep_days", "points": [{"start", "end", "g_per_kwh", "estimated", "forecast"}, ...]}``, times in UTC,
``g_per_kwh`` null where there is none. ``WATTMARK_PROXY_TOKEN``, where it is set, is sent as a bearer's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone

from wattmark.documents import is_list, mapping, mappings, text
from wattmark.errors import ProviderError
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
from wattmark.impact.providers.keys import Secret, secret_of
from wattmark.impact.providers.web import Web
from wattmark.impact.series import Signal

TOKEN = ("WATTMARK_PROXY_TOKEN",)
UNIT = "g/kWh"
WHO = "the proxy"


TERMS = Terms(
    "a proxy",
    "that of the source behind it",
    "",
    1.0,
    "the data are those of the source behind the proxy",
)


@dataclass(frozen=True, slots=True)
class Proxy:
    """zone: as the proxy's own source names it."""

    url: str
    token: Secret | None = None
    web: Web = field(default_factory=Web)
    name: str = "proxy"
    signals: tuple[Signal, ...] = ("average", "marginal")
    terms: Terms = TERMS

    @property
    def place(self) -> str:
        """The address."""
        return self.url

    def ask(self, question: Question) -> Answer:
        """See :class:`CarbonProvider`."""
        token = self.token or secret_of(self.name, TOKEN, needed=False)
        params = {"zone": question.zone, "start": _iso(question.start_s), "end": _iso(question.end_s)}
        if question.signal is not None:
            params["signal"] = question.signal
        reply = self.web.get(
            WHO,
            f"{self.url.rstrip('/')}/v1/intensity",
            params,
            {"Authorization": f"Bearer {token.value}"} if token is not None else {},
            secret=token is not None,
        )
        if reply.status != 200:
            said = message_of(reply.body)
            raise ProviderError(f"{WHO} answered with status {reply.status}{f' ({said})' if said else ''}")
        table = mapping(document(reply.body, WHO))
        signal, zone = table.get("signal"), text(table.get("zone"))
        if signal != "average" and signal != "marginal":
            raise ProviderError(f"{WHO} does not say whether its intensities are average or marginal")
        if question.signal is not None and signal != question.signal:
            raise ProviderError(f"{WHO} answered with {signal} intensities, not {question.signal} ones")
        if zone is None or zone != question.zone:
            raise ProviderError(f"{WHO} answered for {str(zone)!r:.40}, not for {question.zone}")
        if table.get("unit") != UNIT:
            raise ProviderError(f"{WHO} answered in {str(table.get('unit'))!r:.40}, not in {UNIT}")
        points = table.get("points")
        if not is_list(points) or len(mappings(points)) != len(points):
            raise ProviderError(f"{WHO} answered with something else than points")
        readings: list[Reading] = []
        for point in mappings(points):
            start, end = moment(point.get("start"), WHO), moment(point.get("end"), WHO)
            if end <= start:
                raise ProviderError(f"{WHO} answered with a point that ends before it begins")
            readings.append(
                Reading(
                    start,
                    end,
                    rate(point.get("g_per_kwh"), WHO),
                    point.get("estimated") is True,
                    point.get("forecast") is True,
                )
            )
        source = text(table.get("source"))
        return Answer(
            tuple(sorted(readings, key=lambda reading: reading.start_s)),
            zone,
            "marginal" if signal == "marginal" else "average",
            (f"its source: {source:.100}",) if source else (),
        )


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
