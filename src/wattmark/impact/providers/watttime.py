"""WattTime, API v3: marginal operating emissions (``co2_moer``), and where the plan has it the average (``co2_aoer``).

Shapes: docs.watttime.org (``/login`` with basic authentication gives a token of 30 minutes; ``/v3/historical`` of at most
32 days; ``/v3/forecast``). Its numbers are pounds of CO2 per MWh; an answer in another unit, or of another signal than
asked for, is refused, not guessed.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from wattmark.documents import items, mapping, mappings, number, text
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
from wattmark.impact.series.readers import G_PER_KWH

USER, PASSWORD = ("WATTTIME_USER", "WATT_TIME_USER"), ("WATTTIME_PASSWORD", "WATT_TIME_PASSWORD")
URL = "https://api.watttime.org"
TOKEN_S = 25 * 60.0
"""A token lives 30 minutes; a new one is taken a little before."""
LONGEST_S = 30 * DAY_S
STEP_S = 300.0
SIGNALS: dict[Signal, str] = {"marginal": "co2_moer", "average": "co2_aoer"}
UNIT = "lbs_co2_per_mwh"
WHO = "WattTime"


TERMS = Terms(
    "WattTime",
    "its own, by the plan; not to be passed on",
    "https://watttime.org/docs-dev/data-plans/",
    1.0,
    "data of WattTime, for use within its plan",
)


@dataclass(slots=True)
class WattTime:
    """zone: a region of its own (``CAISO_NORTH``)."""

    url: str = URL
    user: Secret | None = None
    password: Secret | None = None
    web: Web = field(default_factory=Web)
    clock: Callable[[], float] = time.monotonic
    name: str = "watttime"
    signals: tuple[Signal, ...] = ("marginal", "average")
    terms: Terms = TERMS
    _token: tuple[Secret, float] | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """The address."""
        return self.url

    def ask(self, question: Question) -> Answer:
        """See :class:`CarbonProvider`."""
        signal = signal_of(self, question)
        if not question.zone:
            raise ConfigError(f"{WHO} wants a region of its own", hint="--zone CAISO_NORTH")
        about = {"region": question.zone, "signal_type": SIGNALS[signal]}
        found: dict[float, Reading] = {}
        for start, until in stretches(
            question.start_s - question.start_s % STEP_S, min(question.end_s, question.now_s), LONGEST_S
        ):
            found.update(
                self._readings(
                    "historical", {**about, "start": _iso(start), "end": _iso(until)}, forecast=False
                )
            )
        ends = [reading.end_s for reading in found.values()]
        if not ends or max(ends) < question.end_s:
            hours = max(1, min(72, int((question.end_s - question.now_s) // 3600) + 1))
            expected = self._readings("forecast", {**about, "horizon_hours": str(hours)}, forecast=True)
            found = {**expected, **found}
        if not found:
            raise ProviderError(f"{WHO} has no intensity of {question.zone} for that time")
        return Answer(tuple(found[start] for start in sorted(found)), question.zone, signal)

    def _readings(self, what: str, params: dict[str, str], *, forecast: bool) -> dict[float, Reading]:
        reply = self._get(what, params)
        table = mapping(document(reply.body, WHO))
        meta = mapping(table.get("meta"))
        if text(meta.get("units")) != UNIT:
            raise ProviderError(f"{WHO} answered in {str(meta.get('units'))!r:.40}, not in {UNIT}")
        if text(meta.get("signal_type")) != params["signal_type"]:
            raise ProviderError(
                f"{WHO} answered with {str(meta.get('signal_type'))!r:.40}, not with {params['signal_type']}"
            )
        if text(meta.get("region")) != params["region"]:
            raise ProviderError(
                f"{WHO} answered for {str(meta.get('region'))!r:.40}, not for {params['region']}"
            )
        step = number(meta.get("data_point_period_seconds"))
        step = step if step is not None and 0 < step <= DAY_S else STEP_S
        if not isinstance(table.get("data"), list):
            raise ProviderError(f"{WHO} answered with something else than intensities")
        rows = mappings(table["data"])
        if len(rows) != len(items(table["data"])):
            raise ProviderError(f"{WHO} answered with something else than intensities")
        found: dict[float, Reading] = {}
        for row in rows:
            start = moment(row.get("point_time"), WHO)
            value = rate(row.get("value"), WHO, G_PER_KWH["lb/MWh"])
            found[start] = Reading(start, start + step, value, row.get("imputed_data_used") is True, forecast)
        return found

    def _get(self, what: str, params: dict[str, str]) -> Reply:
        for again in (False, True):
            reply = self.web.get(
                WHO,
                f"{self.url.rstrip('/')}/v3/{what}",
                params,
                {"Authorization": f"Bearer {self._bearer(fresh=again).value}"},
                secret=True,
            )
            if reply.status == 200:
                return reply
            if reply.status != 401:  # a token may have ended early
                break
        said = message_of(reply.body)
        words = f" ({said})" if said else ""
        if reply.status in (401, 403):
            raise ProviderError(
                f"{WHO} does not give this account {params['signal_type']} of {params['region']}{words}",
                hint="without a plan, CAISO_NORTH can be asked for",
            )
        if reply.status in (400, 404, 422):
            raise ProviderError(
                f"{WHO} cannot answer for {params['region']}{words}", hint="regions: docs.watttime.org, maps"
            )
        raise ProviderError(f"{WHO} answered with status {reply.status}{words}")

    def _bearer(self, *, fresh: bool) -> Secret:
        if self._token is not None and not fresh and self.clock() - self._token[1] < TOKEN_S:
            return self._token[0]
        user = self.user or secret_of("watttime-user", USER)
        password = self.password or secret_of("watttime-password", PASSWORD)
        assert user is not None
        assert password is not None
        word = base64.b64encode(f"{user.value}:{password.value}".encode()).decode()
        reply = self.web.get(
            WHO, f"{self.url.rstrip('/')}/login", headers={"Authorization": f"Basic {word}"}, secret=True
        )
        if reply.status in (401, 403):
            raise ProviderError(
                f"{WHO} refuses user and password", hint=f"look at {USER[0]} and {PASSWORD[0]}"
            )
        token = text(mapping(document(reply.body, WHO)).get("token")) if reply.status == 200 else None
        if not token or any(not " " < letter < "\x7f" for letter in token):
            raise ProviderError(f"{WHO} gave no token (status {reply.status})")
        self._token = Secret(token), self.clock()
        return self._token[0]


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S+00:00")
