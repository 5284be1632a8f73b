"""Carbon of a run over time: the integral of its power with the grid's intensity, exact at the edges of every step.

``grams = sum over steps of E(step) x PUE x I(step)``, where E(step) is the run's energy between two moments, as
everything else here takes it from the curves. What the series does not tell takes the place's yearly figure, and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from wattmark.impact.intensity import Intensity
from wattmark.impact.pue import Pue
from wattmark.impact.series.series import IntensitySeries, Piece
from wattmark.impact.stages import Stage
from wattmark.impact.tables import source_spread
from wattmark.quantity import GRID, Quantity
from wattmark.runs.attribution import headline_of
from wattmark.runs.energy import Energies
from wattmark.runs.view import RunView
from wattmark.units import J_PER_KWH

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of the run: Unix seconds, J, the mean intensity that its joules met in g/kWh, and g CO2e."""

    start_s: float
    end_s: float
    energy_j: float
    g_per_kwh: float | None
    grams: float | None


@dataclass(frozen=True, slots=True)
class CarbonOverTime:
    """Grams of a run by a series, beside the same by the yearly figure; hours; how much of its energy the series told.

    grams is None where part of the run is told by neither. stages: water, money, making, where they were asked for."""

    grams: Quantity | None
    yearly: Quantity | None
    energy: Quantity
    told: float
    slices: tuple[Slice, ...]
    series: IntensitySeries
    notes: tuple[str, ...]
    stages: tuple[Stage, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "grams": None if self.grams is None else self.grams.as_dict(),
            "yearly_grams": None if self.yearly is None else self.yearly.as_dict(),
            "energy_j": self.energy.as_dict(),
            "told": self.told,
            "source": self.series.source,
            "zone": self.series.zone,
            "signal": self.series.signal,
            "estimated": self.series.estimated,
            "resolution_s": self.series.step_s if self.series.starts else None,
            "hours": [
                {
                    "start": datetime.fromtimestamp(part.start_s, timezone.utc).isoformat(),
                    "end": datetime.fromtimestamp(part.end_s, timezone.utc).isoformat(),
                    "energy_j": part.energy_j,
                    "g_per_kwh": part.g_per_kwh,
                    "grams": part.grams,
                }
                for part in self.slices
            ],
            "stages": [stage.as_dict() for stage in self.stages],
            "notes": list(self.notes),
        }


FORECAST_MAPE = 0.158
"""The mean error of forecasts of intensity, relative: 15.8 % over 214 grids (CarbonX, 2025, its general model); estimates
of a publisher are taken for as wrong."""
FORECAST_FACTOR = 1 + 1.96 * FORECAST_MAPE * (3.141592653589793 / 2) ** 0.5
"""Within which 95 % of them lie, were their errors normal (their mean size is then the square root of 2/pi of their
deviation)."""


YEARLY = "yearly average"


