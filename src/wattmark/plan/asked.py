"""Series to plan by from a provider that the user names: the days before now, and what it expects until the deadline."""

from __future__ import annotations

import time
from collections.abc import Sequence

from wattmark.errors import ConfigError, ProviderError
from wattmark.impact.providers import CarbonProvider, Question, intensity
from wattmark.impact.providers.files import Yearly
from wattmark.impact.series import IntensitySeries, Signal
from wattmark.workspace.impact import cache_of, configured_provider

PAST_S = 15 * 86_400.0
"""So much of the past is asked for: what a seasonal mean takes, and a day to try it on."""


def provider_series(
    zones: Sequence[str],
    within_s: float,
    *,
    provider: str | CarbonProvider | None = None,
    signal: Signal | None = None,
    now_s: float | None = None,
    offline: bool = False,
) -> tuple[dict[str, IntensitySeries], list[str]]:
    """The series of each zone (the provider's own words), from some days before now to ``within_s`` after it, and what is to
    be said of them. provider: of :data:`PROVIDERS` (default: the setting ``provider``, else the yearly averages, by which
    places differ and times do not).

    A zone that is not answered is left out, and told. Raises ConfigError without a zone, ProviderError where none is
    answered.
    """
    if not any(zone.strip() for zone in zones):
        raise ConfigError("a provider is asked for zones", hint="--zones FR,DE")
    who = (
        provider if provider is not None and not isinstance(provider, str) else configured_provider(provider)
    )
    who = who if who is not None else Yearly()
    at_s = time.time() if now_s is None else now_s
    found: dict[str, IntensitySeries] = {}
    notes: list[str] = []
    for zone in dict.fromkeys(zone.strip() for zone in zones if zone.strip()):
        question = Question(zone, at_s - PAST_S, at_s + within_s, signal, at_s)
        try:
            found[zone] = intensity(who, question, cache=cache_of(who), offline=offline)
        except ProviderError as error:
            notes.append(f"{zone} is left out: {error}")
    if not found:
        raise ProviderError("; ".join(notes), hint="a file will do, too: --series grid.csv")
    if isinstance(who, Yearly):
        notes.append("yearly averages tell places apart, not times: --provider names who knows the hours")
    return found, notes
