"""Power from a Prometheus: the very samples that it keeps of the time of a load, on this machine's clock.

``prometheus://host:9090/?query=DCGM_FI_DEV_POWER_USAGE{instance=~"gpu.*"}`` (``prometheus+https://`` with TLS). A plain
selector is asked for as raw samples with the times at which they were taken (querying API, "Instant queries" with a range
selector); any other expression at every second, as Prometheus evaluates it. ``&unit=``, ``&component=`` say what a metric of
unknown name is, ``&token_env=NAME`` where a bearer token is.
"""

from __future__ import annotations

import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, cast

import numpy as np

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.power.names import KNOWN, Meaning, meaning_of
from wattmark.serving.power.remote_clock import Offset, Reading, offset_of
from wattmark.serving.power.samples import PowerReadings, Samples, curves_of, identity

SCHEMES = {"prometheus": "http", "prometheus+http": "http", "prometheus+https": "https"}
TIMEOUT_S = 10.0
LOOK_BACK_S = 300.0
"""Prometheus's default ``--query.lookback-delta``: what was not scraped for so long is gone."""
CLOCK_READINGS = 6
LONGEST_WAIT_S = 150.0
"""The samples of a load's end are waited for no longer; scrape intervals are a minute at most as a rule."""
_SELECTOR = re.compile(r'\s*(?:[a-zA-Z_:][\w:]*)?\s*(?:\{(?:[^"}]|"(?:\\.|[^"\\])*")*\})?\s*')
_FIELDS = re.compile(r"&(unit|component|token_env)=([^&]*)")


@dataclass(frozen=True, slots=True)
class PrometheusAddress:
    """Where to ask, for what. query: None takes what is known there."""

    base: str
    query: str | None = None
    unit: str | None = None
    component: str | None = None
    token_env: str | None = None

    @classmethod
    def parse(cls, text: str) -> PrometheusAddress:
        """Raises ConfigError for what is no such address."""
        parts = urllib.parse.urlsplit(text.partition("?")[0])
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise ConfigError(
                f"{text.partition('?')[0]!r} is no Prometheus",
                hint='prometheus://host:9090/?query=METRIC{instance="a"}',
            )
        if parts.username or parts.password:
            raise ConfigError(
                "a password in the address would be kept with the results",
                hint="name a token: &token_env=NAME",
            )
        query = text.partition("?")[2]
        fields = {name: urllib.parse.unquote(value) for name, value in _FIELDS.findall("&" + query)}
        plain = _FIELDS.sub("", "&" + query).lstrip("&")
        if plain and not plain.startswith("query="):
            raise ConfigError(
                f"{plain.partition('=')[0]!r} is not known there",
                hint="query=, unit=, component=, token_env=",
            )
        wanted = urllib.parse.unquote(plain.removeprefix("query=")).strip()
        base = f"{SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"
        return cls(base, wanted or None, **fields)


