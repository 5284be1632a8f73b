"""Providers by their names, and the one question that everything asks: cache first, then the network, then the cache as
it is."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone

from wattmark.errors import ConfigError, ProviderError
from wattmark.impact.providers.base import Answer, CarbonProvider, Question, series_of, signal_of
from wattmark.impact.providers.cache import Cache, Kept, covers, joined
from wattmark.impact.providers.carbon_aware import CarbonAware
from wattmark.impact.providers.electricity_maps import LEGACY_URL, ElectricityMaps
from wattmark.impact.providers.entsoe import Entsoe
from wattmark.impact.providers.files import SeriesFile, Yearly
from wattmark.impact.providers.proxy import Proxy
from wattmark.impact.providers.uk import UkCarbonIntensity
from wattmark.impact.providers.watttime import WattTime
from wattmark.impact.providers.web import checked_address
from wattmark.impact.series import IntensitySeries

PROVIDERS: Mapping[str, str] = {
    "electricitymaps": "Electricity Maps, API v4; average; a key in ELECTRICITYMAPS_API_KEY",
    "electricitymaps-v3": "the same by its API v3 (legacy)",
    "watttime": "WattTime, API v3; marginal; WATTTIME_USER and WATTTIME_PASSWORD",
    "uk": "Great Britain's Carbon Intensity API; average; no key",
    "entsoe": "ENTSO-E: generation by type with factors by fuel; average; a token in ENTSOE_API_TOKEN",
    "carbon-aware": "a Carbon Aware SDK: carbon-aware=http://localhost:8090; name its signal",
    "proxy": "a proxy of one's own: proxy=https://carbon.example.org",
    "file": "a file: file=grid.csv",
    "yearly": "the shipped yearly averages",
}
"""Name -> what it is. ``NAME=ADDRESS`` asks it elsewhere."""
_MADE: Mapping[str, tuple[Callable[[str], CarbonProvider], Callable[[], CarbonProvider] | None]] = {
    "electricitymaps": (lambda url: ElectricityMaps(url), ElectricityMaps),
    "electricitymaps-v3": (
        lambda url: ElectricityMaps(url, name="electricitymaps-v3"),
        lambda: ElectricityMaps(LEGACY_URL, name="electricitymaps-v3"),
    ),
    "watttime": (lambda url: WattTime(url), WattTime),
    "uk": (lambda url: UkCarbonIntensity(url), UkCarbonIntensity),
    "entsoe": (lambda url: Entsoe(url), Entsoe),
    "carbon-aware": (lambda url: CarbonAware(url), None),
    "proxy": (lambda url: Proxy(url), None),
}


def provider_of(named: str) -> CarbonProvider:
    """The provider that ``electricitymaps``, ``carbon-aware=http://localhost:8090`` or ``file=grid.csv`` means.

    Raises ConfigError.
    """
    name, equals, where = named.strip().partition("=")
    name = name.strip().lower()
    if name == "file" and where:
        return SeriesFile(where)
    if name == "yearly" and not equals:
        return Yearly()
    if name not in _MADE:
        near = difflib.get_close_matches(name, PROVIDERS, 1)
        raise ConfigError(
            f"no provider of carbon intensity is called {name!r:.40}",
            hint=f"did you mean {near[0]}?" if near else f"one of {', '.join(PROVIDERS)}",
        )
    at_address, usual = _MADE[name]
    if where:
        checked_address(where)
        return at_address(where)
    if usual is None:
        raise ConfigError(f"where is {name}?", hint=f"{name}=http://localhost:8090")
    return usual()


def intensity(
    provider: CarbonProvider | str, question: Question, *, cache: Cache | None = None, offline: bool = False
) -> IntensitySeries:
    """The series of the time asked for. What is in the cache and has settled is not asked for again; where the provider
    does not answer, what is in the cache stands, and the series says so.

    cache: None for none (a file needs none). offline: ask nobody. Raises ProviderError, ConfigError.
    """
    who = provider_of(provider) if isinstance(provider, str) else provider
    for edge in (question.start_s, question.end_s):
        if not (math.isfinite(edge) and abs(edge) < 1e11):
            raise ConfigError("a time is not one")
    if question.end_s <= question.start_s:
        question = Question(
            question.zone, question.start_s, question.start_s + 1, question.signal, question.now_s
        )
    if isinstance(who, SeriesFile | Yearly):
        return series_of(who.ask(question), _source(who), (), question.start_s, question.end_s)
    signal = signal_of(who, question)
    span = question.start_s, question.end_s
    kept, about = ([], None) if cache is None else cache.read(who, question.zone, signal, question.now_s)
    notice = (who.terms.notice,) if who.terms.notice else ()
    if about is not None and covers(kept, *span, question.now_s):
        return series_of(_with(about, kept), _source(who), notice, *span)
    trouble: ProviderError | None = None
    if not offline:
        try:
            answer = who.ask(question)
        except ProviderError as error:
            trouble = error
        else:
            together = joined(kept, answer.readings, question.now_s)
            if cache is not None:
                cache.write(who, question.zone, answer.signal, together, answer)
            return series_of(_with(answer, together), _source(who), notice, *span)
    if about is None:
        raise trouble or ProviderError(
            f"nothing of {who.name} is kept for {question.zone}, and nobody is asked"
        )
    why = "nobody was asked" if trouble is None else str(trouble)
    asked = max(one.asked_s for one in kept) if kept else question.now_s
    said = f"as it was kept at {datetime.fromtimestamp(asked, timezone.utc):%Y-%m-%d %H:%M} UTC: {why}"
    try:
        return series_of(_with(about, kept), _source(who), (*notice, said), *span)
    except ProviderError as error:
        raise trouble or error from None


def _with(answer: Answer, kept: list[Kept]) -> Answer:
    return replace(answer, readings=tuple(one.reading for one in kept))


def _source(provider: CarbonProvider) -> str:
    return provider.place if isinstance(provider, SeriesFile) else provider.terms.title
