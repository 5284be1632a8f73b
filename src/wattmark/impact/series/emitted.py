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
from wattmark.impact.series.series import IntensitySeries
from wattmark.impact.tables import source_spread
from wattmark.quantity import GRID, Quantity
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

    grams is None where part of the run is told by neither."""

    grams: Quantity | None
    yearly: Quantity | None
    energy: Quantity
    told: float
    slices: tuple[Slice, ...]
    series: IntensitySeries
    notes: tuple[str, ...]

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
            "notes": list(self.notes),
        }


def carbon_over_time(
    view: RunView, series: IntensitySeries, pue: Pue, yearly: Intensity | None = None
) -> CarbonOverTime | None:
    """What a run emitted by a series; None where nothing was measured. yearly: the place's figure, for what it leaves out.

    Errors: those of the energies, of the PUE, and one of the series as a whole, by as much as independent sources of
    intensities typically differ.
    """
    record = view.record
    energy = view.energy
    if energy is None:
        return None
    start_s = record.started_wall_ns / 1e9
    end_s = start_s + record.duration_s
    pieces = [
        part
        for piece in series.pieces(start_s, end_s)
        for part in _by_hour(piece.start_s, piece.end_s, piece.g_per_kwh)
    ]
    edges = np.array([0, *(round((part[1] - start_s) * 1e9) for part in pieces)], np.int64) + record.start_ns
    edges[-1] = record.end_ns
    energies = Energies.zeros(edges[:-1], edges[1:])
    for got in view.between(edges[:-1], edges[1:]).values():
        energies = energies + got
    rates = np.array([np.nan if part[2] is None else part[2] for part in pieces])
    untold = np.isnan(rates)
    joules = energies.value_j
    whole = float(joules.sum())
    told = float(joules[~untold].sum()) / whole if whole > 0 else float(not untold.any())
    factor = source_spread()
    error = f"{GRID}/{series.zone}/{series.source}"
    by_series = _weighted(energies, np.where(untold, 0.0, rates), series.source)
    grams: Quantity | None = by_series.with_error(
        error, abs(by_series.value) * (1 - 1 / factor), abs(by_series.value) * (factor - 1)
    )
    notes = list(series.notes)
    if untold.any() and joules[untold].any():
        if yearly is None:
            grams = None
            notes.append(
                f"the series tells nothing of {1 - told:.0%} of the energy, and no zone is known for the rest"
            )
        else:
            rest = energies.weighted(np.where(untold, 1.0, 0.0)) * (yearly.g_per_kwh / J_PER_KWH)
            grams = grams.with_unit("g") + rest.with_unit("g")
            notes.append(
                f"the series tells nothing of {1 - told:.0%} of the energy: the yearly figure stands there"
            )
    if series.estimated:
        notes.append(f"{series.estimated} values are estimates of their publisher")
    if grams is not None:
        grams = (grams.with_unit("") * pue.ratio).with_unit("g").with_source(series.source)
    return CarbonOverTime(
        grams,
        None if yearly is None else (energy * (pue.ratio * yearly.g_per_kwh / J_PER_KWH)).with_unit("g"),
        energy,
        told,
        _slices(pieces, joules, rates, yearly, pue),
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


def _by_hour(start_s: float, end_s: float, rate: float | None) -> list[tuple[float, float, float | None]]:
    """A piece cut at full hours of UTC."""
    parts: list[tuple[float, float, float | None]] = []
    at = start_s
    while at < end_s:
        until = min(end_s, (at // HOUR_S + 1) * HOUR_S)
        parts.append((at, until, rate))
        at = until
    return parts


def _slices(
    pieces: list[tuple[float, float, float | None]],
    joules: np.ndarray[Any, np.dtype[np.float64]],
    rates: np.ndarray[Any, np.dtype[np.float64]],
    yearly: Intensity | None,
    pue: Pue,
) -> tuple[Slice, ...]:
    hours: dict[float, list[int]] = {}
    for row, (start_s, _, _) in enumerate(pieces):
        hours.setdefault(start_s // HOUR_S, []).append(row)
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
                pieces[rows[0]][0],
                pieces[rows[-1]][1],
                energy,
                mean if known else None,
                grams if known else None,
            )
        )
    return tuple(found)
