"""Totals of a store's runs, each with the carbon of its place (``wattmark totals``, the page, ``wm.totals``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from wattmark.errors import ConfigError
from wattmark.impact import Intensity, Pue, as_pue, carbon_at, intensity_of
from wattmark.quantity import Quantity, total
from wattmark.runs.totals import Period, RunLine, Totals, add_up
from wattmark.store import RunSummary
from wattmark.workspace.runs import place_for

MEASURED = ("counter", "integrated")
"""The methods that read hardware."""


class Places:
    """Where runs took their power from, looked up once for each host and each setting."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, Any, Any], tuple[Intensity, Pue] | None] = {}

    def carbon(self, run: RunSummary) -> tuple[str | None, Quantity | None]:
        """Zone, and grams of CO2e of the energy that a run is known by; None where the zone is not known, or is none that
        this version knows."""
        energy = run.headline
        key = (run.host, run.settings.get("zone"), run.settings.get("pue"))
        if key not in self._places:
            self._places[key] = self._find(run)
        place = self._places[key]
        if energy is None or place is None:
            return None, None
        return place[0].zone.id, carbon_at(energy, *place).grams

    def _find(self, run: RunSummary) -> tuple[Intensity, Pue] | None:
        try:
            zone, pue = place_for(run.host, run.settings)
            return None if zone is None else (intensity_of(zone.zone), as_pue(pue))
        except ConfigError:
            return None


def totals(
    runs: Iterable[RunSummary], by: str = "project", period: Period | None = None, timezone: str = "UTC"
) -> Totals:
    """Sums of energy and carbon of these runs; see :func:`wattmark.runs.totals.add_up`.

    timezone: where days begin, such as ``Europe/Paris``. Raises ConfigError for what cannot be grouped by, or for a
    time zone that does not exist.
    """
    return add_up(lines(runs), by, period, _zone(timezone))


def lines(runs: Iterable[RunSummary]) -> list[RunLine]:
    """What a sum needs of these runs."""
    places = Places()
    return [
        RunLine(
            run.run_id,
            run.name,
            run.host,
            run.parent_id,
            run.started_at,
            run.duration_s,
            run.tags,
            run.headline,
            headline_part_of(run, MEASURED),
            headline_part_of(run, ("modelled",)),
            places.carbon(run)[1],
            own=run.tree is not None,
        )
        for run in runs
    ]


def energy_of(run: RunSummary) -> Quantity | None:
    """The machine's energy during the run, in J."""
    return run.energy


def part_of(run: RunSummary, methods: Sequence[str]) -> Quantity | None:
    """The part of the machine's energy that was got by one of these methods."""
    return total([part for method, part in run.energy_by_method.items() if method in methods])


def headline_part_of(run: RunSummary, methods: Sequence[str]) -> Quantity | None:
    """The same of the energy that the run is known by; of a process tree whose parts were not kept, in the proportion of
    the machine's."""
    if run.tree is None:
        return part_of(run, methods)
    if run.tree_by_method:
        return total([part for method, part in run.tree_by_method.items() if method in methods])
    part, whole = part_of(run, methods), run.energy
    if part is None or whole is None or whole.value <= 0:
        return None
    return run.tree * (part.value / whole.value)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"there is no time zone {name!r}", hint="such as UTC or Europe/Paris") from error