def carbon_over_time(
    view: RunView, series: IntensitySeries | None, pue: Pue, yearly: Intensity | None = None
) -> CarbonOverTime | None:
    """What a run emitted by a series, of the energy that it is known by (its process tree's, where others kept the
    machine busy); None where nothing was measured. series: None for the yearly figure alone. yearly: the place's figure,
    for what it leaves out.

    Errors: those of the energies, of the PUE, and one of the series as a whole, by as much as independent sources of
    intensities typically differ.
    """
    record = view.record
    scope, energy = headline_of(view)
    if energy is None or view.energy is None:
        return None
    by_year = series is None
    if series is None:
        series = IntensitySeries.nothing("" if yearly is None else yearly.zone.id, "average", YEARLY)
    start_s = record.started_wall_ns / 1e9
    end_s = start_s + record.duration_s
    pieces = [part for piece in series.pieces(start_s, end_s) for part in _by_hour(piece)]
    edges = (
        np.array([0, *(round((part.end_s - start_s) * 1e9) for part in pieces)], np.int64) + record.start_ns
    )
    edges[-1] = record.end_ns
    energies = Energies.zeros(edges[:-1], edges[1:])
    for got in view.between(edges[:-1], edges[1:]).values():
        energies = energies + got
    rates = np.array([np.nan if part.g_per_kwh is None else part.g_per_kwh for part in pieces])
    untold = np.isnan(rates)
    of_tree = energy / view.energy if scope == "tree" and view.energy.value > 0 else None
    joules = energies.value_j * (1.0 if of_tree is None else of_tree.value)
    whole = float(joules.sum())
    told = float(joules[~untold].sum()) / whole if whole > 0 else float(not untold.any())
    factor = series.factor or source_spread()
    error = f"{GRID}/{series.zone}/{series.source}"
    by_series = _weighted(energies, np.where(untold, 0.0, rates), series.source)
    grams: Quantity | None = by_series.with_error(
        error, abs(by_series.value) * (1 - 1 / factor), abs(by_series.value) * (factor - 1)
    )
    notes = list(series.notes)
    unsettled = np.array([part.unsettled for part in pieces]) & ~untold
    if unsettled.any():
        part = abs(float((energies.value_j * np.where(unsettled, rates, 0.0)).sum()) / J_PER_KWH)
        grams = grams.with_error(
            f"{error}/forecast", part * (1 - 1 / FORECAST_FACTOR), part * (FORECAST_FACTOR - 1)
        )
        share = float(joules[unsettled].sum()) / whole if whole > 0 else 1.0
        notes.append(f"{share:.0%} of the energy met estimates or forecasts, which may be off by a fifth")
    if untold.any() and joules[untold].any():
        if series.signal == "marginal":
            grams = None
            notes.append(
                f"the series tells nothing of {1 - told:.0%} of the energy; the yearly figure is an average, which "
                "answers another question and does not stand in for a marginal one"
            )
        elif yearly is None:
            grams = None
            notes.append(
                "no zone is known: --zone FR, or: wattmark config set zone FR"
                if by_year
                else f"the series tells nothing of {1 - told:.0%} of the energy, and no zone is known for the rest"
            )
        else:
            rest = energies.weighted(np.where(untold, 1.0, 0.0)) * (yearly.g_per_kwh / J_PER_KWH)
            grams = grams.with_unit("g") + rest.with_unit("g")
            if not by_year:
                notes.append(
                    f"the series tells nothing of {1 - told:.0%} of the energy: the yearly figure stands there"
                )
    if series.estimated and not series.unsettled:
        notes.append(f"{series.estimated} values are estimates of their publisher")
    if of_tree is not None:
        notes.append(
            "the process tree's share of the machine's joules, the same in every hour: others were busy"
        )
    if grams is not None:
        if of_tree is not None:
            grams = (grams.with_unit("") * of_tree).with_unit("g")
        grams = (grams.with_unit("") * pue.ratio).with_unit("g").with_source(series.source)
    return CarbonOverTime(
        grams,
        None if yearly is None else (energy * (pue.ratio * yearly.g_per_kwh / J_PER_KWH)).with_unit("g"),
        energy,
        told,
        _slices(pieces, joules, rates, None if series.signal == "marginal" else yearly, pue),
        series,
        tuple(notes),
    )


def _weighted(energies: Energies, rates: np.ndarray[Any, np.dtype[np.float64]], source: str) -> Quantity:
    """Grams at these rates; below zero they are taken from the rest (a marginal kWh may displace more than it causes)."""
    grams = energies.weighted(np.maximum(rates, 0.0) / J_PER_KWH, source).with_unit("g")
    if (rates < 0).any():
        avoided = energies.weighted(np.maximum(-rates, 0.0) / J_PER_KWH, source).with_unit("g")
        return grams - avoided
    return grams


def _by_hour(piece: Piece) -> list[Piece]:
    """A piece cut at full hours of UTC."""
    parts: list[Piece] = []
    at = piece.start_s
    while at < piece.end_s:
        until = min(piece.end_s, (at // HOUR_S + 1) * HOUR_S)
        parts.append(piece._replace(start_s=at, end_s=until))
        at = until
    return parts


def _slices(
    pieces: list[Piece],
    joules: np.ndarray[Any, np.dtype[np.float64]],
    rates: np.ndarray[Any, np.dtype[np.float64]],
    yearly: Intensity | None,
    pue: Pue,
) -> tuple[Slice, ...]:
    hours: dict[float, list[int]] = {}
    for row, piece in enumerate(pieces):
        hours.setdefault(piece.start_s // HOUR_S, []).append(row)
    filled = np.where(np.isnan(rates), np.nan if yearly is None else yearly.g_per_kwh.value, rates)
    found: list[Slice] = []
    for rows in hours.values():
        energy = float(joules[rows].sum())
        grams = float((joules[rows] * filled[rows]).sum()) / J_PER_KWH * pue.ratio.value
        mean = (
            float((joules[rows] * filled[rows]).sum()) / energy if energy > 0 else float(filled[rows].mean())
        )
        known = mean == mean
        found.append(
            Slice(
                pieces[rows[0]].start_s,
                pieces[rows[-1]].end_s,
                energy,
                mean if known else None,
                grams if known else None,
            )
        )
    return tuple(found)