@dataclass(slots=True)
class PrometheusPower:
    """Asks a Prometheus for the power of a time that is over. ``begin`` before the load, ``readings`` after it."""

    address: PrometheusAddress
    clock: Callable[[], int] = time.monotonic_ns
    sleep: Callable[[float], None] = time.sleep
    period_s: float = 15.0
    _query: str = ""
    _meaning: Meaning | None = None
    _clock_readings: list[Reading] = field(default_factory=list[Reading])
    _notes: list[str] = field(default_factory=list[str])

    def begin(self) -> None:
        """Look what is there: the series, how often they are scraped, the clock. Raises ServerError and ConfigError."""
        self._query, self._meaning = self._choose()
        self._read_clock()
        now_s = self._offset().there_s(self.clock())
        series = self._series(now_s - LOOK_BACK_S, now_s)
        if not series:
            raise ServerError(
                f"{self.address.base} has no samples of {self._query} in the last {LOOK_BACK_S:.0f} s",
                hint=self._hint(),
            )
        gaps = [np.diff(one.t_ns) / 1e9 for one in series if len(one.t_ns) > 1]
        if gaps:
            self.period_s = float(np.median(np.concatenate(gaps)))
        nodes = sorted({identity(one.labels).partition("/")[0] for one in series})
        if self.address.query is None and len(nodes) > 1:
            self._notes.append(
                f"{self._query} of {len(nodes)} nodes is counted ({', '.join(nodes[:5])}): name those of the server by "
                "query=METRIC{instance=~...}"
            )

    def readings(
        self, start_ns: int, end_ns: int, on_wait: Callable[[float], None] | None = None
    ) -> PowerReadings:
        """The curves of [start, end), once the samples that end it are there. on_wait: told the seconds waited so far.

        Raises ServerError.
        """
        assert self._meaning is not None, "begin first"
        self._read_clock()
        offset = self._offset()
        margin_s = 3 * self.period_s + 1.0
        from_s, until_s = offset.there_s(start_ns) - margin_s, offset.there_s(end_ns)
        begun = self.clock()
        patience_s = min(LONGEST_WAIT_S, 2.5 * self.period_s + 5.0)
        while True:
            series = self._series(from_s, offset.there_s(self.clock()) + 1.0)
            live = [one for one in series if offset.there_s(int(one.t_ns[-1])) > until_s - margin_s]
            waited_s = (self.clock() - begun) / 1e9
            if live and all(offset.there_s(int(one.t_ns[-1])) >= until_s for one in live):
                break
            if waited_s > patience_s:
                break
            if on_wait is not None:
                on_wait(waited_s)
            self.sleep(min(2.0, max(0.2, self.period_s / 5)))
        self._read_clock()
        offset = self._offset()
        curves, notes = curves_of(series, self._meaning, source="prometheus", clock_s=offset.half_width_s)
        ended = [
            f"{curve.channel.id}: the last sample is of {(end_ns - int(curve.t_ns[-1])) / 1e9:.0f} s before the load ended"
            for curve in curves
            if curve.t_ns[-1] < end_ns
        ]
        if not curves:
            notes = (*notes, f"{self.address.base} told nothing of {self._query} during the load")
        return PowerReadings(
            curves,
            offset.half_width_s,
            self.period_s,
            (*self._notes, *notes, *ended),
            f"{self._query} of {self.address.base}, every {self.period_s:.3g} s, clocks within "
            f"{offset.half_width_s * 1e3:.0f} ms",
        )

    def close(self) -> None:
        """Nothing is open between questions."""

    def _choose(self) -> tuple[str, Meaning]:
        address = self.address
        if address.query is not None:
            return address.query, meaning_of(address.query, address.unit, address.component)
        there = self._known_names()
        for name, meaning in KNOWN.items():
            if name in there:
                return name, meaning
        raise ServerError(
            f"{address.base} has no metric of power that is known here",
            hint="name one: ?query=METRIC, with &unit=W or &unit=J where its name does not tell",
        )

    def _known_names(self) -> set[str]:
        listed = "|".join(KNOWN)
        result = self._ask("query", query=f'count by (__name__) ({{__name__=~"{listed}"}})')
        return {str(row["metric"].get("__name__")) for row in _rows(result)}

    def _hint(self) -> str:
        there = sorted(self._known_names())
        return (
            f"there is {', '.join(there)}"
            if there
            else "is the metric's name right, and is its exporter scraped?"
        )

    def _series(self, from_s: float, until_s: float) -> list[Samples]:
        """The samples of a time by the other clock."""
        length_s = max(1, round(until_s - from_s))
        if _SELECTOR.fullmatch(self._query):
            result = self._ask("query", query=f"{self._query}[{length_s}s]", time=f"{until_s:.3f}")
        else:
            step_s = max(1.0, length_s / 10_000)
            result = self._ask(
                "query_range",
                query=self._query,
                start=f"{from_s:.3f}",
                end=f"{until_s:.3f}",
                step=f"{step_s:.3f}",
            )
        offset = self._offset()
        found: list[Samples] = []
        for row in _rows(result):
            pairs = [(float(at), float(value)) for at, value in row.get("values", ())]
            kept = [(at, value) for at, value in pairs if np.isfinite(value)]
            if kept:
                times = np.array([offset.monotonic_ns(at) for at, _ in kept], np.int64)
                found.append(
                    Samples(row["metric"], times, np.array([value for _, value in kept], np.float64))
                )
        return found

    def _offset(self) -> Offset:
        return offset_of(self._clock_readings)

    def _read_clock(self) -> None:
        """Ask for the time there: ``time()`` of an instant query is its clock when it evaluates (querying API); where that
        cannot be had, the Date of the answer."""
        for _ in range(CLOCK_READINGS):
            asked_ns = self.clock()
            result, date = self._fetch("query", {"query": "time()"})
            heard_ns = self.clock()
            told: Any = result.get("result")
            if isinstance(told, list) and len(cast("list[Any]", told)) == 2:
                self._clock_readings.append(Reading(asked_ns, heard_ns, float(cast("list[Any]", told)[1])))
            elif date is not None:
                self._clock_readings.append(Reading(asked_ns, heard_ns, date, 1.0))

    def _ask(self, what: str, **fields: str) -> Mapping[str, Any]:
        return self._fetch(what, fields)[0]

    def _fetch(self, what: str, fields: Mapping[str, str]) -> tuple[Mapping[str, Any], float | None]:
        """The data of an answer, and its Date as Unix time. Raises ServerError."""
        base = self.address.base
        body = urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(f"{base}/api/v1/{what}", data=body)  # noqa: S310 its scheme is http or https
        if (token := _token(self.address.token_env)) is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310
                text, date = reply.read(), reply.headers.get("Date")
        except urllib.error.HTTPError as error:
            said = _said(error.read())
            hint = "name a token: &token_env=NAME" if error.code in (401, 403) else None
            raise ServerError(f"{base}: HTTP {error.code}{': ' + said if said else ''}", hint=hint) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise ServerError(
                f"{base}: {reason}", hint="is Prometheus running there, and is the port right?"
            ) from error
        try:
            answer: Any = json.loads(text)
            data: Any = answer["data"]
        except (ValueError, LookupError, TypeError):
            raise ServerError(
                f"{base} does not answer as Prometheus does", hint="give its base URL"
            ) from None
        return cast("Mapping[str, Any]", data), _unix(date)


def _rows(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    result: Any = data.get("result")
    return cast("list[Mapping[str, Any]]", result) if isinstance(result, list) else []


def _said(text: bytes) -> str:
    try:
        answer: Any = json.loads(text)
        return str(answer["error"])[:200]
    except (ValueError, LookupError, TypeError):
        return ""


def _unix(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def _token(name: str | None) -> str | None:
    if name is None:
        return None
    token = os.environ.get(name, "").strip()
    if not token:
        raise ConfigError(f"there is no token in the environment variable {name}", hint=f"export {name}=...")
    return token
