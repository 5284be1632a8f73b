"""The contract of a provider: what it is asked, what it answers, and under which terms.

``wattmark.testing.carbon.CarbonProviderContract`` is this contract as tests.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from wattmark.documents import mapping, text
from wattmark.errors import ConfigError, ProviderError
from wattmark.impact.series import IntensitySeries, Signal
from wattmark.impact.series.cells import time_of

DAY_S = 86_400.0
LARGEST_G_PER_KWH = 1e5
"""No grid's kilowatt-hour causes a tenth of a tonne: what is larger is another unit."""


@dataclass(frozen=True, slots=True)
class Question:
    """A place in the provider's own words, and Unix seconds [start_s, end_s). signal: None for the provider's first.
    now_s: the time of asking: what lies behind it is a forecast's."""

    zone: str
    start_s: float
    end_s: float
    signal: Signal | None = None
    now_s: float = field(default_factory=time.time)


class Reading(NamedTuple):
    """g CO2e/kWh in [start_s, end_s) of Unix time; None where the provider has a place for a value, but none in it.

    estimated: the publisher's own word for values that were not measured yet. forecast: said before it happened.
    """

    start_s: float
    end_s: float
    g_per_kwh: float | None
    estimated: bool = False
    forecast: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of a publisher's conditions. keep_days: how long an answer may lie in the cache, None for as long as one
    likes. notice: said beside every figure."""

    title: str
    licence: str
    url: str
    keep_days: float | None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider said. zone: the place that it answered for. factor: within which the values are taken to be right,
    None for what independent sources differ by."""

    readings: tuple[Reading, ...]
    zone: str
    signal: Signal
    notes: tuple[str, ...] = ()
    factor: float | None = None


class CarbonProvider(Protocol):
    """Somebody who publishes intensities."""

    @property
    def name(self) -> str:
        """As the user names it."""
        ...

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What it publishes, its usual one first. Average and marginal are never mixed."""
        ...

    @property
    def terms(self) -> Terms:
        """Under which conditions."""
        ...

    @property
    def place(self) -> str:
        """Where it is asked: its address without anything secret, part of the cache's key."""
        ...

    def ask(self, question: Question) -> Answer:
        """Everything that it says of the time asked for, from the network.

        Raises ProviderError where it does not answer, or not usefully; ConfigError for a question that nobody could answer
        (no key, a zone or a signal that it does not have).
        """
        ...


def signal_of(provider: CarbonProvider, question: Question) -> Signal:
    """The signal that is asked for. Raises ConfigError where the provider has none of it."""
    if question.signal is None:
        return provider.signals[0]
    if question.signal not in provider.signals:
        raise ConfigError(
            f"{provider.name} publishes {provider.signals[0]} intensities only, not {question.signal} ones",
            hint="the two answer different questions; watttime has marginal ones",
        )
    return question.signal


def series_of(
    answer: Answer,
    source: str,
    notes: Iterable[str] = (),
    start_s: float = -math.inf,
    end_s: float = math.inf,
) -> IntensitySeries:
    """The readings that touch [start_s, end_s) as a series. Raises ProviderError without a single value there."""
    touching = [reading for reading in answer.readings if reading.start_s < end_s and reading.end_s > start_s]
    if not any(reading.g_per_kwh is not None for reading in touching):
        raise ProviderError(f"{source} has no intensity of {answer.zone} for that time")
    return IntensitySeries.of(
        [(reading.start_s, reading.end_s, reading.g_per_kwh) for reading in touching],
        zone=answer.zone,
        signal=answer.signal,
        source=source,
        estimated=sum(reading.estimated or reading.forecast for reading in touching),
        notes=(*answer.notes, *notes),
        unsettled=[reading.start_s for reading in touching if reading.estimated or reading.forecast],
        factor=answer.factor,
    )


def document(body: bytes, who: str) -> object:
    """The JSON of an answer. Raises ProviderError."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProviderError(f"{who} answered with no JSON: is it the right address?") from error


def moment(value: object, who: str) -> float:
    """Unix seconds. Raises ProviderError for what is no time."""
    told = time_of(value) if isinstance(value, str) else None
    if told is None or not 0 < told < 1e11:
        raise ProviderError(f"{who} answered with {str(value)!r:.40} for a time")
    return told


def rate(value: object, who: str, scale: float = 1.0) -> float | None:
    """g/kWh of a number that stands for ``scale`` of them; None for null. Raises ProviderError for what is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProviderError(f"{who} answered with {str(value)!r:.40} for an intensity")
    if not abs(value) < LARGEST_G_PER_KWH:
        raise ProviderError(f"{who} answered with {value!s:.40} for an intensity, which none can be")
    return float(value) * scale


def message_of(body: bytes) -> str:
    """What an error's body says of itself, in one line and bounded."""
    try:
        data: object = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    said: object = mapping(data)
    for key in ("message", "error", "detail", "title"):
        inner = mapping(said).get(key)
        if isinstance(inner, Mapping):
            inner = mapping(mapping(data)[key]).get("message")
        if text(inner):
            return " ".join(str(inner).split())[:200]
    return ""


def stretches(start_s: float, end_s: float, longest_s: float) -> Sequence[tuple[float, float]]:
    """[start_s, end_s) in parts that a publisher answers at once."""
    parts: list[tuple[float, float]] = []
    at = start_s
    while at < end_s:
        parts.append((at, min(end_s, at + longest_s)))
        at = parts[-1][1]
    return parts
