"""What a run cost the world: its carbon over time, by a file or by a provider that the user names, beside the yearly
figure."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from wattmark import settings
from wattmark.documents import mapping, number
from wattmark.errors import ConfigError, ProviderError
from wattmark.impact import Intensity, Pue, as_pue, intensity_of
from wattmark.impact.emissions import PueLike
from wattmark.impact.providers import Cache, CarbonProvider, Question, intensity, provider_of
from wattmark.impact.providers.files import SeriesFile
from wattmark.impact.series import IntensitySeries, Signal, read_series
from wattmark.impact.series.emitted import CarbonOverTime, carbon_over_time
from wattmark.impact.series.prices import money
from wattmark.impact.stages import Stage, gpu_hours, making, water
from wattmark.quantity import Quantity
from wattmark.runs.view import RunView
from wattmark.workspace.runs import place_of


@dataclasses.dataclass(frozen=True, slots=True)
class Costs:
    """What else is worked out, each only if it is given. price: of a kWh (a number, a range), or a file of prices (per
    ``price_per``: kWh or MWh), tables in ``timezone``. gpu_hour: of one GPU. wue, grid_water: L/kWh. making: kg CO2e of
    one of ``devices``, or a name; lifetime: years."""

    price: float | str | None = None
    currency: str = ""
    price_per: str | None = None
    timezone: str = "UTC"
    gpu_hour: float | str | None = None
    gpus: float | None = None
    wue: float | str | None = None
    grid_water: float | str | None = None
    making: float | str | None = None
    lifetime: float | str | None = None
    devices: float = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Sought:
    """Where intensities come from. series: a file or a series; provider: of :data:`PROVIDERS`; neither: the yearly figure.
    region: the place in the provider's own words (default: ``zone``). offline: what was kept only."""

    series: str | os.PathLike[str] | IntensitySeries | None = None
    provider: str | CarbonProvider | None = None
    zone: str | None = None
    region: str | None = None
    pue: float | str | None = None
    unit: str | None = None
    signal: Signal | None = None
    offline: bool = False
    costs: Costs | None = None


def carbon_by_time(view: RunView, sought: Sought) -> CarbonOverTime | None:
    """A run's carbon; None where no energy was measured.

    A provider that does not answer leaves the yearly figure, and the result's notes say why. Raises ConfigError for what
    cannot be used: a file, a zone that neither the provider nor Wattmark knows, a key that is not there.
    """
    if sought.series is not None and sought.provider is not None:
        raise ConfigError("a series and a provider are two answers to one question", hint="give one of them")
    provider = None
    if sought.series is None:
        provider = (
            sought.provider
            if sought.provider is not None and not isinstance(sought.provider, str)
            else configured_provider(sought.provider)
        )
    yearly, ratio, unknown = _place(view, sought, asked=provider is not None)
    if sought.series is not None:
        series = _read(sought)
    elif provider is not None:
        series = _asked(view, provider, sought, yearly, unknown)
    elif unknown is not None:
        raise unknown
    else:
        series = None
    over = carbon_over_time(view, series, as_pue(ratio), yearly)
    if over is None or sought.costs is None:
        return over
    stages, lacking = _stages(view, over.energy, as_pue(ratio), sought.costs)
    return dataclasses.replace(over, stages=stages, notes=(*over.notes, *lacking))


def _stages(view: RunView, energy: Quantity, pue: Pue, costs: Costs) -> tuple[tuple[Stage, ...], list[str]]:
    seconds = view.record.duration_s
    gpus = costs.gpus
    if gpus is None:
        channels = [curve.channel for curve in view.record.curves]
        gpus = float(len({one.id.partition("/")[0] for one in channels if one.component == "gpu"}))
    stages = [
        water(energy, pue, costs.wue, costs.grid_water),
        making(seconds, costs.making, costs.lifetime, costs.devices),
        gpu_hours(seconds, costs.gpu_hour, gpus, costs.currency),
    ]
    lacking: list[str] = []
    if costs.price is not None:
        paid, why = money(
            view, costs.price, pue, currency=costs.currency, per=costs.price_per, timezone=costs.timezone
        )
        stages.append(paid)
        if why:
            lacking.append(f"the electricity's cost is not known: {why}")
    return tuple(stage for stage in stages if stage is not None), lacking


def configured_provider(named: str | None) -> CarbonProvider | None:
    """The provider of this name, else of the setting ``provider``, as ``options`` have it; None where none is named
    anywhere.

    ``options.electricitymaps.url`` says where it is asked. Raises ConfigError.
    """
    chosen = settings.load()
    name = named or chosen.get("provider")
    if not isinstance(name, str) or not name:
        return None
    url = _options(name).get("url")
    return provider_of(f"{name}={url}" if isinstance(url, str) and "=" not in name else name)


def cache_of(provider: CarbonProvider) -> Cache:
    """Where its answers are kept, and for how long: by its terms, or as ``options`` say. Raises ConfigError."""
    keep_days = _options(provider.name).get("keep_days")
    if keep_days is None:
        return Cache.here()
    days = number(keep_days)
    if days is None or days < 0:
        raise ConfigError(f"options.{provider.name}.keep_days is a number of days, not {keep_days!r:.40}")
    return dataclasses.replace(Cache.here(), keep_days=days)


def _options(name: str) -> Mapping[str, object]:
    return mapping(mapping(settings.load().get("options")).get(name.partition("=")[0]))


def _place(
    view: RunView, sought: Sought, *, asked: bool
) -> tuple[Intensity | None, PueLike, ConfigError | None]:
    """The yearly figure, the PUE, and why the zone that was named has none (it may be the provider's own word)."""
    try:
        place, ratio = place_of(view.record, sought.zone, sought.pue)
    except ConfigError as error:
        if not asked or sought.region is not None:
            raise
        _, ratio = place_of(view.record, None, sought.pue)
        return None, ratio, error
    return None if place is None else intensity_of(place.zone), ratio, None


def _read(sought: Sought) -> IntensitySeries:
    series = sought.series
    if isinstance(series, IntensitySeries):
        return series
    assert series is not None
    read = read_series(series, unit=sought.unit, signal=sought.signal)
    if sought.signal is not None and read.signal != sought.signal:
        raise ConfigError(f"{Path(series).name} has {read.signal} intensities, not {sought.signal} ones")
    return read


def _asked(
    view: RunView,
    provider: CarbonProvider,
    sought: Sought,
    yearly: Intensity | None,
    unknown: ConfigError | None,
) -> IntensitySeries:
    """What the provider says of the run's time; a series of nothing that says why, where it fails and the yearly figure
    is there."""
    start_s = view.record.started_wall_ns / 1e9
    end_s = start_s + view.record.duration_s
    zone = sought.region or sought.zone or ("" if yearly is None else yearly.zone.id)
    if not zone and not isinstance(provider, SeriesFile):
        raise ConfigError(f"which place should {provider.name} be asked for?", hint="--zone DE")
    try:
        return intensity(
            provider,
            Question(zone, start_s, end_s, sought.signal),
            cache=cache_of(provider),
            offline=sought.offline,
        )
    except ProviderError as error:
        if unknown is not None:
            raise ConfigError(
                f"{error}; nor is a yearly figure known: {unknown}", hint=unknown.hint
            ) from error
        why = f"{error}{f' ({error.hint})' if error.hint else ''}"
        return IntensitySeries.nothing(
            zone, sought.signal or provider.signals[0], provider.terms.title, f"{provider.name} failed: {why}"
        )
